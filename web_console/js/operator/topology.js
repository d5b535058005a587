// The cluster as a picture: groups, replicas, who leads, heartbeats as they are seen.

import { KeyedList, h, setAttribute, setText, svg } from "../lib/dom.js";
import { NODE_RADIUS, place } from "./layout.js";
import { outline, picture, stateLook } from "./pictures.js";
import { standing } from "./quorum.js";

const REACH = NODE_RADIUS + 12;
const BEAT_MS = 650;
const CHANGE_SHOWN_MS = 5000;
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** The picture; `onreplica(name, element)` when somebody picks a replica. */
export class Topology {
  #still = false;
  #beats = 0;

  constructor(model, onreplica) {
    this.model = model;
    this.links = svg("g", { class: "topo-links" });
    this.boxes = svg("g", {});
    this.edges = svg("g", { class: "topo-edges" });
    this.pulses = svg("g", { class: "topo-pulses", "aria-hidden": "true" });
    this.nodes = svg("g", {});
    this.svg = svg("svg", { class: "topo", role: "group", "aria-label": "The cluster" },
      this.links, this.boxes, this.edges, this.pulses, this.nodes);
    this.room = h("div", { class: "topo-room" }, this.svg);
    this.pause = h("button", {
      type: "button", class: "button small quiet", "aria-pressed": "false",
      onclick: () => this.#setStill(!this.#still),
    });
    this.element = h("section", { class: "card topology", "aria-labelledby": "topo-title" },
      h("header", { class: "card-head" },
        h("h2", { id: "topo-title", class: "card-title" }, "Topology"),
        h("div", { class: "row-s" }, legend(), this.pause)),
      this.room);
    this.groupList = new KeyedList(this.boxes, (g) => g.name, (g) => new GroupBox(g));
    this.edgeList = new KeyedList(this.edges, (e) => e.key, () => new Edge());
    this.nodeList = new KeyedList(this.nodes, (r) => r.name,
      (r) => new Node(r, onreplica));
    this.#setStill(reduced.matches);
    reduced.addEventListener("change", () => this.#setStill(reduced.matches));
    new ResizeObserver(() => this.draw()).observe(this.room);
  }

  draw() {
    const { report } = this.model;
    const width = Math.floor(this.room.clientWidth);
    if (!report || width === 0) return;
    const layout = place(report.groups, width);
    setAttribute(this.svg, "viewBox", `0 0 ${layout.width} ${layout.height}`);
    setAttribute(this.svg, "height", layout.height);
    setAttribute(this.svg, "width", layout.width);
    this.#drawLinks(report, layout);
    this.groupList.show(report.groups.map((group) => (
      { ...group, box: layout.boxes.get(group.name) })));
    const replicas = report.replicas.filter((r) => layout.boxes.has(r.group));
    this.nodeList.show(replicas.map((replica) => ({
      ...replica,
      at: layout.boxes.get(replica.group).nodes.get(replica.name),
      isolated: this.model.isIsolated(replica.name),
      leads: this.model.group(replica.group).leader === replica.name,
    })));
    const edges = this.#edges(report, layout);
    this.edgeList.show(edges);
    this.#beat(edges);
  }

  #edges(report, layout) {
    return report.groups.flatMap((group) => {
      const { nodes } = layout.boxes.get(group.name);
      const from = group.leader ?? group.members[0];
      return group.members.filter((name) => name !== from).map((name) => ({
        key: name,
        from: nodes.get(from),
        to: nodes.get(name),
        heard: group.leader !== null && this.model.replica(name)?.state === "alive",
        led: group.leader !== null,
      }));
    });
  }

  #drawLinks(report, { boxes, linked }) {
    const of = (kind) => report.groups.filter((g) => g.kind === kind)
      .map((g) => boxes.get(g.name));
    const [balancer] = of("balancer");
    const [inventory] = of("inventory");
    const paths = linked ? of("shard").flatMap((shard) => [
      curve(balancer, shard), curve(shard, inventory)]) : [];
    while (this.links.children.length > paths.length) this.links.lastChild.remove();
    paths.forEach((d, index) => {
      const path = this.links.children[index] ?? this.links.appendChild(svg("path"));
      setAttribute(path, "d", d);
    });
  }

  /** Let a pulse run from every leader to those that hear it: once a report. */
  #beat(edges) {
    if (this.#beats === this.model.beats) return;
    this.#beats = this.model.beats;
    if (this.#still || document.hidden || this.model.isOld) return;
    for (const { from, to, heard } of edges) {
      if (!heard) continue;
      const dot = svg("circle", { class: "pulse", r: 3 });
      this.pulses.append(dot);
      const { start, end } = shortened(from, to);
      const run = dot.animate([
        { transform: `translate(${start.x}px, ${start.y}px)`, opacity: 0 },
        { opacity: 1, offset: 0.2 },
        { opacity: 1, offset: 0.8 },
        { transform: `translate(${end.x}px, ${end.y}px)`, opacity: 0 },
      ], { duration: BEAT_MS, easing: "ease-in-out" });
      run.onfinish = () => dot.remove();
      run.oncancel = run.onfinish;
    }
  }

  #setStill(still) {
    this.#still = still;
    this.element.classList.toggle("still", still);
    this.pause.setAttribute("aria-pressed", String(still));
    this.pause.replaceChildren(picture(still ? "play" : "pause"),
      still ? "Show motion" : "Pause motion");
    if (still) this.pulses.replaceChildren();
  }
}

