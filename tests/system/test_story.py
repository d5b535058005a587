"""The shop as a new user meets it: one command, balancers, admin line and tools."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import cartnet
from tests.system.clusters import Cluster, running
from tests.system.customers import PASSWORD, Customer
from tests.system.lines import Line, Refused
from tests.system.waiting import eventually

CATALOGUE = Path(__file__).resolve().parents[2] / "examples" / "catalogue.csv"

FRESH = {"A": (100, 100), "B": (250, 100), "C": (999, 100)}
"""Price and stock of what a fresh cluster sells."""


def sells(inventory: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {item["id"]: (item["price"], item["stock"]) for item in inventory["items"]}


class StoryTests(SynchronousTestCase):
    """``twistd -n cartnet --role all`` and what can be done with it."""

    def test_terminal(self) -> None:
        """The terminal shows the five lines, then the last one, and nothing else; what
        is made is its owner's alone."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            cluster.wait_until_says("all", "serving")
            self.assertTrue((cluster.folder / "db" / "operator-password").exists())
            balancer = cluster.balancers[0].replace(":", " ")
            password = cluster.operator_password()
            cluster.stop()

            self.assertRegex(
                cluster.out("all"),
                rf"\Acartnet {re.escape(cartnet.__version__)}, cluster test:"
                r" 12 replicas here\n"
                rf"shop     nc {re.escape(balancer)}\n"
                rf"admin    telnet 127\.0\.0\.1 {cluster.admin_port},"
                r" or: cartnet ctl list\n"
                r"operator password in db/operator-password\n"
                r"serving after \d+\.\d s: lb\d s1r\d s2r\d it\d lead\n"
                r"stopped; data is in db/\n\Z",
            )
            self.assertGreaterEqual(len(password), 8)
            modes = {
                name: stat.S_IMODE((cluster.folder / name).stat().st_mode)
                for name in ("db", "logs", "db/operator-password", "db/s1r0.db")
            }
            self.assertEqual(
                modes,
                {
                    "db": 0o700,
                    "logs": 0o700,
                    "db/operator-password": 0o600,
                    "db/s1r0.db": 0o600,
                },
            )
            logs = {path.stem for path in (cluster.folder / "logs").iterdir()}
            self.assertEqual(logs, {"cartnet", *cluster.addresses})

    def test_shop(self) -> None:
        """An account, a cart and an order made at one balancer are there at the others,
        for the same token, and after a clean stop and start."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            first, second, third = cluster.balancers
            with Customer("Ada.L", [first]) as ada:
                ada.enter()
                self.assertEqual(sells(ada.call("get_inventory")), FRESH)
                ada.call("add_to_cart", {"item": "B", "quantity": 2})
                ada.call("add_to_cart", {"item": "A", "quantity": 1})
                ada.call("add_to_cart", {"item": "B", "quantity": 1})
                token = ada.session

            with Line(second) as line:
                cart = line.call("get_cart", session=token)
                self.assertEqual(
                    [(each["item"], each["quantity"]) for each in cart["items"]],
                    [("B", 3), ("A", 1)],
                )
                self.assertEqual((cart["total"], cart["pending"]), (850, None))
            with Customer("ada.l", [third]) as ada:
                ada.session = token
                order = ada.call("checkout", {"expected_total": 850}, key="mine")
                again = ada.call("checkout", {"expected_total": 850}, key="mine")
                with self.assertRaises(Refused) as caught:
                    ada.call("checkout")
            self.assertEqual(caught.exception.code, "empty_cart")
            self.assertEqual(again, order)
            self.assertEqual((order["status"], order["total"]), ("placed", 850))

            cluster.stop()
            cluster.start_all()
            with Customer("ada.l", [second]) as ada:
                ada.session = token
                self.assertEqual(ada.call("whoami")["user"], "ada.l")
                self.assertEqual(ada.orders(), [order])
                self.assertEqual(ada.call("get_order", {"order": order["id"]}), order)
                self.assertEqual(ada.call("get_cart")["items"], [])
                left = sells(ada.call("get_inventory"))
                self.assertEqual(left, FRESH | {"A": (100, 99), "B": (250, 97)})
                ada.call("logout")
                with self.assertRaises(Refused) as caught:
                    ada.call("whoami")
            self.assertEqual(caught.exception.code, "unauthenticated")

    def test_watching(self) -> None:
        """Who watches the inventory sees it whole, then what changes, until the end."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            with Line(cluster.balancers[1]) as line, cluster.operator() as operator:
                watch = line.request("watch_inventory", {})
                self.assertEqual(line.receive(), {"id": watch, "ok": {}})
                table: dict[str, int] = {}

                def follow() -> int:
                    event = line.receive()["event"]
                    if event["full"]:
                        table.clear()
                    table.update((each["id"], each["stock"]) for each in event["items"])
                    for removed in event["removed"]:
                        del table[removed]
                    return int(event["revision"])

                operator.call("update_inventory", {"item": "A", "quantity_change": -7})
                operator.call("remove_item", {"item": "B"})
                eventually(lambda: follow() and table == {"A": 93, "C": 100}, "changes")
                self.assertEqual(line.call("cancel", {"id": watch}), {})
            cluster.stop()

    def test_admin_line(self) -> None:
        """Every command of the admin line does what it says, one reply a command."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            with cluster.admin() as admin:
                self.assertRegex(admin.greeting, r"\A.*cluster test.*\n\Z")
                self._look_at(cluster, admin.do("list"))
                leader = cluster.wait_for_leader("s1")
                self.assertEqual(admin.do("leader s1"), f"{leader}\n")
                self.assertEqual(admin.do(f"kill {leader}"), f"killed {leader}\n")
                self.assertIn(f"\n{leader}  ", "\n" + admin.do("list"))
                self.assertRegex(admin.do("list"), rf"(?m)^{leader} .* dead +-$")
                self.assertRegex(admin.do(f"kill {leader}"), r"\Aerror: .*\n\Z")
                self.assertRegex(admin.do("kill nobody"), r"\Aerror: .*\n\Z")
                other = cluster.wait_for_leader("s1", other_than=leader)
                self.assertEqual(admin.do("leader s1"), f"{other}\n")
                self.assertEqual(admin.do(f"start {leader}"), f"started {leader}\n")
                self.assertRegex(admin.do(f"start {leader}"), r"\Aerror: .*\n\Z")
                self.assertEqual(admin.do("restart lb2"), "restarted lb2\n")
                eventually(lambda: "dead" not in admin.do("list"), "all are alive")
                self.assertRegex(
                    admin.do("status it0"), r"\Ait0  127\S+  alive\n  role="
                )
                self.assertEqual(admin.do("status s2").count("alive\n"), 3)
                cluster.operator_password()
                self.assertEqual(admin.do("stock"), "A  100\nB  100\nC  100\n")
                self.assertEqual(admin.do("stock A 7"), "A  7\n")
                self.assertEqual(admin.do("stock A"), "A  7\n")
                self.assertRegex(admin.do("stock A -1"), r"\Aerror: .*\n\Z")
                reset = admin.do("reset-inventory")
                self.assertEqual(reset, "A  100\nB  100\nC  100\n")
                self.assertRegex(admin.do("sell everything"), r"\Aerror: .*\n\Z")
                stock = json.loads(admin.do("json stock"))
                self.assertEqual(stock, {"ok": {"A": 100, "B": 100, "C": 100}})
                self.assertIn("error", json.loads(admin.do("json kill nobody")))
                self.assertEqual(admin.do("help quit").count("\n"), 1)
                admin.do("quit")
            with cluster.admin() as admin:
                self.assertEqual(
                    admin.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nexit\n"), b""
                )
            with cluster.admin() as admin:
                admin.do("exit")
            self.assertEqual(cluster.processes.pop("all").wait(), 0)
            self.assertRegex(cluster.out("all"), r"\nstopped; data is in db/\n\Z")

    def _look_at(self, cluster: Cluster, listed: str) -> None:
        """Check that ``list`` has a line a replica, as documented."""
        lines = listed.splitlines()
        self.assertEqual([line.split()[0] for line in lines], [*cluster.addresses])
        for line, address in zip(lines, cluster.addresses.values(), strict=True):
            self.assertRegex(
                line,
                rf"\A\w+ +{re.escape(address)}  alive  (leader|follower|candidate) +"
                r"term=\d+ commit=\d+ applied=\d+\Z",
            )

    def test_tools(self) -> None:
        """The one-shot tools do their work on a running cluster; a tool that could not
        says so by its exit status."""
        with running(Path(self.mktemp())) as cluster:
            self.assertEqual(cluster.tool("ctl", "list").returncode, 1)
            cluster.start_all()
            cluster.operator_password()

            listed = cluster.tool("ctl", "list")
            self.assertEqual((listed.returncode, listed.stderr), (0, ""))
            self._look_at(cluster, listed.stdout)
            refused = cluster.tool("ctl", "kill", "nobody")
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertRegex(refused.stderr, r"\Aerror: .*\n\Z")

            config = cluster.tool("config")
            self.assertEqual(config.returncode, 0)
            self.assertIn(cluster.addresses["s2r1"], config.stdout)

            imported = cluster.tool("import-catalog", str(CATALOGUE))
            items = len(CATALOGUE.read_text("utf-8").splitlines()) - 1
            self.assertEqual((imported.returncode, imported.stderr), (0, ""))
            self.assertIn(f"imported {items} items", imported.stdout)
            with Line(cluster.balancers[2]) as line:
                sold = sells(line.call("get_inventory"))
            self.assertGreaterEqual(len(sold), items)

            with Customer("nina", cluster.balancers) as nina:
                nina.enter()
            databases = cluster.tool("databases")
            self.assertEqual((databases.returncode, databases.stderr), (0, ""))
            for name in cluster.addresses:
                self.assertIn(f"{name}.db", databases.stdout)
            self.assertIn("nina", databases.stdout)
            self.assertNotIn(PASSWORD, databases.stdout)
            self.assertNotIn("$argon2id", databases.stdout)
            cluster.stop()
            self.assertEqual(cluster.tool("databases").returncode, 0)
