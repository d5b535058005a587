// Logging in, making an account, and what there is to know of one's own.

import { newKey } from "../lib/api.js";
import { fill, h, icon, setAttribute } from "../lib/dom.js";
import { openDialog } from "../lib/dialog.js";
import { recall, remember } from "../lib/storage.js";
import { toast } from "../lib/toast.js";
import { heading, linkButton, unreachable } from "./parts.js";
import { go, route } from "./router.js";

const USERNAME = /^[A-Za-z0-9._-]{1,64}$/;
const PASSWORD_MIN = 8;
const PASSWORD_MAX = 128;

/**
 * A form with a username and a password.
 *
 * @param id begins the ids of its fields
 * @param fresh whether the password is a new one
 * @param submit (username, password, key) -> a promise; the key stays the same as long
 *   as nothing else is typed
 */
function credentialsForm({ id, fresh, label, submit }) {
  let key = newKey();
  let busy = false;
  const summary = h("div", { tabindex: "-1", class: "summary" });
  const username = field(`${id}-username`, "Username", {
    type: "text",
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    autocorrect: "off",
    spellcheck: "false",
    maxlength: 64,
    required: true,
  }, fresh ? "Letters a to z, digits, and . _ -" : null);
  const password = field(`${id}-password`, "Password", {
    type: "password",
    name: "password",
    autocomplete: fresh ? "new-password" : "current-password",
    maxlength: PASSWORD_MAX,
    required: true,
  }, fresh ? `At least ${PASSWORD_MIN} characters` : null);
  const show = h(
    "button",
    {
      type: "button",
      class: "button quiet small icon-only reveal",
      "aria-label": "Show the password",
      "aria-pressed": "false",
      onclick: () => {
        const shown = password.input.type === "text";
        password.input.type = shown ? "password" : "text";
        show.ariaPressed = String(!shown);
      },
    },
    icon("eye"),
  );
  password.box.append(show);
  const button = h("button", { type: "submit", class: "button primary large block" }, label);
  const form = h(
    "form",
    {
      class: "stack",
      novalidate: true,
      method: "post",
      oninput: () => {
        key = newKey();
      },
      onsubmit: async (event) => {
        event.preventDefault();
        if (busy || !check()) return;
        busy = true;
        setAttribute(button, "aria-busy", "true");
        try {
          await submit(username.input.value.trim(), password.input.value, key);
          password.input.value = "";
          fill(summary);
        } catch (error) {
          complain(problems(error));
        } finally {
          busy = false;
          setAttribute(button, "aria-busy", null);
        }
      },
    },
    summary,
    username.element,
    password.element,
    button,
  );

  function check() {
    const found = [];
    const name = username.input.value.trim();
    if (name === "") found.push([username, "Enter a username."]);
    else if (!USERNAME.test(name)) found.push([username, "A username has 1 to 64 characters of a-z 0-9 . _ -"]);
    const { length } = password.input.value;
    if (length === 0) found.push([password, "Enter a password."]);
    else if (fresh && length < PASSWORD_MIN) found.push([password, `A password has at least ${PASSWORD_MIN} characters; this one has ${length}.`]);
    complain(found);
    return found.length === 0;
  }

  function problems(error) {
    if (error.code === "username_taken") return [[username, "That username is taken. Choose another one."]];
    if (error.code === "unauthenticated") return [[null, "The username or the password is wrong."]];
    if (error.code === "rate_limited") {
      return [[null, `Too many attempts. Try again in ${Math.ceil(error.retryAfter ?? 1)} s.`]];
    }
    if (error.code === "bad_request") return [[null, error.message]];
    const id = error.requestId ? ` (request ${error.requestId})` : "";
    return [[null, `${error.message}${id} Nothing you typed is lost: try again.`]];
  }

  function complain(found) {
    for (const each of [username, password]) {
      each.say(found.find(([one]) => one === each)?.[1] ?? "");
    }
    if (found.length === 0) {
      fill(summary);
      return;
    }
    fill(
      summary,
      h(
        "div",
        { class: "notice bad", role: "alert" },
        icon("alert"),
        h(
          "div",
          { class: "stack-s" },
          h("p", { class: "title" }, fresh ? "The account was not made" : "You are not logged in"),
          h(
            "ul",
            {},
            found.map(([one, text]) =>
              h(
                "li",
                {},
                one === null
                  ? text
                  : h(
                      "a",
                      {
                        href: `#${one.input.id}`,
                        onclick: (event) => {
                          event.preventDefault(); // The hash is the route.
                          one.input.focus();
                        },
                      },
                      text,
                    ),
              ),
            ),
          ),
        ),
      ),
    );
    summary.focus();
  }

  return { form, username: username.input, password: password.input };
}