class GroupBox {
  constructor() {
    this.frame = svg("rect", { rx: 14 });
    this.name = svg("text", { class: "topo-name", y: 27 });
    this.kind = svg("tspan", { class: "topo-kind", dx: 8 });
    this.label = document.createTextNode("");
    this.name.append(this.label, this.kind);
    this.term = svg("text", { class: "topo-term", "text-anchor": "end", y: 27 });
    this.standing = svg("text", { class: "topo-standing", y: 46 });
    this.element = svg("g", { class: "topo-group" },
      this.frame, this.name, this.term, this.standing);
  }

  update(group) {
    const { box } = group;
    setAttribute(this.element, "transform", `translate(${box.x} ${box.y})`);
    setAttribute(this.element, "class", `topo-group ${group.quorum}${
      group.leader ? "" : " leaderless"}`);
    setAttribute(this.frame, "width", box.width);
    setAttribute(this.frame, "height", box.height);
    setText(this.label, group.name);
    setText(this.kind, group.kind);
    setAttribute(this.name, "x", 16);
    setAttribute(this.term, "x", box.width - 16);
    setText(this.term, group.leader ? `term ${group.term}` : "");
    setAttribute(this.standing, "x", 16);
    const electing = !group.leader && group.quorum !== "lost";
    setText(this.standing, electing ? "no leader: electing one" : standing(group));
  }
}

class Edge {
  constructor() {
    this.element = svg("line", { class: "topo-edge" });
  }

  update({ from, to, heard, led }) {
    const { start, end } = shortened(from, to);
    setAttribute(this.element, "class",
      `topo-edge${heard ? " heard" : ""}${led ? "" : " leaderless"}`);
    setAttribute(this.element, "x1", start.x);
    setAttribute(this.element, "y1", start.y);
    setAttribute(this.element, "x2", end.x);
    setAttribute(this.element, "y2", end.y);
  }
}

class Node {
  #led = null;
  #changedAt = -Infinity;

  constructor(replica, onreplica) {
    this.name = replica.name;
    this.said = svg("text", {});
    this.hit = svg("rect", { class: "node-hit", x: -REACH, y: -REACH - 12, height: 2 * REACH + 24 });
    this.badge = svg("path", {});
    this.badgeBox = svg("g", { class: "node-badge", transform: "translate(17 -17)" },
      svg("circle", { r: 10 }),
      svg("g", { transform: "translate(-6.5 -6.5) scale(.54)" }, this.badge));
    this.element = svg("g", {
      class: "node", tabindex: "0", role: "button", "aria-haspopup": "dialog",
      "aria-expanded": "false", "data-replica": replica.name,
    },
    this.hit,
    svg("circle", { class: "node-focus", r: NODE_RADIUS + 8 }),
    svg("circle", { class: "node-burst", r: NODE_RADIUS }),
    svg("circle", { class: "node-ring", r: NODE_RADIUS + 5 }),
    svg("circle", { class: "node-body", r: NODE_RADIUS }),
    svg("g", { class: "node-crown", transform: `translate(-12 ${-NODE_RADIUS - 25})` },
      svg("path", { d: outline("crown") })),
    svg("text", { class: "node-name", y: 4 }, replica.name),
    this.badgeBox, this.said);
    this.element.addEventListener("click", () => onreplica(this.name, this.element));
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      onreplica(this.name, this.element);
    });
  }

  update({ state, role, group, term, at, isolated, leads, lag, ...rest }) {
    const [icon, , word] = stateLook({ state }, isolated);
    const said = state === "alive" ? (leads ? "leader" : role) : word;
    setAttribute(this.element, "transform", `translate(${at.x} ${at.y})`);
    if (this.#led !== null && this.#led !== leads) this.#changedAt = performance.now();
    const lately = performance.now() - this.#changedAt < CHANGE_SHOWN_MS;
    setAttribute(this.element, "class", `node ${state} ${role}${leads ? " leads" : ""}${
      lately ? (leads ? " crowned" : " fell") : ""}`);
    this.#led = leads;
    this.badgeBox.toggleAttribute("hidden", !icon);
    if (icon) setAttribute(this.badge, "d", outline(icon));
    setText(this.said, said);
    setAttribute(this.hit, "width", at.aside ? 4 * REACH : 2 * REACH);
    setAttribute(this.said, "class", `node-said${at.aside ? " aside" : ""}`);
    setAttribute(this.said, "x", at.aside ? NODE_RADIUS + 13 : 0);
    setAttribute(this.said, "y", at.aside ? 4 : NODE_RADIUS + 19);
    setAttribute(this.element, "aria-label", state === "alive"
      ? `${rest.name}, ${said} of ${group}, alive, term ${term}${
        lag ? `, ${lag} entries behind` : ""}`
      : `${rest.name} of ${group}, ${word}`);
  }
}

function legend() {
  return h("p", { class: "topo-legend faint small" },
    h("span", {}, picture("crown"), "leads"),
    h("span", {}, h("span", { class: "legend-dot" }), "heartbeat"));
}

function curve(from, to) {
  const x1 = from.x + from.width;
  const y1 = from.y + from.height / 2;
  const y2 = to.y + to.height / 2;
  const middle = (x1 + to.x) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${to.x} ${y2}`;
}

/** The part of a line between two replicas that neither of them covers. */
function shortened(from, to) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const x = ((to.x - from.x) / length) * (NODE_RADIUS + 7);
  const y = ((to.y - from.y) / length) * (NODE_RADIUS + 7);
  return { start: { x: from.x + x, y: from.y + y }, end: { x: to.x - x, y: to.y - y } };
}
