// The shop's page: what there is, where each view goes, and the frame around them.

import { api, onOutcome } from "../lib/api.js";
import { fill, h, icon, oncePerFrame, setAttribute, setText } from "../lib/dom.js";
import { clock, isolated, money, plural } from "../lib/format.js";
import { connectionPill } from "../lib/pill.js";
import { Socket } from "../lib/socket.js";
import { recall, remember } from "../lib/storage.js";
import { themeSwitch } from "../lib/theme.js";
import { toast } from "../lib/toast.js";
import { Cart } from "./cart.js";
import { Checkout } from "./checkout.js";
import { Inventory } from "./inventory.js";
import { empty, linkButton } from "./parts.js";
import { go, hashOf, route } from "./router.js";
import { Session } from "./session.js";
import { shortcuts } from "./shortcuts.js";
import { accountView, askAgain, entryView } from "./view_account.js";
import { cartPanel, cartView } from "./view_cart.js";
import { checkoutView } from "./view_checkout.js";
import { itemsView } from "./view_items.js";
import { orderView, ordersView } from "./view_orders.js";

const socket = new Socket();
const session = new Session();
const inventory = new Inventory(socket);
const cart = new Cart(socket, session, inventory);
const checkout = new Checkout(session, cart);
const wide = matchMedia("(width >= 64rem)");

const $ = (id) => document.getElementById(id);
const main = $("main");
const shop = { socket, session, inventory, cart, checkout, add, toggleCart, showShortcuts: null };

// --- What is wanted before anybody is logged in --------------------------------------

let wanted = null;

/** Add to the cart; where nobody is logged in, after the login. Says whether it worked. */
async function add(item, quantity) {
  if (session.user) return cart.add(item, quantity);
  wanted = { item, quantity };
  if (session.expired === null) go("#/login");
  else ask();
  return false;
}

session.subscribe(() => {
  if (!session.user || wanted === null) return;
  const { item, quantity } = wanted;
  wanted = null;
  cart.add(item, quantity).then((worked) => {
    const name = inventory.items.get(item)?.name ?? item;
    if (worked) toast(`${isolated(name)} is in the cart.`);
  });
});

let asking = null;

function ask() {
  if (asking?.open) return;
  asking = askAgain(shop);
}

session.subscribe(() => {
  if (session.user === null && session.expired !== null) ask();
});

onOutcome((code, method, path) => {
  if (code !== "unavailable" && !(code === "timeout" && method === "GET")) return;
  // A login cannot be tried again without its password: its form says it.
  if (method !== "GET" && !/^[/](cart|checkout)/.test(path)) return;
  const probe = method === "GET" ? path.replace(/[?&]stale=true/, "") : "/cart";
  socket.doubt(probe, () => api("GET", probe));
});

// Without live updates: what there is is asked for once, and after what is done here.
socket.addEventListener("state", () => {
  if (socket.state !== "crowded") return;
  inventory.retry();
  if (session.user && !session.operates) cart.load();
});

// --- Views ----------------------------------------------------------------------------

const makers = {
  "": () => itemsView(shop),
  cart: () => cartView(shop),
  checkout: () => checkoutView(shop),
  orders: () => ordersView(shop),
  order: () => orderView(shop),
  login: () => entryView(shop, false),
  register: () => entryView(shop, true),
  account: () => accountView(shop),
  missing: () => missingView(),
};
const views = new Map();
const scrolled = new Map();
let current = null;
let place = null;

// A view is made once and kept: what was typed in it is still there.
function view(name) {
  if (!views.has(name)) views.set(name, makers[name]());
  return views.get(name);
}

function missingView() {
  return {
    element: h("div", { class: "stack" }, h("h1", { tabindex: "-1", class: "visually-hidden" }, "Not found"), h("div", { class: "card" }, empty("search", "There is nothing here", "The address may be mistyped, or out of date.", linkButton("#/", "Go to the shop", "primary")))),
    title: "Not found",
    enter() {},
  };
}

function nameOf([first = "", ...rest]) {
  if (first === "orders" && rest.length === 1) return "order";
  return rest.length === 0 && first in makers && first !== "order" ? first : "missing";
}

function show() {
  if (location.hash !== "" && !location.hash.startsWith("#/")) return;
  const name = nameOf(route().path);
  const key = route().path.join("/");
  const first = place === null;
  if (!first) scrolled.set(place, scrollY);
  current?.leave?.();
  current = view(name);
  place = key;
  document.body.dataset.route = name;
  if ($("view").firstChild !== current.element) fill($("view"), current.element);
  current.enter();
  document.title = `${current.title} · cartnet`;
  showFrame();
  if (first) return;
  scrollTo(0, scrolled.get(key) ?? 0);
  if (current.focus) current.focus();
  else current.element.querySelector("h1")?.focus({ preventScroll: true });
}

// --- The frame: navigation, banner, the cart at the side ------------------------------

const accountWords = h("span", { class: "nav-words truncate" });
const cartCount = h("span", { class: "count", hidden: true, "aria-hidden": "true" });
const cartWords = h("span", { class: "nav-words" }, "Cart");
const links = {
  "": h("a", { class: "nav-link", href: "#/" }, icon("shop"), h("span", { class: "nav-words" }, "Shop")),
  orders: h("a", { class: "nav-link", href: "#/orders" }, icon("receipt"), h("span", { class: "nav-words" }, "Orders")),
  account: h("a", { class: "nav-link nav-account", href: "#/account" }, icon("user"), accountWords),
  cart: h("a", { class: "nav-link nav-cart", href: "#/cart", id: "cart-link", onclick: openCart }, icon("bag"), cartWords, cartCount),
};

