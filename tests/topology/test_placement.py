"""Which replicas a process runs."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.topology.configuration import ConfigurationError, parse
from cartnet.topology.placement import Plan, make_plan
from cartnet.topology.wanted import OptionError, Wanted

TWO_HOSTS = parse(
    """
[cluster]
secret = x
[balancer]
replicas = a:8005 b:8006
[shard:s1]
replicas = a:5005 b:5006
[shard:s2]
replicas = a:6005 b:6006
[inventory]
replicas = b:7105
[admin]
listen = tcp:8023:interface=127.0.0.1
[console]
listen = tcp:8080:interface=127.0.0.1
""",
    "two.ini",
)
DEMO = parse(
    """
[balancer]
replicas = 127.0.0.1:8005 127.0.0.1:8006
[shard:s1]
replicas = 127.0.0.1:5005 127.0.0.1:5006
[inventory]
replicas = 127.0.0.1:7105
""",
    "demo.ini",
)


def plan_on_a(wanted: Wanted) -> Plan:
    """Make a plan on the machine ``a`` of two."""
    return make_plan(wanted, TWO_HOSTS, lambda host: host == "a")


class PlacedTests(SynchronousTestCase):
    """The replicas that a configuration places on this machine."""

    def test_all_of_this_machine(self) -> None:
        """Without options everything that belongs on this machine runs."""
        plan = plan_on_a(Wanted())

        self.assertEqual(plan.replicas, ("lb0", "s1r0", "s2r0"))
        self.assertEqual(plan.configuration, TWO_HOSTS)
        self.assertEqual(plan.admin, "tcp:8023:interface=127.0.0.1")
        self.assertFalse(plan.admin_given)
        self.assertFalse(plan.whole)
        self.assertEqual(plan.database("s1r0"), Path("db/s1r0.db"))

    def test_whole(self) -> None:
        """A process with every replica of the cluster knows that it is the whole."""
        self.assertTrue(make_plan(Wanted(), DEMO, lambda host: True).whole)
        self.assertTrue(
            make_plan(Wanted(roles=("all",)), DEMO, lambda host: True).whole
        )
        one = Wanted(replicas=("lb0",))
        self.assertFalse(make_plan(one, DEMO, lambda host: True).whole)

    def test_roles(self) -> None:
        """A role means every replica of its groups; several are joined."""
        for roles, replicas in (
            (("balancer",), ("lb0",)),
            (("shard",), ("s1r0", "s2r0")),
            (("shard", "balancer"), ("lb0", "s1r0", "s2r0")),
            (("shard", "all"), ("lb0", "s1r0", "s2r0")),
        ):
            self.assertEqual(plan_on_a(Wanted(roles=roles)).replicas, replicas)

    def test_host(self) -> None:
        """A named host is taken at its word."""
        plan = plan_on_a(Wanted(host="b"))

        self.assertEqual(plan.replicas, ("lb1", "s1r1", "s2r1", "it0"))

    def test_shard(self) -> None:
        """One shard can be picked out, by the original's name too."""
        for name in ("s2", "shard2"):
            plan = plan_on_a(Wanted(roles=("shard",), shard=name))
            self.assertEqual(plan.replicas, ("s2r0",))

    def test_replicas(self) -> None:
        """Single replicas can be picked out; they run in the configuration's order."""
        plan = plan_on_a(Wanted(replicas=("s2r0", "lb0")))

        self.assertEqual(plan.replicas, ("lb0", "s2r0"))

    def test_overrides(self) -> None:
        """Folders, the database file and the admin port can be given."""
        plan = plan_on_a(
            Wanted(
                replicas=("lb0",),
                db=Path("x.db"),
                admin="tcp:1:interface=127.0.0.1",
                data=Path("d"),
                logs=Path("l"),
                processes=True,
            )
        )

        self.assertEqual(plan.database("lb0"), Path("x.db"))
        self.assertEqual(plan.admin, "tcp:1:interface=127.0.0.1")
        self.assertTrue(plan.admin_given)
        self.assertEqual(plan.configuration.data, Path("d"))
        self.assertEqual(plan.configuration.logs, Path("l"))
        self.assertTrue(plan.processes)
        self.assertIsNone(plan_on_a(Wanted(admin="none")).admin)

    def test_console(self) -> None:
        """A console comes with all of a host, or where it is asked for; alone it brings
        no replica and no admin port."""
        listen = "tcp:8080:interface=127.0.0.1"
        for wanted, console in (
            (Wanted(), listen),
            (Wanted(roles=("all",)), listen),
            (Wanted(roles=("shard", "console")), listen),
            (Wanted(console="tcp:1:interface=::1"), "tcp:1:interface=::1"),
            (Wanted(console="none"), None),
            (Wanted(roles=("shard",)), None),
            (Wanted(replicas=("lb0",)), None),
        ):
            self.assertEqual(plan_on_a(wanted).console, console, wanted)
        alone = plan_on_a(Wanted(roles=("console",)))
        self.assertEqual(alone.replicas, ())
        self.assertIsNone(alone.admin)
        self.assertEqual(alone.console, listen)

    def test_exposed_console(self) -> None:
        """What browsers send to a console must not be read on the way."""
        for listen in ("tcp:8080", "tcp:8080:interface=10.0.0.1"):
            with self.assertRaises(ConfigurationError) as caught:
                make_plan(Wanted(console=listen), DEMO, lambda host: True)
            self.assertIn("[console] listen", str(caught.exception))
            # Whoever has a secret has thought of other machines.
            self.assertEqual(plan_on_a(Wanted(console=listen)).console, listen)
        tls = "ssl:8443:privateKey=k.pem:certKey=c.pem"
        plan = make_plan(Wanted(console=tls), DEMO, lambda host: True)
        self.assertEqual(plan.console, tls)

    def test_refused(self) -> None:
        """What cannot be followed is refused by the option's name."""
        for wanted, words in (
            (Wanted(roles=("bogus",)), ("--role bogus", "balancer, shard")),
            (
                Wanted(roles=("console",), console="none"),
                ("--role console", "[console] listen"),
            ),
            (
                Wanted(roles=("console",), replicas=("lb0",)),
                ("--role console", "--replica"),
            ),
            (
                Wanted(roles=("shard",), console="tcp:1"),
                ("--console tcp:1", "--role console"),
            ),
            (Wanted(console="8080"), ("--console 8080", "endpoint")),
            (Wanted(roles=("inventory",)), ("--host", "no replica", "two.ini")),
            (Wanted(host="c"), ("--host c", "a, b")),
            (Wanted(replicas=("s3r0",)), ("--replica s3r0", "s2r1")),
            (Wanted(replicas=("s1r1",)), ("--replica s1r1", "b:5006")),
            (Wanted(roles=("balancer",), replicas=("s1r0",)), ("--replica s1r0",)),
            (Wanted(shard="s1"), ("--shard s1", "--role shard")),
            (Wanted(roles=("shard",), shard="s3"), ("--shard s3", "s1, s2")),
            (Wanted(db=Path("x")), ("--db x", "3 replicas")),
            (Wanted(admin="8023"), ("--admin 8023", "endpoint")),
            (Wanted(host="a\n"), ("--host 'a\\n'",)),
        ):
            with self.assertRaises(OptionError, msg=str(wanted)) as caught:
                plan_on_a(wanted)
            line = str(caught.exception)
            self.assertTrue(line.isprintable(), line)
            for word in words:
                self.assertIn(word, line)

    def test_exposed_admin_port(self) -> None:
        """An admin port of the command's is held to the same rule as a file's."""
        with self.assertRaises(ConfigurationError) as caught:
            plan_on_a(Wanted(admin="tcp:8023"))

        self.assertIn("[admin] password", str(caught.exception))


