"""The report for a browser: one file that needs nothing else, and runs nothing."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from cartnet import __version__
from cartnet.limits import CHECK_FINDINGS_SHOWN_MAX
from cartnet.tools.live.figures import ENDINGS, Row, rows
from cartnet.tools.live.outages import Outages
from cartnet.tools.live.style import CSS
from cartnet.tools.live.timeline import SAID, Timeline, halo, shape, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cartnet.tools.check_report import Chapter, Report
    from cartnet.tools.live.seen import Seen

FINDING_CHARACTERS_MAX: Final = 1_500


def render(seen: Seen, report: Report) -> str:
    """The whole page."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_verdict(report)}: {escape(_name(seen))}</title>",
            f"<style>\n{CSS}</style></head><body>",
            *_head(seen, report),
            *_verdicts(report),
            *_timeline(seen),
            *_calls(seen),
            *_outages(seen),
            f'<p class="soft">cartnet {escape(__version__)}</p>',
            "</body></html>",
            "",
        ]
    )


def _name(seen: Seen) -> str:
    return f"{seen.share.prefix.rstrip('-')} at {seen.cluster}"


def _verdict(report: Report) -> str:
    broken = [name for name, chapter in report.chapters.items() if chapter.wrong]
    return f"wrong: {', '.join(broken)}" if broken else "clean"


def _head(seen: Seen, report: Report) -> Iterator[str]:
    css = "good" if report.clean else "wrong"
    sign = "✓" if report.clean else "✗"
    yield f'<p class="badge {css}">{sign} {escape(_verdict(report))}</p>'
    yield f"<h1>{escape(_name(seen))}</h1>"
    options = seen.options
    seconds = f"{seen.stopped - seen.began:.0f} of {options.seconds:g} s"
    faults = ", ".join(f"{kind} {n}" for kind, n in seen.findings.faults.items())
    yield '<dl class="facts">'
    yield from (
        f"<div><dt>{term}</dt><dd>{escape(str(value))}</dd></div>"
        for term, value in (
            ("Begun", seen.started),
            ("Shopping", seconds + (", interrupted" if seen.interrupted else "")),
            ("Users", options.users),
            ("Seed", options.seed),
            ("Faults", (faults or "none yet") if options.chaos else "not asked for"),
            ("Operations", f"{len(seen.operations):,}"),
        )
    )
    yield "</dl>"


# --- Verdict -------------------------------------------------------------------------


def _verdicts(report: Report) -> Iterator[str]:
    yield '<h2>Verdict</h2><table class="verdicts"><thead><tr>'
    yield "<th>Guarantee</th><th></th><th>Verdict</th><th>What was looked at</th>"
    yield "</tr></thead><tbody>"
    for name, chapter in report.chapters.items():
        css = {"ok": "good", "WRONG": "wrong"}.get(chapter.verdict, "soft")
        sign = {"ok": "✓ ", "WRONG": "✗ "}.get(chapter.verdict, "")
        looked_at = report.looked_at(chapter)
        yield (
            f"<tr><td>{escape(name)}</td><td>{escape(report.titles[name])}</td>"
            f'<td class="verdict {css}">{sign}{escape(chapter.verdict)}</td>'
            f"<td>{escape(looked_at)}{_found(chapter)}</td></tr>"
        )
    yield "</tbody></table>"


def _found(chapter: Chapter) -> str:
    items = [
        f'<li class="wrong">{escape(_cut(each))}</li>'
        for each in chapter.wrong[:CHECK_FINDINGS_SHOWN_MAX]
    ]
    more = len(chapter.wrong) - CHECK_FINDINGS_SHOWN_MAX
    if more > 0:
        items.append(f'<li class="wrong">and {more} more</li>')
    items += [f"<li>{escape(_cut(each))}</li>" for each in chapter.notes]
    return f'<ul class="found">{"".join(items)}</ul>' if items else ""


def _cut(text: str) -> str:
    if len(text) <= FINDING_CHARACTERS_MAX:
        return text
    return text[:FINDING_CHARACTERS_MAX] + "..."


# --- Timeline ------------------------------------------------------------------------


