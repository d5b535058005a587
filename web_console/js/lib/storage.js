// What this browser remembers. Storage may be full or forbidden: then it forgets.

/** The value kept under `name`, or `fallback` where there is none that can be read. */
export function recall(name, fallback = null) {
  try {
    const text = localStorage.getItem(`cartnet.${name}`);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

/** Keep `value` (as JSON) under `name`; undefined forgets it. Says whether it is kept. */
export function remember(name, value) {
  try {
    if (value === undefined) {
      localStorage.removeItem(`cartnet.${name}`);
    } else {
      localStorage.setItem(`cartnet.${name}`, JSON.stringify(value));
    }
    return true;
  } catch {
    return false;
  }
}

/** Call `listener(value)` when another tab has changed what is kept under `name`. */
export function onElsewhere(name, listener) {
  addEventListener("storage", (event) => {
    if (event.key === `cartnet.${name}`) listener(recall(name));
  });
}
