// Who looks at this page: the operator, a shopper, nobody; and how to become the first.

import { ApiError, api } from "../lib/api.js";
import { h, setText } from "../lib/dom.js";
import { remember } from "../lib/storage.js";
import { picture } from "./pictures.js";

export const OPERATOR = "operator";

/** The user of this browser's session, or null; undefined where nobody can tell now. */
export async function whoAmI() {
  try {
    return (await api("GET", "/session")).user;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.code === "unauthenticated" ? null : undefined;
  }
}

/** End this browser's session; its other tabs hear of it. */
export async function logOut() {
  try {
    await api("DELETE", "/session");
  } catch (error) {
    if (error.code !== "unauthenticated") throw error;
  }
  remember("session", Date.now());
}

/** The form to log in with; `onlogin()` when that has been done. */
export function loginView(onlogin, ended = false) {
  const password = h("input", {
    class: "input", id: "password", name: "password", type: "password",
    autocomplete: "current-password", required: true, "aria-describedby": "login-error",
  });
  const problem = h("p", { class: "field-error", id: "login-error", role: "alert" });
  const button = h("button", { type: "submit", class: "button primary large block" },
    "Log in");
  let busy = false;
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setText(problem, password.value ? "" : "Type the operator's password.");
    if (!password.value) {
      password.focus();
      return;
    }
    busy = true;
    button.setAttribute("aria-busy", "true");
    try {
      await api("POST", "/session", {
        body: { username: OPERATOR, password: password.value },
      });
      remember("session", Date.now());
      onlogin();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(problem, said(error));
      password.focus();
      password.select();
    } finally {
      busy = false;
      button.removeAttribute("aria-busy");
    }
  };
  const form = h("form", { class: "stack", method: "post", novalidate: true, onsubmit: submit },
    h("div", { class: "field" },
      h("label", { for: "username" }, "Account"),
      h("input", {
        class: "input", id: "username", name: "username", value: OPERATOR,
        autocomplete: "username", readonly: true,
      })),
    h("div", { class: "field" }, h("label", { for: "password" }, "Password"), password),
    problem, button);
  const element = h("div", { class: "gate" },
    h("div", { class: "card card-pad stack" },
      h("div", { class: "gate-mark" }, picture("layers")),
      h("h2", {}, "Log in as the operator"),
      ended ? h("p", { class: "notice warn" }, "The session has ended. Log in to go on.")
        : null,
      form,
      h("p", { class: "hint" }, "The first password is in the file ",
        h("code", {}, "operator-password"), " in the cluster's data folder.")),
    h("p", { class: "small" }, h("a", { href: "/" }, "To the shop")));
  return { element, focus: () => password.focus() };
}

/** What a shopper sees here. */
export function notYoursView(user, onlogout) {
  const problem = h("p", { class: "field-error", role: "alert" });
  return h("div", { class: "gate" },
    h("div", { class: "card card-pad stack" },
      h("div", { class: "gate-mark" }, picture("layers")),
      h("h2", {}, "This page is the operator's"),
      h("p", { class: "muted wrap-anywhere" }, "You are logged in as ",
        h("strong", {}, user ?? "a shopper"),
        ", who has a cart but cannot look into the cluster."),
      h("a", { class: "button primary large block", href: "/" }, "Back to the shop"),
      h("button", {
        type: "button", class: "button large block",
        onclick: async () => {
          try {
            await logOut();
            onlogout();
          } catch (error) {
            setText(problem, said(error));
          }
        },
      }, "Log out, then log in as the operator"), problem,
      h("p", { class: "hint" }, "The pages of one browser share one login. To shop and"
        + " operate side by side, open this page in a private window", secondDoor(), ".")));
}

/** On this machine the console has two names, and a browser keeps a login for each. */
function secondDoor() {
  const other = { "127.0.0.1": "localhost", localhost: "127.0.0.1" }[location.hostname];
  if (!other) return null;
  const door = new URL("/operator", location.href);
  door.hostname = other;
  return [", or as ", h("a", { href: door.href, target: "_blank", rel: "noopener" },
    door.href), ", which has a login of its own"];
}

function said(error) {
  if (error.code === "unauthenticated") return "This is not the operator's password.";
  if (error.code === "rate_limited") {
    const wait = error.retryAfter ? ` Try again in ${Math.ceil(error.retryAfter)} s.` : "";
    return `Too many attempts.${wait}`;
  }
  if (error.code === "unavailable") {
    return "The inventory group, which knows the operator, has no leader just now.";
  }
  return error.message;
}
