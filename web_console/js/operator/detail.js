// One replica: all that is known of it, what can be done to it, its past and its log.

import { fill, h, setText } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { Chart } from "./chart.js";
import { CommandButtons, NO_CHAOS } from "./commands.js";
import { Log } from "./log.js";
import { bytes, duration, milliseconds } from "./numbers.js";
import { picture, stateLook } from "./pictures.js";
import { sentence } from "./quorum.js";
import { showState } from "./replicas.js";

const LAG_SECONDS = 300;

const FACTS = [
  ["Address", (r) => r.address, true],
  ["Group", (r) => r.group, true],
  ["Runs in", (r) => (r.here ? "this process" : "another process"), true],
  ["Leader it knows", (r) => r.leader ?? "none"],
  ["Term", (r) => integer(r.term)],
  ["Commit index", (r) => integer(r.commit)],
  ["Applied", (r) => integer(r.applied)],
  ["Log", (r) => `${integer(r.first)} to ${integer(r.last)}`],
  ["Lag in entries", (r) => (r.lag === null ? "–" : integer(r.lag))],
  ["Digest", (r) => (r.digest ? String(r.digest).slice(0, 16) : "–")],
  ["Digest after entry", (r) => integer(r.digest_index)],
  ["Database", (r) => bytes(r.database_bytes)],
  ["Connections", (r) => integer(r.connections)],
  ["Queue", (r) => integer(r.queue_depth)],
  ["Writes", (r) => integer(r.writes)],
  ["Write p50, p99", (r) => (
    `${milliseconds(r.write_p50_ms)}, ${milliseconds(r.write_p99_ms)}`)],
  ["Runs for", (r) => duration(r.uptime_seconds)],
];

/** The view of the replica `name`; stop() ends its log. */
export class Detail {
  #stateSaid = null;

  constructor(model, socket, name) {
    this.model = model;
    this.name = name;
    this.title = name;
    this.badge = h("span", {});
    this.role = h("span", { class: "muted" });
    this.commands = new CommandButtons(model, { small: false });
    this.reason = h("p", { class: "faint small" }, NO_CHAOS);
    this.stopped = h("p", { class: "notice bad wrap-anywhere", role: "status" });
    this.facts = FACTS.map(([label, write, always]) => {
      const value = h("dd", {});
      return { write, always, value, element: h("div", {}, h("dt", {}, label), value) };
    });
    this.followers = h("ul", { class: "followers" });
    this.followersCard = h("section", { class: "card card-pad stack-s" },
      h("h2", { class: "card-title" }, "Its followers"), this.followers);
    this.lag = new Chart({
      name: "replica-lag", title: "Lag in entries", whole: true,
      format: (value) => integer(value), axis: integer,
      series: () => [{ key: `lag ${name}`, label: name, slot: 0 }],
      points: (key) => model.past(key),
    });
    this.log = new Log(socket, name);
    this.missing = h("div", { class: "card empty", hidden: true },
      h("p", {}, `There is no replica ${name}.`),
      h("a", { class: "button", href: "#replicas" }, "All replicas"));
    this.body = h("div", { class: "stack-l" },
      h("div", { class: "row" }, this.badge, this.role),
      this.stopped,
      h("section", { "aria-label": "Actions", class: "stack-s" },
        this.commands.element, this.reason),
      h("div", { class: "detail-grid" },
        h("section", { class: "card card-pad stack-s", "aria-label": "State" },
          h("h2", { class: "card-title" }, "State"),
          h("dl", { class: "facts wide" }, this.facts.map((fact) => fact.element))),
        this.followersCard, this.lag.element),
      this.log.element);
    this.lead = h("a", { class: "back-link", href: "#replicas" },
      picture("back"), "All replicas");
    this.element = h("div", {}, this.missing, this.body);
    this.drawnAt = 0;
  }

  draw() {
    const { report } = this.model;
    if (!report) return;
    const replica = this.model.replica(this.name);
    this.missing.hidden = Boolean(replica);
    this.body.hidden = !replica;
    if (!replica) return;
    const look = stateLook(replica, this.model.isIsolated(this.name));
    if (this.#stateSaid !== look[2]) {
      this.#stateSaid = look[2];
      showState(this.badge, look);
    }
    const group = this.model.group(replica.group);
    const alive = replica.state === "alive";
    setText(this.role, alive
      ? `${replica.role} of ${group.name}, term ${replica.term}`
      : `${group.name} has ${group.alive} of ${group.members.length} without it`);
    this.stopped.hidden = !replica.stopped;
    setText(this.stopped, replica.stopped ? `${sentence(replica.stopped)}.` : "");
    this.commands.show(this.name);
    this.reason.hidden = report.chaos;
    for (const { write, always, value } of this.facts) {
      setText(value, alive || always ? write(replica) : "–");
    }
    this.followersCard.hidden = !replica.peers.length;
    this.#drawFollowers(replica.peers);
    // A leader is behind nobody: its followers are shown in place of the chart.
    this.lag.element.hidden = replica.peers.length > 0;
    if (performance.now() - this.drawnAt > 900) {
      this.drawnAt = performance.now();
      this.lag.draw(report.at, LAG_SECONDS);
    }
    this.log.start();
  }

  #drawFollowers(peers) {
    const said = JSON.stringify(peers);
    if (this.followers.dataset.said === said) return;
    this.followers.dataset.said = said;
    fill(this.followers, peers.map(({ name, match, lag }) => h("li", {},
      h("a", { class: "mono", href: `#replicas/${encodeURIComponent(name)}` }, name),
      h("span", { class: "muted small" }, `holds ${integer(match)}, ${
        lag ? `${integer(lag)} behind` : "up to date"}`))));
  }

  stop() {
    this.log.stop();
  }
}
