// The first view: how the cluster is, in one look.

import { KeyedList, fill, h, setAttribute, setText, svg } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { clockTime } from "./chart.js";
import { Light, digestLight, stockLight } from "./lights.js";
import { milliseconds, rate } from "./numbers.js";
import { picture } from "./pictures.js";
import { quorumBar } from "./quorum_bar.js";
import { groupName, sentence, standing } from "./quorum.js";
import { greatest, linePath } from "./scale.js";
import { Entry, entryKey } from "./timeline.js";
import { Topology } from "./topology.js";

const ENTRIES_SHOWN = 9;
const SPARK_SECONDS = 120;

/** The view; `menu` opens a replica's commands. */
export class Overview {
  title = "Overview";

  constructor(model, menu) {
    this.model = model;
    this.health = h("div", { class: "health" });
    this.tiles = [
      new Tile("Requests", "a second", "requests", (r) => rate(r.load.requests_per_second)),
      new Tile("Latency p99", "of a request", "p99", (r) => milliseconds(r.load.p99_ms)),
      new Tile("Errors", "a second", "errors", (r) => rate(r.load.errors_per_second)),
      new Tile("Replicas alive", "", null, (r) => {
        const alive = r.replicas.filter(({ state }) => state === "alive").length;
        return `${alive}/${r.replicas.length}`;
      }),
    ];
    this.stock = new Light("stock");
    this.digests = new Light("digests");
    this.topology = new Topology(model, (name, element) => menu.open(name, element));
    this.entries = h("ol", { class: "entries" });
    this.entryList = new KeyedList(this.entries, entryKey, () => new Entry());
    this.cards = h("div", { class: "group-cards" });
    this.cardList = new KeyedList(this.cards, (g) => g.name, (g) => new GroupCard(g));
    this.element = h("div", { class: "stack-l" },
      this.health,
      h("div", { class: "tiles" }, this.tiles.map((tile) => tile.element)),
      h("div", { class: "overview-main" },
        this.topology.element,
        h("div", { class: "overview-side" },
          h("section", { class: "card lights", "aria-label": "What must always hold" },
            this.stock.element, this.digests.element),
          h("section", { class: "card latest", "aria-labelledby": "latest-title" },
            h("header", { class: "card-head" },
              h("h2", { id: "latest-title", class: "card-title" }, "Latest"),
              h("a", { href: "#timeline", class: "small" }, "Whole timeline")),
            this.entries))),
      h("section", { "aria-label": "Groups" }, this.cards));
  }

  draw() {
    const { report, timeline } = this.model;
    if (!report) return;
    this.#drawHealth(report);
    for (const tile of this.tiles) tile.show(this.model);
    this.stock.show(...stockLight(report));
    this.digests.show(...digestLight(report));
    this.cardList.show(report.groups.map((group) => ({
      ...group,
      states: group.members.map((name) => this.model.replica(name)?.state),
    })));
    this.entryList.show(timeline.slice(-ENTRIES_SHOWN).reverse());
    this.topology.draw();
  }

  #drawHealth(report) {
    const [tone, title, text] = this.model.isOld
      ? ["warn", `No report since ${clockTime(report.at)}.`, "What you see is old."]
      : health(report);
    if (this.health.dataset.said === title + text) return;
    this.health.dataset.said = title + text;
    fill(this.health, h("div", { class: `notice ${tone}` },
      picture(tone === "ok" ? "check" : "warning"),
      h("div", {}, h("span", { class: "title" }, title), " ", text)));
  }
}

/** The cluster's health as a tone, a title and a sentence. */
export function health(report) {
  const named = (groups) => groups.map(groupName).join(" and ");
  const begun = (text) => text.replace(/^the /, "The ");
  const lost = report.groups.filter((g) => g.quorum === "lost");
  if (lost.length) {
    const text = lost.map((g) => ({
      shard: `Carts and orders of the users of ${g.name} cannot change.`,
      inventory: "Nobody can check out, and no stock can change.",
      balancer: "Nobody can register.",
    }[g.kind])).join(" ");
    return ["bad", `${begun(named(lost))} ${lost.length > 1 ? "have" : "has"} no majority.`, text];
  }
  const stopped = report.replicas.find((replica) => replica.stopped);
  if (stopped) {
    const group = report.groups.find((g) => g.name === stopped.group);
    return ["bad", `${begun(named([group]))} has stopped.`, `${sentence(stopped.stopped)}.`];
  }
  const leaderless = report.groups.filter((g) => !g.leader);
  if (leaderless.length) {
    return ["warn", `${begun(named(leaderless))} ${leaderless.length > 1 ? "elect leaders" : "elects a leader"}.`,
      "What is asked of it waits."];
  }
  const [broken] = [stockLight(report), digestLight(report)]
    .filter(([tone]) => tone === "bad");
  if (broken) return ["bad", `${broken[1]}.`, broken[2]];
  const reduced = report.groups.filter((g) => g.quorum === "reduced");
  if (reduced.length) {
    const gone = report.replicas.filter((r) => r.state !== "alive").map((r) => r.name);
    return ["warn", `Everything works, with less to spare in ${named(reduced)}.`,
      `Not there: ${gone.join(", ")}.`];
  }
  return ["ok", "Everything works.", "Every group has a leader and all its replicas."];
}

