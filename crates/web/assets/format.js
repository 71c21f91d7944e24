// Numbers, times and elements. Whatever came over the wire becomes text, never markup.

/** An element with attributes and children; texts are texts. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  fill(element, attributes, children);
  return element;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** Sets a text only where it differs: what is read aloud or selected stays. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const UNITS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function scaled(value, unit) {
  const [scale, prefix] = UNITS.find(([scale]) => Math.abs(value) >= scale * 0.9995) ?? [1, ""];
  const number = value / scale;
  const digits = scale === 1 ? 0 : Math.abs(number) < 9.995 ? 2 : Math.abs(number) < 99.95 ? 1 : 0;
  return `${number.toFixed(digits)}\u00a0${prefix}${unit}`;
}

/** A rate; unknown is a dash. */
export function rate(bps) {
  return bps === null || bps === undefined ? "–" : scaled(bps, "bit/s");
}

/** A capacity, without digits that say nothing. */
export function size(bps) {
  return rate(bps).replace(/\.0+(?=\u00a0)/, "");
}

/** Bytes, decimal. */
export function bytes(count) {
  return count === null || count === undefined ? "–" : scaled(count, "B");
}

/** A share of one. */
export function percent(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  const value = ratio * 100;
  if (value > 0 && value < 0.05) return "<\u00a00.1\u00a0%";
  return `${value.toFixed(value > 0 && value < 9.95 ? 1 : 0)}\u00a0%`;
}

/** The error of a load at 95 %: two standard errors. */
export function error(bps, standardError) {
  if (!bps || standardError === null || standardError === undefined) return "";
  const share = (2 * standardError) / bps;
  if (share < 0.0005) return "";
  return `±\u00a0${percent(share)}`;
}

/** A load with what sampling leaves open: only digits that are known. */
export function range(bps, standardError) {
  if (bps === null || bps === undefined) return "not known";
  if (!standardError) return rate(bps);
  return `${rate(Math.max(0, bps - 2 * standardError))} to ${rate(bps + 2 * standardError)}`;
}

// The Swedish way is that of ISO 8601, which every operator reads the same.
const clock = new Intl.DateTimeFormat("sv-SE", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const full = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

export function time(ms) {
  return ms === null || ms === undefined ? "–" : clock.format(ms);
}

export function moment(ms) {
  return ms === null || ms === undefined ? "–" : full.format(ms);
}

/** Terms and what they come to, each pair together. */
export function fact(term, ...what) {
  return el("div", {}, el("dt", {}, term), el("dd", {}, ...what));
}

/** A length of time in one unit or two. */
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.round(minutes / 1440)} d`;
}

export const WAYS = [
  { key: "to_microsoft", name: "to Microsoft", arrow: "↗" },
  { key: "from_microsoft", name: "from Microsoft", arrow: "↙" },
];

/** Shape, word and order: the colour says it once more. */
export const STATUSES = {
  down: { word: "down", path: "M4 4l8 8m0-8l-8 8" },
  full: { word: "full", path: "M3 3h10v10H3z" },
  hot: { word: "hot", path: "M8 2l6.5 11.5h-13z" },
  unsafe: { word: "N-1 breaks", path: "M8 1.5l6.5 6.5-6.5 6.5-6.5-6.5z" },
  unknown: { word: "unknown", path: "M5.2 5.6a2.9 2.9 0 1 1 4.2 2.5c-1 .6-1.4 1-1.4 2.1M8 13v.2" },
  half: { word: "past 50 %", path: "M8 2.5a5.5 5.5 0 1 0 0 11z" },
  fine: { word: "fine", path: "M3.5 8.5l3 3 6-7" },
  inactive: { word: "inactive", path: "M4 8h8" },
};

/** The mark of a status. */
export function mark(status) {
  const known = STATUSES[status] ?? STATUSES.unknown;
  return svg("svg", { class: `mark ${status}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: known.path }));
}

/** Asks the API; a refusal is an error with its sentence. */
export async function ask(path, parameters = []) {
  const query = new URLSearchParams(parameters).toString();
  const response = await fetch(`/api/v1/${path}${query ? `?${query}` : ""}`);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `the collector answered ${response.status}`);
  return answer;
}

/** The address of a connection's page. */
export function toConnection(name) {
  return `#/connection/${encodeURIComponent(name)}`;
}
