// Who is logged in, in this tab and the browser's others.

import { api, ApiError } from "../lib/api.js";
import { onElsewhere, recall, remember } from "../lib/storage.js";
import { pause, Store } from "../lib/store.js";

const ATTEMPTS_MAX = 4;
const RETRY_MS = 700;
const PATIENCE_MS = 1500;
const OPERATOR = "operator";

/**
 * `user` is null where nobody is logged in, and undefined until that is known.
 * `away` says that nobody could say so just now: the name is as last known.
 * `elsewhere` is set by another tab's doing: `[who it was, who it is now or null]`.
 * `expired` is the user whose session has ended under an open page, otherwise null.
 */
export class Session extends Store {
  user = undefined;
  shard = null;
  expired = null;
  away = false;
  elsewhere = null;
  #turn = 0;
  #leaving = false;

  constructor() {
    super();
    // Another tab has logged in or out: the cookie is shared.
    onElsewhere("session", () => this.load());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.load();
    });
  }

  /** Whether it is who runs the shop, and has no cart. */
  get operates() {
    return this.user === OPERATOR;
  }

  /** Ask until there is an answer. */
  async load() {
    const turn = (this.#turn += 1);
    const slow = setTimeout(() => this.#guess(turn), PATIENCE_MS);
    let answer = null;
    for (let wait = RETRY_MS; answer === null; wait = Math.min(2 * wait, 8000)) {
      try {
        answer = await api("GET", "/session");
      } catch (error) {
        if (error.code === "unauthenticated") {
          answer = { user: null };
        } else {
          this.#guess(turn);
          await pause(wait);
        }
      }
      if (turn !== this.#turn) break;
    }
    clearTimeout(slow);
    if (turn !== this.#turn) return;
    this.#turn += 1;
    const before = this.user;
    if (before && before !== answer.user) this.elsewhere = [before, answer.user];
    else if (this.elsewhere?.[0] === answer.user) this.elsewhere = null;
    this.#be(answer);
  }

  /** Where nobody can say who is logged in: be who a minority, or this browser, knows. */
  async #guess(turn) {
    let user = this.user ?? null;
    let shard = this.shard;
    if (user === null) {
      try {
        ({ user, shard = null } = await api("GET", "/session?stale=true"));
      } catch {
        user = recall("user");
      }
    }
    if (turn !== this.#turn || (this.away && this.user === (user ?? undefined))) return;
    if (user !== null && this.user !== user) Object.assign(this, { user, shard });
    this.away = true;
    this.changed();
  }

  /** @throws ApiError */
  async logIn(username, password) {
    const { user } = await api("POST", "/session", { body: { username, password } });
    this.#turn += 1;
    this.elsewhere = null;
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
    this.#leaving = true;
    try {
      await api("DELETE", "/session");
    } catch (error) {
      if (error.code !== "unauthenticated") throw error;
    } finally {
      this.#leaving = false;
    }
    this.#turn += 1;
    this.#be({ user: null });
    remember("session", Date.now());
  }

  /** Some call was answered `unauthenticated`: whoever shows this asks to log in. */
  ended() {
    // Who logs out has ended it: others may hear of that before the answer comes.
    if (this.#leaving) return;
    if (this.user) {
      this.expired = this.user;
      this.user = null;
    }
    if (this.expired !== null) this.changed();
  }

  #be({ user, shard = null }) {
    const same = user === this.user && shard === this.shard && !this.away;
    // Only the name, for when the shop cannot say it: the session is its cookie.
    remember("user", user ?? undefined);
    if (user === this.user && this.away) {
      this.away = false;
      this.changed();
    }
    this.away = false;
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
