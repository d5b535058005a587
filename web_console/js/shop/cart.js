// The cart: as the cluster has it, and what is on its way there, line by line.

import { api, newKey } from "../lib/api.js";
import { recall, remember } from "../lib/storage.js";
import { pause, Store } from "../lib/store.js";
import { insisting } from "./session.js";

const PATIENCE_MS = 4000;

/**
 * What is under way for one line. Of quantities set one after another only the newest is
 * sent; what is added adds up. One call at a time, so that the last one wins.
 */
class Change {
  wanted = null; // the quantity to set, or null
  adding = 0; // what is still to be added
  sent = 0; // what is being added just now
  base = 0; // the quantity before that
  running = false;
  failed = null; // { error, retry }

  get idle() {
    return !this.running && this.failed === null;
  }
}

/**
 * `lines` are the server's; `shown()` has the changes under way in them. `total` is null
 * until the cart is `loaded`; `asOf` is the Date of what a minority has, otherwise null;
 * `pending` is the order that holds it, or null.
 */
export class Cart extends Store {
  lines = [];
  total = 0;
  pending = null;
  loaded = false;
  error = null;
  asOf = null;
  version = -1;
  #changes = new Map();
  #user = undefined; // whose cart is watched; null: nobody is logged in
  #owner = null; // whose lines are shown: an expired session's still are
  #stop = () => {};
  #seen = {};

