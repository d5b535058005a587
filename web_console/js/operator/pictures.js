// The operator's icons, drawn as those of lib/dom.js, and what the timeline's kinds show.

import { svg } from "../lib/dom.js";

const PATHS = {
  arrow: "M5 12h14M13 6l6 6-6 6",
  back: "M19 12H5M11 6l-6 6 6 6",
  check: "M4.5 12.5 10 18 19.5 7",
  cross: "M6 6l12 12M18 6 6 18",
  crown: "M3.5 8l4.7 4L12 5l3.8 7 4.7-4-2 11h-13z",
  cut: "M9 15l-2.5 2.5a3.5 3.5 0 0 1-5-5L4 10M15 9l2.5-2.5a3.5 3.5 0 0 1 5 5L20 14"
    + "M8 4l1 3M4 8l3 1M16 20l-1-3M20 16l-3-1",
  exit: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  layers: "M12 3 3 8l9 5 9-5-9-5ZM3 12.5l9 5 9-5M3 17l9 5 9-5",
  link: "M9.5 14.5l5-5M8 12l-2.5 2.5a3.5 3.5 0 0 0 5 5L13 17"
    + "M16 12l2.5-2.5a3.5 3.5 0 0 0-5-5L11 7",
  more: "M5 11.5v1M12 11.5v1M19 11.5v1",
  pause: "M8.5 5v14M15.5 5v14",
  play: "M7 4.5v15l12-7.5z",
  question: "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.3-1.5 2.3M12 18.2v.1",
  restart: "M19.5 12a7.5 7.5 0 1 1-2.2-5.3M19.5 3v4.5H15",
  shop: "M4 9.5 5.5 4h13L20 9.5M4 9.5V20h16V9.5M4 9.5h16M9.5 20v-5.5h5V20",
  warning: "M12 3.5 2.5 20h19L12 3.5ZM12 10v4.5M12 17.4v.1",
};

/** An icon; it says nothing to a screen reader. */
export function picture(name) {
  return svg("svg", {
    class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false",
  }, svg("path", { d: PATHS[name] }));
}

/** An icon's path, for a picture that places it itself. */
export function outline(name) {
  return PATHS[name];
}

/** Each kind of a timeline's entry: its icon, its tone and its name in the filter. */
export const KINDS = {
  leader: ["crown", "accent", "Leader"],
  no_leader: ["question", "bad", "No leader"],
  died: ["cross", "bad", "Died"],
  started: ["play", "ok", "Started"],
  paused: ["pause", "warn", "Paused"],
  resumed: ["play", "ok", "Resumed"],
  isolated: ["cut", "warn", "Isolated"],
  healed: ["link", "ok", "Healed"],
  unreachable: ["cut", "bad", "Unreachable"],
  transferred: ["arrow", "accent", "Handed over"],
  recovered: ["check", "ok", "Recovered"],
};

/** A replica's state: its icon (none where it lives), its tone, its word. */
export function stateLook(replica, isolated) {
  return {
    alive: [null, "ok", "alive"],
    dead: ["cross", "bad", "dead"],
    paused: ["pause", "warn", "paused"],
    unreachable: isolated ? ["cut", "warn", "isolated"] : ["cut", "bad", "unreachable"],
  }[replica.state];
}