class OriginalTests(SynchronousTestCase):
    """The original's style: one replica, by its port and its peers."""

    def plan(self, **options: object) -> Plan:
        fields = {"roles": ("shard",), "shard": "shard1", **options}
        return make_plan(Wanted(**fields), DEMO, lambda host: True)  # type: ignore[arg-type] # a test's options

    def test_members_by_lexical_order(self) -> None:
        """All replicas of a group name one another alike, by their addresses."""
        ports = (9005, 10005, 9006)

        plans = [
            self.plan(
                host="localhost",
                port=port,
                peers=tuple(f"localhost:{each}" for each in ports if each != port),
            )
            for port in ports
        ]

        self.assertEqual(
            [plan.replicas for plan in plans], [("s1r1",), ("s1r0",), ("s1r2",)]
        )
        topologies = {plan.configuration.topology for plan in plans}
        self.assertEqual(len(topologies), 1)
        topology = topologies.pop()
        self.assertEqual(topology.member("s1r0").address, "localhost:10005")
        self.assertEqual(topology.balancers, DEMO.topology.balancers)

    def test_other_roles(self) -> None:
        """Balancers and the inventory are started in the same way."""
        for role, name in (("balancer", "lb0"), ("inventory", "it0")):
            plan = self.plan(
                roles=(role,), shard=None, port=9005, peers=("127.0.0.1:9006",)
            )
            self.assertEqual(plan.replicas, (name,))

    def test_host_of_the_peers(self) -> None:
        """Without a host this replica is on its peers'."""
        plan = self.plan(port=9005, peers=("localhost:9006",))

        member = plan.configuration.topology.member("s1r0")
        self.assertEqual(member.address, "localhost:9005")

    def test_alone(self) -> None:
        """A replica without peers is a group of one."""
        plan = self.plan(port=9005, peers=(), db=Path("db/s1.db"))

        self.assertEqual(plan.configuration.topology.group("s1").names, ("s1r0",))
        self.assertEqual(plan.database("s1r0"), Path("db/s1.db"))

    def test_refused(self) -> None:
        """Options that do not make up a group are refused."""
        for options, words in (
            ({"port": 9005}, ("--peers",)),
            ({"peers": ("h:1",)}, ("--port",)),
            ({"port": 0, "peers": ()}, ("--port 0",)),
            ({"port": 70000, "peers": ()}, ("70000",)),
            ({"port": 9005, "peers": ("h",)}, ("--peers h", "port")),
            ({"port": 9005, "peers": ("h:1", "i:1")}, ("--host",)),
            ({"port": 9005, "peers": ("h:1", "h:1")}, ("--peers", "once")),
            ({"port": 9005, "peers": ("h:9005",)}, ("--peers", "once")),
            ({"port": 9005, "peers": (), "roles": ()}, ("--shard",)),
            ({"port": 9005, "peers": (), "shard": None}, ("--shard",)),
            ({"port": 9005, "peers": (), "shard": None, "roles": ()}, ("--role",)),
            ({"port": 9005, "peers": (), "replicas": ("s1r1",)}, ("--replica s1r1",)),
            ({"port": 9005, "peers": ("127.0.0.1:7105",)}, ("same place", "it0")),
            ({"port": 9005, "peers": ("10.0.0.1:1",)}, ("secret",)),
        ):
            with self.assertRaises(ConfigurationError, msg=str(options)) as caught:
                self.plan(**options)
            for word in words:
                self.assertIn(word, str(caught.exception))


