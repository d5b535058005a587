// The operator's page: who is it, which view, and the two watches that feed it.

import { announce } from "../lib/announce.js";
import { fill, h, setAttribute, setText } from "../lib/dom.js";
import { clock, plural } from "../lib/format.js";
import { connectionPill } from "../lib/pill.js";
import { Socket } from "../lib/socket.js";
import { onElsewhere } from "../lib/storage.js";
import { themeSwitch } from "../lib/theme.js";
import { toast } from "../lib/toast.js";
import { clockTime } from "./chart.js";
import { Charts } from "./charts.js";
import { CommandMenu } from "./commands.js";
import { Detail } from "./detail.js";
import { Inventory } from "./inventory.js";
import { OPERATOR, logOut, loginView, notYoursView, whoAmI } from "./login.js";
import { Model } from "./model.js";
import { Overview } from "./overview.js";
import { picture } from "./pictures.js";
import { Replicas } from "./replicas.js";
import { Timeline } from "./timeline.js";

const TOLD = ["leader", "no_leader", "died", "started", "unreachable", "recovered"];
const part = (id) => document.getElementById(id);

class Page {
  #views = null;
  #view = null;
  #stops = [];
  #told = null;
  #first = true;

  constructor() {
    this.model = new Model();
    this.socket = new Socket();
    part("theme").append(themeSwitch());
    part("theme-below").append(themeSwitch()); // Narrow headers have no room for it.
    part("connect").addEventListener("click", () => this.socket.retryNow());
    this.socket.addEventListener("state", () => {
      if (this.#stops.length) this.#date();
    });
    addEventListener("hashchange", () => this.#route());
    onElsewhere("session", () => this.#beginAnew());
    this.model.subscribe(() => {
      this.#view?.draw();
      this.#tell();
    });
    setInterval(() => {
      const { report, isOld, stockIsOld } = this.model;
      if (report && (isOld || stockIsOld)) this.model.touch();
    }, 1000);
    part("skip").addEventListener("click", (event) => {
      event.preventDefault();
      part("main").focus();
    });
    fill(part("view"), h("p", { class: "muted" },
      h("span", { class: "spinner", "aria-hidden": "true" }),
      " Asking the inventory group, which knows the operator, who this is …"));
    this.#begin();
  }

  async #begin() {
    const user = await whoAmI();
    // Where nobody can tell, the console may know this session from before: it is asked.
    if (user === OPERATOR || user === undefined) this.#open();
    else if (user === null) this.#logIn();
    else this.#notYours(user);
  }

  /** The session has changed, and the connection still has the old one. */
  #beginAnew() {
    this.socket.reopen();
    return this.#begin();
  }

  #open() {
    if (this.#stops.length) return;
    fill(part("pill"), connectionPill(this.socket));
    fill(part("account"),
      h("a", { class: "button small quiet", href: "/" },
        picture("shop"), h("span", { class: "word" }, "Shop")),
      h("button", {
        type: "button", class: "button small quiet", onclick: () => this.#leave(),
      }, picture("exit"), h("span", { class: "word" }, "Log out")));
    this.#views ??= this.#makeViews();
    part("nav").hidden = false;
    const { model, socket } = this;
    const ended = (error) => this.#ended(error);
    this.#stops = [
      socket.watch("watch_cluster", () => {
        model.expectWhole();
        return {};
      }, (report) => model.takeReport(report), ended),
      socket.watch("watch_inventory", () => {
        const { revision } = model.inventory;
        return revision === null ? {} : { from_revision: revision };
      }, (event) => model.takeInventory(event), undefined, { aside: true }),
    ];
    this.#route();
  }

  /** The views live as long as the page: what is typed outlasts an ended session. */
  #makeViews() {
    const { model, socket } = this;
    const menu = new CommandMenu(model);
    const views = {
      overview: new Overview(model, menu),
      replicas: new Replicas(model, menu),
      charts: new Charts(model),
      timeline: new Timeline(model),
      inventory: new Inventory(model, socket),
    };
    fill(part("nav"), Object.entries(views).map(([name, { title }]) => (
      h("a", { class: "tab", href: `#${name}`, "data-view": name }, title))));
    return views;
  }

  #close() {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#view?.stop?.();
    this.#view = null;
    part("nav").hidden = true;
    this.#date();
    part("pill").replaceChildren();
    part("account").replaceChildren();
  }

  #ended(error) {
    if (error.code === "forbidden") this.#begin();
    else this.#logIn(true);
  }

  #logIn(ended = false) {
    this.#close();
    this.#head("Operator");
    const { element, focus } = loginView(() => this.#beginAnew(), ended);
    fill(part("view"), element);
    focus();
  }

  #notYours(user) {
    this.#close();
    this.#head("Operator");
    fill(part("view"), notYoursView(user, () => this.#beginAnew()));
  }

  async #leave() {
    try {
      await logOut();
    } catch (error) {
      toast(`Not logged out: ${error.message}`);
      return;
    }
    location.reload();
  }

  #route() {
    if (!this.#stops.length) return;
    const [name, of] = location.hash.slice(1).split("/", 2);
    const known = Object.hasOwn(this.#views, name) ? name : "overview";
    const replica = known === "replicas" && of ? decoded(of) : null;
    this.#view?.stop?.();
    this.#view = replica === null ? this.#views[known]
      : new Detail(this.model, this.socket, replica);
    for (const tab of part("nav").children) {
      const current = tab.dataset.view === known;
      setAttribute(tab, "aria-current", current && (replica === null ? "page" : "true"));
      if (current) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    this.#head(this.#view.title, this.#view.lead);
    fill(part("view"), this.#view.element);
    this.#date();
    this.#view.draw();
    this.#view.opened?.();
    if (!this.#first) {
      scrollTo(0, 0);
      part("title").focus({ preventScroll: true });
    }
    this.#first = false;
  }

  #head(title, lead = null) {
    fill(part("lead"), lead);
    setText(part("title"), title);
    document.title = `${title} · cartnet`;
  }

  /** Say under the title what this is, or since when it is old, or its stock is. */
  #date() {
    const { report, isOld, stockIsOld, inventory } = this.model;
    const open = this.#stops.length > 0;
    const { state } = this.socket;
    const old = open && report !== null && isOld;
    setText(part("subtitle"), open ? this.#subtitle() : "");
    setAttribute(part("subtitle"), "class", old ? "badge warn" : "muted small");
    part("connect").hidden = !open || (state !== "reconnecting" && state !== "offline");
    part("stock-as-of").hidden = !open || old || !stockIsOld;
    setText(part("stock-as-of"), inventory.currentAt
      ? `Stock as of ${clock(inventory.currentAt)}` : "Stock may be old");
  }

  #subtitle() {
    const { report, isOld } = this.model;
    if (!report) return "Waiting for the first report …";
    const { cluster, replicas, groups, at } = report;
    return isOld ? `No report since ${clockTime(at)}: what you see is old.`
      : `Cluster ${cluster} · ${plural(groups.length, "group")} · ${
        plural(replicas.length, "replica")}`;
  }

  /** Say to a screen reader what has happened since the last report, in short. */
  #tell() {
    const { report, timeline } = this.model;
    if (!report) return;
    this.#date();
    const newest = timeline.at(-1);
    const before = this.#told;
    this.#told = newest?.at ?? 0;
    if (before === null) return;
    const news = timeline.filter(({ at, kind }) => at > before && TOLD.includes(kind));
    if (news.length) announce(news.slice(-3).map(({ text }) => `${text}.`).join(" "));
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

new Page();
