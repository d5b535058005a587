"""The checkers of Rafts and files see what was broken on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import Entry, HardState, RequestVoteReply
from cartnet.consensus.raft import NO_OP
from cartnet.simulator.checks.truth import Truth
from cartnet.simulator.checks.verdict import Checks
from cartnet.simulator.checks.votes import Votes
from cartnet.simulator.cluster import SimulatedCluster
from cartnet.storage import journal
from cartnet.wire.messages import encode_message
from cartnet.workload.findings import Incorrect, Tally


class StepTests(SynchronousTestCase):
    """One cluster that serves, with all checkers looking on."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(seed=2)
        self.tally = Tally()
        self.checks = Checks(self.cluster, self.tally)
        self.cluster.start()
        self.cluster.run_until_serving()
        self.cluster.run_for(1)

    def raft(self, name: str) -> Any:
        return self.cluster.replicas[name].raft

    def assert_incorrect(self, check: str, seconds: float = 12) -> None:
        with self.assertRaises(Incorrect) as caught:
            self.cluster.run_for(seconds)
        self.assertIn(check, caught.exception.check)

    def test_all_is_well(self) -> None:
        """A cluster that nobody has touched passes every check, often."""
        self.cluster.kill("s1r0")
        self.cluster.run_until_serving()
        self.cluster.start("s1r0")
        self.cluster.run_for(12)

        self.assertIsNone(self.checks.unsettled())
        for check in ("R1", "R2", "R3", "R4", "R5", "R7", "R8", "S1"):
            made = sum(n for each, n in self.tally.checks.items() if check in each)
            self.assertGreater(made, 0, check)

    def test_two_leaders(self) -> None:
        """A second leader of a term is seen (R1)."""
        leader, follower = self.raft("s1r0"), self.raft("s1r1")
        follower.term, follower.vote = leader.term, "s1r1"
        follower.become_leader()

        self.assert_incorrect("R1")

    def test_a_leader_that_lacks_an_entry(self) -> None:
        """A later leader without what was committed before its term is seen (R4)."""
        raft = self.raft("s1r1")
        self.check_step("s1r1")
        raft.log.truncate_after(raft.commit_index - 1)
        raft.term, raft.vote = raft.term + 1, "s1r1"
        raft.become_leader()

        with self.assertRaises(Incorrect) as caught:
            self.check_step("s1r1")
        self.assertIn("R4 a leader has all", caught.exception.check)

    def test_a_late_victory(self) -> None:
        """A candidate that was held while a later leader committed may win its term
        when it goes on: what it lacks was committed after it (R4)."""
        self.cluster.kill("s1r0")
        candidate, other = self.cluster.replicas["s1r1"], self.raft("s1r2")
        self.cluster.run_until(
            lambda: other.vote == "s1r1" and not candidate.leads, seconds_max=10
        )
        candidate.gate.inject("pause")
        term = self.raft("s1r1").term
        self.cluster.start("s1r0")
        self.cluster.run_until(
            lambda: (other.log.term(other.commit_index) or 0) > term, seconds_max=10
        )
        won = self.tally.reached["elections won"]

        candidate.gate.inject("resume")
        self.cluster.run_for(1)

        self.assertEqual(self.tally.reached["elections won"], won + 1)

    def test_commit_without_a_majority(self) -> None:
        """An entry that is committed before a majority has synced it is seen (S1)."""
        leader = self.raft("s1r0")
        leader.propose([leader.log.slice(1, 1, 0)[0].command])
        leader.commit_index = leader.log.last_index

        self.assert_incorrect("S1")

    def test_cut_log(self) -> None:
        """A log that ends before what its replica holds for committed is seen at that
        step, whether or not an index has changed (R8)."""
        raft = self.raft("s1r1")
        self.check_step("s1r1")
        raft.log.truncate_after(raft.commit_index - 1)

        with self.assertRaises(Incorrect) as caught:
            self.check_step("s1r1")
        self.assertEqual(caught.exception.check, "R8 applied <= commit <= last")

    def test_lower_indexes(self) -> None:
        """A commit or applied index that falls while its process lives is seen (R8)."""
        raft = self.raft("s1r1")
        self.check_step("s1r1")
        for both in (False, True):
            raft.applied_index -= 1
            raft.commit_index -= both

            with self.assertRaises(Incorrect) as caught:
                self.check_step("s1r1")
            self.assertEqual(
                caught.exception.check, "R8 commit and applied index never fall"
            )

    def test_indexes_of_a_file(self) -> None:
        """A file that holds for committed what it does not have is seen (R8)."""
        disk = self.cluster.world.hosts["it1"].disk
        (file,) = disk.files.values()
        cursor = self.cluster.cursor("it1")
        commit_index = journal.last(cursor)[0] + 1
        journal.save(cursor, replace(journal.state(cursor), commit_index=commit_index))

        with self.assertRaises(Incorrect) as caught:
            self.checks._files["it"].written("it1", disk.generation, file)
        self.assertEqual(
            caught.exception.check, "R8 applied <= commit <= last, in the file"
        )

    def test_another_entry(self) -> None:
        """A committed entry that is another one elsewhere is seen (S3)."""
        truth = Truth(self.cluster.topology.group("s1"), self.tally)
        self.assertTrue(truth.commit("s1r0", 1, 1, b"[1]"))
        self.assertFalse(truth.commit("s1r1", 1, 1, b"[1]"))

        with self.assertRaises(Incorrect) as caught:
            truth.commit("s1r2", 1, 1, b"[2]")
        self.assertIn("S3", caught.exception.check)

    def test_other_tables(self) -> None:
        """Tables that differ at one index are seen by their digests (S4)."""
        self.cluster.cursor("it1").execute("UPDATE digest SET digest = '0'")

        self.assert_incorrect("S4")

    def test_lower_term(self) -> None:
        """A file whose term falls is seen (R7)."""
        self.save("it1", HardState(0))

        self.assert_incorrect("R7")

    def test_second_vote(self) -> None:
        """A file with another vote in one term is seen (R7)."""
        term = journal.state(self.cluster.cursor("it1")).hard_state.term
        self.save("it1", HardState(term, "it2"))

        self.assert_incorrect("R7")

    def test_new_file(self) -> None:
        """A follower's new file is held to what it has acknowledged, and to its votes,
        once it was let in."""
        self.cluster.kill("it1")
        self.cluster.world.hosts["it1"].disk.wipe()
        self.cluster.start("it1")
        self.cluster.run_for(12)
        files = self.checks._files["it"]
        self.assertEqual(files.durable["it1"].generation, 1)
        self.assertFalse(files.was_replaced("it1"))

        raft = self.raft("it1")
        last_index, term = raft.log.last_index, raft.log.last_term
        raft.log.truncate_after(last_index - 1)
        raft.log.append(Entry(last_index, term + 1, NO_OP))

        self.assert_incorrect("R3")

    def test_damaged_file(self) -> None:
        """A file that was put in place of another's is held to what that had where it
        has all of it still, and else to nothing."""
        disk = self.cluster.world.hosts["it1"].disk
        files = self.checks._files["it"]
        self.cluster.kill("it1")
        copy = disk.copy()
        disk.restore(copy)
        self.cluster.start("it1")
        self.cluster.run_for(1)
        self.assertEqual(files.durable["it1"].generation, 1)
        self.assertFalse(files.was_replaced("it1"))

        self.cluster.kill("it0")
        self.cluster.run_until_serving()
        self.cluster.kill("it1")
        disk.restore(copy)
        self.cluster.start("it1")
        self.cluster.run_for(0.1)

        self.assertTrue(files.was_replaced("it1"))

    def test_hole_in_a_log(self) -> None:
        """A log that lacks an entry between others is seen (R3), unless its file was
        damaged: then its replica has yet to find that."""
        disk = self.cluster.world.hosts["it1"].disk
        cursor = self.cluster.cursor("it1")
        cursor.execute("DELETE FROM log WHERE idx = 2")
        self.assertGreater(journal.last(cursor)[0], 2)
        state = journal.state(cursor)

        # As on a disk that was replaced, whose log is looked at from its begin.
        with self.assertRaises(Incorrect) as caught:
            self.write("it1", state.hard_state, 1)
        self.assertIn("R3", caught.exception.check)

        disk.hurt = True
        self.write("it1", state.hard_state, 2)

    def test_vote_of_a_new_file(self) -> None:
        """A vote that a new file gives before it is let in is seen (R7)."""
        self.cluster.kill("it1")
        disk = self.cluster.world.hosts["it1"].disk
        disk.wipe()
        self.cluster.start("it1")
        files = self.checks._files["it"]
        self.cluster.run_until(
            lambda: files.durable["it1"].generation == 1, seconds_max=5
        )

        with self.assertRaises(Incorrect) as caught:
            self.write("it1", HardState(99, "it2"), disk.generation)
        self.assertEqual(
            caught.exception.check,
            "R7 R9 S2 a file that was not let in votes for nobody",
        )

    def test_two_votes_of_two_files(self) -> None:
        """A second vote in a term is seen, whatever files it and the first were on."""
        group = self.cluster.topology.group("it")
        votes = Votes(group, self.checks._files["it"], self.tally)
        granted = encode_message(RequestVoteReply(99, granted=True))
        self.write("it1", HardState(99, "it0"), 0)
        votes.hear("it1", "it0", granted)
        self.write("it1", HardState(99, "it2"), 1)

        with self.assertRaises(Incorrect) as caught:
            votes.hear("it1", "it2", granted)
        self.assertEqual(
            caught.exception.check, "R7 S2 one vote a term, over all lives and files"
        )

    def test_vote_that_is_not_kept(self) -> None:
        """A vote that is said and on no disk is seen (R7)."""
        group = self.cluster.topology.group("it")
        votes = Votes(group, self.checks._files["it"], self.tally)

        with self.assertRaises(Incorrect) as caught:
            votes.hear("it1", "it0", encode_message(RequestVoteReply(99, granted=True)))
        self.assertEqual(
            caught.exception.check, "R7 S2 a vote is on the disk before it is said"
        )

    def check_step(self, name: str) -> None:
        self.checks.stepped(self.cluster.replicas[name])

    def write(self, name: str, new: HardState, generation: int) -> None:
        """Have a term and vote on a disk for good, as on the one that it was or will
        be after so many were replaced."""
        self.save(name, new)
        (file,) = self.cluster.world.hosts[name].disk.files.values()
        file.synced()
        group = self.cluster.topology.group_of(name).name
        self.checks._files[group].written(name, generation, file)

    def save(self, name: str, new: HardState) -> None:
        cursor = self.cluster.cursor(name)
        journal.save(cursor, replace(journal.state(cursor), hard_state=new))
