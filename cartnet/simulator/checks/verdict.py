"""Everything that is looked at: at each step, and once all is quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cartnet.simulator.checks import operations, tables
from cartnet.simulator.checks.consensus import Consensus
from cartnet.simulator.checks.directory_book import DirectoryBook
from cartnet.simulator.checks.files import Files
from cartnet.simulator.checks.inventory_book import InventoryBook
from cartnet.simulator.checks.replaying import replay
from cartnet.simulator.checks.requests import Requests
from cartnet.simulator.checks.shard_book import ShardBook
from cartnet.simulator.checks.truth import Truth
from cartnet.simulator.checks.votes import Votes
from cartnet.workload import models, orders, stale

if TYPE_CHECKING:
    from cartnet.replica.replica import Replica
    from cartnet.simulator.cluster import SimulatedCluster
    from cartnet.simulator.disk import File
    from cartnet.topology.groups import Group
    from cartnet.workload.crowd import Crowd
    from cartnet.workload.findings import Tally


class Checks:
    """The checkers of one cluster, each group's its own."""

    def __init__(self, cluster: SimulatedCluster, tally: Tally) -> None:
        self._cluster = cluster
        self._tally = tally
        self._truths = {g.name: Truth(g, tally) for g in cluster.topology.groups}
        self._files = {
            name: Files(truth, tally, cluster.world.clock.seconds)
            for name, truth in self._truths.items()
        }
        self._consensus = {
            name: Consensus(truth, self._files[name], tally)
            for name, truth in self._truths.items()
        }
        self._requests = {
            name: Requests(truth, tally) for name, truth in self._truths.items()
        }
        cluster.stepped = self.stepped
        cluster.started = self.started
        cluster.stopped = self.stopped
        for group in cluster.topology.groups:
            votes = Votes(group, self._files[group.name], tally)
            cluster.world.heard.append(votes.hear)
            for name in group.names:
                self._watch_disk(group, name)

    def started(self, replica: Replica) -> None:
        """Look at what a replica's calls will ask for; it is about to start."""
        self._requests[replica.group.name].watch(replica)

    def stopped(self, replica: Replica) -> None:
        """Look at a replica that has stopped by itself, for its disk."""
        self._files[replica.group.name].stopped(
            replica.name,
            self._cluster.world.hosts[replica.name].disk,
            begins_anew=replica.begins_anew,
        )

    def stepped(self, replica: Replica) -> None:
        """Look at a replica that has just done something."""
        raft = replica.raft
        if raft is not None and not replica.failed.called:
            self._consensus[replica.group.name].stepped(replica.name, raft)
            self._requests[replica.group.name].stepped(replica)

    def _watch_disk(self, group: Group, name: str) -> None:
        disk = self._cluster.world.hosts[name].disk

        def written(file: File) -> None:
            self._files[group.name].written(name, disk.generation, file)

        disk.written = written

    # --- Once all is quiet -----------------------------------------------------------

    def unsettled(self) -> str | None:
        """What is not as it will be for good; None once all is."""
        for group in self._cluster.topology.groups:
            states = {}
            for name in group.names:
                cursor = self._cluster.plain_cursor(name)
                row = cursor.execute(
                    "SELECT (SELECT applied_index FROM hard_state),"
                    " (SELECT digest FROM digest)"
                ).fetchone()
                states[name] = row
            if len(set(states.values())) > 1:
                return f"{group.name} differs: {states}"
        return self.pending()

    def pending(self) -> str | None:
        """Which shard has a pending order; None where none has."""
        for group in self._cluster.topology.shards:
            sql = "SELECT COUNT(*) FROM orders WHERE placed_at IS NULL"
            cursor = self._cluster.plain_cursor(group.names[0])
            if pending := cursor.execute(sql).fetchone()[0]:
                return f"{group.name} has {pending} pending orders"
        return None

    def check_all(self, crowd: Crowd) -> None:
        """Look at everything: logs, what customers saw, and all replicas' tables.

        :raises Incorrect: a guarantee was broken.
        """
        replayed = self.check_logs(crowd)
        for name, truth in self._truths.items():
            self._check_tables(truth.group, replayed[name])
        if crowd.wanted is not None:
            price_and_stock = "SELECT price, stock FROM items WHERE item = ?"
            row = replayed["it"].execute(price_and_stock, (crowd.wanted,)).fetchone()
            self._tally.require(
                "W4 a flash sale ends with nothing left", row[1] == 0, row
            )

    def check_logs(self, crowd: Crowd) -> dict[str, Any]:
        """Look at the logs, and at what customers saw: at any moment.

        :return: each group's tables, after all that is in its log.
        :raises Incorrect: a guarantee was broken.
        """
        directory, inventory = DirectoryBook(), InventoryBook()
        shards = {group.name: ShardBook() for group in self._cluster.topology.shards}
        books: dict[str, tables.Book] = {"lb": directory, "it": inventory, **shards}
        replayed = {}
        for name, truth in self._truths.items():
            replayed[name] = self._replay(truth, books[name])
            self._requests[name].check_refused()
        tables.check_takings(inventory, replayed["it"], self._tally)
        self._check_reads(inventory, crowd)
        for name, book in shards.items():
            tables.check_orders(book, replayed[name], self._tally)
            self._check_placed(book, inventory)
        self._check_homes(shards, directory)
        unheard = operations.check(crowd.history, self._tally, shards, inventory)
        models.check(crowd.history, self._tally, unheard)
        orders.check(crowd.history, self._tally)
        stale.check(crowd.history, self._tally)
        return replayed

    def _replay(self, truth: Truth, book: tables.Book) -> Any:
        """Replay a log through the product's machine, its book beside it."""

        def applied(cursor: Any, index: int, command: bytes) -> None:
            book.apply(index, command)
            tables.check_entry(book, cursor, index, self._tally)

        return replay(truth, self._tally, applied)

    def _check_tables(self, group: Group, replayed: Any) -> None:
        """The rows themselves: digests could be wrong in the same way everywhere."""
        names = [
            row[0]
            for row in replayed.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
        ]
        for member in group.names:
            found = self._cluster.tables(member)
            for table, rows in found.items():
                sql = f"SELECT * FROM {table}"  # noqa: S608 (a name from the schema)
                expected = sorted(replayed.execute(sql).fetchall(), key=repr)
                self._tally.require(
                    "S4 R5 rows are those of a full replay",
                    table in names and rows == expected,
                    member,
                    ": ",
                    table,
                    " ",
                    rows,
                    " != ",
                    expected,
                )

    def _check_reads(self, book: InventoryBook, crowd: Crowd) -> None:
        for watcher in crowd.watchers:
            for revision, table in watcher.states:
                self._tally.require(
                    "F3 a feed replayed is the table at its revision",
                    table == book.at(revision),
                    watcher.name,
                    " at ",
                    revision,
                    ": ",
                    table,
                    ", not ",
                    book.at(revision),
                )
        for operation in crowd.history.operations:
            if operation.ending == "ok" and "revision" in operation.answer:
                revision, items = (
                    operation.answer["revision"],
                    operation.answer["items"],
                )
                table = {each["id"]: (each["price"], each["stock"]) for each in items}
                self._tally.require(
                    "S5 a read's table is that of its revision",
                    table == book.at(revision),
                    operation,
                    ": not ",
                    book.at(revision),
                )

    def _check_placed(self, book: ShardBook, inventory: InventoryBook) -> None:
        """What a shard has placed is what the inventory has taken for it."""
        require = self._tally.require
        for number, order in book.orders.items():
            group_id, _, digits = number.rpartition("-")
            taking = inventory.takings.get((group_id, int(digits)))
            require(
                "S8 O4 what is placed was taken, all its lines",
                order.total is None or taking == (order.total, order.priced),
                "order ",
                number,
                ": ",
                order,
                ", taken ",
                taking,
            )
        for (group_id, index), taking in inventory.takings.items():
            if group_id == book.group_id:
                require(
                    "S8 O4 what was taken is placed",
                    f"{group_id}-{index}" in book.orders,
                    taking,
                    " for ",
                    group_id,
                    "-",
                    index,
                    ", which is no order",
                )

    def _check_homes(
        self, shards: dict[str, ShardBook], directory: DirectoryBook
    ) -> None:
        lives: dict[str, str] = {}
        for name, book in shards.items():
            for user in book.accounts:
                self._tally.require(
                    "S9 D1 D3 a username lives where its home is, and nowhere else",
                    user not in lives and directory.homes.get(user) == name,
                    user,
                    " on ",
                    name,
                    " and ",
                    lives.get(user),
                    "; home ",
                    directory.homes,
                )
                lives[user] = name
