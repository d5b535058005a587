// Every replica in a table that sorts by any column.

import { KeyedList, fill, h, setAttribute, setText } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { bytes, duration } from "./numbers.js";
import { picture, stateLook } from "./pictures.js";

const known = (write) => (replica) => (
  replica.state === "alive" ? write(replica) : "–");

/** The columns: heading, what they sort by, what they say, whether they are numbers. */
const COLUMNS = [
  ["Replica", (r) => r.name, null],
  ["State", (r) => r.state, null],
  ["Role", (r) => r.role, null],
  ["Term", (r) => r.term, known((r) => integer(r.term))],
  ["Commit", (r) => r.commit, known((r) => integer(r.commit))],
  ["Applied", (r) => r.applied, known((r) => integer(r.applied))],
  ["Lag", (r) => r.lag ?? -1, known((r) => integer(r.lag))],
  ["Queue", (r) => r.queue_depth, known((r) => integer(r.queue_depth))],
  ["Clients", (r) => r.connections, known((r) => integer(r.connections))],
  ["Database", (r) => r.database_bytes, known((r) => bytes(r.database_bytes))],
  ["Digest", (r) => r.digest ?? "", null],
  ["Runs for", (r) => r.uptime_seconds ?? -1, known((r) => duration(r.uptime_seconds))],
];

/** The view; `menu` opens a replica's commands. */
export class Replicas {
  title = "Replicas";
  #sorted = 0;
  #descending = false;

  constructor(model, menu) {
    this.model = model;
    this.heads = COLUMNS.map(([label, , number], index) => h("th", {
      scope: "col", class: number ? "num" : null,
    }, h("button", {
      type: "button", class: "sort", onclick: () => this.#sort(index),
    }, label, h("span", { class: "sort-mark", "aria-hidden": "true" }))));
    const body = h("tbody");
    this.rows = new KeyedList(body, (r) => r.name, (r) => new Row(r, menu));
    this.group = h("select", {
      class: "select", id: "replica-group", onchange: () => this.draw(),
    }, h("option", { value: "" }, "All groups"));
    this.element = h("div", { class: "stack" },
      h("div", { class: "row between" },
        h("p", { class: "muted small" }, "Choose a heading to sort by it."),
        h("div", { class: "row-s" },
          h("label", { for: "replica-group", class: "label" }, "Group"), this.group)),
      h("div", {
        class: "card table-wrap", tabindex: "0", role: "region", "aria-label": "Replicas",
      }, h("table", { class: "table replicas" },
        h("caption", { class: "visually-hidden" }, "Replicas and how they stand"),
        h("thead", {}, h("tr", {}, this.heads,
          h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Actions")))),
        body)));
  }

  draw() {
    const { report } = this.model;
    if (!report) return;
    if (this.group.options.length !== report.groups.length + 1) {
      this.group.append(...report.groups.map(({ name }) => (
        h("option", { value: name }, name))));
    }
    const [, value] = COLUMNS[this.#sorted];
    const sign = this.#descending ? -1 : 1;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      const by = typeof x === "number" ? x - y : x.localeCompare(y);
      return sign * by || a.name.localeCompare(b.name);
    };
    const shown = report.replicas
      .filter((replica) => !this.group.value || replica.group === this.group.value)
      .map((replica) => ({
        ...replica,
        isolated: this.model.isIsolated(replica.name),
        leads: this.model.group(replica.group)?.leader === replica.name,
      }));
    // By group in the configuration's order, until somebody sorts.
    this.rows.show(this.#sorted === 0 && !this.#descending ? shown : shown.sort(order));
    this.heads.forEach((head, index) => {
      const on = index === this.#sorted;
      setAttribute(head, "aria-sort", on
        && (this.#descending ? "descending" : "ascending"));
      setText(head.querySelector(".sort-mark"), on ? (this.#descending ? "↓" : "↑") : "");
    });
  }

  #sort(index) {
    this.#descending = index === this.#sorted && !this.#descending;
    this.#sorted = index;
    this.draw();
  }
}

class Row {
  #state = null;

  constructor({ name, group }, menu) {
    this.role = h("span", {});
    this.badge = h("span", {});
    this.digest = h("td", { class: "mono" });
    this.numbers = COLUMNS.map(([, , write]) => write && h("td", { class: "num" }));
    const more = h("button", {
      type: "button", class: "button small icon-only quiet", "aria-haspopup": "dialog",
      "aria-expanded": "false", "aria-label": `Actions for ${name}`,
      onclick: (event) => menu.open(name, event.currentTarget),
    }, picture("more"));
    const others = {
      Replica: h("th", { scope: "row" },
        h("a", { class: "mono", href: `#replicas/${encodeURIComponent(name)}` }, name),
        " ", h("span", { class: "faint small" }, group)),
      State: h("td", {}, this.badge),
      Role: h("td", {}, this.role),
      Digest: this.digest,
    };
    this.element = h("tr", { "data-replica": name },
      COLUMNS.map(([label], index) => this.numbers[index] ?? others[label]),
      h("td", { class: "num" }, more));
  }

  update(replica) {
    const look = stateLook(replica, replica.isolated);
    if (this.#state !== look[2]) {
      this.#state = look[2];
      showState(this.badge, look);
    }
    const role = replica.leads ? "leader" : replica.role;
    if (this.role.dataset.role !== role) {
      this.role.dataset.role = role;
      fill(this.role, role === "leader" ? picture("crown") : null,
        role === "-" ? "–" : role);
      this.role.className = `role ${role}`;
    }
    COLUMNS.forEach(([, , write], index) => {
      if (write) setText(this.numbers[index], write(replica));
    });
    setText(this.digest, replica.digest ? String(replica.digest).slice(0, 8) : "–");
    setAttribute(this.digest, "title", replica.digest
      && `of its tables after entry ${replica.digest_index}`);
    setAttribute(this.element, "class", replica.state === "alive" ? null : "gone");
  }
}

/** Make a badge of a replica's state: icon, colour and word. */
export function showState(badge, [icon, tone, word]) {
  badge.className = `badge ${tone}${icon ? "" : " dot"}`;
  fill(badge, icon ? picture(icon) : null, word);
}
