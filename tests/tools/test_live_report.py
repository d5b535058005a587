"""What a live check leaves behind: the report for a browser, and the history."""

from __future__ import annotations

import io
import json
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import LIVE_BARS_MAX
from cartnet.tools.live import figures, history_file, page
from cartnet.tools.live.judge import judge
from cartnet.tools.live.seen import Fault, Office
from cartnet.tools.live.timeline import Timeline
from tests.tools.live_runs import SHARE, USER, A, HandmadeRun

VOID = {"meta", "br"}


class Parsed(HTMLParser):
    """A page as a browser takes it.

    :ivar elements: names and attributes, in order.
    :ivar text: all of it.
    :ivar unclosed: elements that have not ended.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.unclosed: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[Any]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.unclosed and self.unclosed.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data

    def of_class(self, name: str) -> list[str]:
        return [
            tag
            for tag, attributes in self.elements
            if name in (attributes.get("class") or "").split()
        ]


class ReportCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.run_ = HandmadeRun(chaos=True)
        self.seen = self.run_.seen

    def html(self) -> str:
        return page.render(self.seen, judge(self.seen))

    def page(self) -> Parsed:
        return Parsed(self.html())


class PageTests(ReportCase):
    def test_clean(self) -> None:
        """The page tells the verdict, what was asked for, and every call."""
        self.run_.shop()
        parsed = self.page()
        for text in ("✓ clean", "check-1 at test", "10 of 10 s", "add_to_cart"):
            self.assertIn(text, parsed.text)
        self.assertEqual(parsed.unclosed, [])
        self.assertEqual(parsed.of_class("bad"), [])

    def test_alone(self) -> None:
        """It runs nothing and asks nobody for anything."""
        self.run_.shop()
        html = self.html()
        parsed = Parsed(html)
        tags = {tag for tag, _ in parsed.elements}
        self.assertFalse(tags & {"script", "link", "img", "iframe", "object"})
        for _, attributes in parsed.elements:
            self.assertFalse([name for name in attributes if name.startswith("on")])
            self.assertNotIn("src", attributes)
        self.assertNotRegex(html, r"https?://|@import|url\([^#]")

    def test_escaped(self) -> None:
        """Whatever a shop answers is text, in the verdict and in the timeline."""
        self.run_.shop()
        evil = "</title><script>alert('1')</script>&amp;\""
        self.run_.did(USER, "get_cart", Refused("conflict", evil))
        self.run_.did(USER, evil, {})
        self.run_.did(USER, "set_quantity", {"version": 9, "items": []}, item=evil)
        self.seen.offices = [Office("s1", evil, 1, 100, 105)]
        self.seen.faults = [Fault("kill", evil, 101, 103)]
        self.seen.left = [evil]
        parsed = self.page()
        self.assertNotIn("script", {tag for tag, _ in parsed.elements})
        self.assertGreaterEqual(parsed.text.count(evil), 5)

    def test_violation(self) -> None:
        """The operations of a violation stand out in the timeline, and are listed."""
        self.run_.shop()
        stale = self.run_.look()
        stale.answer["items"][0]["stock"] = 50
        parsed = self.page()
        self.assertIn("✗ wrong: S5", parsed.text)
        self.assertIn("part of a violation", parsed.text)
        number = 1 + self.seen.operations.index(stale)
        marked = [
            attributes["id"]
            for tag, attributes in parsed.elements
            if tag == "g"
            and "id" in attributes
            and "bad" in (attributes["class"] or "")
        ]
        self.assertIn(f"op{number}", marked)
        hrefs = [attributes.get("href") for tag, attributes in parsed.elements]
        self.assertIn(f"#op{number}", hrefs)

    def test_lanes(self) -> None:
        """Every group, every customer and the faults have a lane, each operation a bar
        that says what it was, and each change of a leader a line."""
        self.run_.shop()
        self.seen.offices = [
            Office("s1", "s1r0", 1, 100, 102),
            Office("s1", "s1r1", 2, 103, 110),
        ]
        self.seen.faults = [Fault("kill", "s1r0", 102, 104)]
        unknown = self.run_.did(USER, "checkout")
        timeline = Timeline(self.seen, [])
        self.assertEqual(
            timeline.labels(),
            ["faults", "lb led by", "s1 led by", "it led by", "operator", "user0.0"],
        )
        parsed = Parsed(timeline.svg())
        bars = [a["id"] for tag, a in parsed.elements if tag == "g" and "id" in a]
        self.assertEqual(len(bars), len(self.seen.operations))
        self.assertEqual(parsed.of_class("change"), ["line"])
        self.assertIn("s1r1 leads s1 from here on (term 2)", parsed.text)
        self.assertIn("kill s1r0, 2.0 s", parsed.text)
        self.assertIn("add_to_cart A 2 · done · 100 ms · at 0.400 s", parsed.text)
        self.assertIn(f"{unknown.call} · perhaps done", parsed.text)

    def test_many_operations(self) -> None:
        """Of very many operations the odd and the slow ones are drawn."""
        self.run_.shop()
        for _ in range(LIVE_BARS_MAX):
            self.run_.did(USER, "get_cart", {"version": 2, "items": []})
        self.run_.did(USER, "get_cart")
        timeline = Timeline(self.seen, [])
        svg = timeline.svg()
        self.assertEqual(svg.count('id="op'), LIVE_BARS_MAX)
        self.assertEqual(timeline.left_out, 8)
        self.assertIn(f'id="op{len(self.seen.operations)}" class="unknown"', svg)
        self.assertIn("8 quick operations that were done are not drawn", self.html())

    def test_nothing_done(self) -> None:
        """A run without a single operation has a report, too."""
        parsed = self.page()
        self.assertIn("nothing that this run could show", parsed.text)

    def test_no_secrets(self) -> None:
        """Neither file holds a password or a session token."""
        self.run_.shop()
        self.run_.did("operator", "login", {"session": "it.token"}, password="secret99")
        # A violation tells all of an operation: this login cannot have been.
        args = {"username": USER, "password": SHARE.password("another")}
        self.run_.did(USER, "login", {"user": USER, "session": "s1.token"}, **args)
        file = io.StringIO()
        history_file.write(self.seen, file)
        self.assertIn("the username", self.html())
        for text in (file.getvalue(), self.html()):
            self.assertNotIn(SHARE.secret, text)
            self.assertNotIn(".token", text)
            self.assertNotIn("secret99", text)


class HistoryFileTests(ReportCase):
    def test_lines(self) -> None:
        """Each operation is a line of JSON, with its order, its times and its end."""
        self.run_.shop()
        self.run_.did(USER, "checkout", Refused("empty_cart", "It is empty."))
        self.run_.did(USER, "checkout")
        file = io.StringIO()
        history_file.write(self.seen, file)
        lines = [json.loads(line) for line in file.getvalue().splitlines()]
        self.assertEqual(len(lines), len(self.seen.operations))
        self.assertEqual([line["invoked"] for line in lines][:3], [1, 3, 5])
        first, refused, unknown = lines[0], lines[-2], lines[-1]
        self.assertEqual(first["args"]["item"], A)
        self.assertEqual((first["called"], first["ended"]), (0.0, 0.1))
        self.assertEqual(first["answer"]["items"][0]["stock"], 50)
        self.assertEqual(refused["refused"]["code"], "empty_cart")
        self.assertEqual((unknown["ending"], unknown["returned"]), ("unknown", None))
        self.assertEqual(lines[2]["args"]["password"], "password of user0.0")
        self.assertEqual(lines[3]["answer"]["session"], "s1....")


class FiguresTests(ReportCase):
    def test_rows(self) -> None:
        """Each call has its endings counted, and its latencies."""
        self.run_.shop()
        self.run_.did(USER, "checkout", Refused("empty_cart", "It is empty."))
        self.run_.did(USER, "checkout")
        rows = {row.call: row for row in figures.rows(self.seen.operations)}
        self.assertEqual(list(rows)[-1], "all")
        checkout = rows["checkout"]
        self.assertEqual(checkout.endings, {"ok": 1, "refused": 1, "unknown": 1})
        self.assertEqual(len(checkout.seconds), 2)
        self.assertAlmostEqual(checkout.quantile(0.99) or 0, 0.1)
        self.assertIsNone(figures.Row("x", checkout.endings, ()).quantile(0.5))

    def test_quantiles(self) -> None:
        """Of a hundred the 99th is p99, and the last the longest."""
        row = figures.Row("x", Counter(), tuple(n / 100 for n in range(100)))
        self.assertEqual([row.quantile(q) for q in (0.5, 0.99, 1.0)], [0.5, 0.99, 0.99])
