"""From what a file held to the parts of a replica that takes part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cartnet.consensus.log import Log
from cartnet.consensus.messages import Life
from cartnet.consensus.raft import Raft
from cartnet.replica.driver import Driver
from cartnet.replica.formation import Formation
from cartnet.replica.meeting import Meeting
from cartnet.replica.office import Office
from cartnet.replica.report import Report
from cartnet.replica.scrubber import Scrubber

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import Logger

    from cartnet.replica.driver import Surroundings
    from cartnet.replica.membership import Membership
    from cartnet.seams import Seams
    from cartnet.storage.storage import Recovered, Storage
    from cartnet.wire.hello import Identity


@dataclass(frozen=True)
class Parts:
    """What a replica has once its file has been read."""

    driver: Driver
    meeting: Meeting
    office: Office
    report: Report
    scrubber: Scrubber


def recover(
    recovered: Recovered,
    membership: Membership,
    seams: Seams,
    storage: Storage,
    surroundings: Surroundings,
    identity: Identity,
    connections: Callable[[], int],
    log: Logger,
) -> Parts:
    """Put the parts together; nothing happens before they are started.

    :param identity: what the replica says of itself without a file.
    :param connections: counts the connections to its port.
    """
    driver = Driver(
        _raft(recovered, membership, seams),
        storage,
        seams.clock,
        surroundings,
        membership.request_timeout,
        membership.log_kept,
        log,
    )
    formation = Formation(
        membership.name,
        membership.group.names,
        Life(recovered.file_id, recovered.starts, identity.incarnation),
        recovered.founders,
        recovered.lives,
    )
    meeting = Meeting(
        membership,
        seams,
        storage,
        driver,
        formation,
        msgspec.structs.replace(
            identity,
            file=recovered.file_id,
            starts=recovered.starts,
            group_id=recovered.group_id,
        ),
        log,
        surroundings.failed_by,
    )
    office = Office(membership, driver, seams.clock, log)
    report = Report(
        membership,
        driver,
        formation,
        storage.file_bytes,
        connections,
        seams.clock,
        log,
    )
    scrubber = Scrubber(
        driver, storage.recount, seams.clock, surroundings.failed_by, log
    )
    return Parts(driver, meeting, office, report, scrubber)


def _raft(recovered: Recovered, membership: Membership, seams: Seams) -> Raft:
    return Raft(
        membership.name,
        membership.group.preference,
        ticks=membership.ticks,
        random=seams.random,
        log=Log(
            recovered.term_runs,
            recovered.last_index,
            recovered.tail,
            recovered.base_index,
            recovered.base_term,
        ),
        hard_state=recovered.hard_state,
        commit_index=recovered.commit_index,
        applied_index=recovered.applied_index,
        admitted=recovered.founders.get(membership.name) == recovered.file_id,
        lexical=membership.lexical,
    )
