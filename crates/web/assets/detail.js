// One connection: loads, what they are of, counters beside flows, what its failure would do.

import { chart, times } from "./chart.js";
import { ask, bytes, duration, el, fact, mark, moment, percent, range, rate, say, size, STATUSES, time, WAYS } from "./format.js";
import { failureWords } from "./list.js";

const HOUR = 3_600_000;
const RANGES = [
  { key: "1h", name: "1 h", ms: HOUR },
  { key: "6h", name: "6 h", ms: 6 * HOUR },
  { key: "24h", name: "24 h", ms: 24 * HOUR },
  { key: "7d", name: "7 d", ms: 7 * 24 * HOUR },
  { key: "30d", name: "30 d", ms: 30 * 24 * HOUR },
  { key: "1y", name: "1 y", ms: 365 * 24 * HOUR },
  { key: "2y", name: "2 y", ms: 730 * 24 * HOUR },
];
const PARTS = [["service", "Services"], ["region", "Regions"], ["customer", "Customers"], ["prefix", "Prefixes"]];

/** The upper and lower ends of what sampling leaves open. */
function spread(values, errors) {
  const one = (sign) => values.map((value, index) => (value === null || errors[index] === null ? null : Math.max(0, value + sign * 2 * errors[index])));
  return [one(1), one(-1)];
}

/** A picture of one direction. */
function picture(way, loads, capacity, p95, key, from, to, mature = loads.bps.length) {
  const settled = loads.bps.map((bps, index) => (index < mature ? bps : null));
  const maturesAt = loads.times[mature] ?? null;
  const [high, low] = spread(settled, loads.error);
  const series = [
    { name: "+ 2 σ", values: high, colour: null },
    { name: "− 2 σ", values: low, colour: null },
    { name: "flows", values: settled, colour: "--load", width: 1.8, points: loads.bps.length < 40 },
  ];
  if (maturesAt !== null) series.push({ name: "so far", values: loads.bps.map((bps, index) => (index >= mature - 1 ? bps : null)), colour: "--load", width: 1, dash: [2, 3] });
  const marks = [];
  if (loads.peak) series.push({ name: "peak", values: loads.peak, colour: "--peak", width: 1 });
  const hasCounters = loads.counter.some((value) => value !== null);
  const isShared = loads.port.some((value, index) => value !== null && loads.bps[index] !== null && value > loads.bps[index] * 1.02 + 1e3);
  if (isShared) series.push({ name: "port, flows", values: loads.port, colour: "--port", width: 1.2 });
  if (hasCounters) series.push({ name: "port, counters", values: loads.counter, colour: "--counter", width: 1.4, dash: [5, 4] });
  const most = Math.max(0, ...[...loads.bps, ...loads.counter].filter((value) => value !== null));
  if (capacity !== null) {
    marks.push({ value: capacity, name: "capacity", colour: "--burn", dash: [] });
    marks.push({ value: capacity / 2, name: "50 %", colour: "--half", dash: [4, 4] });
  }
  if (p95 !== null && p95 !== undefined) marks.push({ value: p95, name: `p95 ${rate(p95)}`, colour: "--load", dash: [2, 3] });
  const top = capacity !== null && most > capacity * 0.3 ? capacity * 1.04 : 0;
  return { key, times: loads.times, series, bands: [[1, 2]], marks, from, to, maturesAt, top, shape: series.map((one) => one.name).join() };
}

