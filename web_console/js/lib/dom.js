// Making elements, and keeping lists of them. Whatever comes from people becomes text.

const SVG = "http://www.w3.org/2000/svg";

// Drawn on 24 by 24, stroked (css/base.css, svg.icon).
const ICONS = {
  alert: "M12 3.5 2.5 20h19L12 3.5ZM12 10v4.5M12 17.4v.1",
  arrow: "M5 12h14M13 6l6 6-6 6",
  back: "M19 12H5M11 6l-6 6 6 6",
  bag: "M5 8h14l1 12.5H4L5 8ZM8.5 10.5V7a3.5 3.5 0 0 1 7 0v3.5",
  box: "M12 3 4 7.2v9.6L12 21l8-4.2V7.2L12 3ZM4 7.2l8 4.3 8-4.3M12 11.5V21",
  check: "M4.5 12.5 10 18 19.5 7",
  clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM12 7.5V12l3 2",
  close: "M6 6l12 12M18 6 6 18",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  info: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17ZM12 11v5M12 8v.1",
  keyboard: "M3 6.5h18v11H3zM7 10.2v.1M11 10.2v.1M15 10.2v.1M8 14h8",
  minus: "M6 12h12",
  moon: "M20 14.5A8.2 8.2 0 0 1 9.5 4a8.2 8.2 0 1 0 10.5 10.5Z",
  plus: "M12 6v12M6 12h12",
  receipt: "M6 3.5h12v17l-3-2-3 2-3-2-3 2v-17ZM9.5 8.5h5M9.5 12.5h5",
  screen: "M3.5 5h17v11h-17zM9 20h6M12 16v4",
  search: "M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM16 16l4.5 4.5",
  shop: "M4 9.5 5.5 4h13L20 9.5M4 9.5V20h16V9.5M4 9.5h16M9.5 20v-5.5h5V20",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l.8 13h8.4L17 7M10.3 11v5.5M13.7 11v5.5",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6",
};

/**
 * An element.
 *
 * Of `properties`, `class` and names with a dash, as well as `role`, `for` and the like,
 * become attributes; names that begin with `on` listeners; undefined, null and false
 * leave theirs out. Of `children`, strings and numbers become text.
 */
export function h(tag, properties = {}, ...children) {
  return dress(document.createElement(tag), properties, children);
}

/** An SVG element; all properties but listeners become attributes. */
export function svg(tag, properties = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), properties, children);
}

function dress(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** One of the pictures above; it says nothing to a screen reader. */
export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name] }),
  );
}

/** Set an element's text where it differs: an unchanged one is left alone. */
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Set an attribute where it differs; null and false take it away. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    const wanted = value === true ? "" : String(value);
    if (element.getAttribute(name) !== wanted) element.setAttribute(name, wanted);
  }
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
}

/**
 * A list whose elements live as long as their keys: what is focused, selected or typed
 * in one stays when others come, go or change places.
 */
export class KeyedList {
  /**
   * @param parent the element that holds the list, and nothing else
   * @param key item -> its key
   * @param create item -> { element, update(item) }, whatever else you like
   */
  constructor(parent, key, create) {
    this.parent = parent;
    this.key = key;
    this.create = create;
    this.rows = new Map();
  }

  /** The row made by `create` for a key, or undefined. */
  get(key) {
    return this.rows.get(key);
  }

  /** Show exactly `items`, in this order. */
  show(items) {
    const focused = this.parent.contains(document.activeElement)
      ? document.activeElement
      : null;
    const gone = new Set(this.rows.keys());
    let after = null;
    for (const item of items) {
      const key = this.key(item);
      gone.delete(key);
      let row = this.rows.get(key);
      if (row === undefined) {
        row = this.create(item);
        this.rows.set(key, row);
      }
      row.update(item);
      const next = after === null ? this.parent.firstChild : after.nextSibling;
      if (next !== row.element) place(this.parent, row.element, next);
      after = row.element;
    }
    for (const key of gone) {
      this.rows.get(key).element.remove();
      this.rows.delete(key);
    }
    if (focused !== null && focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
  }
}

// moveBefore keeps focus and state; where a browser lacks it, show() focuses again.
function place(parent, element, next) {
  if (element.parentNode === parent && parent.moveBefore) {
    parent.moveBefore(element, next);
  } else {
    parent.insertBefore(element, next);
  }
}

/** Call `draw` once before the next frame, however often it is asked for. */
export function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
