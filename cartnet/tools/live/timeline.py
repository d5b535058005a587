"""The report's picture: a lane a group and a customer, all on one line of time.

Bars differ by shape as well as by colour, and each says in a tooltip what it is.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from cartnet.limits import LIVE_BARS_MAX
from cartnet.tools.live.history_file import arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cartnet.tools.live.seen import Seen
    from cartnet.workload.history import Operation

LANE: Final = 26
"""The height of a lane, in pixels, as the labels beside it have it in CSS."""

AXIS: Final = 22
WIDTH_MIN, WIDTH_MAX = 1_100, 24_000
PIXELS_A_SECOND: Final = 40
TICK_PIXELS_MIN: Final = 60
TICKS: Final = (1, 2, 5, 10, 30, 60, 300, 600)
BAR_PIXELS_MIN: Final = 2.5

SAID: Final = {
    "ok": "done",
    "refused": "refused by the shop",
    "nothing": "certainly not done",
    "unknown": "perhaps done",
}


class Timeline:
    """What happened, drawn.

    :ivar left_out: operations that it has no bar of.
    """

    def __init__(self, seen: Seen, suspects: Iterable[Operation]) -> None:
        """:param suspects: operations that violations are about."""
        self._seen = seen
        self._suspects = {id(each) for each in suspects}
        times = [each.called for each in seen.operations]
        times += [each.ended for each in seen.operations if each.ended is not None]
        times += [office.until for office in seen.offices]
        self._first = min([seen.began, *times])
        self._last = max([seen.stopped, seen.began + 1, *times])
        span = self._last - self._first
        self._width = min(max(WIDTH_MIN, PIXELS_A_SECOND * span), WIDTH_MAX)
        self._scale = self._width / span
        self._bars = _chosen(seen.operations, self._suspects)
        self.left_out = len(seen.operations) - len(self._bars)

    # --- Lanes -----------------------------------------------------------------------

    @property
    def _customers(self) -> list[str]:
        return list(dict.fromkeys(each.by for each in self._seen.operations))

    def labels(self) -> list[str]:
        """What the lanes are, from top to bottom."""
        seen = self._seen
        faults = ["faults"] if seen.options.chaos else []
        leaders = [f"{group} led by" for group in seen.groups]
        return [*faults, *leaders, *map(seen.short, self._customers)]

    def svg(self) -> str:
        """The picture, without the labels."""
        lanes = len(self.labels())
        height = AXIS + lanes * LANE
        return "\n".join(
            [
                f'<svg width="{self._width:.0f}" height="{height}" role="img"'
                f' viewBox="0 0 {self._width:.0f} {height}"'
                ' aria-label="Operations, leaders and faults over time">',
                '<defs><pattern id="hatch" width="5" height="5"'
                ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
                '<rect class="hatch" width="2" height="5"/></pattern></defs>',
                *self._stripes(lanes),
                *self._axis(height),
                *self._changes(height),
                *self._faults(),
                *self._offices(),
                *self._operations(),
                "</svg>",
            ]
        )

    def _x(self, at: float) -> float:
        return (at - self._first) * self._scale

    def _top(self, label: int) -> int:
        return AXIS + label * LANE

    def _stripes(self, lanes: int) -> Iterator[str]:
        for lane in range(0, lanes, 2):
            yield (
                f'<rect class="stripe" x="0" y="{self._top(lane)}"'
                f' width="{self._width:.0f}" height="{LANE}"/>'
            )

    def _axis(self, height: int) -> Iterator[str]:
        began, last = self._seen.began, self._last
        every = next(
            (t for t in TICKS if t * self._scale >= TICK_PIXELS_MIN), TICKS[-1]
        )
        for second in range(0, int(last - began) + 1, every):
            x = self._x(began + second)
            ends = f'y1="14" y2="{height}"'
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" {ends}/>'
            yield f'<text class="tick" x="{x + 3:.1f}" y="11">{second} s</text>'
        x = self._x(self._seen.stopped)
        yield (
            f'<line class="stop" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}">'
            "<title>customers were told to stop</title></line>"
        )

    def _changes(self, height: int) -> Iterator[str]:
        """A line where a group got another leader."""
        led: dict[str, tuple[str, int]] = {}
        for office in self._seen.offices:
            now = office.leader, office.term
            if led.setdefault(office.group, now) != now:
                x = self._x(office.since)
                yield (
                    f'<line class="change" x1="{x:.1f}" x2="{x:.1f}" y1="{AXIS}"'
                    f' y2="{height}"><title>{escape(office.leader)} leads'
                    f" {escape(office.group)} from here on (term {office.term})"
                    "</title></line>"
                )
            led[office.group] = now

    def _faults(self) -> Iterator[str]:
        for fault in self._seen.faults:
            yield self._block(
                "fault",
                0,
                fault.since,
                fault.until,
                f"{fault.kind} {fault.replica}",
                f"{fault.kind} {fault.replica}, {fault.until - fault.since:.1f} s",
            )

    def _offices(self) -> Iterator[str]:
        first = 1 if self._seen.options.chaos else 0
        for lane, group in enumerate(self._seen.groups, first):
            offices = [each for each in self._seen.offices if each.group == group]
            terms = list(dict.fromkeys(each.term for each in offices))
            for office in offices:
                yield self._block(
                    f"office{terms.index(office.term) % 2}",
                    lane,
                    office.since,
                    office.until,
                    f"{office.leader} · {office.term}",
                    f"{office.leader} leads {group} in term {office.term},"
                    f" {office.until - office.since:.1f} s",
                )

    def _block(
        self, css: str, lane: int, since: float, until: float, text: str, title: str
    ) -> str:
        x, y = self._x(since), self._top(lane) + 4
        width = max(BAR_PIXELS_MIN, (until - since) * self._scale)
        fits = 6.5 * len(text) + 8 < width
        # Faults are far from each other; of an office the tooltip tells.
        beside = css == "fault" and not fits
        left = x + 4 + (width if beside else 0)
        label = f'<text x="{left:.1f}" y="{y + 13}">{escape(text)}</text>'
        return (
            f'<g class="{css}"><title>{escape(title)}</title><rect x="{x:.1f}" y="{y}"'
            f' width="{width:.1f}" height="{LANE - 8}" rx="3"/>'
            f"{label if fits or beside else ''}</g>"
        )

    # --- Bars ------------------------------------------------------------------------

    def _operations(self) -> Iterator[str]:
        first = len(self.labels()) - len(self._customers)
        lanes = {name: first + n for n, name in enumerate(self._customers)}
        # The longest first: what happened during it lies on top.
        for number, operation in sorted(
            self._bars, key=lambda bar: -self._took(bar[1])
        ):
            yield self._bar(number, operation, lanes[operation.by])

    def _took(self, operation: Operation) -> float:
        until = self._last if operation.ended is None else operation.ended
        return until - operation.called

    def _bar(self, number: int, operation: Operation, lane: int) -> str:
        x = self._x(operation.called)
        width = max(BAR_PIXELS_MIN, self._took(operation) * self._scale)
        top = self._top(lane)
        suspect = id(operation) in self._suspects
        title = escape(told(self._seen, operation))
        place = f'x="{x:.1f}" width="{width:.1f}"'
        mark = ""
        if suspect:
            mark = halo(x - 3, width + 6, top)
        return (
            f'<g id="op{number}" class="{operation.ending}{" bad" if suspect else ""}">'
            f"<title>{title}</title>{mark}{shape(operation.ending, place, top)}</g>"
        )


def shape(ending: str, place: str, top: int) -> str:
    """A bar whose shape says how it ended."""
    match ending:
        case "ok":
            return f'<rect {place} y="{top + 7}" height="12"/>'
        case "refused":
            return f'<rect {place} y="{top + 14}" height="5"/>'
        case "nothing":
            return f'<rect {place} y="{top + 8}" height="10"/>'
        case _:
            return f'<rect {place} y="{top + 7}" height="12" fill="url(#hatch)"/>'


def halo(x: float, width: float, top: int) -> str:
    """What makes an operation of a violation stand out, behind its bar."""
    return (
        f'<path class="halo" d="M{x:.1f} {top + 1} h{width:.1f} v24 h-{width:.1f} z"/>'
        f'<path class="mark" d="M{x + width / 2 - 5:.1f} {top} h10 l-5 7 z"/>'
    )


def told(seen: Seen, operation: Operation) -> str:
    """An operation in one line."""
    args = " ".join(str(each) for each in arguments(seen, operation).values())
    parts = [f"{operation.call} {args}".strip().replace(seen.share.prefix, "")]
    code = f" ({operation.refused.code})" if operation.refused is not None else ""
    if operation.ending == "ok":
        code = ""
    parts.append(SAID[operation.ending] + code)
    at = operation.called - seen.began
    if operation.ended is not None:
        parts.append(f"{1000 * (operation.ended - operation.called):.0f} ms")
    parts.append(f"at {at:.3f} s")
    if operation.sendings > 1:
        parts.append(f"sent {operation.sendings} times")
    if operation.stale:
        parts.append("may be stale")
    if operation.direct:
        parts.append("past the balancers")
    return " · ".join(parts)


def _chosen(
    operations: list[Operation], suspects: set[int]
) -> list[tuple[int, Operation]]:
    """The operations that get a bar, with their numbers: the telling ones first."""

    def telling(each: tuple[int, Operation]) -> tuple[bool, bool, float]:
        operation = each[1]
        took = float("inf")
        if operation.ended is not None:
            took = operation.ended - operation.called
        odd = operation.ending in ("nothing", "unknown")
        return id(operation) not in suspects, not odd, -took

    numbered = list(enumerate(operations, 1))
    if len(numbered) <= LIVE_BARS_MAX:
        return numbered
    return sorted(sorted(numbered, key=telling)[:LIVE_BARS_MAX])
