// Says, always visibly, how current the page is: live, reconnecting, stale, no majority.

import { announce } from "./announce.js";
import { h, setAttribute, setText } from "./dom.js";
import { clock } from "./format.js";

const LOOKS = {
  connecting: ["pill waiting", () => "Connecting"],
  live: ["pill ok", () => "Live"],
  stale: ["pill warn", (socket) => `Stale since ${clock(socket.since)}`],
  unavailable: ["pill bad", () => "No majority"],
  crowded: ["pill warn", () => "Not live"],
  reconnecting: [
    "pill warn waiting",
    (socket) => (socket.seconds > 0 ? `Reconnecting in ${socket.seconds} s` : "Reconnecting"),
  ],
  offline: ["pill bad", () => "Offline"],
};

/** The pill of a socket. */
export function connectionPill(socket) {
  const element = h("span", { class: "pill", "data-state": "connecting", id: "connection" });
  let said = "live";
  const show = () => {
    const [look, words] = LOOKS[socket.state];
    setAttribute(element, "class", look);
    setAttribute(element, "data-state", socket.state);
    setText(element, words(socket));
    if (socket.state !== said && socket.state !== "connecting") {
      said = socket.state;
      announce(said === "live" ? "Connected, live." : `${words(socket)}.`);
    }
  };
  socket.addEventListener("state", show);
  show();
  return element;
}
