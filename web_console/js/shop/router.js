// Where in the shop the page is: the hash, such as #/orders/1e9c-6 or #/?q=lamp.

/** `{ path: ["orders", "1e9c-6"], query: URLSearchParams }` of the present hash. */
export function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "");
  return { path: parts.map(decoded), query: new URLSearchParams(query) };
}

/** The hash of a path and its query; what is empty in the query is left out. */
export function hashOf(path, query = {}) {
  const wanted = Object.entries(query).filter(([, value]) => value);
  const text = new URLSearchParams(wanted).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text && `?${text}`}`;
}

/** Go there; `replace` leaves no step back to here. */
export function go(hash, { replace = false } = {}) {
  if (replace) location.replace(hash);
  else location.hash = hash;
}

/** Change the hash without going anywhere: the view shows it already. */
export function rewrite(hash) {
  history.replaceState(null, "", hash);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
