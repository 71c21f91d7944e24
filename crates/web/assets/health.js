// Exporters' health: what came, what was lost, what mends it.

import { ask, duration, el, mark, percent, say } from "./format.js";

export function exportersPage({ main, state }) {
  const about = el("p", { class: "lead" });
  const body = el("div", { class: "exporters" });
  const ledger = el("pre", { class: "ledger", "aria-label": "The three balances" });
  main.append(el("h1", {}, "Exporters"), about, body, el("h2", {}, "Since the start"), ledger);

  async function show() {
    try {
      const { exporters, ledger: lines, at_ms: atMs } = await ask("exporters");
      exporters.sort((a, b) => (b.faults.length > 0) - (a.faults.length > 0) || a.exporter.localeCompare(b.exporter) || a.domain - b.domain);
      const faulty = exporters.filter((exporter) => exporter.faults.length > 0).length;
      say(about, exporters.length === 0 ? "None was heard yet: rows are of whole minutes." : `${exporters.length} domains in their last whole minute, ${faulty === 0 ? "none with faults" : `${faulty} with faults`}.`);
      body.replaceChildren(...(exporters.length === 0 ? [] : [el("div", { class: "scroll" }, table(exporters, atMs))]));
      say(ledger, lines.join("\n"));
    } catch (failure) {
      say(about, `${failure.message}.`);
    }
  }

  function table(exporters, atMs) {
    const number = (text, title) => el("td", { class: "number", title }, text);
    const rows = exporters.map((one) => el("tr", { class: one.faults.length > 0 ? "faulty" : "" },
      el("td", {}, mark(one.faults.length > 0 ? "hot" : "fine"), el("b", {}, one.name ?? one.exporter), el("small", {}, `${one.name ? `${one.exporter} · ` : ""}${one.protocol} · domain ${one.domain}`), ...one.faults.map((fault) => el("p", { class: "fault" }, fault))),
      number(percent(one.coverage_ratio), "Share of what it sent that came and was decoded"),
      number(one.records.toLocaleString(), `${one.datagrams.toLocaleString()} datagrams`),
      number(lost(one), "Lost by the sequence numbers"),
      number(one.templates.toLocaleString()),
      number(one.clock_offset_ms === null ? "–" : `${(one.clock_offset_ms / 1000).toFixed(2)} s`, one.is_clock_refused ? "not used" : ""),
      number(one.active_timeout_seconds === null ? "–" : `${one.active_timeout_seconds} s`),
      el("td", {}, one.sampling_origin ?? "–"),
      number(duration(atMs - one.minute_ms - 60_000))));
    const heads = ["Exporter", "came", "records", "lost", "templates", "clock", "active timeout", "sampling by", "heard before"];
    // On a phone there is no head, and each cell says what it is.
    rows.forEach((row) => [...row.children].forEach((cell, index) => cell.setAttribute("data-head", heads[index])));
    return el("table", { class: "wide" }, el("thead", {}, el("tr", {}, heads.map((head, index) => el("th", { class: index > 0 && index !== 7 ? "number" : "" }, head)))), el("tbody", {}, rows));
  }

  function lost(one) {
    const count = one.lost_records ?? one.lost_datagrams;
    return count === null ? "–" : `${count.toLocaleString()}${one.lost_records === null ? " dg" : ""}`;
  }

  let shownAt = 0;
  return {
    title: "Exporters",
    update() {
      if (state.atMs - shownAt < 10_000 * state.speed) return;
      shownAt = state.atMs;
      show();
    },
  };
}
