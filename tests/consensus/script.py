"""Runs scripts of directives against a group of pure replicas, and records all of it.

A script is a text of directives, each followed by a line ``----`` and all that came of
it, up to an empty line. Lines that start with ``#`` tell the story.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from random import Random

import msgspec

from cartnet.consensus.candidate import Candidate, PreCandidate
from cartnet.consensus.leader import Leader
from cartnet.consensus.messages import (
    Entry,
    HardState,
    Heartbeat,
    HeartbeatReply,
    PeerMessage,
)
from cartnet.limits import APPEND_BYTES_MAX
from tests.consensus.replicas import Contents, Replica
from tests.consensus.words import described, entries

ROUNDS_MAX = 1_000
"""A group that is not quiet after as many rounds of deliveries never will be."""

SEPARATOR = "----"

OLD = msgspec.Raw(b'"old"')
LARGE = msgspec.Raw(b'"%s"' % (b"x" * APPEND_BYTES_MAX))


def run(script: str) -> str:
    """Run a script; return it with what came of each directive."""
    environment = Environment()
    output: list[str] = []
    for block in script.strip("\n").split("\n\n"):
        lines = block.split("\n")
        if SEPARATOR in lines:
            lines = lines[: lines.index(SEPARATOR)]
        output += lines
        if not lines[-1].startswith("#"):
            output += [SEPARATOR, *environment.do(lines[-1])]
        output.append("")
    return "\n".join(output)


class Environment:
    """The group, the messages under way, and what has happened since the directive.

    :ivar flight: messages sent and not yet delivered: sender, receiver, message.
    """

    def __init__(self) -> None:
        self.replicas: dict[str, Replica] = {}
        self.flight: list[tuple[str, str, PeerMessage]] = []
        self.stopped: set[str] = set()
        self.held: set[str] = set()
        self.quiet = False
        self._cut: set[tuple[str, str]] = set()
        self._lines: list[str] = []
        self._shown: dict[str, str] = {}

    def do(self, line: str) -> list[str]:
        """Run one directive; return the lines that came of it."""
        verb, *words = shlex.split(line)
        options = dict(word.split("=", 1) for word in words if "=" in word)
        arguments = [word for word in words if "=" not in word]
        directive: Callable[..., None] = getattr(self, "do_" + verb.replace("-", "_"))
        directive(*arguments, **options)
        lines, self._lines = self._lines, []
        return lines or ["ok"]

    # --- the group ------------------------------------------------------------------

    def do_group(self, *names: str, lexical: str = "yes", leader: str = "") -> None:
        """``group a b c``: new replicas, connected to each other.

        With ``leader=a``, after an uneventful election.
        """
        self.flight.clear()
        for name in names:
            replica = Replica(name, names, Random(name))
            replica.lexical = lexical == "yes"
            self.replicas[name] = replica
            self._start(name)
        if leader:
            self.do_elect(leader)
            self.do_stabilize()
            self._lines.clear()
            self.do_state()

    def do_file(
        self,
        *names: str,
        terms: str,
        term: str = "",
        commit: str = "0",
        large: str = "",
    ) -> None:
        """``file a b terms=1,1,2 large=2``: start with this log, not an empty one.

        The entry ``large`` fills an append by itself.
        """
        log_terms = [int(text) for text in terms.split(",")]
        log = tuple(
            Entry(index, log_term, LARGE if str(index) == large else OLD)
            for index, log_term in enumerate(log_terms, 1)
        )
        contents = Contents(
            HardState(int(term or log_terms[-1])), log, int(commit), int(commit)
        )
        for name in names:
            self.replicas[name].written = self.replicas[name].synced = contents
            self._start(name)

    def do_state(self, *names: str) -> None:
        """``state [a]``: the terms, logs and indexes."""
        for name in names or self.replicas:
            if name in self.stopped:
                self._say(f"{name} stopped")
                continue
            raft = self.replicas[name].raft
            log = " ".join(
                str(raft.log.term(index)) for index in range(1, raft.log.last_index + 1)
            )
            self._say(
                f"{self._office(name)} vote={raft.vote or '-'} log=[{log}]"
                f" commit={raft.commit_index} applied={raft.applied_index}"
            )

    def do_file_state(self, *names: str) -> None:
        """``file-state a``: what is written."""
        for name in names:
            contents = self.replicas[name].written
            terms = " ".join(str(entry.term) for entry in contents.log)
            self._say(
                f"{name} file term={contents.hard_state.term}"
                f" vote={contents.hard_state.vote or '-'} log=[{terms}]"
                f" applied={contents.applied_index}"
            )

    def do_progress(self, name: str) -> None:
        """``progress a``: what the leader a knows of the others."""
        role = self.replicas[name].raft.role
        assert isinstance(role, Leader)
        for voter in self.replicas[name].raft.others:
            progress = role.progress[voter]
            self._say(
                f"{voter} {progress.mode.value} match={progress.match_index}"
                f" next={progress.next_index}"
            )

    def do_flight(self) -> None:
        """``flight``: the messages under way."""
        for sender, receiver, message in self.flight:
            self._say(f"{sender} -> {receiver}  {described(message)}")
        if not self.flight:
            self._say("nothing is under way")

    # --- time and requests ----------------------------------------------------------

    def do_tick(self, *names: str, ticks: str = "1") -> None:
        """``tick a b ticks=5``: let time pass for these; nothing is delivered."""
        for _ in range(int(ticks)):
            for name in names or self.replicas:
                if name not in self.stopped:
                    self.replicas[name].raft.tick()
                    self._settle(name)

    def do_run(self, ticks: str) -> None:
        """``run 24``: let time pass for all, and deliver everything at each tick."""
        for _ in range(int(ticks)):
            self.do_tick()
            self._stabilize(tuple(self.replicas))

    def do_run_until_leader(self, name: str = "", ticks: str = "200") -> None:
        """``run-until-leader [a]``: as long as it takes."""
        for passed in range(int(ticks)):
            if any(
                replica.raft.leads and name in ("", replica.name)
                for replica in self._running()
            ):
                self._say(f"after {passed} ticks")
                return
            self.do_run("1")
        self._say(f"no leader within {ticks} ticks")

    def do_campaign(self, name: str) -> None:
        """``campaign a``: ask for pre-votes now."""
        self.replicas[name].raft.become_pre_candidate()
        self._settle(name)

    def do_elect(self, name: str) -> None:
        """``elect a``: stand for election now, without a pre-vote."""
        self.replicas[name].raft.become_candidate(handed_over=False)
        self._settle(name)

    def do_propose(self, name: str, *commands: str) -> None:
        """``propose a x y``: entries for the leader a, all at once."""
        raw = [msgspec.Raw(msgspec.json.encode(command)) for command in commands]
        self.replicas[name].raft.propose(raw)
        self._settle(name)

    def do_read(self, name: str, ticket: str) -> None:
        """``read a 1``: may a read number 1 run?"""
        self.replicas[name].raft.read(int(ticket))
        self._settle(name)

    def do_hand_over(self, name: str, voter: str) -> None:
        """``hand-over b a``: b is to make a the leader."""
        self.replicas[name].raft.hand_over(voter)
        self._settle(name)

    def do_hint(self, *names: str, crashed: str) -> None:
        """``hint b crashed=a``: b is told that a's process is gone."""
        for name in names:
            self.replicas[name].raft.leader_crashed(crashed)
            self._settle(name)

    # --- the network ----------------------------------------------------------------

    def do_deliver(self, **which: str) -> None:
        """``deliver from=a to=b type=Heartbeat``: what is under way now, in order."""
        for sender, receiver, message in self._take(**which):
            self._deliver(sender, receiver, message)

    def do_duplicate(self, **which: str) -> None:
        """``duplicate to=b``: deliver, and keep under way."""
        for sender, receiver, message in [m for m in self.flight if matches(m, which)]:
            self._deliver(sender, receiver, message)

    def do_drop(self, **which: str) -> None:
        """``drop to=b``: lose what is under way."""
        for sender, receiver, message in self._take(**which):
            self._say(f"lost {sender} -> {receiver}  {described(message)}")

    def do_stabilize(self, *names: str) -> None:
        """``stabilize [a b]``: write and deliver among these until nothing happens."""
        self._stabilize(names or tuple(self.replicas))

    def do_partition(self, *words: str) -> None:
        """``partition a : b c``: messages between the sides are lost."""
        sides = [side.split() for side in " ".join(words).split(":")]
        for one in sides:
            for other in sides:
                if one is not other:
                    self._cut |= {(a, b) for a in one for b in other}

    def do_cut(self, sender: str, receiver: str) -> None:
        """``cut a b``: messages from a to b are lost, the way back is open."""
        self._cut.add((sender, receiver))

    def do_heal(self) -> None:
        """``heal``: messages pass again."""
        self._cut.clear()

    def do_reconnect(self, name: str, voter: str) -> None:
        """``reconnect a b``: their connection broke and is back."""
        for one, other in ((name, voter), (voter, name)):
            self.replicas[one].raft.peer_disconnected(other)
            self.replicas[one].raft.peer_connected(other)
        self._settle(name)
        self._settle(voter)

    def do_messages(self, which: str) -> None:
        """``messages quiet``: leave heartbeats out of the record, or ``all``."""
        self.quiet = which == "quiet"

    # --- disks and processes --------------------------------------------------------

    def do_hold(self, *names: str) -> None:
        """``hold a``: its disk takes for ever."""
        self.held |= set(names)

    def do_release(self, *names: str) -> None:
        """``release a``: its disk finishes what it has in hand, and works again."""
        self.held -= set(names)
        for name in names:
            self._settle(name)

    def do_stop(self, *names: str, transaction: str = "lost", power: str = "") -> None:
        """``stop a transaction=kept``: kill the process; or ``power=cut``."""
        for name in names:
            self.stopped.add(name)
            self.held.discard(name)
            self.replicas[name].crash(
                power_lost=power == "cut", transaction_kept=transaction == "kept"
            )
            for replica in self._running():
                replica.raft.peer_disconnected(name)

    def do_restart(self, *names: str, **options: str) -> None:
        """``restart a``: stop it where it runs, and start it again."""
        for name in names:
            if name not in self.stopped:
                self.do_stop(name, **options)
            self.stopped.discard(name)
            self._start(name)

    # --- inside ---------------------------------------------------------------------

    def _start(self, name: str) -> None:
        replica = self.replicas[name]
        replica.start()
        for other in self._running():
            if other is not replica:
                other.raft.peer_connected(name)
                replica.raft.peer_connected(other.name)
        self._shown[name] = ""
        self._settle(name)

    def _running(self) -> list[Replica]:
        return [r for name, r in self.replicas.items() if name not in self.stopped]

    def _settle(self, name: str) -> None:
        """Send what may leave, write unless the disk is held, and say what changed."""
        replica = self.replicas[name]
        while True:
            self._show(name)
            self._send(name, replica.speak())
            for read in replica.raft.confirmed_reads:
                self._say(f"{name} read {read.ticket} may run at {read.read_index}")
            replica.raft.confirmed_reads.clear()
            if replica.writing is None and replica.begin_write() is not None:
                self._show_write(replica)
            if replica.writing is None or name in self.held:
                return
            applied = replica.raft.applied_index
            messages = replica.finish_write()
            if replica.raft.applied_index > applied:
                self._say(f"{name} applied {replica.raft.applied_index}")
            self._send(name, messages)

    def _send(self, sender: str, messages: list[tuple[str, PeerMessage]]) -> None:
        for receiver, message in messages:
            line = f"{sender} -> {receiver}  {described(message)}"
            gone = receiver in self.stopped or (sender, receiver) in self._cut
            if not gone:
                self.flight.append((sender, receiver, message))
            if not (self.quiet and isinstance(message, Heartbeat | HeartbeatReply)):
                self._say(f"lost {line}" if gone else line)

    def _deliver(self, sender: str, receiver: str, message: PeerMessage) -> None:
        if receiver not in self.stopped:
            self.replicas[receiver].raft.step(sender, message)
            self._settle(receiver)

    def _take(self, **which: str) -> list[tuple[str, str, PeerMessage]]:
        taken = [each for each in self.flight if matches(each, which)]
        self.flight = [each for each in self.flight if not matches(each, which)]
        return taken

    def _stabilize(self, names: tuple[str, ...]) -> None:
        for _ in range(ROUNDS_MAX):
            taken = [m for m in self.flight if m[0] in names and m[1] in names]
            if not taken:
                return
            self.flight = [m for m in self.flight if m not in taken]
            for sender, receiver, message in taken:
                self._deliver(sender, receiver, message)
        raise AssertionError("the group does not become quiet")

    def _office(self, name: str) -> str:
        raft = self.replicas[name].raft
        match raft.role:
            case Leader(handing_over_to=str(target)):
                office = f"leader, handing over to {target},"
            case Leader():
                office = "leader"
            case Candidate():
                office = "candidate"
            case PreCandidate():
                office = "pre-candidate"
            case _:
                office = f"follower of {raft.leader}" if raft.leader else "follower"
        return f"{name} {office} term={raft.term}"

    def _show(self, name: str) -> None:
        office = self._office(name)
        if office != self._shown[name]:
            self._shown[name] = office
            self._say(office)

    def _show_write(self, replica: Replica) -> None:
        ready = replica.writing
        assert ready is not None
        parts = []
        if ready.hard_state is not None:
            vote = ready.hard_state.vote or "-"
            parts.append(f"term={ready.hard_state.term} vote={vote}")
        if ready.entries:
            parts.append(entries(ready.entries))
        if parts:
            self._say(f"{replica.name} writes {' '.join(parts)}")

    def _say(self, line: str) -> None:
        self._lines.append(line)


def matches(sent: tuple[str, str, PeerMessage], which: dict[str, str]) -> bool:
    sender, receiver, message = sent
    facts = {"from": sender, "to": receiver, "type": type(message).__name__}
    return all(facts[key] in value.split(",") for key, value in which.items())
