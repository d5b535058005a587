"""The arrangement that lets twistd find us, and the mistakes that would undo it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import twisted
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import cartnet
from cartnet.resources import resource

ROOT = Path(__file__).resolve().parent.parent


def output_of(*command: str) -> str:
    """Run a command far from the checkout."""
    return subprocess.run(
        command, cwd="/", capture_output=True, text=True, check=True, timeout=60
    ).stdout


class PluginTests(SynchronousTestCase):
    """twistd finds cartnet."""

    def test_twisted_is_not_hidden(self) -> None:
        """No __init__.py beside the plugin hides, or overwrites, the real Twisted's."""
        for name in ("twisted/__init__.py", "twisted/plugins/__init__.py"):
            self.assertFalse((ROOT / name).exists(), name)
        self.assertFalse(Path(str(twisted.__file__)).is_relative_to(ROOT / "twisted"))

    def test_plugin(self) -> None:
        """The plugin is one of Twisted's."""
        self.assertIn("cartnet", [each.tapname for each in getPlugins(IServiceMaker)])

    def test_from_anywhere(self) -> None:
        """The plugin is found in a process that does not start in the checkout."""
        code = (
            "from twisted.plugin import getPlugins;"
            "from twisted.application.service import IServiceMaker;"
            "print(*[each.tapname for each in getPlugins(IServiceMaker)])"
        )

        self.assertIn("cartnet", output_of(sys.executable, "-c", code).split())

    def test_tap_imports_no_reactor(self) -> None:
        """twistd --reactor works only while nothing has imported the reactor."""
        code = (
            "import sys, cartnet.tap; print('twisted.internet.reactor' in sys.modules)"
        )

        self.assertEqual(output_of(sys.executable, "-c", code), "False\n")


class InstalledTests(SynchronousTestCase):
    """What an installation holds."""

    def test_resources(self) -> None:
        """The demo's configuration and the pages come along."""
        self.assertTrue(resource("cartnet.ini").is_file())
        self.assertTrue((resource("web_console") / "index.html").is_file())

    def test_missing_resource(self) -> None:
        """An incomplete installation says what it misses."""
        with self.assertRaisesRegex(FileNotFoundError, "nothing.ini"):
            resource("nothing.ini")

    def test_version(self) -> None:
        """The installation's version is the package's."""
        self.assertEqual(version("cartnet"), cartnet.__version__)

    def test_nothing_of_the_tests_is_needed(self) -> None:
        """What only tests and linters need is no dependency of the product."""
        needed = [
            each
            for each in metadata("cartnet").get_all("Requires-Dist") or []
            if "extra ==" not in each
        ]

        for name in ("pytest", "hypothesis", "ruff", "mypy"):
            self.assertFalse([each for each in needed if each.startswith(name)])
        self.assertTrue([each for each in needed if each.startswith("twisted[tls]")])
