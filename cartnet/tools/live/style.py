"""How the report looks: light and dark, on paper and on a phone."""

from __future__ import annotations

from typing import Final

CSS: Final = """\
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1d2329; --soft: #5b6470; --line: #d9dee4;
  --stripe: #f4f6f8; --ok: #2b6ca3; --refused: #a96300; --nothing: #7a828c;
  --unknown: #7a3db8; --bad: #c22525; --good: #1e7a3c; --fault: #c4501b;
  --office: #dfe6ee; --other: #c3d3e4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --text: #e4e8ec; --soft: #9ba5b0; --line: #333b45;
    --stripe: #1a2027; --ok: #6cb1e6; --refused: #e2a23d; --nothing: #98a1ab;
    --unknown: #c69bf2; --bad: #ff7468; --good: #67c787; --fault: #f08a52;
    --office: #2a3440; --other: #3b4c5f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem clamp(0.75rem, 3vw, 2rem); max-width: 80rem;
  background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 0.6rem; }
p { margin: 0.4rem 0; }
.soft { color: var(--soft); }
.badge {
  display: inline-block; padding: 0.1rem 0.7rem; margin-bottom: 0.6rem;
  border: 2px solid; border-radius: 1rem; font-weight: 600;
}
.good { color: var(--good); }
.wrong { color: var(--bad); }
.facts { display: flex; flex-wrap: wrap; gap: 0.3rem 2rem; margin: 1rem 0 0; }
.facts div { min-width: 5rem; }
.facts dt { color: var(--soft); font-size: 0.85rem; }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td {
  padding: 0.35rem 0.8rem 0.35rem 0; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top;
}
th { color: var(--soft); font-size: 0.85rem; font-weight: 500; }
.numbers td:not(:first-child), .numbers th:not(:first-child) {
  text-align: right; font-variant-numeric: tabular-nums;
}
.calls tr:last-child td { font-weight: 600; }
.verdict { white-space: nowrap; font-weight: 600; }
ul.found { margin: 0.3rem 0 0; padding-left: 1.1rem; overflow-wrap: anywhere; }
.legend {
  display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin: 0 0 0.6rem; padding: 0;
  list-style: none; color: var(--soft); font-size: 0.9rem;
}
.legend svg { vertical-align: middle; margin-right: 0.35rem; }
.timeline { display: flex; border: 1px solid var(--line); border-radius: 6px; }
.timeline .scroll { overflow-x: auto; flex: 1; }
.timeline svg { display: block; }
.labels {
  flex: none; padding-top: 22px; border-right: 1px solid var(--line);
  font-size: 12px; color: var(--soft);
}
.labels div {
  height: 26px; line-height: 26px; padding: 0 8px; max-width: 8rem; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap;
}
.labels div:nth-child(odd) { background: var(--stripe); }
svg text { font: 11px system-ui, sans-serif; fill: var(--text); }
svg .tick { fill: var(--soft); }
svg .stripe { fill: var(--stripe); }
svg .grid { stroke: var(--line); }
svg .stop { stroke: var(--soft); stroke-width: 2; }
svg .change { stroke: var(--fault); stroke-dasharray: 3 3; stroke-width: 1.5; }
svg .office0 rect { fill: var(--office); }
svg .office1 rect { fill: var(--other); }
svg .fault rect { fill: none; stroke: var(--fault); stroke-width: 1.5; }
svg .fault text { fill: var(--fault); }
svg .ok rect { fill: var(--ok); stroke: var(--page); stroke-width: 0.5; }
svg .refused rect { fill: var(--refused); stroke: var(--page); stroke-width: 0.5; }
svg .nothing rect { fill: var(--page); stroke: var(--nothing); stroke-width: 1.5; }
svg .unknown rect { stroke: var(--unknown); stroke-width: 1; }
svg .hatch { fill: var(--unknown); }
svg .bad rect { stroke: var(--bad); stroke-width: 2.5; }
svg .mark { fill: var(--bad); }
svg .halo { fill: var(--bad); fill-opacity: 0.3; stroke: var(--bad); }
svg g:target rect { stroke: var(--text); stroke-width: 3; }
a { color: inherit; }
@media (max-width: 40rem) {
  .verdicts tr {
    display: block; padding: 0.4rem 0; border-bottom: 1px solid var(--line);
  }
  .verdicts td { display: inline; border: 0; padding: 0 0.4rem 0 0; }
  .verdicts td:last-child { display: block; }
  .verdicts thead { display: none; }
  .labels { font-size: 11px; }
  .labels div { max-width: 5.5rem; padding: 0 4px; }
}
"""
