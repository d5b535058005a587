"""Every package's docstring is a map of it."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import cartnet


class MapTests(SynchronousTestCase):
    """A newcomer finds every file of a package in its docstring, and no other."""

    def test_every_module_is_on_its_map(self) -> None:
        """The map names the package's files, each once."""
        packages = sorted(Path(cartnet.__path__[0]).glob("*/__init__.py"))
        self.assertTrue(packages)
        for init in packages:
            package = import_module(f"cartnet.{init.parent.name}")
            named = re.findall(r"(?m)^    (\w+)\.py ", package.__doc__ or "")
            files = {file.stem for file in init.parent.glob("*.py")} - {"__init__"}
            self.assertEqual(sorted(named), sorted(files), init.parent.name)
