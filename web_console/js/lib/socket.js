// One WebSocket to the console: calls, and watches that live on across reconnects.

import { ApiError } from "./api.js";
import { pause } from "./store.js";

const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 15_000;
const SILENCE_MS_MAX = 15_000; // Watches speak every five seconds, and so does our ping.
const PING_MS = 5_000;
const CALL_MS_MAX = 15_000;
const PROBE_MS = 2_000;
const SOCKETS_MAX = 5; // Of one session: more are refused (limits.py).
const COUNTING_MS = 300;
const CROWDED_MS = 5_000;
const PASSING = new Set(["unavailable", "overloaded", "not_leader", "timeout", "internal"]);

/**
 * A connection that comes back by itself.
 *
 * Events: `state`, whenever `state` has changed, and once a second while it counts down:
 *
 * - `connecting`: the first attempt is under way;
 * - `live`: connected, and what is watched is current;
 * - `stale`: connected, but what is watched is as of `since` (a Date): no leader is heard;
 * - `unavailable`: connected, but a watch or (see `doubt`) a call is refused for now: no
 *   majority;
 * - `crowded`: not connected: this browser's other tabs have all that a session may have;
 * - `reconnecting`: not connected since `since`; the next attempt is in `seconds`;
 * - `offline`: as before, and the browser says that there is no network at all.
 */