  constructor(socket, session, inventory) {
    super();
    this.socket = socket;
    this.session = session;
    this.inventory = inventory;
    session.subscribe(() => this.#follow());
    inventory.subscribe(() => this.changed());
  }

  // --- Looking ------------------------------------------------------------------------

  /** Whether every change has arrived: totals and checkout wait for that. */
  get settled() {
    return [...this.#changes.values()].every((change) => !change.running);
  }

  /** What the lines will cost, as far as their prices are known. */
  get sum() {
    if (this.settled) return this.total;
    return this.shown().reduce((sum, line) => sum + (line.price ?? 0) * line.quantity, 0);
  }

  get count() {
    return this.shown().reduce((sum, line) => sum + line.quantity, 0);
  }

  /**
   * The lines as they will be: each `{item, name, price, quantity, busy, failed, stock,
   * was}`; `stock` is null where nothing is known, 0 for what is not sold any more; `was`
   * is the price that was last seen and accepted, where it is another one, else null.
   */
  shown() {
    const lines = this.lines.map((line) => this.#shown(line));
    for (const [item, change] of this.#changes) {
      if (this.#line(item) !== undefined || change.adding + change.sent === 0) continue;
      const { name, price } = this.inventory.items.get(item) ?? { name: item, price: null };
      lines.push(this.#shown({ item, name, price, quantity: 0 }));
    }
    return lines;
  }

  quantity(item) {
    return this.shown().find((line) => line.item === item)?.quantity ?? 0;
  }

  change(item) {
    return this.#changes.get(item);
  }

  #line(item) {
    return this.lines.find((line) => line.item === item);
  }

  #shown(line) {
    const change = this.#changes.get(line.item);
    let { quantity } = line;
    if (change) {
      // The watch may bring what was added before the answer does: count it once.
      const reached = change.sent > 0 ? Math.max(quantity, change.base + change.sent) : quantity;
      quantity = (change.wanted ?? reached) + change.adding;
    }
    const known = this.inventory.loaded;
    const seen = this.#seen[line.item];
    return {
      ...line,
      quantity,
      busy: change?.running ?? false,
      failed: change?.failed ?? null,
      stock: known ? (this.inventory.items.get(line.item)?.stock ?? 0) : null,
      sold: !known || this.inventory.items.has(line.item),
      was: seen !== undefined && line.price !== null && seen !== line.price ? seen : null,
    };
  }

  // --- Changing -----------------------------------------------------------------------

  /** Add so many; resolves to whether it worked. */
  add(item, quantity) {
    const change = this.#begin(item);
    change.adding += quantity;
    return this.#run(item, change);
  }

  /** Have exactly so many; 0 removes the line. */
  set(item, quantity) {
    const change = this.#begin(item);
    change.wanted = quantity;
    return this.#run(item, change);
  }

  remove(item) {
    return this.set(item, 0);
  }

  /** Forget a failure. */
  dismiss(item) {
    this.#changes.delete(item);
    this.changed();
  }

  /** The line's new price is all right. */
  accept(item) {
    const line = this.#line(item);
    if (line) this.#seen[item] = line.price;
    this.#keepSeen();
    this.changed();
  }

  acceptAll() {
    for (const line of this.lines) this.accept(line.item);
  }

  /** Load it over HTTP: for a retry. */
  async load() {
    this.socket.retryNow();
    const user = this.session.user;
    try {
      const cart = await api("GET", "/cart");
      if (user === this.session.user) this.take(cart);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Where nothing has come yet: what a minority has, marked, until the truth comes. */
  async #insist(user) {
    await pause(PATIENCE_MS);
    while (user === this.#user && (!this.loaded || this.asOf !== null)) {
      try {
        const cart = await api("GET", "/cart?stale=true");
        if (user === this.#user && (!this.loaded || this.asOf !== null)) this.take(cart);
      } catch (error) {
        if (user === this.#user && !this.loaded) this.#failed(error);
        if (!error.passing) return;
      }
      await pause(PATIENCE_MS);
    }
  }

  /** Be the cart that an answer or an event has brought, unless a newer one is known. */
  take(cart) {
    if (cart.version < this.version) return;
    this.asOf = cart.stale ? new Date() : null;
    this.version = cart.version;
    this.lines = cart.items;
    this.total = cart.total;
    this.pending = cart.pending;
    this.loaded = true;
    this.error = null;
    this.#see();
    this.changed();
  }

  #begin(item) {
    let change = this.#changes.get(item);
    if (change === undefined || change.failed) {
      change = new Change();
      this.#changes.set(item, change);
    }
    return change;
  }

  async #run(item, change) {
    this.changed();
    if (change.running) return true;
    change.running = true;
    // One that is in the map no more was another user's: this one's cart gets no rest.
    while (this.#changes.get(item) === change && (change.adding > 0 || change.wanted !== null)) {
      const send = change.wanted === null ? this.#adding(item, change) : this.#setting(item, change);
      // One key for every attempt of this write: it has one effect.
      const key = newKey();
      const attempt = () => insisting(() => send.call(key));
      if (!(await this.#attempt(item, change, attempt, send.done))) return false;
    }
    if (this.#changes.get(item) === change) this.#changes.delete(item);
    this.changed();
    return true;
  }

  #adding(item, change) {
    const quantity = change.adding;
    change.base = this.#line(item)?.quantity ?? 0;
    change.sent = quantity;
    change.adding = 0;
    return {
      call: (key) => api("POST", "/cart/items", { body: { item, quantity }, key }),
      done: () => {
        change.sent = 0;
      },
    };
  }

  #setting(item, change) {
    const quantity = change.wanted;
    const path = `/cart/items/${encodeURIComponent(item)}`;
    return {
      call: (key) =>
        quantity === 0
          ? api("DELETE", path, { key })
          : api("PUT", path, { body: { quantity }, key }),
      done: () => {
        if (change.wanted === quantity) change.wanted = null;
      },
    };
  }

  async #attempt(item, change, attempt, done) {
    change.running = true;
    change.failed = null;
    this.changed();
    const user = this.#user;
    try {
      const cart = await attempt();
      done();
      if (user === this.#user) this.take(cart);
      return true;
    } catch (error) {
      if (user === this.#user && error.code === "unauthenticated") this.session.ended();
      done();
      // What was to come after it is given up, too: the person decides anew.
      change.wanted = null;
      change.adding = 0;
      change.running = false;
      change.failed = {
        error,
        retry: async () => {
          if (change.running || !(await this.#attempt(item, change, attempt, done))) return;
          change.running = false;
          await this.#run(item, change); // What was asked for meanwhile is still to be sent.
        },
      };
      this.changed();
      return false;
    }
  }

  // --- Whose it is --------------------------------------------------------------------

  #follow() {
    const user = this.session.user ?? null;
    if (user === this.#user) return;
    // The socket speaks for the session at its handshake: the first one does already.
    const reconnect = this.#user !== undefined;
    // An expired session's cart stays in sight until its user is back.
    const same = this.session.expired !== null || user === this.#owner;
    this.#stop();
    this.#stop = () => {};
    this.#user = user;
    if (!same) this.#clear();
    if (reconnect) this.socket.reopen();
    // Whoever runs the shop has no cart: asking for it would be forbidden.
    if (user !== null && !this.session.operates) this.#watch(user);
    this.changed();
  }

  #watch(user) {
    this.#owner = user;
    this.#seen = recall(`seen.${user}`, {});
    this.#stop = this.socket.watch(
      "watch_cart",
      () => ({}),
      (event) => {
        if (event.items) this.take(event);
      },
      (error) => this.#failed(error),
    );
    this.#insist(user);
  }

  #clear() {
    this.#owner = null;
    this.lines = [];
    this.total = 0;
    this.pending = null;
    this.loaded = false;
    this.error = null;
    this.asOf = null;
    this.version = -1;
    this.#changes.clear();
    this.#seen = {};
  }

  #failed(error) {
    if (error.code === "unauthenticated") this.session.ended();
    else this.error = error;
    this.changed();
  }

  // --- Prices that were seen ----------------------------------------------------------

  #see() {
    const seen = {};
    for (const { item, price } of this.lines) {
      const before = this.#seen[item];
      if (before !== undefined || price !== null) seen[item] = before ?? price;
    }
    this.#seen = seen;
    this.#keepSeen();
  }

  #keepSeen() {
    if (this.#user) remember(`seen.${this.#user}`, this.#seen);
  }
}