class OptionsTests(SynchronousTestCase):
    """What a process of one replica's own is told."""

    def test_same_place(self) -> None:
        """A replica's own process finds the same files and the same members."""
        plan = plan_on_a(Wanted(host="a", data=Path("d")))

        self.assertEqual(
            plan.options("s1r0"),
            (
                *("--config", "two.ini", "--data", "d", "--logs", "logs"),
                *("--db", "d/s1r0.db", "--host", "a"),
            ),
        )

    def test_original(self) -> None:
        """In the original's style the group is told again."""
        plan = make_plan(
            Wanted(roles=("shard",), shard="s1", port=9, peers=("127.0.0.1:8",)),
            DEMO,
            lambda host: True,
        )

        self.assertEqual(
            plan.options("s1r1")[8:],
            (
                *("--role", "shard", "--shard", "s1"),
                *("--port", "9", "--peers", "127.0.0.1:8"),
            ),
        )

    def test_elsewhere(self) -> None:
        """What to type for another host's replica names its host and its peers."""
        self.assertEqual(
            plan_on_a(Wanted(host="a")).options("s1r1")[6:],
            ("--db", "db/s1r1.db", "--host", "b"),
        )
        plan = make_plan(
            Wanted(roles=("shard",), shard="s1", port=9, peers=("127.0.0.1:8",)),
            DEMO,
            lambda host: True,
        )

        self.assertEqual(plan.replicas, ("s1r1",))
        self.assertEqual(
            plan.options("s1r0")[8:],
            (
                *("--role", "shard", "--shard", "s1"),
                *("--port", "8", "--peers", "127.0.0.1:9"),
            ),
        )
        self.assertEqual(plan.options("it0")[8:], ())