class Tile {
  constructor(label, unit, sample, value) {
    Object.assign(this, { sample, value });
    this.number = h("p", { class: "tile-value" });
    this.path = svg("path", { class: "spark-line" });
    this.area = svg("path", { class: "spark-area" });
    this.spark = sample ? svg("svg", {
      class: "spark", viewBox: "0 0 120 32", preserveAspectRatio: "none",
      "aria-hidden": "true",
    }, this.area, this.path) : null;
    this.element = h("div", { class: "card tile" },
      h("p", { class: "tile-label" }, label,
        unit ? h("span", { class: "faint" }, ` ${unit}`) : null),
      h("div", { class: "tile-row" }, this.number, this.spark));
  }

  show(model) {
    setText(this.number, this.value(model.report));
    if (!this.sample) return;
    const points = model.past(this.sample);
    const to = model.report.at;
    const from = to - SPARK_SECONDS;
    const most = greatest(points, from, to) || 1;
    const x = (at) => (((at - from) / SPARK_SECONDS) * 120).toFixed(1);
    const y = (value) => (30 - (value / most) * 27).toFixed(1);
    const line = linePath(points, { from, to, x, y, gap: 3, steps: false });
    setAttribute(this.path, "d", line);
    const begin = points.find((point) => point.at >= from);
    const whole = begin && !line.includes("M", 1);
    setAttribute(this.area, "d", whole && line
      ? `${line}L${x(points.at(-1).at)} 32L${line.slice(1).split(" ")[0]} 32Z` : "");
  }
}

class GroupCard {
  constructor(group) {
    this.name = h("h2", { class: "group-name", id: `group-${group.name}` }, group.name);
    this.kind = h("span", { class: "faint small" }, group.kind);
    this.badge = h("span", { class: "badge dot" });
    this.leader = h("a", { class: "mono leader-link" });
    this.crown = h("span", { class: "crown" }, picture("crown"));
    this.none = h("span", { class: "leader-none" }, "no leader");
    this.term = h("span", { class: "faint small" });
    this.bar = h("div", {});
    this.standing = h("span", { class: "small" });
    this.facts = ["Writes a second", "Write p99", "Committed", "Tables"].map((label) => {
      const value = h("dd", {});
      return { value, element: h("div", {}, h("dt", {}, label), value) };
    });
    this.element = h("article", { class: "card group-card", "aria-labelledby": `group-${group.name}`, "data-group": group.name },
      h("div", { class: "row-s between" },
        h("div", { class: "group-title" }, this.name, this.kind), this.badge),
      h("p", { class: "group-leader" }, this.crown, this.leader, this.none, this.term),
      h("div", { class: "group-quorum" }, this.bar, this.standing),
      h("dl", { class: "facts" }, this.facts.map((fact) => fact.element)));
  }

  update(group) {
    const look = { full: "ok", reduced: "warn", lost: "bad" }[group.quorum];
    const words = { full: "full quorum", reduced: "reduced", lost: "no majority" };
    setAttribute(this.badge, "class", `badge dot ${look}`);
    setText(this.badge, words[group.quorum]);
    setAttribute(this.element, "data-quorum", group.quorum);
    this.leader.hidden = !group.leader;
    this.crown.hidden = !group.leader;
    this.none.hidden = Boolean(group.leader);
    if (group.leader) {
      setText(this.leader, group.leader);
      setAttribute(this.leader, "href", `#replicas/${encodeURIComponent(group.leader)}`);
    }
    setText(this.term, `term ${group.term}`);
    const bar = `${group.members.length} ${group.alive} ${group.majority}`;
    if (this.bar.dataset.shown !== bar) {
      this.bar.dataset.shown = bar;
      fill(this.bar, quorumBar(group.members.length, group.alive, group.majority));
    }
    setText(this.standing, standing(group));
    const tables = { equal: "equal", unknown: "not compared", differ: "differ" };
    const said = [rate(group.writes_per_second), milliseconds(group.write_p99_ms),
      integer(group.commit), tables[group.digests]];
    this.facts.forEach(({ value }, index) => setText(value, said[index]));
    setAttribute(this.facts[3].value, "data-digests", group.digests);
  }
}
