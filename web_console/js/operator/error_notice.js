// An error as people can use it.

import { h } from "../lib/dom.js";
import { picture } from "./pictures.js";
import { sentence } from "./quorum.js";

/** What went wrong, whether it may have been done all the same, and the request's id. */
export function errorNotice(error) {
  return h("div", { class: "notice bad" }, picture("warning"),
    h("div", { class: "wrap-anywhere" },
      h("p", {}, sentence(error.message)),
      error.unknown ? h("p", { class: "small muted" },
        "It may have been done all the same: look at what is shown now.") : null,
      error.requestId ? h("p", { class: "small faint" },
        `Request ${error.requestId}`) : null));
}
