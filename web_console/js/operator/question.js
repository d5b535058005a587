// The question before a command: what it does to the group, and whether that is wanted.

import { ApiError, api } from "../lib/api.js";
import { openDialog } from "../lib/dialog.js";
import { fill, h, setText } from "../lib/dom.js";
import { toast } from "../lib/toast.js";
import { errorNotice } from "./error_notice.js";
import { quorumBar } from "./quorum_bar.js";
import { effect, sentence } from "./quorum.js";

/** Each command's word and icon. */
export const WORDS = {
  kill: ["Kill", "cross"],
  start: ["Start", "play"],
  restart: ["Restart", "restart"],
  pause: ["Pause", "pause"],
  resume: ["Resume", "play"],
  isolate: ["Isolate", "cut"],
  heal: ["Heal", "link"],
  transfer: ["Make leader", "crown"],
};

/** A dialog about `command` for the replica `name`. While it is open it says what would
 *  happen now: the cluster goes on changing.
 */
export class Question {
  #loses = false;
  #busy = false;

  constructor(model, command, name) {
    Object.assign(this, { model, command, name });
    const [label] = WORDS[command];
    const leading = command === "transfer";
    this.title = leading ? `Make ${name} leader?` : `${label} ${name}?`;
    this.does = h("p", {});
    this.election = h("p", { class: "muted" });
    this.bar = h("div", { class: "effect-bar" });
    this.quorum = h("p", { class: "effect-text" });
    this.box = h("div", {}, h("div", {}, this.bar, this.quorum));
    this.back = leading ? h("p", { class: "muted small" },
      "With prefer = lexical the office goes back to the smallest address a few seconds",
      " later.") : null;
    this.problem = h("div", { role: "alert" });
    this.yes = h("button", { type: "submit", form: "question", class: "button" },
      leading ? label : `${label} ${name}`);
    this.no = h("button", {
      type: "button", class: "button", onclick: () => this.dialog.close(),
    }, "Cancel");
    this.#makeTyping();
  }

  #makeTyping() {
    this.typed = h("input", {
      class: "input mono", id: "typed-name", autocomplete: "off", spellcheck: "false",
      autocapitalize: "none", "aria-describedby": "typed-error",
    });
    this.typedError = h("p", { class: "field-error", id: "typed-error", role: "alert" });
    this.typing = h("div", { class: "field" },
      h("label", { for: "typed-name" }, "Type ",
        h("strong", { class: "mono" }, this.name), " to confirm"),
      this.typed, this.typedError);
  }

  open() {
    this.#show();
    const stop = this.model.subscribe(() => this.#show());
    const form = h("form", {
      class: "stack", id: "question", novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.#submit();
      },
    }, this.does, this.box, this.election, this.back, this.typing, this.problem);
    this.dialog = openDialog({
      title: this.title, body: [form], actions: [this.no, this.yes], onclose: stop,
    });
    const safe = this.command === "kill" ? this.no : this.yes;
    (this.#loses ? this.typed : safe).focus();
  }

  #show() {
    const replica = this.model.replica(this.name);
    const group = replica && this.model.group(replica.group);
    if (!group || this.#busy) return;
    const will = effect(this.command, replica, group);
    this.#loses = will.loses;
    setText(this.does, will.does);
    setText(this.election, will.election);
    this.election.hidden = !will.election;
    setText(this.quorum, will.quorum);
    fill(this.bar, quorumBar(group.members.length, will.after, group.majority));
    this.box.className = `effect notice ${will.after < group.majority ? "bad" : "ok"}`;
    this.typing.hidden = !will.loses;
    const grave = will.loses || this.command === "kill";
    this.yes.className = `button ${grave ? "danger" : "primary"}`;
  }

  async #submit() {
    if (this.#busy || !this.#isConfirmed()) return;
    this.#busy = true;
    this.yes.setAttribute("aria-busy", "true");
    this.problem.replaceChildren();
    try {
      const answer = await this.#send();
      this.dialog.close();
      toast(`${sentence(answer.done)}.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(this.problem, errorNotice(error));
    } finally {
      this.#busy = false;
      this.yes.removeAttribute("aria-busy");
      this.#show();
    }
  }

  #isConfirmed() {
    if (!this.#loses || this.typed.value.trim() === this.name) return true;
    this.typed.setAttribute("aria-invalid", "true");
    setText(this.typedError,
      `Type ${this.name}: this takes the group's majority away.`);
    this.typed.focus();
    return false;
  }

  #send() {
    const name = encodeURIComponent(this.name);
    if (this.command !== "transfer") {
      return api("POST", `/cluster/replicas/${name}/${this.command}`);
    }
    const group = encodeURIComponent(this.model.replica(this.name).group);
    return api("POST", `/cluster/groups/${group}/transfer`, { body: { to: this.name } });
  }
}
