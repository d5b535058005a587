"""Whom a replica meets, whom it lets in, and whose files count among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure

from cartnet.consensus.messages import Admission
from cartnet.errors import Refused
from cartnet.limits import HELLO_AGAIN_SECONDS, TICK_SECONDS
from cartnet.replica.driver import Outdated
from cartnet.replica.peers import Peers
from cartnet.storage.transaction import Write
from cartnet.wire.hello import Identity, peer_mismatch

if TYPE_CHECKING:
    from twisted.logger import Logger

    from cartnet.consensus.messages import PeerMessage
    from cartnet.replica.driver import Driver
    from cartnet.replica.formation import Formation
    from cartnet.replica.membership import Membership
    from cartnet.seams import Seams
    from cartnet.storage.storage import Storage
    from cartnet.storage.transaction import Admitted


class Meeting:
    """One replica among the members of its group, once it has read its file.

    It has the connections to them, and tells Raft who is there and whose words make
    majorities.
    """

    def __init__(
        self,
        membership: Membership,
        seams: Seams,
        storage: Storage,
        driver: Driver,
        formation: Formation,
        identity: Identity,
        log: Logger,
        failed: Callable[[Failure], None],
    ) -> None:
        """
        :param identity: what this replica says of itself, but for what changes.
        :param failed: told when the disk has failed.
        """
        self._membership = membership
        self._storage = storage
        self._driver = driver
        self._formation = formation
        self._identity = identity
        self._log = log
        self._failed = failed
        self._ticks_unfounded = 0
        self._files_told: dict[str, str] = {}
        self._missing = ""
        self._admitting: set[str] = set()
        self._peers = Peers(self, membership.group, membership.name, seams, log)

    # --- life -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to dial; a group of one is complete at once."""
        self._peers.start()
        self._found()

    def tick(self) -> None:
        """See what is still to be done before every member's file counts."""
        raft = self._driver.raft
        if raft.may_serve and raft.uncounted:
            self._admit_new_files()
        if not self._formation.founders:
            self._ask_for_founders()

    def send(self, voter: str, message: PeerMessage) -> None:
        """Send a message to a member; it may be lost."""
        self._peers.send(voter, message)

    def abort(self) -> None:
        """Cut the connections to the members, at once."""
        self._peers.abort()

    def close(self) -> None:
        """Close the connections to the members once all is sent."""
        self._peers.close()

    # --- who is who (peers.PeerEvents, and for the listener) -------------------------

    @property
    def secret(self) -> bytes:
        return self._membership.secret

    def identity(self) -> Identity:
        """What this replica says of itself, now."""
        return msgspec.structs.replace(
            self._identity,
            founders=self._formation.said_founders,
            met=self._formation.files_met,
            lives=dict(self._formation.lives),
            leads=self._driver.raft.leads,
        )

    def unwelcome(self, identity: Identity) -> str | None:
        """Why a member that dials must not come in, None if it may."""
        group = self._membership.group
        if identity.replica not in group.names:
            return f"{identity.replica} is no member of group {group.name}"
        return peer_mismatch(self.identity(), identity, None)

    def peer_connected(self, identity: Identity) -> None:
        """A member has dialled this replica."""
        self._meet(identity, answered=False)
        self._peers.peer_called(identity.replica)

    def peer_up(self, name: str, identity: Identity) -> None:
        """This replica's own connection to a member is proven."""
        self._meet(identity, answered=True)
        self._driver.tell(lambda raft: raft.peer_connected(name))
        self._tell_whom_it_met()

    def peer_lost(self, name: str) -> None:
        """This replica's own connection to a member is gone."""
        self._formation.lost(name)
        self._driver.tell(lambda raft: raft.peer_disconnected(name))

    def peer_absent(self, name: str) -> None:
        """A member closed its connection and does not lead where it listened."""
        if self._driver.raft.leader == name:
            self._log.info("the leader {name} has crashed", name=name)
        self._driver.tell(lambda raft: raft.leader_crashed(name))

    def peer_message(self, sender: str, message: PeerMessage) -> None:
        """A member has sent a message of Raft's.

        Whoever sends one knows the founders, or soon will. Where they are not known
        here it is asked for them; the message is dropped, and Raft repeats itself.
        """
        if self._formation.founders:
            self._driver.receive(sender, message)
        else:
            self._peers.dial_anew(sender)

    def _meet(self, identity: Identity, *, answered: bool) -> None:
        if self._formation.knows_newer(identity):
            older = (
                f"the database is an old copy: {identity.replica} has met this replica"
                " with a newer one"
            )
            self._driver.stop()
            self._failed(Failure(Outdated(older)))
            return
        has_new_file = self._formation.met(identity, answered=answered)
        self._found()
        self._recount()
        if has_new_file:
            self._driver.tell(lambda raft: raft.has_new_file(identity.replica))

    # --- how the group forms --------------------------------------------------------

    def _ask_for_founders(self) -> None:
        """Say hello again now and then: what the others are may have changed since."""
        self._ticks_unfounded += 1
        if self._ticks_unfounded * TICK_SECONDS >= HELLO_AGAIN_SECONDS:
            self._ticks_unfounded = 0
            self._note_missing()
            self._peers.dial_anew()

    def _note_missing(self) -> None:
        missing = self._formation.missing
        if missing != self._missing:
            self._missing = missing
            self._log.info("the group has not formed yet: {missing}", missing=missing)

    def _tell_whom_it_met(self) -> None:
        """Say hello again at once when all have answered: the others wait for that."""
        formation = self._formation
        if formation.has_met_all and formation.files_met != self._files_told:
            self._files_told = formation.files_met
            self._peers.dial_anew()

    def _found(self) -> None:
        """Become one of the group's founders, if it can be known who they are."""
        founders = self._formation.found()
        if founders is None:
            return
        kept = self._storage.write(Write(founders=founders))
        kept.addCallback(self._founded).addErrback(self._failed)

    def _founded(self, _: object) -> None:
        """The founders are on the disk."""
        if self._driver.stopped:
            return
        self._formation.kept(self._formation.founders)
        if self._formation.admitted:
            self._log.info("the group has formed: all its members have met")
            self._driver.tell(lambda raft: raft.admit())
        else:
            self._log.warn(
                "this file is new in an old group: it does not vote or count until the"
                " others have brought it up to date and admitted it"
            )
        self._recount()

    # --- files that were lost -------------------------------------------------------

    def _recount(self) -> None:
        """Tell Raft whose words make majorities."""
        for name in self._membership.group.names:
            if name != self._membership.name:
                counts = self._formation.counts(name)
                self._driver.raft.count(name, counts=counts)
        if self._formation.note_lives():
            # Ahead of all that will rely on them: writes keep their order.
            kept = self._storage.write(Write(lives=self._formation.lives))
            kept.addErrback(self._failed)

    def _admit_new_files(self) -> None:
        """As the leader, have the log admit the new file of who has caught up."""
        driver = self._driver
        for name in sorted(driver.raft.uncounted - self._admitting):
            file_id = self._formation.new_file(name)
            if file_id is None or not driver.raft.has_caught_up(name):
                continue
            self._log.info("{name} has caught up: admitting its new file", name=name)
            self._admitting.add(name)
            admission = msgspec.json.encode(Admission(name, file_id))
            admitted = maybeDeferred(driver.propose, msgspec.Raw(admission))
            # Refused or not, the next tick sees whether it is still to be done.
            admitted.addErrback(lambda failure: failure.trap(Refused))
            admitted.addCallback(self._admission_ended, name).addErrback(self._failed)

    def _admission_ended(self, _: object, name: str) -> None:
        self._admitting.discard(name)

    def file_admitted(self, admitted: Admitted) -> None:
        """A member's new file counts from now on."""
        formation = self._formation
        formation.kept({**formation.founders, admitted.name: admitted.file_id})
        self._log.info("the new file of {name} is admitted", name=admitted.name)
        self._recount()
        if admitted.name == self._membership.name and formation.admitted:
            self._driver.tell(lambda raft: raft.admit(admitted.term))

    def installed(self, last_index: int, founders: dict[str, str]) -> None:
        """A snapshot was installed; ``founders`` came with it."""
        formation = self._formation
        self._log.info("installed a snapshot at {index}", index=last_index)
        if founders:
            was_admitted = formation.admitted
            formation.kept(founders)
            self._recount()
            if formation.admitted and not was_admitted:
                self._driver.tell(lambda raft: raft.admit(raft.term))
