"""S1 to S3 of one group: what its logs hold, and whether they fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from cartnet.consensus.raft import NOBODY
from cartnet.storage import journal
from cartnet.tools.check_files import ReplicaFile, counted
from cartnet.tools.check_report import Chapter, Report

Row = tuple[int, int, bytes, int]
"""Index, term, command and checksum, as the log has them."""


def check(files: Sequence[ReplicaFile], report: Report) -> int:
    """Look at the logs of a group; return how many entries there were."""
    for file in files:
        _check_terms(file, report["S2"])
    entries = 0
    matching = Matching(files, report["S3"])
    with report["S3"].reading(f"a log of {files[0].group.name}"):
        for rows in _side_by_side(files):
            entries += len(rows)
            matching.see(rows)
    _check_durable(files, report["S1"])
    return entries


def _check_terms(file: ReplicaFile, chapter: Chapter) -> None:
    term, vote = file.state.hard_state.term, file.state.hard_state.vote
    if term < file.last[1]:
        chapter.wrong.append(
            f"{file.replica}: its term is {term}, its log reaches term {file.last[1]}"
        )
    if vote not in (None, NOBODY, *file.group.names):
        chapter.wrong.append(
            f"{file.replica}: it voted for {vote}, who is no member in term {term}"
        )


class Matching:
    """Reads the logs of a group side by side, index after index."""

    def __init__(self, files: Sequence[ReplicaFile], chapter: Chapter) -> None:
        self._files = {file.replica: file for file in files}
        self._chapter = chapter
        self._previous = {file.replica: file.base for file in files}
        self._diverged: dict[tuple[str, str], int] = {}

    def see(self, rows: dict[str, Row]) -> None:
        """Take what the logs hold at one index, by replica."""
        for replica, row in rows.items():
            self._check_row(replica, row)
        for one, other in combinations(rows, 2):
            self._compare(one, rows[one], other, rows[other])

    def _check_row(self, replica: str, row: Row) -> None:
        index, term, command, checksum = row
        last_index, last_term = self._previous[replica]
        self._previous[replica] = index, term
        wrong = self._chapter.wrong
        if index > last_index + 1:
            wrong.append(
                f"{replica}: log entries {last_index + 1} to {index - 1} are missing"
            )
        elif index <= last_index:
            wrong.append(f"{replica}: log entry {index} is compacted, but there")
        if term < last_term:
            wrong.append(
                f"{replica}: the term falls from {last_term} to {term} at index {index}"
            )
        if journal.checksum(index, term, command) != checksum:
            wrong.append(f"{replica}: log entry {index} does not match its checksum")

    def _compare(self, one: str, row: Row, other: str, row2: Row) -> None:
        index, pair, wrong = row[0], (one, other), self._chapter.wrong
        if row[1] != row2[1]:
            committed = min(
                self._files[one].state.commit_index,
                self._files[other].state.commit_index,
            )
            if index <= committed and pair not in self._diverged:
                wrong.append(
                    f"{one} and {other}: entry {index} is committed in both, in term"
                    f" {row[1]} here and {row2[1]} there"
                )
            self._diverged.setdefault(pair, index)
            return
        if row[2:] != row2[2:]:
            wrong.append(
                f"{one} and {other}: entry {index} of term {row[1]} differs between"
                " them"
            )
        if pair in self._diverged:
            wrong.append(
                f"{one} and {other}: both have entry {index} of term {row[1]}, but"
                f" differ at index {self._diverged.pop(pair)} before it"
            )


def _side_by_side(files: Sequence[ReplicaFile]) -> Iterator[dict[str, Row]]:
    """Give the rows of all logs, one index at a time."""
    next_rows: dict[str, Row] = {}
    for file in files:
        file.cursor.execute("SELECT idx, term, command, checksum FROM log ORDER BY idx")
        if (row := file.cursor.fetchone()) is not None:
            next_rows[file.replica] = row
    cursors = {file.replica: file.cursor for file in files}
    while next_rows:
        index = min(row[0] for row in next_rows.values())
        rows = {name: row for name, row in next_rows.items() if row[0] == index}
        yield rows
        for name in rows:
            row = cursors[name].fetchone()
            if row is None:
                del next_rows[name]
            else:
                next_rows[name] = row


def _check_durable(files: Sequence[ReplicaFile], chapter: Chapter) -> None:
    """What is known to be committed must be in the logs of a majority."""
    group = files[0].group
    for file in files:
        if file.last[0] < file.state.commit_index:
            chapter.wrong.append(
                f"{file.replica}: entries are committed up to"
                f" {file.state.commit_index}, its log ends at {file.last[0]}"
            )
    newest = max(files, key=lambda file: file.state.commit_index)
    index = min(newest.state.commit_index, newest.last[0])
    admitted = counted(files)
    with chapter.reading(f"a log of {group.name}"):
        term = newest.term_at(index)
        lacking = [
            file.replica
            for file in admitted
            if index > file.base[0] and file.term_at(index) != term
        ]
        # A replica without a file, or with one that does not count yet, may be among
        # those who had it.
        if len(group.members) - len(lacking) <= len(group.members) // 2:
            chapter.wrong.append(
                f"{group.name}: entry {index} is committed, but a majority lacks it:"
                f" {', '.join(lacking)}"
            )
