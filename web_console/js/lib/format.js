// Numbers and times as people read them.

const group = new Intl.NumberFormat("en-US");
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const hourMinute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** An amount in cents as 1,234.50; exact for every integer. Null is a dash. */
export function money(cents) {
  if (cents === null || cents === undefined) return "–";
  const sign = cents < 0 ? "−" : "";
  const digits = String(Math.abs(cents)).padStart(3, "0");
  return `${sign}${group.format(BigInt(digits.slice(0, -2)))}.${digits.slice(-2)}`;
}

/** A whole number with its thousands set apart. Null is a dash. */
export function integer(value) {
  return value === null || value === undefined ? "–" : group.format(value);
}

/** "1 item", "2 items". */
export function plural(count, one, many = `${one}s`) {
  return `${integer(count)} ${count === 1 ? one : many}`;
}

/** What somebody has named, so that marks of direction in it end with it. */
export function isolated(text) {
  return `\u2068${text}\u2069`;
}

/** The local date and time of an instant in seconds since 1970. */
export function when(seconds) {
  return dateTime.format(new Date(seconds * 1000));
}

/** The same instant in UTC, as 2026-11-23 16:02:04 UTC. */
export function whenUtc(seconds) {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The local hour and minute of a Date: 16:02. */
export function clock(date) {
  return hourMinute.format(date);
}