def _timeline(seen: Seen) -> Iterator[str]:
    suspects = [op for each in seen.findings.violations for op in each.operations]
    timeline = Timeline(seen, suspects)
    yield "<h2>Timeline</h2>"
    yield f'<ul class="legend">{"".join(_legend(seen, bool(suspects)))}</ul>'
    labels = "".join(f"<div>{escape(each)}</div>" for each in timeline.labels())
    yield f'<div class="timeline"><div class="labels" aria-hidden="true">{labels}</div>'
    yield f'<div class="scroll" tabindex="0">{timeline.svg()}</div></div>'
    if timeline.left_out:
        yield (
            f'<p class="soft">{timeline.left_out:,} quick operations that were done'
            " are not drawn.</p>"
        )
    if suspects:
        numbers = {id(each): n for n, each in enumerate(seen.operations, 1)}
        yield "<h2>What the violations are about</h2><ul class='found'>"
        for each in {id(op): op for op in suspects}.values():
            number = numbers.get(id(each), 0)
            yield (
                f'<li><a href="#op{number}">{escape(seen.short(each.by))}:'
                f" {escape(told(seen, each))}</a></li>"
            )
        yield "</ul>"


def _legend(seen: Seen, suspects: bool) -> Iterator[str]:
    for ending in ENDINGS:
        drawn = shape(ending, 'x="1" width="20"', 0)
        yield _sign(f'<g class="{ending}">{drawn}</g>', SAID[ending])
    yield _sign(
        '<g class="office0"><rect y="5" width="22" height="16" rx="3"/></g>',
        "a leader's term",
    )
    yield _sign(
        '<line class="change" x1="11" x2="11" y1="2" y2="24"/>',
        "a group has another leader",
    )
    if seen.options.chaos:
        yield _sign(
            '<g class="fault"><rect x="1" y="5" width="20" height="16" rx="3"/></g>',
            "an injected fault",
        )
    yield _sign('<line class="stop" x1="11" x2="11" y1="2" y2="24"/>', "customers stop")
    if suspects:
        drawn = shape("ok", 'x="1" width="20"', 0)
        yield _sign(
            f'<g class="ok bad">{halo(0, 22, 0)}{drawn}</g>',
            "part of a violation",
        )


def _sign(drawn: str, text: str) -> str:
    return (
        f'<li><svg width="22" height="26" aria-hidden="true">{drawn}</svg>'
        f"{escape(text)}</li>"
    )


# --- Figures -------------------------------------------------------------------------


def _calls(seen: Seen) -> Iterator[str]:
    yield '<h2>Calls</h2><div class="wide"><table class="numbers calls"><thead><tr>'
    yield "<th>Call</th><th>ok</th><th>refused</th><th>not done</th><th>unknown</th>"
    yield "<th>p50 ms</th><th>p99 ms</th><th>max ms</th></tr></thead><tbody>"
    for row in rows(seen.operations):
        cells = [f"{row.endings[each]:,}" for each in ENDINGS]
        cells += [_milliseconds(row, q) for q in (0.5, 0.99, 1.0)]
        told = "".join(f"<td>{cell}</td>" for cell in cells)
        yield f"<tr><td>{escape(row.call)}</td>{told}</tr>"
    yield "</tbody></table></div>"
    yield '<p class="soft">Times are from the call to the known outcome, with all'
    yield " that was sent again in between.</p>"


def _milliseconds(row: Row, q: float) -> str:
    seconds = row.quantile(q)
    return "" if seconds is None else f"{1000 * seconds:,.0f}"


def _outages(seen: Seen) -> Iterator[str]:
    yield '<h2>Outages</h2><div class="wide"><table class="numbers"><thead><tr>'
    yield "<th>Group</th><th>Longest without an answer</th><th>From</th></tr></thead>"
    yield "<tbody>"
    for group, (seconds, since) in Outages(seen).longest.items():
        yield (
            f"<tr><td>{escape(group)}</td><td>{seconds:.2f} s</td>"
            f"<td>{since - seen.began:.1f} s</td></tr>"
        )
    yield "</tbody></table></div><ul>"
    for what, took in seen.awaited.items():
        told = "not in time" if took is None else f"after {took:.2f} s"
        yield f"<li>In the end {escape(what)}: {told}</li>"
    yield "</ul>"
