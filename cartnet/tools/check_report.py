"""What ``cartnet check`` says: a line a guarantee, and what is wrong below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from cartnet.limits import CHECK_FINDINGS_SHOWN_MAX
from cartnet.wire.shown import one_line

SAFETY: Final = {
    "S1": "durable",
    "S2": "one leader a term",
    "S3": "log matching",
    "S4": "same state",
    "S5": "linearizable",
    "S6": "once",
    "S7": "stock is conserved",
    "S8": "checkout is whole",
    "S9": "one home",
    "S10": "honest",
}
TITLES: Final = {
    "files": "readable",
    **{number: title for number, title in SAFETY.items() if number != "S10"},
}
"""What files can show: what was said to customers is not in them."""

FINDING_CHARACTERS_MAX: Final = 400


@dataclass
class Chapter:
    """What was found about one guarantee.

    :ivar looked_at: what was looked at, in words; empty where nothing could be.
    :ivar wrong: what breaks the guarantee.
    :ivar notes: what is no harm, or cannot be told from these files.
    """

    looked_at: str = ""
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.wrong:
            return "WRONG"
        return "ok" if self.looked_at else "not seen"

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Take whatever goes wrong inside for a damaged file: it is one."""
        try:
            yield
        except Exception as error:
            kind = type(error).__name__
            self.wrong.append(f"{what} cannot be read: {kind}: {error}")


@dataclass
class Report:
    """All guarantees, in order.

    :ivar titles: theirs, by their numbers.
    :ivar unseen: what is said of one that nothing was looked at for.
    """

    heading: str = ""
    titles: Mapping[str, str] = field(default_factory=lambda: TITLES)
    unseen: str = "nothing that these files could show"
    chapters: dict[str, Chapter] = field(init=False)

    def __post_init__(self) -> None:
        self.chapters = {name: Chapter() for name in self.titles}

    def __getitem__(self, name: str) -> Chapter:
        return self.chapters[name]

    @property
    def clean(self) -> bool:
        return not any(chapter.wrong for chapter in self.chapters.values())

    def looked_at(self, chapter: Chapter) -> str:
        """Say what was looked at; of what is wrong something was seen."""
        return chapter.looked_at or ("" if chapter.wrong else self.unseen)

    def lines(self) -> Iterator[str]:
        yield self.heading
        for name, chapter in self.chapters.items():
            looked_at = self.looked_at(chapter)
            line = f"{name:<6}{self.titles[name]:<20}{chapter.verdict:<10}{looked_at}"
            yield line.rstrip()
            yield from _shown(chapter.wrong, "wrong: ")
            yield from _shown(chapter.notes, "note: ")
        broken = [name for name, chapter in self.chapters.items() if chapter.wrong]
        yield "clean" if not broken else f"wrong: {', '.join(broken)}"


def _shown(findings: list[str], label: str) -> Iterator[str]:
    for finding in findings[:CHECK_FINDINGS_SHOWN_MAX]:
        yield f"      {label}{one_line(finding, FINDING_CHARACTERS_MAX)}"
    if len(findings) > CHECK_FINDINGS_SHOWN_MAX:
        yield f"      {label}and {len(findings) - CHECK_FINDINGS_SHOWN_MAX} more"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 entry``, ``2,000 entries``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


Progress = Callable[[str], object]
