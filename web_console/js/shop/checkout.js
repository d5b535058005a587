// Placing an order exactly once, whatever becomes of the connection or this page.

import { api, newKey } from "../lib/api.js";
import { recall, remember } from "../lib/storage.js";
import { Store } from "../lib/store.js";

const KEY_MS_MAX = 23 * 3600 * 1000; // The cluster remembers keys for 24 hours.
const ASK_MS_MIN = 1000;
const ASK_MS_MAX = 8000;

/**
 * `state` is
 *
 * - `idle`: nothing is under way;
 * - `sending`: the first answer is awaited;
 * - `waiting`: not done, for want of a majority; it is sent again and again;
 * - `unknown`: it may have been done; it is asked with the same key until that is known;
 * - `refused`: it was not done, because of `error`;
 * - `placed`: it was done: `order`;
 * - `forgotten`: it was begun too long ago for its key to tell.
 *
 * Before anything is sent, `record` = `{key, total, lines, at}` is stored in the browser:
 * a reload, or another tab, goes on with the same key.
 */
export class Checkout extends Store {
  state = "idle";
  record = null;
  error = null;
  order = null;
  attempts = 0;
  asking = false; // whether a sending is under way, which may place the order
  cartThen = new Map(); // the cart's prices by item when the order was refused
  #timer = 0;
  #user = null;

  constructor(session, cart) {
    super();
    this.session = session;
    this.cart = cart;
    session.subscribe(() => this.#follow());
  }

  /** Whether an order is on its way, so that no other one may be begun. */
  get undecided() {
    return ["sending", "waiting", "unknown"].includes(this.state);
  }

  /** Order what is in the cart for `total`; once, however often this is called. */
  confirm(lines, total) {
    if (this.undecided || this.session.user === null) return;
    this.record = recall(this.#name);
    if (this.record === null) {
      this.record = { key: newKey(), total, lines, at: Date.now() };
      remember(this.#name, this.record);
      this.#become("sending");
    } else {
      this.#become("unknown"); // Another tab has begun: this is the same order.
    }
    this.#ask();
  }

  /** Give up waiting: only between two sendings, as each may place the order. */
  giveUp() {
    if (this.state !== "waiting" || this.asking) return;
    clearTimeout(this.#timer);
    this.#forget();
    this.#become("idle");
  }

  /** Leave the result, or the refusal, behind. */
  done() {
    if (this.undecided) return;
    this.error = null;
    this.order = null;
    this.#become("idle");
  }

  /** Ask now instead of later. */
  askNow() {
    if (!this.undecided) return;
    clearTimeout(this.#timer);
    this.#ask();
  }

  get #name() {
    return `checkout.${this.#user}`;
  }

  #follow() {
    const user = this.session.user ?? null;
    if (user === this.#user) return;
    clearTimeout(this.#timer);
    this.#user = user;
    this.order = null;
    this.error = null;
    this.state = "idle";
    this.record = user === null ? null : recall(this.#name);
    if (this.record !== null) {
      if (Date.now() - this.record.at > KEY_MS_MAX) {
        this.#forget();
        this.state = "forgotten";
      } else {
        this.state = "unknown";
        this.#ask();
      }
    }
    this.changed();
  }

  async #ask() {
    if (this.asking) return;
    this.asking = true;
    this.changed();
    const { record } = this;
    const user = this.#user;
    let order = null;
    let error = null;
    try {
      order = await api("POST", "/checkout", {
        body: { expected_total: record.total },
        key: record.key,
      });
    } catch (caught) {
      error = caught;
    }
    this.asking = false;
    if (user !== this.#user || record !== this.record) {
      if (this.undecided) this.#ask();
      return;
    }
    if (order !== null) this.#answered(order);
    else this.#failed(error);
  }

  #answered(order) {
    if (order.status === "pending") {
      this.#later("unknown");
      return;
    }
    this.#forget();
    this.order = order;
    this.#become("placed");
  }

  #failed(error) {
    this.error = error;
    this.cartThen = new Map(this.cart.lines.map((line) => [line.item, line.price]));
    if (error.code === "unauthenticated") {
      this.session.ended(); // The record stays: after the next login it goes on.
    } else if (error.unknown) {
      this.#later("unknown");
    } else if (error.passing || error.code === "rate_limited") {
      // Not done by this sending; but once one may have been, only an answer decides.
      this.#later(this.state === "unknown" ? "unknown" : "waiting", error.retryAfter);
    } else {
      this.#forget();
      this.#become("refused");
    }
  }

  #later(state, seconds = null) {
    this.attempts += 1;
    const wait = Math.min(ASK_MS_MAX, ASK_MS_MIN * 2 ** (this.attempts - 1));
    this.#timer = setTimeout(() => this.#ask(), Math.max(wait, 1000 * (seconds ?? 0)));
    this.#become(state);
  }

  #forget() {
    if (this.#user !== null) remember(this.#name, undefined);
    this.record = null;
    this.attempts = 0;
  }

  #become(state) {
    this.state = state;
    this.changed();
  }
}