export class Socket extends EventTarget {
  constructor(path = "/ws") {
    super();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.url = `${scheme}//${location.host}${path}`;
    this.state = "connecting";
    this.since = null;
    this.seconds = 0;
    this.web = null;
    this.nextId = 1;
    this.calls = new Map();
    this.watches = new Set();
    this.running = new Map();
    this.attempts = 0;
    this.retryAt = 0;
    this.heardAt = 0;
    this.doubts = new Set();
    this.crowded = false;
    this.others = 0;
    this.channel = new BroadcastChannel("cartnet.sockets");
    this.channel.onmessage = ({ data }) => {
      if (data === "here") this.others += 1;
      else if (this.open) this.channel.postMessage("here");
    };
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.lost());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retryNow();
    });
    setInterval(() => this.tick(), 1000);
    this.connect();
  }

  get open() {
    return this.web?.readyState === WebSocket.OPEN;
  }

  // --- What others do with it ---------------------------------------------------------

  /**
   * Watch something for as long as the page wants to.
   *
   * @param call such as "watch_inventory"
   * @param argsFn () -> the arguments, asked at every (re)start: resume from here
   * @param onEvent called with each event
   * @param onEnd called with an ApiError when the watch is refused for good (not logged
   *   in, forbidden); it starts again with the next `reopen()`
   * @param aside whether the page says itself how current this is: `state` does not
   * @returns what stops it
   */
  watch(call, argsFn, onEvent, onEnd = () => {}, { aside = false } = {}) {
    const watch = { call, argsFn, onEvent, onEnd, aside, id: null, events: 0, stale: false, held: false, timer: 0, failures: 0 };
    this.watches.add(watch);
    if (this.open) this.start(watch);
    return () => {
      this.watches.delete(watch);
      clearTimeout(watch.timer);
      if (watch.id !== null) {
        this.running.delete(watch.id);
        if (this.open) this.send({ id: this.nextId++, call: "cancel", args: { id: watch.id } });
      }
      this.judge();
    };
  }

  /** Make one call, a write with its key; resolves to its answer. @throws ApiError */
  call(call, args = {}, { key } = {}) {
    return new Promise((resolve, reject) => {
      if (!this.open) {
        reject(new ApiError("unavailable", "Not connected just now."));
        return;
      }
      const id = this.nextId++;
      const timer = setTimeout(() => {
        this.calls.delete(id);
        reject(new ApiError("timeout", "No answer came in time."));
      }, CALL_MS_MAX);
      this.calls.set(id, { resolve, reject, timer });
      this.send({ id, call, args, key });
    });
  }

  /** Connect anew, as somebody else or nobody: after a login or logout. */
  reopen() {
    this.attempts = 0;
    this.crowded = false;
    this.drop();
    this.connect();
  }

  /** Do not wait for the next attempt. */
  retryNow() {
    if (this.crowded || this.open || this.web?.readyState === WebSocket.CONNECTING) return;
    this.attempts = 0;
    this.connect();
  }

  /** `what` was `unavailable`: say so until `probe()`, a promise of the same, succeeds. */
  async doubt(what, probe) {
    if (this.doubts.has(what)) return;
    this.doubts.add(what);
    this.judge();
    for (let refused = true; refused; ) {
      await pause(PROBE_MS);
      try {
        await probe();
        refused = false;
      } catch (error) {
        refused = error.passing === true;
      }
    }
    this.doubts.delete(what);
    this.judge();
  }

  // --- Its life -----------------------------------------------------------------------

  connect() {
    this.retryAt = 0;
    const web = new WebSocket(this.url);
    this.web = web;
    this.heardAt = Date.now();
    let opened = false;
    web.onopen = () => {
      opened = true;
      this.heardAt = Date.now();
      for (const watch of this.watches) this.start(watch);
      this.judge();
    };
    web.onmessage = (event) => {
      this.heardAt = Date.now();
      this.receive(JSON.parse(event.data));
    };
    web.onclose = () => {
      if (this.web !== web) return;
      this.lost();
      if (!opened) this.waitForRoom();
    };
  }

  drop() {
    const web = this.web;
    this.web = null;
    web?.close();
    this.running.clear();
    for (const watch of this.watches) {
      clearTimeout(watch.timer);
      watch.id = null;
    }
    for (const { reject, timer } of this.calls.values()) {
      clearTimeout(timer);
      reject(new ApiError("network", "The connection was lost before the answer came."));
    }
    this.calls.clear();
  }

  lost() {
    this.drop();
    this.attempts += 1;
    // Jittered, so that a server that is back is not met by everyone at once.
    const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.attempts);
    const wait = BACKOFF_MS_MIN + Math.random() * (ceiling - BACKOFF_MS_MIN);
    this.retryAt = Date.now() + wait;
    setTimeout(() => {
      if (this.web === null && this.retryAt && Date.now() >= this.retryAt - 20) this.connect();
    }, wait);
    this.judge();
  }

  /** How many of this browser's other tabs are connected: the session is the same. */
  async countOthers() {
    this.others = 0;
    this.channel.postMessage("who");
    await pause(COUNTING_MS);
    return this.others;
  }

  /** Where the session has all the connections that it may have, do not try until not. */
  async waitForRoom() {
    // A refusal's reason is hidden from scripts: the tabs tell each other.
    while (!this.open && (await this.countOthers()) >= SOCKETS_MAX) {
      this.retryAt = 0;
      this.crowded = true;
      this.judge();
      await pause(CROWDED_MS);
    }
    if (!this.crowded) return;
    this.crowded = false;
    this.retryNow();
  }

  tick() {
    if (this.web !== null && Date.now() - this.heardAt > SILENCE_MS_MAX) {
      this.lost();
    } else if (this.open && Date.now() - this.heardAt > PING_MS) {
      this.call("ping").catch(() => {});
    }
    if (this.web === null) this.judge(true);
  }

  send(message) {
    this.web.send(JSON.stringify(message));
  }

  start(watch) {
    if (watch.id !== null) this.running.delete(watch.id);
    watch.id = this.nextId++;
    watch.events = 0;
    this.running.set(watch.id, watch);
    this.send({ id: watch.id, call: watch.call, args: watch.argsFn() });
  }

  receive({ id, ok, error, event }) {
    const watch = this.running.get(id);
    if (watch !== undefined) {
      if (error) {
        this.refused(watch, error);
      } else if (event) {
        watch.events += 1;
        // The first may be what a minority has: after trouble only the next one proves.
        if (event.stale === true) watch.stale = true;
        else if (watch.events > 1) Object.assign(watch, { stale: false, held: false, failures: 0 });
        watch.onEvent(event);
        this.attempts = 0;
        this.judge();
      }
      return;
    }
    const call = this.calls.get(id);
    if (call === undefined) return;
    this.calls.delete(id);
    clearTimeout(call.timer);
    if (error) {
      call.reject(new ApiError(error.code, error.message, { details: error.details ?? {} }));
    } else {
      call.resolve(ok);
    }
  }

  refused(watch, { code, message, details = {} }) {
    this.running.delete(watch.id);
    watch.id = null;
    if (PASSING.has(code)) {
      watch.held = true;
      watch.failures += 1;
      const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** watch.failures);
      watch.timer = setTimeout(
        () => {
          if (this.open && this.watches.has(watch) && watch.id === null) this.start(watch);
        },
        BACKOFF_MS_MIN + Math.random() * (ceiling - BACKOFF_MS_MIN),
      );
    } else {
      watch.onEnd(new ApiError(code, message, { details }));
    }
    this.judge();
  }

  judge(counting = false) {
    const watches = [...this.watches].filter((watch) => !watch.aside);
    let state = "live";
    if (this.crowded && this.web === null) state = "crowded";
    else if (this.web === null) state = navigator.onLine === false ? "offline" : "reconnecting";
    else if (!this.open) state = this.state === "connecting" ? "connecting" : "reconnecting";
    else if (this.doubts.size > 0 || watches.some((watch) => watch.held)) state = "unavailable";
    else if (watches.some((watch) => watch.stale)) state = "stale";
    this.seconds = this.retryAt ? Math.max(0, Math.ceil((this.retryAt - Date.now()) / 1000)) : 0;
    if (state === this.state && !counting) return;
    if (state === "live" || state === "connecting") this.since = null;
    else this.since ??= new Date();
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