function field(id, label, attributes, hint) {
  const error = h("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const described = hint === null ? `${id}-error` : `${id}-hint ${id}-error`;
  const input = h("input", { class: "input", id, "aria-describedby": described, ...attributes });
  const box = h("div", { class: "input-box" }, input);
  return {
    input,
    box,
    element: h("div", { class: "field" }, h("label", { for: id }, label), hint !== null && h("p", { class: "hint", id: `${id}-hint` }, hint), box, error),
    say(text) {
      fill(error, text !== "" && [icon("alert"), text]);
      error.hidden = text === "";
      setAttribute(input, "aria-invalid", text === "" ? null : "true");
    },
  };
}

/** #/login and #/register. */
export function entryView(shop, fresh) {
  const { session } = shop;
  const { form, username } = credentialsForm({
    id: fresh ? "register" : "login",
    fresh,
    label: fresh ? "Create the account" : "Log in",
    submit: (...typed) => (fresh ? session.register(...typed) : session.logIn(...typed)),
  });
  const other = h("a", {}, fresh ? "Log in" : "Create an account");
  const element = h(
    "div",
    { class: "entry" },
    h(
      "div",
      { class: "card card-pad stack-l" },
      h("div", { class: "stack-s" }, heading(fresh ? "Create an account" : "Log in"), h("p", { class: "muted" }, fresh ? "For a cart that is the same on all your devices, and for your orders." : "Your cart and your orders are waiting.")),
      form,
      h("p", { class: "muted" }, fresh ? "You have one already? " : "New here? ", other),
    ),
  );
  session.subscribe(leaveIfIn);

  function leaveIfIn() {
    if (element.isConnected && session.user) go(next(), { replace: true });
  }

  function next() {
    const wanted = route().query.get("next") ?? "";
    return /^[a-z]*$/.test(wanted) ? `#/${wanted}` : "#/";
  }

  return {
    element,
    title: fresh ? "Create an account" : "Log in",
    enter() {
      const query = route().query.get("next");
      other.href = `#/${fresh ? "login" : "register"}${query ? `?next=${encodeURIComponent(query)}` : ""}`;
      leaveIfIn();
    },
    focus: () => username.focus(),
  };
}

/** #/account. */
export function accountView(shop) {
  const { session } = shop;
  const body = h("div", { class: "stack" });
  const element = h("div", { class: "narrow-view" }, h("div", { class: "page-head" }, heading("Account")), body);

  function draw() {
    if (session.user === null) {
      fill(body, h("div", { class: "card card-pad row" }, h("p", { class: "grow" }, "Nobody is logged in here."), linkButton("#/login", "Log in", "primary"), linkButton("#/register", "Create an account")));
    } else if (session.user === undefined) {
      fill(body, session.away && h("div", { class: "card" }, unreachable()));
    } else {
      fill(
        body,
        h(
          "div",
          { class: "card card-pad stack" },
          h("dl", { class: "facts" }, h("div", {}, h("dt", {}, "Username"), h("dd", { class: "wrap-anywhere" }, session.user)), h("div", {}, h("dt", {}, "Kept in"), h("dd", {}, session.shard ? `shard ${session.shard}` : session.operates ? "the inventory group" : "not known just now"))),
          h("div", { class: "row" }, logOutButton(shop, "button"), session.operates && linkButton("/operator", "The operator's page")),
        ),
      );
    }
    body.append(settings());
  }

  function settings() {
    const keys = h("input", { type: "checkbox", role: "switch", onchange: () => remember("keys", keys.checked) });
    keys.checked = recall("keys", true);
    return h("div", { class: "card card-pad stack-s" }, h("h2", {}, "Keyboard"), h("label", { class: "switch" }, keys, "Shortcuts of a single key"), h("p", { class: "muted small" }, "Press ", h("kbd", {}, "?"), " for a list. ", h("button", { type: "button", class: "link-button", onclick: () => shop.showShortcuts() }, "Show the list")));
  }

  session.subscribe(() => {
    if (element.isConnected) draw();
  });
  return { element, title: "Account", enter: draw };
}

export function logOutButton(shop, look) {
  const button = h(
    "button",
    {
      type: "button",
      class: look,
      onclick: async () => {
        button.ariaBusy = "true";
        try {
          await shop.session.logOut();
          toast("You are logged out.");
          go("#/");
        } catch (error) {
          toast(`You are still logged in. ${error.message}`);
        }
        button.ariaBusy = null;
      },
    },
    "Log out",
  );
  return button;
}

/** The session has ended under an open page: ask for the password where the person is. */
export function askAgain(shop) {
  const { session } = shop;
  const { form, username, password } = credentialsForm({
    id: "again",
    fresh: false,
    label: "Log in and go on",
    submit: (...typed) => session.logIn(...typed),
  });
  username.value = session.expired;
  const dialog = openDialog({
    title: "Your session has ended",
    body: [h("p", { class: "muted" }, "Log in again to go on where you were. What you have typed is still there."), form],
    actions: [h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, "Not now")],
  });
  password.focus();
  const stop = session.subscribe(() => {
    if (session.user) {
      stop();
      dialog.close();
    }
  });
  return dialog;
}
