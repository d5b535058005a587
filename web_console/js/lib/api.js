// Calls over HTTP, and what can become of them.

const BASE = "/api/v1";
const TIMEOUT_MS = 15_000;

/**
 * A call that was not answered with success.
 *
 * `code` is one of the interface's (INTERFACES: bad_request, unavailable, ...), or
 * `network` where no answer came. `unknown` says that it may have been done all the
 * same: only the same key, or a look, finds out.
 */
export class ApiError extends Error {
  constructor(code, message, { status = 0, details = {}, requestId = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.details = details;
    this.requestId = requestId;
    this.unknown = code === "timeout" || code === "internal" || code === "network";
    this.retryAfter = Number(details.retry_after) || null;
  }

  /** Whether the cluster, not the request, is what is wrong: it may pass. */
  get passing() {
    return this.unknown || ["unavailable", "overloaded", "not_leader"].includes(this.code);
  }
}

/** A new idempotency key: 32 hexadecimal digits, 128 random bits. */
export function newKey() {
  // Not randomUUID: it is missing where the console is reached by plain http.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Call the API; resolves to its answer's JSON, null where it has none.
 *
 * @param path below /api/v1, with a leading slash; encode what comes from people
 * @param key the idempotency key of a write
 * @throws ApiError
 */
export async function api(method, path, { body, key, signal, timeout = TIMEOUT_MS } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== undefined) headers["Idempotency-Key"] = key;
  const signals = [AbortSignal.timeout(timeout)];
  if (signal) signals.push(signal);
  let response, text;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.any(signals),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    heard.forEach((listener) => listener("network", method, path));
    throw new ApiError("network", "No answer came. The connection may be down.");
  }
  const answer = parsed(text);
  if (response.ok) {
    heard.forEach((listener) => listener(null, method, path));
    return answer;
  }
  const { code = "internal", message = "", details = {} } = answer?.error ?? {};
  const retryAfter = response.headers.get("Retry-After");
  if (retryAfter !== null) details.retry_after ??= Number(retryAfter);
  heard.forEach((listener) => listener(code, method, path));
  throw new ApiError(code, message || `The server answered ${response.status}.`, {
    status: response.status,
    details,
    requestId: details.request_id ?? response.headers.get("X-Request-Id"),
  });
}

const heard = [];

/** Be told `(outcome, method, path)` of every call: null for success, or the code. */
export function onOutcome(listener) {
  heard.push(listener);
}

function parsed(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
