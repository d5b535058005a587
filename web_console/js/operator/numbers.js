// Numbers as the operator's page shows them; what is not known is a dash.

import { integer } from "../lib/format.js";

const one = new Intl.NumberFormat("en-US", {
  minimumFractionDigits: 1, maximumFractionDigits: 1,
});

/** A rate, with one decimal below 100. */
export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value < 100 ? one.format(value) : integer(Math.round(value));
}

/** Milliseconds, seconds from a thousand on. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1000) return `${one.format(value / 1000)} s`;
  return value < 100 ? `${one.format(value)} ms` : `${integer(Math.round(value))} ms`;
}

/** A size of a file: 184 KiB, 2.1 MiB. */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  let [size, unit] = [value, "B"];
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (size < 1024) break;
    [size, unit] = [size / 1024, next];
  }
  return `${size < 10 && unit !== "B" ? one.format(size) : integer(Math.round(size))} ${unit}`;
}

/** How long something lasts: 12 s, 3 min, 5 h 20 min, 3 d 4 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor(whole / 3600) % 24} h`;
}
