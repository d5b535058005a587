"""Old messages between members that arrive once more, late and in any order.

TCP does not do so to one connection; connections that overtake each other, and proxies,
come close. Only messages between the incarnations that first exchanged them are played
again: no process can be reached by its predecessors' connections.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from cartnet.consensus.messages import InstallSnapshot
from cartnet.simulator.faults.links import MESSAGE
from cartnet.wire.messages import BadMessage, decode_message

if TYPE_CHECKING:
    from cartnet.consensus.messages import PeerMessage
    from cartnet.simulator.faults.victims import Victims

MESSAGES_KEPT: Final = 50
"""Of each type, or the rare ones would never be among them."""

REPLAYED_MAX: Final = 40

ECHO_SECONDS_MAX: Final = 4.0
ECHO_MEAN: Final = 0.03
ECHOED: Final = 0.3
"""For how long messages come twice, how much later in seconds, and what share."""


_Heard = tuple[str, str, int, int, "PeerMessage"]
"""From, to, the incarnations of both, and what was said."""


class Replays:
    """Listens to all that members say to each other."""

    def __init__(self, victims: Victims) -> None:
        self._victims = victims
        self._cluster = victims.cluster
        self._kept: defaultdict[type, deque[_Heard]] = defaultdict(
            lambda: deque(maxlen=MESSAGES_KEPT)
        )
        self._random = victims.cluster.world.random("echoes")
        self._echo_until = 0.0
        victims.cluster.world.heard.append(self._hear)

    def _hear(self, source: str, target: str, data: bytes) -> None:
        if source not in self._victims.names or target not in self._victims.names:
            return
        if not (data.startswith(MESSAGE) and data.endswith(b"\n")):
            return  # A part of a line, or of a handshake.
        lives = self._life(source), self._life(target)
        for line in data.splitlines():
            try:
                message = decode_message(line)
            except BadMessage:
                continue
            heard = source, target, *lives, message
            self._kept[type(message)].append(heard)
            self._echo(heard)

    def _life(self, name: str) -> int:
        return self._cluster.world.hosts[name].incarnation

    def replay(self) -> bool:
        """Play old messages again, or for some time what is said, a little later."""
        random = self._victims.random
        for heard in tuple(self._kept.get(InstallSnapshot, ())):
            self._play(*heard)  # All of them: chance would hardly come to one.
        if random.random() < 0.5:
            seconds = random.uniform(0, ECHO_SECONDS_MAX)
            self._echo_until = self._cluster.world.clock.seconds() + seconds
            return True
        kept = list(self._kept.values())
        for _ in range(random.randrange(1, REPLAYED_MAX) if kept else 0):
            self._play(*random.choice(random.choice(kept)))
        return bool(kept)

    def disarm(self) -> None:
        """Let nothing that is said from now on come twice."""
        self._echo_until = 0.0

    def _echo(self, heard: _Heard) -> None:
        clock = self._cluster.world.clock
        if clock.seconds() < self._echo_until and self._random.random() < ECHOED:
            clock.callLater(self._random.expovariate(1 / ECHO_MEAN), self._play, *heard)

    def _play(
        self,
        source: str,
        target: str,
        of_source: int,
        of_target: int,
        message: PeerMessage,
    ) -> None:
        replica = self._cluster.replicas.get(target)
        if (
            replica is not None
            and replica.raft is not None
            and not replica.failed.called
            and (self._life(source), self._life(target)) == (of_source, of_target)
            and not self._cluster.world.hosts[target].process.asleep
            and not replica.gate.shut
        ):
            replica.peer_message(source, message)