function openCart(event) {
  // At the side of the items it opens and closes; elsewhere it is a page.
  if (!wide.matches || document.body.dataset.route !== "" || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  toggleCart(!document.body.classList.contains("cart-open"));
}

function toggleCart(open) {
  remember("cart_open", open);
  showFrame();
  if (open) panel.focus();
  else if (document.activeElement === document.body || $("cart").contains(document.activeElement)) links.cart.focus();
}

function showFrame() {
  const name = document.body.dataset.route;
  const here = { order: "orders", login: "account", register: "account" }[name] ?? name;
  for (const [key, link] of Object.entries(links)) setAttribute(link, "aria-current", key === here ? "page" : null);
  const { user } = session;
  setText(accountWords, user ? user : "Log in");
  setAttribute(links.account, "href", user ? "#/account" : "#/login");
  setAttribute(links.account, "aria-label", user ? `Account of ${user}` : "Log in");
  const open = recall("cart_open", true) && Boolean(user || session.expired);
  document.body.classList.toggle("cart-open", open);
  $("cart").hidden = !(name === "cart" || (name === "" && open));
  setAttribute(links.cart, "aria-expanded", wide.matches && name === "" ? String(open) : null);
  const pieces = session.user || session.expired ? cart.count : 0;
  cartCount.hidden = pieces === 0;
  setText(cartCount, pieces > 99 ? "99+" : pieces);
  setAttribute(links.cart, "aria-label", pieces === 0 ? "Cart, empty" : `Cart, ${plural(pieces, "piece")}, ${money(cart.sum)}`);
  showBanner(name);
}

let bannered = "";

function showBanner(name) {
  const [key, make] = bannerOf(name);
  if (key === bannered) return;
  bannered = key;
  fill($("banner"), make?.());
}

function bannerOf(name) {
  if (checkout.undecided && name !== "checkout") {
    return ["undecided", () => bannerWith("warn", "clock", "An order is on its way, not decided yet. ", h("a", { href: "#/checkout" }, "See how it stands"))];
  }
  if (session.elsewhere !== null) {
    const [before, now] = session.elsewhere;
    const words = now ? `Another tab has logged in as ${isolated(now)}: this one is ${isolated(now)}'s now, not ${isolated(before)}'s. ` : `${isolated(before)} is not logged in any more: another tab has logged out, or the session has ended. `;
    const done = () => {
      session.elsewhere = null;
      showFrame();
    };
    return [words, () => bannerWith("warn", "user", words, h("button", { type: "button", class: "link-button", onclick: done }, "All right"))];
  }
  const since = socket.since && clock(socket.since);
  switch (socket.state) {
    case "stale":
      return [`stale ${since}`, () => bannerWith("warn", "clock", `Stock and prices are as of ${since}. You can go on looking.`)];
    case "unavailable":
      return ["unavailable", () => bannerWith("bad", "alert", "No majority: too few of the shop's machines can be reached. You can look around; changes have to wait.")];
    case "crowded":
      return ["crowded", () => bannerWith("warn", "info", "This account is open in five other tabs: live updates are off here. Reload to see what is new.")];
    case "offline":
    case "reconnecting":
      return [
        `${socket.state} ${since}`,
        () =>
          bannerWith(
            "warn",
            "alert",
            `Not connected since ${since}. What you see is as of then; nothing you typed is lost. `,
            h("button", { type: "button", class: "link-button", onclick: () => socket.retryNow() }, "Connect now"),
          ),
      ];
    default:
      return ["", null];
  }
}

function bannerWith(look, picture, ...words) {
  return h("div", { class: `notice banner ${look}`, role: "region", "aria-label": "State of the shop" }, icon(picture), h("div", {}, words));
}

checkout.subscribe(() => {
  if (checkout.state === "placed" && socket.state === "crowded") cart.load();
  if (checkout.state === "placed" && document.body.dataset.route !== "checkout") {
    const { id } = checkout.order;
    checkout.done();
    toast("The order is placed.", ["See it", () => go(hashOf(["orders", id]))]);
  }
});

$("nav").append(...Object.values(links));
$("theme").append(themeSwitch());
$("pill").append(connectionPill(socket));
const panel = cartPanel(shop, $("cart"));
$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // The hash is the route.
  main.focus();
});
shop.showShortcuts = shortcuts([
  ["/", "Search the items", () => {
    if (document.body.dataset.route !== "") go("#/");
    view("").focusSearch();
  }],
  ["j", "Next item", () => document.body.dataset.route === "" && view("").step(1)],
  ["k", "Item before", () => document.body.dataset.route === "" && view("").step(-1)],
  ["c", "Cart", () => links.cart.click()],
  ["o", "Orders", () => go("#/orders")],
  ["s", "Shop", () => go("#/")],
]);
const drawSoon = oncePerFrame(showFrame);
for (const store of [session, cart, checkout]) store.subscribe(drawSoon);
socket.addEventListener("state", drawSoon);
wide.addEventListener("change", drawSoon);
addEventListener("hashchange", show);
session.load();
show();
