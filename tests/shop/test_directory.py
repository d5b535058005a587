"""Where usernames live."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.shop import directory
from cartnet.shop.answers import Assigned
from cartnet.shop.commands import AssignShard, Found
from cartnet.shop.machine import group_id
from tests.shop.feeding import Group


class DirectoryTests(SynchronousTestCase):
    """A username has one home, for ever (S9)."""

    def test_first_home_stands(self) -> None:
        """Of two shards drawn for one name the first in the log is its home."""
        group = Group("balancer")

        first = group.do(AssignShard("ada", "s2"))
        second = group.do(AssignShard("ada", "s1"))

        self.assertEqual(first, Assigned("s2"))
        self.assertEqual(second, Assigned("s2"))
        self.assertEqual(group.read(lambda c: directory.locate(c, "ada")), "s2")

    def test_unknown(self) -> None:
        """A name that nobody asked a home for has none."""
        group = Group("balancer")

        self.assertIsNone(group.read(lambda c: directory.locate(c, "ada")))


class FoundTests(SynchronousTestCase):
    """A group is founded once."""

    def test_first_id_stands(self) -> None:
        """Where two leaders found a group, the first id in the log is the group's."""
        for kind in ("balancer", "shard", "inventory"):
            group = Group(kind, "first")

            group.do(Found("second"))

            self.assertEqual(group.read(group_id), "first")

    def test_log_time_never_moves_back(self) -> None:
        """A leader whose clock is behind does not turn the log's time back."""
        group = Group("balancer")
        time = group.time
        group.time -= 100

        group.do(AssignShard("ada", "s1"))

        self.assertEqual(group.replica.rows("machine"), [(1, "feed", time)])
