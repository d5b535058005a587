"""The page on the API tells what happens."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.errors import STATUS_OF
from cartnet.console.routes import ROUTES
from tests.console.shopping import Answer, Shopping, asset_folder
from tests.console.visiting import Visitor

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
VARIES = {"version", "revision", "placed_at"}
"""Numbers that depend on what was before."""


def blocks() -> list[list[str]]:
    """The page's examples, line by line."""
    found = re.findall(r"(?ms)^```\n(.*?)^```$", PAGE.read_text("utf-8"))
    return [block.splitlines() for block in found]


class DocumentedTests(SynchronousTestCase):
    """Every example is done, in order, and comes out as it is shown."""

    def setUp(self) -> None:
        self.shopping = Shopping(asset_folder(Path(self.mktemp())))
        self.addCleanup(self.shopping.stop)
        self.session = ""

    def test_requests(self) -> None:
        """Each curl gets the status and the body that the page shows."""
        done = 0
        for lines in blocks():
            for asked, shown in zip(lines[::2], lines[1::2], strict=False):
                if asked.startswith("$ curl "):
                    status, _, body = shown.partition(" ")
                    answer = self.curl(shlex.split(asked)[2:])
                    self.assertEqual(answer.status, int(status), asked)
                    self.compare(answer.json if answer.body else "", body, asked)
                    done += 1
        self.assertGreater(done, 12)

    def curl(self, words: list[str]) -> Answer:
        method, headers, data = "GET", {}, None
        headers["Content_Type"] = "application/x-www-form-urlencoded"
        url = ""
        while words:
            match words.pop(0):
                case "-X":
                    method = words.pop(0)
                case "-H":
                    name, _, value = words.pop(0).partition(": ")
                    value = value.replace("TOKEN", self.session)
                    headers[name.replace("-", "_")] = value
                case "-d":
                    data = words.pop(0).encode()
                case word:
                    url = word
        path = url.removeprefix("http://127.0.0.1:8080")
        answer = self.shopping.ask(method, path, data, **headers)
        if path.endswith("/session") and method == "POST":
            self.session = answer.json["session"]
        return answer

    def compare(self, got: Any, shown: str, where: str) -> None:
        expected = msgspec.json.decode(shown) if shown else ""
        self.assertEqual(plain(got, expected), plain(expected, expected), where)

    def test_frames(self) -> None:
        """Each frame gets the frames that the page shows."""
        self.shopping.token("ann")
        wire: Any = self.shopping
        visitor = Visitor(wire, "127.0.0.1", {})
        self.assertEqual(visitor.status(), 101)
        heard: list[Any] = []
        done = 0
        for line in (line for lines in blocks() for line in lines):
            if line.startswith("> "):
                visitor.say(line[2:].encode())
                self.shopping.clock.advance(0.1)
                heard += visitor.heard()
            elif line.startswith("< "):
                self.compare(heard.pop(0), line[2:], line)
                done += 1
        self.assertEqual(heard, [])
        self.assertGreater(done, 4)

    def test_tables(self) -> None:
        """All routes, and all codes with their statuses, are on the page."""
        page = PAGE.read_text("utf-8")
        routes = re.findall(r"(?m)^\| `([A-Z]+) (/\S+)`", page)
        errors = re.findall(r"(?m)^\| (\d{3}) \| (.*) \|$", page)
        codes = {
            (int(s), c) for s, text in errors for c in re.findall(r"`(\w+)`", text)
        }

        self.assertEqual(routes, [(route.method, route.path) for route in ROUTES])
        self.assertEqual({(s, c) for c, s in STATUS_OF.items()} - codes, set())


def plain(value: Any, shown: Any) -> Any:
    """A value without what varies, and without what the page shows as cut (...)."""
    if isinstance(shown, str) and shown.endswith("..."):
        return "..."
    if isinstance(value, dict) and isinstance(shown, dict):
        return {
            key: 0 if key in VARIES else plain(each, shown.get(key))
            for key, each in value.items()
        }
    if isinstance(value, list) and isinstance(shown, list):
        return [plain(*pair) for pair in zip(value, shown, strict=True)]
    return value
