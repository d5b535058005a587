"""What is done to the replicas of a group, one trouble after the other."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Final

from tests.system.storm.hands import Hands
from tests.system.storm.outages import Outages
from tests.system.waiting import eventually

TROUBLE_SECONDS_MAX: Final = 3.0
LONG_TROUBLE_SECONDS_MAX: Final = 25.0
LONG_SHARE: Final = 0.1
"""In a long storm some troubles are longer than TCP takes to send again by itself."""

ESTRANGED_SECONDS_MAX: Final = 6.0
BETWEEN_SECONDS_MAX: Final = 6.0
"""Long enough at times for the office to be handed back, and for calls to be judged
without an excuse."""

STATUS_PAUSE_SECONDS: Final = 0.1
SHARES: Final = {"transfer": 0.1, "lose": 0.15, "several": 0.15, "estrange": 0.1}
"""How often each of these happens; the rest are other troubles of one replica."""

VOTERS: Final = frozenset({"leader", "follower", "candidate"})


class Trouble(threading.Thread):
    """Makes trouble for one group, until it is told to finish.

    One replica at a time, or several at once, their majority included. Never so many
    that data are lost for good: a disk is spoilt only while all others are well.

    :param storm_seconds: how long it is told to go on for.
    :ivar counts: what was done how often.
    :ivar healed_at: when the last trouble was over, as far as that can be done.
    :ivar failure: what ended it before its time.
    """

    def __init__(
        self,
        group: str,
        members: Sequence[str],
        hands: Hands,
        outages: Outages,
        random: Random,
        storm_seconds: float,
    ) -> None:
        super().__init__(name=f"trouble for {group}")
        self.group = group
        self.counts: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self.healed_at = time.monotonic()
        self.enough = threading.Event()
        self._members = members
        self._hands = hands
        self._outages = outages
        self._random = random
        self._long_seconds = min(storm_seconds / 20, LONG_TROUBLE_SECONDS_MAX)
        self._doubtful: set[str] = set()
        """Whose files may be found damaged at any time."""

    def run(self) -> None:
        try:
            while not self.enough.wait(self._random.uniform(0, BETWEEN_SECONDS_MAX)):
                self._make()
                self.wait_until_whole()
        except BaseException as failure:
            self.failure = failure

    def _make(self) -> None:
        rest = max(0, 1 - sum(SHARES.values()))
        (kind,) = self._random.choices([*SHARES, "one"], [*SHARES.values(), rest])
        others = sorted(self._hands.faults.keys() - self._hands.losing)
        match kind:
            case "transfer":
                self._transfer(self._random.choice(self._members))
            case "lose":
                losing = self._random.choice(sorted(self._hands.losing))
                self._strike({self._victim(): losing})
            case "estrange" if self._hands.estranged is not None:
                self._estrange(self._victim(), self._hands.estranged)
            case "several":
                count = self._random.randint(2, len(self._members))
                names = self._random.sample(self._members, count)
                self._strike({name: self._random.choice(others) for name in names})
            case _:
                self._strike({self._victim(): self._random.choice(others)})

    def _victim(self) -> str:
        """The leader as often as anybody."""
        if self._random.random() < 0.5:
            return eventually(self._leader, f"{self.group} has a leader")
        return self._random.choice(self._members)

    def _strike(self, faults: dict[str, str]) -> None:
        """Get replicas into trouble at once, and out of it one after the other."""
        leader = self._leader()
        changes = []
        for name, fault in faults.items():
            self.counts[fault] += 1
            begin, _ = self._hands.faults[fault]
            changes.append(self._outages.begin(fault, name))
            begin(name)
        if leader is not None and leader not in faults and self._leader() == leader:
            # Nobody needs another one, except for want of a majority.
            for change in changes:
                change.electing = False
        for name, fault in faults.items():
            _, end = self._hands.faults[fault]
            long = self._random.random() < LONG_SHARE
            seconds_max = self._long_seconds if long else TROUBLE_SECONDS_MAX
            time.sleep(self._random.uniform(0, seconds_max))
            end(name)
            self.healed_at = time.monotonic()
            if fault in self._hands.latent:
                self._doubtful.add(name)
            if fault not in self._hands.losing and name not in self._doubtful:
                self._outages.heal(name)
            self._wait_until_votes(name)
            self._outages.end(name)

    def _estrange(
        self, name: str, estranged: Callable[[str, str], AbstractContextManager[None]]
    ) -> None:
        """Keep a replica and another group apart."""
        other = self._random.choice(self._outages.others(self.group))
        self.counts["estrange"] += 1
        with self._outages.estranged(name, other), estranged(name, other):
            self.enough.wait(self._random.uniform(0, ESTRANGED_SECONDS_MAX))
        self.healed_at = time.monotonic()

    def _transfer(self, name: str) -> None:
        self._outages.move(self.group, name)
        reply = self._hands.ask(f"transfer {self.group} {name}")
        self._outages.move(self.group, name)
        self.counts["transfer" if "ok" in reply else "transfer refused"] += 1

    # --- what the group says of itself ------------------------------------------------

    def _statuses(self) -> list[dict[str, Any]]:
        """How the members are; empty where nobody can tell."""
        statuses: list[dict[str, Any]] = self._hands.ask(f"status {self.group}").get(
            "ok", []
        )
        return statuses

    def _leader(self) -> str | None:
        leading = [each["name"] for each in self._statuses() if _role(each) == "leader"]
        return leading[0] if leading else None

    def _wait_until_votes(self, name: str) -> None:
        def votes() -> bool:
            return any(
                each["name"] == name and _role(each) in VOTERS
                for each in self._statuses()
            )

        eventually(votes, f"{name} votes", STATUS_PAUSE_SECONDS)

    def wait_until_whole(self) -> None:
        """Wait until all members are well and have applied what was committed before.

        :raises AssertionError: that takes too long.
        """
        committed: list[int] = []

        def whole() -> bool:
            statuses = self._statuses()
            roles = sorted(_role(each) for each in statuses)
            if roles != ["follower"] * (len(self._members) - 1) + ["leader"]:
                return False
            committed.append(max(each["commit"] for each in statuses))
            return all(each["applied"] >= committed[0] for each in statuses)

        eventually(whole, f"{self.group} is whole", STATUS_PAUSE_SECONDS)

    def wait_until_equal(self) -> None:
        """Wait until all members show one digest, after all that was committed before.

        :raises AssertionError: that takes too long.
        """
        committed: list[int] = []

        def equal() -> bool:
            statuses = self._statuses()
            committed.append(
                max((each.get("commit", 0) for each in statuses), default=0)
            )
            shown = {
                (each.get("digest_index"), each.get("digest")) for each in statuses
            }
            return len(shown) == 1 and (shown.pop()[0] or 0) >= committed[0] > 0

        eventually(equal, f"{self.group} has one digest", STATUS_PAUSE_SECONDS)


def _role(status: dict[str, Any]) -> str:
    """A replica's role; that of one that is not alive is ``-``."""
    role: str = status.get("role", "-")
    return role