export function detailPage({ main, state, argument: name, query }) {
  const head = el("div", { class: "detail-head" });
  const facts = el("dl", { class: "facts" });
  const notes = el("div", { class: "notes" });
  const said = el("p", { class: "said", role: "status" });
  const picker = el("div", { class: "ranges", role: "group", "aria-label": "Range" });
  const charts = WAYS.map((way) => chart(`${way.arrow} ${way.name}`, 230, "chart has-band"));
  const latencies = el("section", { class: "latencies", hidden: true });
  const parts = el("section", { class: "parts" });
  const frames = el("div", { class: "charts" }, charts.map((one) => one.element));
  main.append(head, notes, facts, picker, said, frames, latencies, parts);

  let span = RANGES.find((one) => one.key === query.get("range")) ?? RANGES[0];
  let part = "service";
  let asked = 0;

  for (const one of RANGES) {
    picker.append(el("button", { type: "button", class: "switch", "aria-pressed": String(one === span), "data-range": one.key, onclick: () => {
      span = one;
      for (const button of picker.children) button.setAttribute("aria-pressed", String(button.dataset.range === one.key));
      draw();
      drawParts();
    } }, one.name));
  }

  function showHead() {
    const connection = state.connections.get(name);
    for (const part of [notes, facts, picker, said, frames, parts]) part.hidden = !connection;
    if (!connection) {
      head.replaceChildren(el("a", { href: "#/", class: "back" }, "← Connections"), el("h1", {}, name), el("p", { class: "empty" }, state.atMs === null ? "" : "There is no such connection now."));
      return;
    }
    head.replaceChildren(
      el("a", { href: "#/", class: "back" }, "← Connections"),
      el("h1", {}, name),
      el("span", { class: "status", "data-status": connection.status }, mark(connection.status), STATUSES[connection.status].word),
      el("span", { class: "about" }, [connection.role, connection.peering, connection.location, connection.facility].filter(Boolean).join(" · ")),
    );
    const reasons = connection.reasons.map((reason) => el("p", { class: "reason", "data-status": connection.status }, reason));
    const doubts = connection.doubts.map((doubt) => el("p", { class: "doubt" }, "≈ ", doubt));
    notes.replaceChildren(...reasons, ...doubts);
    const words = failureWords(connection);
    facts.replaceChildren(
      ...WAYS.map((way) => {
        const load = connection[way.key];
        const full = load.utilisation_ratio === null ? "" : ` · ${percent(load.utilisation_ratio)} full by ${load.utilisation_by}`;
        return fact(`${way.arrow} ${way.name}`, el("b", {}, rate(load.bps)), full,
          el("small", {}, load.bps === null ? "" : `${range(load.bps, load.standard_error_bps)}, minute to ${time(load.until_ms)}`));
      }),
      ...WAYS.map((way) => {
        const load = connection[way.key];
        return fact(`p95 ${way.arrow}`, el("b", {}, rate(load.p95_bps)), el("small", {}, load.p95_bps === null ? "24 h" : `24 h, ${load.p95_steps_known} of 288 steps known`));
      }),
      fact("Capacity", el("b", {}, size(connection.capacity_bps)), el("small", {}, connection.port ?? "")),
      ...(words.text ? [fact("If it fails", el("b", { class: words.holds === null ? "" : words.holds ? "holds" : "breaks" }, words.text), connection.failure ? el("a", { href: `#/what-if?down=${encodeURIComponent(name)}` }, "what if") : null)] : []),
      ...coverage(connection),
    );
  }

  function coverage(connection) {
    const known = WAYS.map((way) => connection[way.key].coverage_ratio).filter((ratio) => ratio !== null);
    const ratios = WAYS.map((way) => [way, connection[way.key].flows_to_counters_ratio]).filter(([, ratio]) => ratio !== null);
    const items = [];
    if (known.length > 0) items.push(fact("Telemetry that came", el("b", {}, percent(Math.min(...known)))));
    if (ratios.length > 0) items.push(fact("Flows of counters", el("b", {}, ratios.map(([way, ratio]) => `${way.arrow} ${percent(ratio)}`).join("  ")), el("small", {}, "last hour, whole port")));
    return items;
  }

  async function draw() {
    const turn = ++asked;
    const connection = state.connections.get(name);
    if (!connection || state.atMs === null) return;
    try {
      if (span.key === "1h") await drawRecent(turn);
      else await drawTables(turn);
    } catch (failure) {
      if (turn === asked) say(said, `${failure.message}.`);
    }
  }

  async function drawRecent(turn) {
    const recent = await ask("connection", [["name", name]]);
    if (turn !== asked) return;
    showLatencies(recent.latencies);
    say(said, "In bins of 10 s, from memory. What is shaded may still grow: records of running flows are due.");
    WAYS.forEach((way, index) => {
      const bins = recent[way.key];
      const at = times(bins.from_ms, recent.step_seconds, bins.bps.length);
      const loads = { times: at, bps: bins.bps, error: bins.standard_error_bps, port: bins.port_bps, counter: bins.port_counter_bps };
      const to = recent.at_ms / 1000;
      // Of a collector that has just begun there is no hour.
      const begun = at[bins.bps.findIndex((bps, bin) => bps !== null || bins.port_counter_bps[bin] !== null)] ?? 0;
      const from = Math.max(to - HOUR / 1000, Math.min(begun, to - 300));
      charts[index].show(picture(way, loads, recent.connection.capacity_bps, recent.connection[way.key].p95_bps, name, from, to, bins.mature));
    });
  }

  /** How fast paths are, each by its method; of what cannot be known, why. */
  function showLatencies(all) {
    latencies.hidden = all.length === 0;
    const ms = (us) => (us === null ? "–" : `${(us / 1000).toFixed(us < 9_950 ? 2 : 1)}\u00a0ms`);
    const rows = all.map((one) => el("tr", {}, el("td", {}, one.region ?? "all regions"), el("td", {}, `${one.span}, ${one.method}`.replaceAll("_", " ")),
      el("td", { class: "number" }, ms(one.p50_us)), el("td", { class: "number" }, ms(one.p95_us)), el("td", { class: "number" }, one.samples.toLocaleString()), el("td", {}, one.absent_reason ?? "")));
    const heads = ["To", "What is measured", "median", "p95", "samples", ""];
    latencies.replaceChildren(el("h2", {}, "Latency"), el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, heads.map((head, index) => el("th", { class: index > 1 && index < 5 ? "number" : "" }, head)))), el("tbody", {}, rows))));
  }

  async function drawTables(turn) {
    say(said, "Reading …");
    const to = state.atMs;
    const from = to - span.ms;
    const answer = await ask("loads", [["connection", name], ["from_ms", from], ["to_ms", to]]);
    if (turn !== asked) return;
    const step = answer.step_seconds >= 86_400 ? "day" : duration(answer.step_seconds * 1000);
    const p95 = WAYS.map((way) => answer[way.key]).filter((columns) => columns.p95_bps !== null).map((columns) => columns.p95_steps_known);
    say(said, `Means and peaks of a ${step}, from the tables.`
      + (p95.length > 0 ? ` p95 of ${Math.min(...p95)} five-minute means.` : "")
      + (answer.files_damaged > 0 ? ` ${answer.files_damaged} files could not be read.` : "")
      + (answer.is_cut ? " Not all of it could be read in the time allowed; reading on …" : ""));
    WAYS.forEach((way, index) => {
      const columns = answer[way.key];
      const loads = {
        times: times(answer.from_ms, answer.step_seconds, columns.mean_bps.length), bps: columns.mean_bps, error: columns.standard_error_bps,
        peak: columns.peak_bps, port: columns.port_bps, counter: columns.port_counter_bps,
      };
      charts[index].show(picture(way, loads, answer.capacity_bps, columns.p95_bps, name, from / 1000, to / 1000));
    });
    if (answer.is_cut) setTimeout(() => { if (turn === asked) drawTables(turn).catch(() => {}); }, 500);
  }

  async function drawParts() {
    const tabs = el("div", { class: "ranges", role: "group", "aria-label": "What it carries, by" }, PARTS.map(([key, title]) =>
      el("button", { type: "button", class: "switch", "aria-pressed": String(key === part), onclick: () => { part = key; drawParts(); } }, title)));
    const body = el("div", { class: "part-body" }, el("p", { class: "said" }, "Reading …"));
    parts.replaceChildren(el("h2", {}, "What it carries"), tabs, body);
    if (state.atMs === null) return;
    const to = state.atMs;
    const from = to - Math.min(span.ms, 7 * 24 * HOUR);
    try {
      const answer = await ask("shares", [["connection", name], ["by", part], ["from_ms", from], ["to_ms", to]]);
      if (parts.contains(body)) body.replaceChildren(...shareTable(answer));
    } catch (failure) {
      body.replaceChildren(el("p", { class: "said" }, `${failure.message}.`));
    }
  }

  function shareTable(answer) {
    if (answer.rows.length === 0) return [el("p", { class: "empty" }, "Nothing is in the tables of this range yet: their rows are of five minutes, and are written when all records must have come.")];
    const totals = { to_microsoft: answer.to_microsoft_bytes, from_microsoft: answer.from_microsoft_bytes };
    const cells = (row) => WAYS.flatMap((way) => {
      const count = row[`${way.key}_bytes`];
      const share = totals[way.key] > 0 ? count / totals[way.key] : 0;
      const meter = el("i", { class: "meter" }, el("i", {}));
      meter.firstChild.style.width = `${share * 100}%`;
      const spread = row[`${way.key}_standard_error_bytes`];
      return [el("td", { class: "number", title: `${bytes(count)} ± ${bytes(2 * spread)}` }, rate(answer.seconds_known > 0 ? (count * 8) / answer.seconds_known : null)), el("td", { class: "share" }, meter, percent(share))];
    });
    const shown = answer.rows.slice(0, 25);
    const table = el("table", {},
      el("thead", {}, el("tr", {}, el("th", {}, PARTS.find(([key]) => key === part)[1]), ...WAYS.flatMap((way) => [el("th", { class: "number" }, `${way.arrow} ${way.name}`), el("th", {}, "share")]))),
      el("tbody", {}, shown.map((row) => el("tr", {}, el("td", {}, row.name ?? el("em", {}, part === "region" ? "no region" : "not known")), ...cells(row)))));
    const about = `IP bytes, mean rates over ${duration(answer.seconds_known * 1000)} of the ${duration(answer.to_ms - answer.from_ms)} to ${moment(answer.to_ms)}.`
      + (answer.rows.length > shown.length ? ` ${answer.rows.length - shown.length} smaller rows are left out.` : "") + (answer.is_cut ? " Not all of it could be read in the time allowed." : "");
    return [el("div", { class: "scroll" }, table), el("p", { class: "said" }, about)];
  }

  let isDrawn = false;
  let drawnAt = 0;
  return {
    title: name,
    update(changed, isWhole) {
      if (changed.has(name) || isWhole || !isDrawn) showHead();
      if (!isDrawn && state.connections.has(name)) {
        isDrawn = true;
        draw();
        drawParts();
      } else if (span.key === "1h" && state.atMs - drawnAt >= 10_000 * state.speed && !document.hidden) {
        drawnAt = state.atMs;
        draw();
      }
    },
    close() {
      asked += 1;
      charts.forEach((one) => one.close());
    },
  };
}
