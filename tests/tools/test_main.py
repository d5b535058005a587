"""The command line of ``cartnet``."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import cartnet
from cartnet.tools.main import main
from tests.tools.balancers import Balancer, Shop

INI = """
[cluster]
data = {data}
[balancer]
replicas = {balancer}
[shard:s1]
replicas = 127.0.0.1:5005
[inventory]
replicas = 127.0.0.1:7105
"""


class MainTests(SynchronousTestCase):
    """Statuses, and what goes where."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.ini = self.folder / "cartnet.ini"
        self.configure("127.0.0.1:8005")

    def configure(self, balancer: str) -> None:
        self.ini.write_text(INI.format(data=self.folder, balancer=balancer), "utf-8")

    def run_tool(self, tool: str, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([tool, "--config", str(self.ini), *arguments])
        return status, out.getvalue(), err.getvalue()

    def leaves(self, *arguments: str) -> tuple[int, str]:
        out = io.StringIO()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            self.assertRaises(SystemExit) as raised,
        ):
            main(arguments)
        assert isinstance(raised.exception.code, int)
        return raised.exception.code, out.getvalue()

    def test_version_and_help(self) -> None:
        """--version and --help are answered, and nothing else is asked for them."""
        self.assertEqual(
            self.leaves("--version"), (0, f"cartnet {cartnet.__version__}\n")
        )
        status, text = self.leaves("--help")
        self.assertEqual(status, 0)
        for tool in ("ctl", "databases", "config", "import-catalog"):
            self.assertIn(tool, text)

    def test_misuse(self) -> None:
        """A tool that is none, and bad options, end with status 2."""
        self.assertEqual(self.leaves("paint")[0], 2)
        self.assertEqual(self.leaves()[0], 2)
        self.assertEqual(self.leaves("databases", "--rows", "-1")[0], 2)

    def test_check_live(self) -> None:
        """What is for a live check alone is refused without --live, and what is out of
        bounds with it, too."""
        for option in (
            ("--seconds", "5"),
            ("--seed", "1795384920"),  # A time in seconds, as storms have it.
            ("--report", "r.html"),
            ("--chaos",),
            ("--password-file", "p"),
        ):
            status, text = self.leaves("check", "--config", str(self.ini), *option)
            self.assertEqual(status, 2)
            self.assertIn(f"error: {option[0]} is for check --live\n", text)
        for wrong in (("--seconds", "0"), ("--seconds", "1e9"), ("--users", "11")):
            self.assertEqual(self.leaves("check", "--live", *wrong)[0], 2)
        status, text = self.leaves("check", "--help")
        self.assertEqual(status, 0)
        self.assertIn("cartnet check --live --seconds 60 --chaos", text)
        self.assertIn("how long they shop, 1 to 3600 [default: 30]", text)
        self.assertIn("how many accounts, 1 to 10 [default: 3]", text)

    def test_check_live_one_file(self) -> None:
        """A report is not written over the history, by whichever name it is called."""
        kept = self.folder / "kept"
        kept.write_text("as it was")
        (self.folder / "other").symlink_to("kept")
        options = ("--report", str(kept), "--history", str(self.folder / "other"))
        status, text = self.leaves(
            "check", "--live", "--config", str(self.ini), *options
        )
        self.assertEqual(status, 2)
        self.assertIn("--report and --history are to be two files", text)
        self.assertEqual(kept.read_text(), "as it was")

    def test_no_password(self) -> None:
        """Where no cluster has ever started, it is said when there is a password."""
        status, out, err = self.run_tool("check", "--live")
        self.assertEqual((status, out), (2, ""))
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("a cluster writes it when it starts: is the cluster running", err)
        gone = str(self.folder / "gone")
        _, _, err = self.run_tool("check", "--live", "--password-file", gone)
        self.assertNotIn("a cluster writes it", err)

    def test_bad_configuration(self) -> None:
        """A configuration that cannot be used is one line on standard error."""
        self.ini.write_text("[cluster]\ncolour = red\n", "utf-8")

        status, out, err = self.run_tool("config")

        self.assertEqual((status, out), (1, ""))
        self.assertEqual(len(err.splitlines()), 1)
        self.assertIn("colour", err)

    def test_check_of_a_bad_configuration(self) -> None:
        """A check that does not even know what to look at has found nothing wrong:
        its status is that of one that could not look."""
        for live in ((), ("--live",)):
            self.ini.write_text("[cluster]\ncolour = red\n", "utf-8")
            status, out, err = self.run_tool("check", *live)
            self.assertEqual((status, out), (2, ""))
            self.assertIn("colour", err)
            self.ini.unlink()
            status, out, err = self.run_tool("check", *live)
            self.assertEqual((status, out), (2, ""))
            self.assertIn(str(self.ini), err)

    def test_config(self) -> None:
        """The configuration in force names its source and has the defaults."""
        status, out, _ = self.run_tool("config")

        self.assertEqual(status, 0)
        self.assertIn(str(self.ini), out.splitlines()[0])
        self.assertIn("election_timeout = 0.6", out)

    def test_databases(self) -> None:
        """Without a database there is an error, and --data looks elsewhere."""
        status, _, err = self.run_tool("databases", "--data", "/nonexistent")

        self.assertEqual(status, 1)
        self.assertIn("/nonexistent", err)

    def test_ctl(self) -> None:
        """ctl without a command, or without an admin port, is an error."""
        for words in ((), ("",), (" ", "")):
            status, out, err = self.run_tool("ctl", *words)
            self.assertEqual((status, out), (1, ""))
            self.assertIn("ctl needs a command", err)
        status, out, err = self.run_tool("ctl", "list")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("has no admin port", err)

    def test_files_that_cannot_be_looked_at(self) -> None:
        """Who may not look into the data folder is told so in one line."""
        data = self.folder / ("x" * 300)
        for tool, expected in (("databases", 1), ("check", 2)):
            status, out, err = self.run_tool(tool, "--data", str(data))
            self.assertEqual((status, out), (expected, ""))
            self.assertRegex(err, r"\Acartnet: .*lb0.db cannot be looked at: .*\n\Z")

    def test_import(self) -> None:
        """An import finds the password by itself, and sums up what it did."""
        (self.folder / "operator-password").write_text("correct horse\n", "utf-8")
        catalogue = self.folder / "items.csv"
        catalogue.write_text("id,name,price,stock\nA,Apples,100,5\n", "utf-8")
        shop = Shop()

        with Balancer(shop) as balancer:
            self.configure(balancer.address)
            status, out, err = self.run_tool("import-catalog", str(catalogue))

        self.assertEqual((status, err), (0, ""))
        self.assertEqual(
            out, f"imported 1 item from {catalogue}; the inventory is at revision 1\n"
        )
        self.assertEqual(shop.items["A"]["price"], 100)

    def test_import_without_password(self) -> None:
        """Where there is no password the error says where one was looked for."""
        catalogue = self.folder / "items.csv"
        catalogue.write_text("id,name,price,stock\nA,Apples,100,5\n", "utf-8")

        status, _, err = self.run_tool("import-catalog", str(catalogue))
        self.assertEqual(status, 1)
        self.assertIn(str(self.folder / "operator-password"), err)

        status, _, err = self.run_tool(
            "import-catalog", "--password-file", "absent", str(catalogue)
        )
        self.assertEqual(status, 1)
        self.assertIn("absent: No such file", err)

    def test_import_of_a_wrong_file(self) -> None:
        """A wrong file is refused before anything is connected to."""
        catalogue = self.folder / "items.csv"
        catalogue.write_text("id,name,price,stock\nA,Apples,cheap,5\n", "utf-8")

        status, _, err = self.run_tool("import-catalog", str(catalogue))

        self.assertEqual(status, 1)
        self.assertIn("line 2: price must be", err)
