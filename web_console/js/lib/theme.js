// The switch between light, dark and what the system says.

import { h, icon } from "./dom.js";

const THEMES = [
  ["light", "sun", "Light theme"],
  ["system", "screen", "The system's theme"],
  ["dark", "moon", "Dark theme"],
];

// Kept as bare text, not as JSON: theme_early.js reads it, too.
function chosen() {
  try {
    return localStorage.getItem("cartnet.theme") ?? "system";
  } catch {
    return "system";
  }
}

/** Make `theme` (light, dark or system) hold, here and in this browser's other tabs. */
export function setTheme(theme) {
  try {
    localStorage.setItem("cartnet.theme", theme);
  } catch {
    // It holds until the page is left.
  }
  apply(theme);
}

function apply(theme) {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.ariaPressed = String(button.dataset.themeChoice === theme);
  }
}

/** A group of three buttons, of which one is pressed. */
export function themeSwitch() {
  const current = chosen();
  addEventListener("storage", (event) => {
    if (event.key === "cartnet.theme") apply(chosen());
  });
  return h(
    "div",
    { class: "segmented", role: "group", "aria-label": "Theme" },
    THEMES.map(([theme, picture, label]) =>
      h(
        "button",
        {
          type: "button",
          title: label,
          "aria-label": label,
          "aria-pressed": String(theme === current),
          "data-theme-choice": theme,
          onclick: () => setTheme(theme),
        },
        icon(picture),
      ),
    ),
  );
}
