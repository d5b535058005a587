"""Lines that do not arrive as they were sent: altered, cut short, or much too long.

TCP's checksum keeps nearly all of this away from processes, and nothing else looks at a
line but its JSON: a byte that turns one valid line into another is nobody's to notice,
here as in the product. So what is put in place of a byte here is what no JSON holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.limits import LINE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from cartnet.simulator.faults.victims import Victims
    from cartnet.simulator.transport import Transport
    from cartnet.workload.findings import Tally

UNFIT: Final = tuple(bytes([code]) for code in range(0x20) if code not in b"\t\n\r")
"""In no JSON, neither within a string nor without."""


class Frames:
    """Faults of one write to a connection; each says whether it could strike."""

    def __init__(self, victims: Victims, tally: Tally) -> None:
        self._victims = victims
        self._random = victims.random
        self._network = victims.cluster.world.network
        self._tally = tally

    def corrupt(self) -> bool:
        """Another byte in place of one."""

        def spoil(end: Transport, data: bytes) -> bytes:
            self._tally.reached["a line arrived corrupt"] += 1
            place = self._random.randrange(len(data))
            return data[:place] + self._random.choice(UNFIT) + data[place + 1 :]

        return self._arm(spoil)

    def cut_short(self) -> bool:
        """The rest of a write never comes; the connection ends with it, or goes on."""
        breaks = self._random.random() < 0.5

        def spoil(end: Transport, data: bytes) -> bytes:
            self._tally.reached["a line arrived cut short"] += 1
            place = self._random.randrange(1, max(2, len(data)))
            if data[place - 1 : place] == b"\n":
                place -= 1  # Whole lines alone would be lost, as no stream does it.
            if breaks:
                self._network.clock.callLater(0, end.break_off)
            return data[:place]

        return self._arm(spoil)

    def too_long(self) -> bool:
        """A line longer than permitted comes before the others."""

        def spoil(end: Transport, data: bytes) -> bytes:
            self._tally.reached["a line arrived too long"] += 1
            return b"x" * (LINE_BYTES_MAX + 2) + b"\n" + data

        return self._arm(spoil, most=3)

    def _arm(
        self, spoil: Callable[[Transport, bytes], bytes], most: int | None = None
    ) -> bool:
        """Have it done to the next write on some connections of a replica."""
        ends = [
            self._random.choice((end, end.other))
            for end in self._network.ends(self._victims.any())
            if self._random.random() < 0.3
        ]
        for end in ends[:most]:
            end.spoil = spoil
        return bool(ends)

    def disarm(self) -> None:
        """Forget those that nobody has written to."""
        for end in self._network.ends():
            end.spoil = None
