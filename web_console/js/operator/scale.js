// Numbers to pixels: axes with round steps, paths with gaps, values at a time.

const STEPS = [1, 2, 2.5, 5, 10];

/** The smallest round number of which `count` make at least `max`. */
export function niceStep(max, count, whole = false) {
  const raw = Math.max(max, whole ? 1 : 1e-3) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = STEPS.map((n) => n * power).find((n) => n >= raw - 1e-12);
  return whole ? Math.max(1, Math.ceil(step)) : step;
}

/** Seconds between the labels of a time axis of `seconds`, at most `count` of them. */
export function timeStep(seconds, count) {
  return [5, 10, 15, 30, 60, 120, 180, 300].find((n) => seconds / n <= count) ?? 300;
}

/** The index of the last point at or before `at`; -1 where there is none. */
export function indexAt(points, at) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].at <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The value at a time: null where nothing was known within `gap` seconds before it. */
export function valueAt(points, at, gap) {
  const index = indexAt(points, at);
  if (index < 0 || at - points[index].at > gap) return null;
  return points[index].value;
}

/** An SVG path through points from `from` to `to`; it breaks where nothing was known. */
export function linePath(points, { from, to, x, y, gap, steps }) {
  const first = Math.max(0, indexAt(points, from));
  let path = "";
  let before = null;
  for (let index = first; index < points.length; index += 1) {
    const point = points[index];
    if (point.at > to) break;
    const left = x(Math.max(point.at, from));
    if (point.value === null || point.value === undefined) {
      if (steps && before !== null) path += `H${left}`;
      before = null;
      continue;
    }
    const joined = before !== null && point.at - before <= gap;
    if (!joined) path += `M${left} ${y(point.value)}`;
    else if (steps) path += `H${left}V${y(point.value)}`;
    else path += `L${left} ${y(point.value)}`;
    before = point.at;
  }
  if (steps && before !== null) path += `H${x(to)}`;
  return path;
}

/** The greatest value that points take between two times, or 0. */
export function greatest(points, from, to) {
  let most = 0;
  for (let index = Math.max(0, indexAt(points, from)); index < points.length; index += 1) {
    if (points[index].at > to) break;
    if (points[index].value > most) most = points[index].value;
  }
  return most;
}
