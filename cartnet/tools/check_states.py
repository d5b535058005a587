"""S4 of one group: the digests of its tables, and the tables at one index.

Files of a stopped group seldom end at the same index. Their copies are brought there:
machines are deterministic, so what the log says can be done here too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cartnet.consensus.messages import is_admission
from cartnet.consensus.quorum import majority
from cartnet.limits import APPLY_BYTES_MAX, APPLY_ENTRIES_MAX
from cartnet.shop.machine import machine_for
from cartnet.storage import digest, journal
from cartnet.tools.check_files import ReplicaFile
from cartnet.tools.check_report import Chapter, Progress

Digests = dict[int, dict[str, list[str]]]
"""By index: which digests there are, and which replicas have them."""


def check(files: Sequence[ReplicaFile], chapter: Chapter, progress: Progress) -> int:
    """Look at the tables of a group; return how many indexes could be compared."""
    digests: Digests = defaultdict(lambda: defaultdict(list))
    for file in files:
        progress(f"recounting {file.replica}")
        known = len(chapter.wrong)
        with chapter.reading(f"{file.replica}: its tables"):
            _check_file(file, chapter, digests)
        file.sound = len(chapter.wrong) == known
    newest = max(files, key=lambda file: file.applied_index)
    highest = newest.applied_index
    # Other logs may hold what was never committed, and is contradicted by now; one
    # with that very entry has the same ones before it (S3).
    term = newest.term_at(highest)
    sources = [file for file in files if file.term_at(highest) == term]
    for file in files:
        if file.sound and file.applied_index < highest:
            progress(f"applying {file.replica}'s log")
            _bring_to(file, sources, highest, chapter, digests)
    compared = 0
    for index, found in sorted(digests.items()):
        compared += sum(map(len, found.values())) > 1
        if len(found) > 1:
            values = sorted(found, key=lambda value: found[value])
            sides = " but ".join(
                f"{', '.join(found[value])}"
                f" {'has' if len(found[value]) == 1 else 'have'} {shown}"
                for value, shown in zip(values, digest.told_apart(*values), strict=True)
            )
            group = files[0].group
            most = max(map(len, found.values()))
            undecided = most < majority(len(group.members))
            chapter.wrong.append(
                f"{group.name}: at index {index} {sides}"
                + (
                    "; no majority of the group says which is right"
                    if undecided
                    else ""
                )
            )
    return compared


def _check_file(file: ReplicaFile, chapter: Chapter, digests: Digests) -> None:
    cursor = file.cursor
    cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'digest'")
    if cursor.fetchone() is None:
        chapter.notes.append(
            f"{file.replica}: it keeps no digests yet; a start of this release begins"
        )
        digests[file.applied_index][digest.recount(cursor)].append(file.replica)
        return
    recorded: tuple[tuple[int, str], ...] = ()
    with file.transaction():
        compared = digest.compare(cursor)
        try:
            recorded = digest.recorded(cursor)
        except journal.Damaged as error:
            chapter.wrong.append(f"{file.replica}: {error}")
    if compared.difference is not None:
        chapter.wrong.append(f"{file.replica}: {compared.difference}")
    if compared.counted:
        digests[compared.applied_index][compared.counted].append(file.replica)
    for index, value in recorded:
        if index > compared.applied_index:
            chapter.wrong.append(
                f"{file.replica}: a digest is recorded at index {index}, but the"
                f" tables are those of {compared.applied_index}"
            )
        elif index < compared.applied_index:
            digests[index][value].append(file.replica)


def _bring_to(
    file: ReplicaFile,
    sources: Sequence[ReplicaFile],
    index: int,
    chapter: Chapter,
    digests: Digests,
) -> None:
    """Compare a file that is behind at ``index``, all entries to which are applied
    somewhere; leave it as it was."""
    try:
        with file.transaction():
            done = replay(file, sources, index)
            if done:
                digests[index][digest.recount(file.cursor)].append(file.replica)
    except Exception as error:
        chapter.wrong.append(
            f"{file.replica}: its log cannot be applied to its tables:"
            f" {type(error).__name__}: {error}"
        )
    else:
        if not done:
            chapter.notes.append(
                f"{file.replica}: its tables are those of index {file.applied_index};"
                f" what leads from there to {index} is compacted away"
            )


def replay(file: ReplicaFile, sources: Sequence[ReplicaFile], index: int) -> bool:
    """Apply the entries up to ``index`` to a file's tables, in the caller's
    transaction; say whether some log had them."""
    first = file.applied_index + 1
    source = next(
        (each for each in sources if each.base[0] < first and each.last[0] >= index),
        None,
    )
    if source is None:
        return False
    machine = machine_for(file.group.kind)
    while first <= index:
        entries = journal.entries(
            source.cursor,
            first,
            min(index, first + APPLY_ENTRIES_MAX - 1),
            APPLY_BYTES_MAX,
        )
        for entry in entries:
            command = bytes(entry.command)
            if command != journal.NULL_COMMAND and not is_admission(command):
                machine.apply(file.cursor, entry.index, entry.command)
        first += len(entries)
    return True


def settled(files: Sequence[ReplicaFile], chapter: Chapter) -> tuple[ReplicaFile, int]:
    """Bring one copy to the end of the group's best log, and say which, and where.

    That log holds whatever was committed, and what the next leader would commit.
    """
    best_log = max(files, key=lambda file: (file.last[1], file.last[0]))
    state = max(files, key=lambda file: (file.sound, file.applied_index))
    end = best_log.last[0]
    if end <= state.applied_index:
        return state, state.applied_index
    try:
        with state.transaction(kept=True):
            done = replay(state, [best_log], end)
    except Exception as error:
        chapter.wrong.append(
            f"{state.replica}: what its log holds behind index {state.applied_index}"
            f" cannot be applied: {type(error).__name__}: {error}"
        )
        return state, state.applied_index
    return state, end if done else state.applied_index
