"""A catalogue's file."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import (
    CATALOGUE_ITEMS_MAX,
    IMPORT_ERRORS_SHOWN_MAX,
    SHOWN_CHARACTERS_MAX,
)
from cartnet.tools.catalogue import Item, read
from cartnet.tools.failure import ToolError

HEADER = "id,name,price,stock\n"


class CatalogueTests(SynchronousTestCase):
    """Reading it whole, or saying what is wrong with it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def read(self, text: str) -> list[Item]:
        self.path.write_text(text, "utf-8")
        return read(self.path)

    def errors(self, text: str) -> list[str]:
        with self.assertRaises(ToolError) as raised:
            self.read(text)
        lines = str(raised.exception).splitlines()
        return [line.removeprefix(f"{self.path}: ") for line in lines]

    def test_items(self) -> None:
        """Quotes, blank lines, a byte order mark and spaces are understood."""
        text = '\ufeffid,name,price,stock\nA,"Apples, red",100, 5\n\nB,Bird\u00f6,0,0\n'

        self.assertEqual(
            self.read(text),
            [Item(2, "A", "Apples, red", 100, 5), Item(4, "B", "Bird\u00f6", 0, 0)],
        )

    def test_every_wrong_line_is_named(self) -> None:
        """All that is wrong is said at once, each with its line."""
        errors = self.errors(
            HEADER
            + "A,Apples,1.5,5\nB,,1,5\nC,Cherries,1,-1\nd e,Dates,1,1\nE,Figs,1\n"
            + "F,"
            + "\u00fc" * 99
            + ",1,1\nG,Grapes,1,1000000001\nH,Ham,1,1\nH,Hum,2,2\n"
            + "I,\x1b[31mred,1,1\n"
        )

        self.assertEqual(
            errors,
            [
                'line 2: price must be a whole number, not "1.5"',
                "line 3: name must be 1 to 100 characters without control characters,"
                ' at most 150 bytes as JSON, not ""',
                'line 4: stock must be a whole number, not "-1"',
                "line 5: item must be 1 to 32 characters of A-Z a-z 0-9 . _ -,"
                ' not "d e"',
                "line 6: expected 4 values, not 3",
                "line 7: name must be at most 150 bytes as JSON, not "
                + json.dumps("\u00fc" * 99)[: SHOWN_CHARACTERS_MAX - 3]
                + "...",
                "line 8: stock must be an integer from 0 to 1000000000, not 1000000001",
                "line 10: the id H is on line 9 too",
                "line 11: name must be 1 to 100 characters without control"
                ' characters, at most 150 bytes as JSON, not "\\u001b[31mred"',
                "nothing was imported",
            ],
        )

    def test_many_wrong_lines(self) -> None:
        """Beyond some wrong lines only their number is said."""
        errors = self.errors(HEADER + "x\n" * 50)

        self.assertEqual(len(errors), IMPORT_ERRORS_SHOWN_MAX + 2)
        self.assertEqual(errors[-2], "and 30 more wrong lines")

    def test_no_catalogue(self) -> None:
        """What is no catalogue is refused in a line."""
        self.assertIn(
            "expected the columns id,name,price,stock", self.errors("a,b\n")[0]
        )
        self.assertIn("no items", self.errors(HEADER)[0])
        self.assertIn("expected the columns", self.errors("")[0])
        self.assertIn("line 2: ", self.errors(HEADER + 'A,"x"y,1,1\n')[0])
        self.path.write_bytes(b"id,name,price,stock\nA,\xff,1,1\n")
        with self.assertRaisesRegex(ToolError, "expected UTF-8"):
            read(self.path)
        with self.assertRaisesRegex(ToolError, "No such file"):
            read(self.path.with_name("absent"))

    def test_too_many_items(self) -> None:
        """More items than an inventory holds are refused before any is sent."""
        rows = "".join(f"I{at},x,1,1\n" for at in range(CATALOGUE_ITEMS_MAX + 1))

        self.assertIn("an inventory holds at most 4000", self.errors(HEADER + rows)[0])
