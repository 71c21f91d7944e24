// The page: what is known, told live; which part of it is shown; keys.

import { ask, duration, say, time } from "./format.js";
import { listPage } from "./list.js";
import { detailPage } from "./detail.js";
import { whatIfPage, failoversPage, failoverPage } from "./failure.js";
import { exportersPage } from "./health.js";

/** A page that hears nothing for so long says so. */
const SILENT_MS = 8_000;

/** Everything known; pages read it, and are told of changes. */
export const state = {
  atMs: null,
  speed: 1,
  verdict: [],
  order: [],
  connections: new Map(),
  events: 0,
  alerts: 0,
  heardAt: null,
};

let page = null;

const main = document.getElementById("main");
const pulse = document.getElementById("pulse");
const pulseText = document.getElementById("pulse-text");
const stale = document.getElementById("stale");

const PAGES = [
  [/^\/?$/, "list", listPage],
  [/^\/connection\/(.+)$/, "list", detailPage],
  [/^\/what-if$/, "what-if", whatIfPage],
  [/^\/failovers$/, "failovers", failoversPage],
  [/^\/failover\/(.+)$/, "failovers", failoverPage],
  [/^\/exporters$/, "exporters", exportersPage],
];

/** Shows the part of the page that the address names. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  let found = PAGES.map(([pattern, name, make]) => [path.match(pattern), name, make]).find(([match]) => match);
  found ??= [[""], "list", listPage];
  const [match, name, make] = found;
  page?.close?.();
  main.replaceChildren();
  let argument = "";
  try {
    argument = match[1] ? decodeURIComponent(match[1]) : "";
  } catch {
    // A broken address: there is no such thing, which the page says.
  }
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.dataset.page === name;
    link.toggleAttribute("aria-current", isHere);
    if (isHere) link.setAttribute("aria-current", "page");
  }
  page = make({ main, state, argument, query: new URLSearchParams(query) });
  document.title = page.title ? `${page.title} · peerscope` : "peerscope";
  if (state.order.length > 0 || state.atMs !== null) page.update?.(new Set(state.order), true);
}

/** The list whole, with what was in the last hour. */
async function load() {
  const list = await ask("connections");
  state.atMs = list.at_ms;
  state.speed = list.speed;
  state.verdict = list.verdict;
  state.order = list.connections.map((connection) => connection.name);
  const names = new Set(state.order);
  for (const name of state.connections.keys()) if (!names.has(name)) state.connections.delete(name);
  for (const connection of list.connections) state.connections.set(connection.name, connection);
  page?.update?.(names, true);
}

let loading = null;

function loadOnce() {
  loading ??= load().catch(() => {}).finally(() => { loading = null; });
  return loading;
}

/** Takes changes in as they are told. */
function listen() {
  const source = new EventSource("/api/v1/live");
  source.addEventListener("changes", (event) => {
    const changes = JSON.parse(event.data);
    Object.assign(state, { atMs: changes.at_ms, speed: changes.speed, verdict: changes.verdict, heardAt: Date.now() });
    const isOther = changes.events !== state.events || changes.alerts !== state.alerts;
    Object.assign(state, { events: changes.events, alerts: changes.alerts });
    const changed = new Set();
    let isUnknown = false;
    for (const live of changes.connections) {
      const known = state.connections.get(live.name);
      if (known) {
        Object.assign(known, live);
        changed.add(live.name);
      } else isUnknown = true;
    }
    const isReordered = changes.order !== null;
    if (isReordered) state.order = changes.order.filter((name) => state.connections.has(name));
    if (isUnknown) loadOnce();
    if (isOther) count();
    beat();
    page?.update?.(changed, isReordered, isOther);
  });
  source.addEventListener("error", beat);
}

/** How many failovers last, and how many exporters have faults. */
async function count() {
  const show = (id, number, what) => {
    const badge = document.getElementById(id);
    badge.hidden = number === 0;
    badge.textContent = number;
    badge.title = `${number} ${what}`;
  };
  try {
    const [{ events }, { exporters }] = await Promise.all([ask("events"), ask("exporters")]);
    show("failovers-count", events.filter((event) => event.ended_ms === null).length, "last");
    show("exporters-count", exporters.filter((exporter) => exporter.faults.length > 0).length, "with faults");
  } catch {
    // It is asked again.
  }
}

/** Says whether the figures are live. */
function beat() {
  const silent = state.heardAt === null ? null : Date.now() - state.heardAt;
  const isStale = silent !== null && silent > SILENT_MS;
  pulse.classList.toggle("is-live", silent !== null && !isStale);
  const lapse = state.speed > 1 ? ` · ${state.speed}× time` : "";
  say(pulseText, state.atMs === null ? "connecting" : `${time(state.atMs)}${lapse}`);
  stale.hidden = !isStale;
  if (isStale) say(stale, `Nothing was heard of the collector for ${duration(silent)}: these figures are of ${time(state.atMs)}. Trying again.`);
}

const typing = (target) => target.closest?.("input[type=search], input[type=text], select, textarea");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const help = document.getElementById("help");
  if (help.open) return;
  if (event.key === "Escape") {
    if (typing(event.target)) event.target.blur();
    else if (location.hash.replace(/^#\/?/, "") !== "") location.hash = "#/";
    return;
  }
  if (typing(event.target)) return;
  const go = { w: "#/what-if", f: "#/failovers", e: "#/exporters", c: "#/" }[event.key];
  if (event.key === "?") help.showModal();
  else if (go) location.hash = go;
  else if (page?.key?.(event)) event.preventDefault();
});

addEventListener("hashchange", () => {
  route();
  scrollTo(0, 0);
  main.focus({ preventScroll: true });
});

route();
loadOnce().then(() => { listen(); count(); });
setInterval(beat, 1_000);
setInterval(count, 30_000);
// What was in the last hour grows by a minute at a time.
(function again() {
  setTimeout(() => { if (!document.hidden) loadOnce(); again(); }, Math.max(5_000, 60_000 / state.speed));
})();
