// The connections, what burns first: read in five seconds.

import { sparkline } from "./chart.js";
import { ask, el, error, mark, moment, percent, rate, range, say, size, STATUSES, svg, time, toConnection, WAYS } from "./format.js";

const ORDER = Object.keys(STATUSES);

/** One direction of a connection: bar against capacity, figures, the last hour. */
function wayCell(way) {
  const value = el("span", { class: "value" });
  const full = el("span", { class: "full" });
  const spread = el("span", { class: "spread" });
  const fill = el("i", { class: "fill" });
  const whisker = el("i", { class: "whisker" });
  const p95 = el("i", { class: "p95" });
  const bar = el("div", { class: "bar", role: "img" }, fill, whisker, el("i", { class: "half" }), p95);
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const spark = svg("svg", { class: "spark", viewBox: "0 0 120 26", preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  const cell = el("div", { class: "way" }, el("span", { class: "arrow", title: way.name, "aria-label": way.name }, way.arrow), value, spread, full, bar, spark);
  return {
    cell,
    update(connection) {
      const load = connection[way.key];
      say(value, load.bps === null ? "not known" : rate(load.bps));
      cell.classList.toggle("unknown", load.bps === null);
      say(spread, error(load.bps, load.standard_error_bps));
      const ratio = load.utilisation_ratio;
      say(full, ratio === null ? "" : percent(ratio));
      bar.classList.toggle("is-empty", ratio === null);
      fill.style.width = `${Math.min(1, ratio ?? 0) * 100}%`;
      bar.dataset.level = ratio === null ? "" : ratio >= 0.95 ? "full" : ratio >= 0.8 ? "hot" : ratio > 0.5 ? "half" : "fine";
      const spreadRatio = 2 * (load.utilisation_standard_error ?? 0);
      whisker.hidden = ratio === null || spreadRatio < 0.005;
      whisker.style.left = `${Math.max(0, (ratio ?? 0) - spreadRatio) * 100}%`;
      whisker.style.width = `${Math.min(1, 2 * spreadRatio) * 100}%`;
      p95.hidden = load.p95_utilisation_ratio === null;
      p95.style.left = `${Math.min(1, load.p95_utilisation_ratio ?? 0) * 100}%`;
      const title = [
        `${way.name}: ${range(load.bps, load.standard_error_bps)}`,
        load.until_ms === null ? null : `in the minute to ${time(load.until_ms)}`,
        ratio === null ? "capacity not known" : `port ${percent(ratio)} full, by ${load.utilisation_by}`,
        load.p95_bps === null ? null : `p95 of 24 h ${rate(load.p95_bps)}${load.p95_utilisation_ratio === null ? "" : ` (${percent(load.p95_utilisation_ratio)})`}, of ${load.p95_steps_known} of 288 steps`,
      ].filter(Boolean).join(", ");
      cell.title = title;
      bar.setAttribute("aria-label", title);
    },
    history(values) {
      const drawn = sparkline(values);
      line.setAttribute("d", drawn.line);
      area.setAttribute("d", drawn.area);
    },
  };
}

/** What the failure of a connection would come to, in words. */
export function failureWords(connection) {
  const { failure } = connection;
  if (!connection.is_peering || connection.status === "inactive") return { text: "", holds: null, title: "" };
  if (!failure) return { text: "not known", holds: null, title: "Nothing else could take its traffic, or loads and capacities are not known." };
  const most = failure.utilisation_ratio;
  const holds = connection.status !== "unsafe" && most <= 0.95;
  const away = failure.leaves_location ? ", elsewhere" : "";
  return {
    text: `${failure.survivor} ${percent(most)}${away}`,
    holds,
    title: `If it fails, ${failure.survivor} is ${percent(most)} full at the worst moment of 24 hours (${moment(failure.at_ms)}), ${percent(failure.utilisation_now_ratio)} now${failure.leaves_location ? "; nothing of its metro survives" : ""}.`,
  };
}

function makeRow(name) {
  const status = el("span", { class: "status" });
  const title = el("a", { class: "name", href: toConnection(name), "data-name": name }, name);
  const about = el("span", { class: "about" });
  const reason = el("span", { class: "reason" });
  const ways = WAYS.map(wayCell);
  const failure = el("span", { class: "failure" });
  const trust = el("span", { class: "trust" });
  const row = el("li", { class: "row" },
    status, el("div", { class: "what" }, title, about, reason), ...ways.map((way) => way.cell),
    el("div", { class: "n1" }, el("span", { class: "n1-label" }, "if it fails "), failure), trust);
  row.addEventListener("click", (event) => {
    if (!event.target.closest("a") && !getSelection()?.toString()) location.hash = toConnection(name);
  });
  return {
    row,
    update(connection) {
      if (row.dataset.status !== connection.status) {
        row.dataset.status = connection.status;
        status.replaceChildren(mark(connection.status), el("span", {}, STATUSES[connection.status].word));
      }
      say(about, [connection.role, connection.location, connection.capacity_bps === null ? null : size(connection.capacity_bps)].filter(Boolean).join(" · "));
      about.title = [connection.peering, connection.facility, connection.port].filter(Boolean).join(" · ");
      // The others are in the row already: how full, and what its failure does.
      say(reason, ["down", "unknown", "inactive"].includes(connection.status) ? connection.reasons[0] ?? "" : "");
      reason.title = connection.reasons.join("\n");
      ways.forEach((way) => way.update(connection));
      const words = failureWords(connection);
      failure.className = `failure ${words.holds === null ? "unknown" : words.holds ? "holds" : "breaks"}`;
      say(failure, `${words.holds === null ? "" : words.holds ? "✓ " : "✗ "}${words.text}`);
      failure.parentElement.title = words.title;
      failure.parentElement.classList.toggle("is-empty", words.text === "");
      const doubts = connection.doubts;
      trust.className = doubts.length > 0 ? "trust doubted" : "trust";
      say(trust, doubts.length > 0 ? "≈ doubtful" : "");
      trust.title = doubts.join("\n");
      if (doubts.length > 0) trust.setAttribute("aria-label", `Not to be trusted: ${doubts.join(" ")}`);
    },
    history(connection) {
      WAYS.forEach((way, index) => ways[index].history(connection[`${way.key}_minutes_bps`] ?? []));
    },
  };
}

/** Whether a connection is meant by words of the filter: all of them must be somewhere. */
function matches(connection, words) {
  const text = [connection.name, connection.peering, connection.location, connection.facility, connection.role, connection.port, STATUSES[connection.status].word, connection.doubts.length > 0 ? "doubtful" : ""].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** Headings of peerings: what belongs together, with its sums. */
function groupHeading(name, members) {
  const sum = (key) => members.reduce((sum, one) => (sum === null || one[key].bps === null ? null : sum + one[key].bps), 0);
  const worst = members[0].status;
  return el("li", { class: "group", "data-status": worst }, mark(worst), el("h2", {}, name),
    el("span", {}, `${members.length} ${members.length === 1 ? "connection" : "connections"}`),
    ...WAYS.map((way) => el("span", { class: "group-sum", title: way.name }, `${way.arrow} ${rate(sum(way.key))}`)));
}

export function listPage({ main, state, query }) {
  const verdict = el("div", { class: "verdict", "aria-live": "polite" });
  const alerts = el("div", { class: "alerts" });
  const filter = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter by name, place, peering, role or status", value: query.get("filter") ?? "", spellcheck: "false" });
  const grouping = el("button", { type: "button", class: "switch", "aria-pressed": "false" }, "By peering");
  const counted = el("span", { class: "counted" });
  const head = el("div", { class: "list-head", "aria-hidden": "true" }, el("span", {}), el("span", {}, "Connection"),
    ...WAYS.map((way) => el("span", {}, `${way.arrow} ${way.name}`)), el("span", {}, "If it fails"), el("span", {}));
  const list = el("ol", { class: "rows", "aria-label": "Connections, what burns first" });
  const legend = el("p", { class: "legend" }, el("span", { class: "key-half" }), " Microsoft's 50 % line ", el("span", { class: "key-p95" }), " p95 of 24 h ", el("span", { class: "key-whisker" }), " what sampling leaves open (± 2 standard errors). Keys: ?");
  main.append(el("h1", { class: "unseen" }, "Connections"), verdict, alerts, el("div", { class: "tools" }, filter, grouping, counted), head, list, legend);

  const rows = new Map();
  let isGrouped = false;
  try { isGrouped = localStorage.getItem("grouped") === "yes"; } catch { /* It may not be kept. */ }

  const wordsOf = () => filter.value.toLowerCase().split(/\s+/).filter(Boolean);

  function showVerdict() {
    const counts = new Map();
    let doubted = 0;
    for (const connection of state.connections.values()) {
      if (connection.is_peering) counts.set(connection.status, (counts.get(connection.status) ?? 0) + 1);
      if (connection.doubts.length > 0) doubted += 1;
    }
    const chips = ORDER.filter((status) => counts.has(status) && status !== "inactive").map((status) => chip(status, `${counts.get(status)} ${STATUSES[status].word}`, STATUSES[status].word));
    if (doubted > 0) chips.push(chip("doubted", `${doubted} doubtful`, "doubtful"));
    const signature = chips.map((one) => one.textContent).join("|") + state.verdict.join("|");
    if (verdict.dataset.signature === signature) return;
    verdict.dataset.signature = signature;
    verdict.dataset.worst = ORDER.find((status) => counts.has(status)) ?? "";
    const isCalm = [...counts.keys()].every((status) => status === "fine" || status === "inactive");
    verdict.replaceChildren(...(isCalm ? [el("p", { class: "calm" }, mark(counts.size > 0 ? "fine" : "unknown"), `${state.verdict.join(", ")}.`), ...chips.filter((one) => one.dataset.status === "doubted")] : chips));
  }

  function chip(status, text, words) {
    return el("button", { type: "button", class: "chip", "data-status": status, onclick: () => { filter.value = filter.value === words ? "" : words; arrange(); } }, status === "doubted" ? "≈ " : mark(status), text);
  }

  async function showAlerts() {
    const { alerts: all } = await ask("alerts").catch(() => ({ alerts: [] }));
    const firing = all.filter((alert) => alert.state === "firing");
    alerts.replaceChildren(...firing.slice(0, 5).map((alert) => el("p", { class: "alert", "data-severity": alert.severity },
      el("b", {}, alert.severity), ` ${alert.summary} `, alert.connection ? el("a", { href: toConnection(alert.connection) }, alert.connection) : null, el("time", {}, ` since ${time(alert.at_ms)}`))));
    if (firing.length > 5) alerts.append(el("p", { class: "alert" }, `${firing.length - 5} more alerts fire.`));
  }

  function arrange() {
    const words = wordsOf();
    const shown = state.order.map((name) => state.connections.get(name)).filter((one) => one && matches(one, words));
    const items = [];
    if (isGrouped) {
      const groups = new Map();
      for (const one of shown) {
        const name = one.peering ?? (one.is_peering ? "Without a peering's name" : one.role);
        groups.set(name, [...(groups.get(name) ?? []), one]);
      }
      for (const [name, members] of groups) items.push(groupHeading(name, members), ...members.map((one) => rows.get(one.name)?.row));
    } else items.push(...shown.map((one) => rows.get(one.name)?.row));
    const wanted = items.filter(Boolean);
    const isSame = list.children.length === wanted.length && wanted.every((item, index) => list.children[index] === item);
    if (!isSame) {
      const focused = document.activeElement;
      list.replaceChildren(...wanted);
      if (focused?.isConnected && list.contains(focused)) focused.focus({ preventScroll: true });
    }
    say(counted, words.length > 0 ? `${shown.length} of ${state.order.length}` : `${state.order.length}`);
    list.classList.toggle("is-empty", shown.length === 0);
    grouping.setAttribute("aria-pressed", String(isGrouped));
    if (shown.length === 0 && state.atMs !== null) {
      list.replaceChildren(el("li", { class: "empty" }, words.length > 0 ? "No connection is meant by this." : "No telemetry of Microsoft's traffic has come yet. Point a router at the collector: peerscope collect says where it listens."));
    }
  }

  filter.addEventListener("input", arrange);
  grouping.addEventListener("click", () => {
    isGrouped = !isGrouped;
    try { localStorage.setItem("grouped", isGrouped ? "yes" : "no"); } catch { /* It may not be kept. */ }
    arrange();
  });
  showAlerts();

  return {
    title: "",
    update(changed, isReordered, isOther) {
      const isWhole = isReordered === true;
      for (const name of isWhole ? state.order : changed) {
        const connection = state.connections.get(name);
        if (!connection) continue;
        let row = rows.get(name);
        if (!row) {
          row = makeRow(name);
          rows.set(name, row);
        }
        row.update(connection);
        if (row.minutes !== connection.to_microsoft_minutes_bps) {
          row.minutes = connection.to_microsoft_minutes_bps;
          row.history(connection);
        }
      }
      if (isWhole || isGrouped) arrange();
      if (changed.size > 0 || isWhole) showVerdict();
      if (isOther) showAlerts();
    },
    key(event) {
      if (event.key === "/") {
        filter.focus();
        return true;
      }
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (!step) return false;
      const links = [...list.querySelectorAll("a.name")];
      const place = links.indexOf(document.activeElement);
      const next = links[place < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, place + step))];
      next?.focus();
      next?.closest(".row")?.scrollIntoView({ block: "nearest" });
      return true;
    },
  };
}
