"""Starts that must not succeed: one line on standard error, and a status."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, free_ports, running
from tests.system.waiting import CONDITION_SECONDS_MAX, eventually

ONE_EACH = {"lb": 1, "s1": 1, "it": 1}


@contextlib.contextmanager
def held(port: int) -> Iterator[None]:
    """Hold a port, as a stranger that says nothing does."""
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        yield


class BadStartTests(SynchronousTestCase):
    """What cannot be had ends the start and is named; what runs is left alone."""

    def assert_refused(
        self, cluster: Cluster, *options: str, words: tuple[str, ...]
    ) -> None:
        line = cluster.refused(*options)
        for word in words:
            self.assertIn(word, line)

    def test_second_start(self) -> None:
        """A second start in the same folder is refused, whole or for one replica, and
        the first goes on."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            cluster.start_all()
            pid = str(cluster.processes["all"].pid)
            self.assert_refused(cluster, "--role", "all", words=("in use", pid))
            self.assert_refused(
                cluster,
                *("--replica", "s1r0", "--admin", "none"),
                words=("s1r0.db", "in use", pid),
            )
            self.assertEqual(cluster.do("leader s1"), "s1r0\n")
            cluster.stop()

    def test_not_waited_for(self) -> None:
        """A process that has ended is not waited for: what it said is told at once."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        cluster = Cluster(folder, ONE_EACH)
        self.addCleanup(cluster.end)

        with self.assertRaises(AssertionError) as caught:
            cluster.start_all("--replica", "s9r9")

        told = str(caught.exception)
        self.assertIn("all has ended with 1\n", told)
        self.assertIn("all.err: cartnet: ", told)

    def test_taken_ports(self) -> None:
        """A port that a stranger has is named: a replica's, and the admin port, which
        one replica's process does without only where its own cluster has it."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            address = cluster.addresses["s1r0"]
            with held(int(address.rpartition(":")[2])):
                self.assert_refused(
                    cluster, "--role", "all", words=("s1r0", address, "in use")
                )
            admin_port = str(cluster.admin_port)
            with held(cluster.admin_port):
                for options in (("--role", "all"), ("--replica", "lb0")):
                    self.assert_refused(
                        cluster, *options, words=("admin port", admin_port, "--admin")
                    )
            # Nothing was left behind that would stop a good start.
            cluster.start_all()
            cluster.stop()

    def test_unfit_endpoints(self) -> None:
        """A key that is missing and an option that is none are named, of the console's
        port and of the admin port."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            tls = "ssl:0:interface=127.0.0.1:privateKey=no.pem:certKey=no.pem"
            unknown = "tcp:0:interface=127.0.0.1:colour=blue"
            for port in ("console", "admin"):
                for endpoint, words in (
                    (tls, ("no.pem: No such file", "privateKey=key.pem")),
                    (unknown, ("'colour'", "as in tcp:")),
                ):
                    self.assert_refused(
                        cluster,
                        *("--role", "all", f"--{port}", endpoint),
                        words=(f"the {port} port {endpoint} cannot be had", *words),
                    )
            self.assertNotIn("Traceback", cluster.logs())

    def test_in_the_background(self) -> None:
        """Who starts a cluster in the background is told, too, that it has failed, and
        by what; the log has the whole line."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        cluster = Cluster(folder, ONE_EACH)
        twistd = Path(sysconfig.get_path("scripts")) / "twistd"
        unfit = "tcp:0:interface=127.0.0.1:colour=blue"

        run = subprocess.run(
            [sys.executable, twistd, "cartnet", "--console", unfit],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONDITION_SECONDS_MAX,
            check=False,
        )

        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("StartError: the console port tcp:0:", run.stderr)
        self.assertIn("unexpected keyword argument 'colour'", cluster.logs())
        pid = folder / "twistd.pid"
        eventually(lambda: not pid.exists(), "the process has gone in order")

    def test_log_that_cannot_be_written(self) -> None:
        """A log file that cannot be opened is named: the process's, or a replica's."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            for name in ("cartnet.log", "it0.log"):
                path = cluster.folder / "logs" / name
                path.mkdir(parents=True)
                self.assert_refused(
                    cluster, "--role", "all", words=(f"logs/{name}: Is a directory",)
                )
                path.rmdir()

    def test_admin_port_of_the_own_cluster(self) -> None:
        """A process for one replica goes on without the admin port where another one of
        its cluster has it, and says so; not where --admin asks for it."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            cluster.start("first", "--replica", "lb0", "--replica", "s1r0")
            cluster.wait_until_says("first", "serving")
            cluster.start("second", "--replica", "it0")
            cluster.wait_until_says("second", "serving")

            self.assertIn("admin    telnet 127.0.0.1", cluster.out("first"))
            self.assertIn("admin    none here: another process", cluster.out("second"))
            listed = cluster.do("list")
            self.assertEqual(listed.count("  alive  leader  "), 3, listed)
            cluster.kill("second")
            endpoint = f"tcp:{cluster.admin_port}:interface=127.0.0.1"
            self.assert_refused(
                cluster,
                *("--replica", "it0", "--admin", endpoint),
                words=("admin port", str(cluster.admin_port)),
            )
            cluster.stop()

    def test_wrong_databases(self) -> None:
        """A database of another replica, a file that is no database and one of another
        program are named, and left as they were."""
        with running(Path(self.mktemp()), {"lb": 1, "s1": 2, "it": 1}) as cluster:
            cluster.start_all()
            cluster.stop()
            mine, other = (cluster.folder / "db" / f"s1r{n}.db" for n in range(2))
            kept = mine.read_bytes()

            shutil.copy(other, mine)
            self.assert_refused(
                cluster, "--role", "all", words=("s1r0.db", "s1r1", "move it away")
            )
            self.assertEqual(mine.read_bytes(), other.read_bytes())
            mine.write_bytes(b"a letter to my aunt, not a database\n" * 100)
            self.assert_refused(
                cluster, "--role", "all", words=("s1r0.db", "move it away")
            )
            self.assertEqual(mine.read_bytes()[:8], b"a letter")
            mine.write_bytes(kept)
            cluster.start_all()
            cluster.stop()

    def test_other_members(self) -> None:
        """A configuration that contradicts the members in the databases is refused with
        where they differ, another cluster's name too."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            cluster.start_all()
            cluster.stop()
            was = cluster.addresses["it0"]
            (port,) = free_ports(1)
            cluster.addresses["it0"] = f"127.0.0.1:{port}"
            cluster.configure()
            self.assert_refused(
                cluster, "--role", "all", words=("it0", was, f"127.0.0.1:{port}")
            )
            cluster.addresses["it0"] = was
            cluster.configure()
            path = cluster.folder / "cartnet.ini"
            path.write_text(path.read_text().replace("name = test", "name = other"))
            self.assert_refused(cluster, "--role", "all", words=("test", "other"))

    def test_bad_configuration(self) -> None:
        """A mistake in the configuration is named with its file, section and key."""
        with running(Path(self.mktemp()), ONE_EACH) as cluster:
            for extra, words in (
                ("colour = blue\n", ("cartnet.ini", "admin", "colour")),
                ("[timing]\nheartbeat = soon\n", ("timing", "heartbeat", "soon")),
                ("[shop]\n", ("cartnet.ini", "shop")),
                ("no key\n", ("cartnet.ini", "line ", "key = value")),
            ):
                cluster.configure(extra=extra)
                self.assert_refused(cluster, words=words)
            self.assertFalse((cluster.folder / "db").exists())
