"""The command: what a bad one says, and what a good one comes to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet import __version__
from cartnet.tap import Options, is_here

SECONDS_MAX = 60
"""A command that takes longer hangs."""


class BadCommandTests(SynchronousTestCase):
    """A command that cannot be followed ends at once and says why in one line."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def run_twistd(
        self, *options: str, python: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run ``twistd -n cartnet`` in an empty folder, to its end."""
        twistd = str(Path(sysconfig.get_path("scripts")) / "twistd")
        return subprocess.run(
            [sys.executable, *python, twistd, "-n", "cartnet", *options],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    def assert_refused(self, *options: str, words: tuple[str, ...]) -> None:
        """Check that there is one line with ``words``, a status, and nothing else."""
        run = self.run_twistd(*options)

        self.assertEqual(run.stdout, "", options)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertNotEqual(run.returncode, 0)
        for word in ("cartnet: ", *words):
            self.assertIn(word, run.stderr)
        self.assertEqual(list(self.folder.glob("*.pid")), [])

    def test_unknown_option(self) -> None:
        """An unknown option is named."""
        self.assert_refused("--bogus", words=("--bogus", "--help"))

    def test_stray_word(self) -> None:
        """A word that belongs to no option is named."""
        self.assert_refused("all", words=("'all'",))

    def test_missing_value(self) -> None:
        """An option without its value is named."""
        self.assert_refused("--role", words=("--role",))

    def test_unknown_role(self) -> None:
        """An unknown role is named with those there are."""
        self.assert_refused(
            "--role", "bogus", words=("bogus", "balancer, shard, inventory, console\n")
        )

    def test_bad_port(self) -> None:
        """A port that is none is named."""
        self.assert_refused(
            *("--role", "balancer", "--port", "http", "--peers", "h:1"), words=("http",)
        )

    def test_missing_configuration(self) -> None:
        """A configuration that is not there is named."""
        self.assert_refused("--config", "none.ini", words=("none.ini", "No such file"))

    def test_bad_configuration(self) -> None:
        """./cartnet.ini is read, and what is wrong in it is named."""
        self.folder.joinpath("cartnet.ini").write_text("[timing]\nheartbeat = slow\n")

        self.assert_refused(words=("cartnet.ini: [timing] heartbeat = 'slow'",))

    def test_off_loopback_without_a_secret(self) -> None:
        """A cluster that other machines reach is not started without a secret."""
        self.folder.joinpath("x.ini").write_text(
            "[balancer]\nreplicas = 10.1.1.1:8005\n"
            "[shard:s1]\nreplicas = 10.1.1.1:5005\n"
            "[inventory]\nreplicas = 10.1.1.1:7105\n"
        )

        self.assert_refused("-c", "x.ini", words=("[cluster] secret", "10.1.1.1:8005"))

    def test_logs_that_cannot_be_kept(self) -> None:
        """Without a place for its log no process starts."""
        self.folder.joinpath("file").touch()

        self.assert_refused("--logs", "file/logs", words=("file",))

    def test_without_assertions(self) -> None:
        """python -O would take out the checks that stop a faulty replica."""
        run = self.run_twistd(python=("-O",))

        self.assertNotEqual(run.returncode, 0)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertIn("python -O", run.stderr)

    def test_version(self) -> None:
        """The version is cartnet's, not Twisted's."""
        run = self.run_twistd("--version")

        self.assertEqual((run.stdout, run.returncode), (f"cartnet {__version__}\n", 0))

    def test_help(self) -> None:
        """Help names every option."""
        run = self.run_twistd("--help")

        self.assertEqual(run.returncode, 0)
        for option in (
            *("-r, --role=", "-c, --config=", "--host=", "--replica=", "--shard="),
            *("--port=", "--peers=", "--db=", "--data=", "--logs="),
            *("--admin=", "--console="),
            *("--processes", "--version", "--help"),
        ):
            self.assertIn(option, run.stdout)


class OptionsTests(SynchronousTestCase):
    """What good options come to."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        # Without a file of its own a folder gets the packaged demo.
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)

    def parse(self, *words: str) -> Options:
        options = Options()
        options.parseOptions(list(words))
        return options

    def test_demo(self) -> None:
        """Without options the whole packaged demo runs."""
        plan = self.parse().plan

        self.assertEqual(len(plan.replicas), 12)
        self.assertTrue(plan.whole)
        self.assertFalse(plan.processes)

    def test_repeated(self) -> None:
        """Roles and replicas may be repeated."""
        plan = self.parse("-r", "balancer", "--role", "inventory").plan
        self.assertEqual(plan.replicas, ("lb0", "lb1", "lb2", "it0", "it1", "it2"))

        plan = self.parse("--replica", "s1r2", "--replica", "lb1").plan
        self.assertEqual(plan.replicas, ("lb1", "s1r2"))

    def test_original(self) -> None:
        """The original's command line starts one replica of one shard."""
        line = (
            "--role shard --shard shard1 --host localhost --port 5005"
            " --peers localhost:5006,localhost:5007 --db db/s1r0.db"
        )

        plan = self.parse(*line.split()).plan

        self.assertEqual(plan.replicas, ("s1r0",))
        self.assertEqual(plan.database("s1r0"), Path("db/s1r0.db"))
        self.assertEqual(
            [each.address for each in plan.configuration.topology.group("s1").members],
            ["localhost:5005", "localhost:5006", "localhost:5007"],
        )

    def test_own_process(self) -> None:
        """What a replica's own process is told comes to the same replica and files."""
        for line in (
            "--data d --logs l --processes",
            "--role inventory --host 127.0.0.1 --port 7105 --peers 127.0.0.1:7106",
        ):
            plan = self.parse(*line.split()).plan
            name = plan.replicas[0]

            own = self.parse("--replica", name, *plan.options(name)).plan

            self.assertEqual(own.replicas, (name,))
            self.assertEqual(own.configuration, plan.configuration)
            self.assertEqual(own.database(name), plan.database(name))


class IsHereTests(SynchronousTestCase):
    """Which hosts are addresses of this machine."""

    def test_loopback_is_here(self) -> None:
        """Loopback is here, by number and by name."""
        self.assertTrue(is_here("127.0.0.1"))
        self.assertTrue(is_here("localhost"))

    def test_others_are_not(self) -> None:
        """Addresses of documentation (RFC 5737) and names of nobody are not here."""
        self.assertFalse(is_here("192.0.2.1"))
        self.patch(socket, "getaddrinfo", self.no_such_name)
        self.assertFalse(is_here("nobody.invalid"))

    def no_such_name(self, *arguments: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class TimeTests(SynchronousTestCase):
    """The reactor that a service is made for."""

    def test_nobody_sets_its_clock(self) -> None:
        """Its seconds are the system's monotonic ones, from before the first timer."""
        folder = Path(self.mktemp())
        folder.mkdir()
        script = (
            "import time; from twisted.internet import reactor;"
            "from cartnet.tap import Options, makeService;"
            "options = Options(); options.parseOptions(['--data', '.']);"
            "makeService(options); earliest = time.monotonic();"
            "assert earliest <= reactor.seconds() <= time.monotonic()"
        )

        run = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

        self.assertEqual((run.returncode, run.stderr), (0, ""))
