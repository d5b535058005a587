// Who is logged in, in this tab and the browser's others.

import { api, ApiError } from "../lib/api.js";
import { onElsewhere, remember } from "../lib/storage.js";
import { pause, Store } from "../lib/store.js";

const ATTEMPTS_MAX = 4;
const RETRY_MS = 700;

/**
 * `user` is null where nobody is logged in, and undefined until that is known.
 * `expired` is the user whose session has ended under an open page, otherwise null.
 */
export class Session extends Store {
  user = undefined;
  shard = null;
  expired = null;

  constructor() {
    super();
    // Another tab has logged in or out: the cookie is shared.
    onElsewhere("session", () => this.load());
  }

  /** Ask until there is an answer. */
  async load() {
    for (let wait = RETRY_MS; ; wait = Math.min(2 * wait, 8000)) {
      try {
        this.#be(await api("GET", "/session"));
        return;
      } catch (error) {
        if (error.code === "unauthenticated") {
          this.#be({ user: null });
          return;
        }
      }
      await pause(wait);
    }
  }

  /** @throws ApiError */
  async logIn(username, password) {
    const { user } = await api("POST", "/session", { body: { username, password } });
    this.#be({ user });
    remember("session", Date.now());
    this.load();
  }

  /** Make an account, and log in. The same `key` never makes two. @throws ApiError */
  async register(username, password, key) {
    await insisting(() => api("POST", "/accounts", { body: { username, password }, key }));
    await this.logIn(username, password);
  }

  async logOut() {
    try {
      await api("DELETE", "/session");
    } catch (error) {
      if (error.code !== "unauthenticated") throw error;
    }
    this.#be({ user: null });
    remember("session", Date.now());
  }

  /** Some call was answered `unauthenticated`: whoever shows this asks to log in. */
  ended() {
    if (this.user) {
      this.expired = this.user;
      this.user = null;
    }
    if (this.expired !== null) this.changed();
  }

  #be({ user, shard = null }) {
    const same = user === this.user && shard === this.shard;
    if (user !== null && user === this.user && shard === null) return;
    this.user = user;
    this.shard = shard;
    if (user !== null) this.expired = null;
    if (!same) this.changed();
  }
}

/**
 * Do a write until its outcome is known, or `ATTEMPTS_MAX` times. It must carry a key:
 * then repeating it is safe.
 *
 * @throws ApiError the last one
 */
export async function insisting(write) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof ApiError) || !error.passing || attempt === ATTEMPTS_MAX) throw error;
      await pause(RETRY_MS * attempt);
    }
  }
}
