"""A group is founded once, whatever is lost or late while its members meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import Life
from cartnet.replica.formation import Formation
from cartnet.wire.hello import Identity

STORIES: Final = 3_000
STEPS: Final = 80
ROUNDS: Final = 12
"""Rounds of undisturbed meetings after which every group must have formed."""


@dataclass(eq=False)
class Disk:
    """A file, as much of it as matters here."""

    file: str
    starts: int = 0
    founders: dict[str, str] = field(default_factory=dict)


class Process:
    """A replica between its start and its end: all that it says and believes."""

    def __init__(self, name: str, members: tuple[str, ...], disk: Disk) -> None:
        disk.starts += 1
        self.name = name
        self.disk = disk
        self.life = Life(disk.file, disk.starts, f"{disk.file}.{disk.starts}")
        self.formation = Formation(name, members, self.life, disk.founders, {})
        self.writing: dict[str, str] | None = None

    def identity(self) -> Identity:
        return Identity(
            "demo",
            self.name,
            "peer",
            incarnation=self.life.incarnation,
            file=self.life.file,
            starts=self.life.starts,
            founders=self.formation.said_founders,
            met=self.formation.files_met,
        )

    def meet(self, identity: Identity, *, answered: bool) -> None:
        self.formation.met(identity, answered=answered)
        self.writing = self.formation.found() or self.writing

    def write(self) -> None:
        """What was to be kept reaches the disk."""
        if self.writing is not None:
            self.disk.founders = self.writing
            self.formation.kept(self.writing)
            self.writing = None


class Call:
    """A handshake, a line at a time: each may take as long as it likes."""

    def __init__(self, dialer: Process, listener: Process) -> None:
        self.dialer = dialer
        self.listener = listener
        self._said = dialer.identity()
        self._answer: Identity | None = None
        self._lines = 0

    @property
    def receiver(self) -> Process:
        """Who gets the next line."""
        return self.dialer if self._lines % 2 else self.listener

    def advance(self) -> bool:
        """Let the next line arrive; say whether there will be another."""
        self._lines += 1
        if self._lines == 1:
            self._answer = self.listener.identity()
        elif self._lines == 3:
            self.listener.meet(self._said, answered=False)
        elif self._lines == 4:
            assert self._answer is not None
            self.dialer.meet(self._answer, answered=True)
        return self._lines < 4


class Story:
    """A group from its first moment on, with files lost and processes restarted."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._members = tuple("abcde"[: random.choice((2, 3, 3, 3, 4, 5))])
        self._ends = random.choice((0.02, 0.05, 0.1))
        self._writes = random.choice((0.02, 0.1, 0.2))
        self._files = 0
        self._disks = {name: self._new_disk(name) for name in self._members}
        self._running = {name: self._started(name) for name in self._members}
        self._calls: dict[tuple[str, str], Call] = {}
        # A dialer's last line may arrive long after its end, whoever dials by then.
        self._orphans: list[Call] = []

    def _new_disk(self, name: str) -> Disk:
        self._files += 1
        return Disk(f"{name}{self._files}")

    def _started(self, name: str) -> Process:
        return Process(name, self._members, self._disks[name])

    def step(self) -> None:
        what = self._random.random()
        if what < self._ends:
            lose = self._random.random() < 0.5
            self._end(self._random.choice(self._members), lose=lose)
        elif what < self._ends + self._writes:
            self._running[self._random.choice(self._members)].write()
        elif what < 0.4 and self._orphans:
            self._advance_orphan()
        else:
            dialer, listener = self._random.sample(self._members, 2)
            self._talk(dialer, listener)

    def _talk(self, dialer: str, listener: str) -> None:
        """A member dials another one, or the next line of its call arrives.

        It calls again only when a call has ended.
        """
        call = self._calls.get((dialer, listener))
        if call is None:
            call = Call(self._running[dialer], self._running[listener])
            self._calls[dialer, listener] = call
        if not call.advance():
            del self._calls[dialer, listener]

    def _advance_orphan(self) -> None:
        call = self._orphans.pop(self._random.randrange(len(self._orphans)))
        receiver = call.receiver
        if self._running[receiver.name] is receiver:
            call.advance()

    def _end(self, name: str, *, lose: bool) -> None:
        """A process ends; what it has sent still arrives, or does not."""
        for (dialer, listener), call in list(self._calls.items()):
            heard = call.receiver.name != name and self._random.random() < 0.5
            if dialer == name or (listener == name and not heard):
                del self._calls[dialer, listener]
            if dialer == name and heard:
                self._orphans.append(call)
        if lose:
            self._disks[name] = self._new_disk(name)
        self._running[name] = self._started(name)

    def founded(self) -> list[dict[str, str]]:
        """Each founding that some disk of the group knows of."""
        found: list[dict[str, str]] = []
        for disk in self._disks.values():
            if disk.founders and disk.founders not in found:
                found.append(disk.founders)
        return found

    def calm(self) -> None:
        """All meet all, again and again, and nothing goes wrong."""
        self._calls.clear()
        self._orphans.clear()
        for _ in range(ROUNDS):
            for dialer in self._members:
                for listener in self._members:
                    if dialer != listener:
                        call = Call(self._running[dialer], self._running[listener])
                        while call.advance():
                            pass
            for process in self._running.values():
                process.write()

    def unfounded(self) -> list[str]:
        return [name for name, disk in self._disks.items() if not disk.founders]


class FoundingTests(SynchronousTestCase):
    def test_once(self) -> None:
        """Never do two disks of a group know of different founders; and once there is
        nothing in the way, all know of the same."""
        for seed in range(STORIES):
            story = Story(Random(seed))
            for step in range(STEPS):
                story.step()
                found = story.founded()
                self.assertLessEqual(
                    len(found), 1, f"seed {seed}, step {step}: {found}"
                )
            story.calm()
            self.assertEqual(len(story.founded()), 1, f"seed {seed}")
            self.assertEqual(story.unfounded(), [], f"seed {seed}")
