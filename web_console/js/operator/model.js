// What this page knows of the cluster: the newest report, the timeline, 15 minutes past.

export const HISTORY_SECONDS = 15 * 60;
const TIMELINE_MAX = 2000;
const FRESH_SECONDS = 3;
const STOCK_FRESH_SECONDS = 12; // Its watch speaks every five.

/** Points in time, oldest first, none older than the history. */
class Past {
  points = [];

  /** Append; a second point within the same second replaces the first. */
  put(at, value) {
    const last = this.points.at(-1);
    if (last && Math.floor(last.at) === Math.floor(at)) this.points.pop();
    this.points.push({ at, value });
    const oldest = at - HISTORY_SECONDS - 5;
    let old = 0;
    // The last one that is too old says what a step began with.
    while (old + 1 < this.points.length && this.points[old + 1].at < oldest) old += 1;
    if (old) this.points.splice(0, old);
  }
}

/** The page's memory. `changed` is called, at most once a frame, after any change. */
export class Model {
  report = null;
  timeline = [];
  items = new Map();
  inventory = { revision: null, stale: false, received: false, currentAt: null };
  samples = new Map();
  stock = new Map();
  reportAt = 0;
  beats = 0;
  #timelineIsFresh = false;
  #listeners = new Set();
  #frame = 0;

  /** Call `listener(model)` after changes; returns how to stop. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next report's timeline is complete: it replaces what is here. */
  expectWhole() {
    this.#timelineIsFresh = true;
  }

  takeReport(report) {
    if (this.#timelineIsFresh) this.timeline = [];
    this.#timelineIsFresh = false;
    this.#takeEntries(report.timeline);
    this.report = report;
    this.reportAt = performance.now();
    this.beats += 1;
    const { at, load } = report;
    this.#sample("requests", at, load.requests_per_second);
    this.#sample("errors", at, load.errors_per_second);
    this.#sample("p50", at, load.p50_ms);
    this.#sample("p99", at, load.p99_ms);
    for (const group of report.groups) {
      this.#sample(`writes ${group.name}`, at, group.writes_per_second);
      this.#sample(`lag ${group.name}`, at, worstLag(report, group.name));
    }
    for (const replica of report.replicas) {
      this.#sample(`lag ${replica.name}`, at, replica.lag);
    }
    if (!this.stock.size) this.#noteStock();
    this.#schedule();
  }

  takeInventory(event) {
    if (event.full) this.items.clear();
    for (const id of event.removed ?? []) this.items.delete(id);
    for (const item of event.items) this.items.set(item.id, item);
    const stale = Boolean(event.stale);
    this.inventory = {
      revision: event.revision, stale, received: true,
      currentAt: stale ? this.inventory.currentAt : new Date(),
    };
    this.#noteStock();
    this.#schedule();
  }

  /** The points of a sample such as "p99" or "lag s1r0". */
  past(name) {
    return this.samples.get(name)?.points ?? [];
  }

  /** The points of an item's stock, or, for "", of all of it. */
  stockOf(item) {
    return this.stock.get(item)?.points ?? [];
  }

  group(name) {
    return this.report?.groups.find((group) => group.name === name) ?? null;
  }

  replica(name) {
    return this.report?.replicas.find((replica) => replica.name === name) ?? null;
  }

  /** Whether the newest report is too old to be called the present. */
  get isOld() {
    return performance.now() - this.reportAt > FRESH_SECONDS * 1000;
  }

  /** Whether the stock is older than the rest of the page. */
  get stockIsOld() {
    const { received, stale, currentAt } = this.inventory;
    return received && (stale || Date.now() - currentAt > STOCK_FRESH_SECONDS * 1000);
  }

  /** Whether somebody cut this replica off on purpose: a report says unreachable. */
  isIsolated(name) {
    const last = this.timeline.findLast((entry) => entry.replica === name
      && ["isolated", "healed", "recovered", "died", "started"].includes(entry.kind));
    return last?.kind === "isolated";
  }

  touch() {
    this.#schedule();
  }

  #sample(name, at, value) {
    if (!this.samples.has(name)) this.samples.set(name, new Past());
    this.samples.get(name).put(at, value);
  }

  /** Add what is new; an entry that comes again is known better than before. */
  #takeEntries(entries) {
    if (!entries.length) return;
    const known = new Map(this.timeline.map((entry) => [entry.id, entry]));
    for (const entry of entries) known.set(entry.id, entry);
    this.timeline = [...known.values()].slice(-TIMELINE_MAX);
  }

  /** Stock is dated by the server's clock, so only once a report has told it. */
  #noteStock() {
    if (!this.report || !this.inventory.received) return;
    const at = this.report.at + (performance.now() - this.reportAt) / 1000;
    let total = 0;
    for (const { id, stock } of this.items.values()) {
      total += stock;
      this.#noteItem(id, at, stock);
    }
    for (const id of this.stock.keys()) {
      if (id !== "" && !this.items.has(id)) this.#noteItem(id, at, null);
    }
    this.#noteItem("", at, total);
  }

  #noteItem(id, at, stock) {
    if (!this.stock.has(id)) this.stock.set(id, new Past());
    const past = this.stock.get(id);
    if (past.points.at(-1)?.value !== stock) past.put(at, stock);
  }

  #schedule() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      for (const listener of this.#listeners) listener(this);
    });
  }
}

function worstLag(report, group) {
  const lags = report.replicas
    .filter((replica) => replica.group === group && replica.lag !== null)
    .map((replica) => replica.lag);
  return lags.length ? Math.max(...lags) : null;
}
