// The items for sale, live.

import { api } from "../lib/api.js";
import { Store } from "../lib/store.js";

const PATIENCE_MS = 4000;

/**
 * `items` by id; `loaded` once they have been heard of; `error` where they were not.
 * `listing` grows whenever more than a stock has changed.
 */
export class Inventory extends Store {
  items = new Map();
  revision = null;
  listing = 0;
  loaded = false;
  error = null;

  constructor(socket) {
    super();
    this.socket = socket;
    socket.watch(
      "watch_inventory",
      () => (this.revision === null ? {} : { from_revision: this.revision }),
      (event) => this.#take(event),
      (error) => this.#failed(error),
    );
    setTimeout(() => this.retry(), PATIENCE_MS);
  }

  /** Ask over HTTP, even without a majority, where the socket brings nothing. */
  async retry() {
    if (this.loaded) return;
    this.socket.retryNow();
    try {
      const answer = await api("GET", "/inventory?stale=true");
      // The watch starts from nothing all the same: this may be older than it says.
      if (!this.loaded) this.#show(answer.items, true);
    } catch (error) {
      if (!this.loaded) this.#failed(error);
    }
  }

  #take({ revision, full, items, removed }) {
    const news = full || items.length > 0 || removed.length > 0 || !this.loaded;
    this.revision = revision;
    if (!news) return;
    for (const id of removed) this.items.delete(id);
    if (removed.length > 0) this.listing += 1;
    this.#show(items, full);
  }

  #show(items, full) {
    if (full) this.items = new Map();
    for (const item of items) {
      const before = this.items.get(item.id);
      if (before?.name !== item.name || before.price !== item.price) this.listing += 1;
      this.items.set(item.id, item);
    }
    this.loaded = true;
    this.error = null;
    this.changed();
  }

  #failed(error) {
    this.error = error;
    this.changed();
  }
}
