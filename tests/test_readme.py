"""The README says what works."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

import cartnet
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.requests import decode_request

TOP = Path(__file__).resolve().parent.parent


def fenced(text: str, language: str) -> list[str]:
    """The lines inside the fences of a language."""
    blocks = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)
    return [line for block in blocks for line in block.splitlines()]


def where(named: str) -> Path:
    """The file or folder of a path in the text; the package may be elsewhere."""
    top, _, rest = named.partition("/")
    return Path(cartnet.__path__[0], rest) if top == "cartnet" else TOP / named


class ReadmeTests(SynchronousTestCase):
    """What the documentation has people type."""

    def documents(self) -> list[Path]:
        return [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]

    def test_commands(self) -> None:
        """The README's test command is the one that has to hold for a change."""
        readme = fenced((TOP / "README.md").read_text("utf-8"), "")
        command = next(line for line in readme if line.endswith("-m pytest -q -n 2"))

        run = (TOP / ".ci" / "run").read_text("utf-8").splitlines()
        self.assertIn(command, run)

    def test_requests(self) -> None:
        """Every request in the documentation is one that would be understood."""
        for path in self.documents():
            for line in fenced(path.read_text("utf-8"), "json"):
                request = decode_request(line.encode())
                decode_arguments(request.call, msgspec.Raw(request.args), trusted=False)

    def test_links(self) -> None:
        """Every link to a file, and every path in the text, leads somewhere."""
        for path in self.documents():
            text = path.read_text("utf-8")
            linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
            for target in linked:
                self.assertTrue((path.parent / target).exists(), (path, target))
            for named in re.findall(r"`((?:cartnet|tests|examples)/[\w/.]+)`", text):
                self.assertTrue(where(named).exists(), (path, named))
