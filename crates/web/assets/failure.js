// What if connections fail, and what happened when they did.

import { chart, times } from "./chart.js";
import { ask, duration, el, fact, mark, moment, percent, rate, size, toConnection, WAYS } from "./format.js";

/** A bar from before to after, with the line at which a port is full. */
function survivorBar(before, after) {
  const SCALE = 1.25;
  const bar = el("div", { class: "shift", role: "img", "aria-label": `from ${percent(before)} to ${percent(after)}` }, el("i", { class: "after" }), el("i", { class: "before" }), el("i", { class: "limit" }));
  const width = (ratio) => `${(Math.min(SCALE, ratio ?? 0) / SCALE) * 100}%`;
  bar.querySelector(".after").style.width = width(after);
  bar.querySelector(".before").style.width = width(before);
  bar.querySelector(".limit").style.left = `${100 / SCALE}%`;
  bar.dataset.level = after >= 0.95 ? "full" : after >= 0.8 ? "hot" : after > 0.5 ? "half" : "fine";
  return bar;
}

export function whatIfPage({ main, state, query }) {
  const down = new Set(query.getAll("down"));
  const filter = el("input", { type: "search", placeholder: "Filter", "aria-label": "Filter connections", spellcheck: "false" });
  const boxes = el("ul", { class: "boxes" });
  const answer = el("div", { class: "answer", "aria-live": "polite" });
  const clear = el("button", { type: "button", class: "switch", onclick: () => { down.clear(); choose(); } }, "None");
  main.append(el("h1", {}, "What if"), el("p", { class: "lead" }, "Tick the connections that are taken as down. Their traffic goes as traffic is split over the survivors now, first those of the metro; where that says nothing, by capacity."),
    el("div", { class: "split" }, el("section", { class: "choice", "aria-label": "Connections" }, el("div", { class: "tools" }, filter, clear), boxes), answer));

  let turn = 0;
  let known = "";

  function showBoxes() {
    const peerings = [...state.connections.values()].filter((one) => one.is_peering && one.status !== "inactive");
    peerings.sort((a, b) => (a.location ?? "").localeCompare(b.location ?? "") || a.name.localeCompare(b.name));
    const signature = peerings.map((one) => one.name).join("\n");
    if (signature === known) return;
    known = signature;
    let place = null;
    // Those of the address come first: else nobody sees them among hundreds.
    const ticked = new Set(down);
    peerings.sort((a, b) => ticked.has(b.name) - ticked.has(a.name));
    boxes.replaceChildren(...peerings.flatMap((one) => {
      const box = el("input", { type: "checkbox", value: one.name, onchange: () => { if (box.checked) down.add(one.name); else down.delete(one.name); choose(); } });
      box.checked = down.has(one.name);
      const item = el("li", { "data-text": `${one.name} ${one.location ?? ""} ${one.peering ?? ""} ${one.facility ?? ""}`.toLowerCase() }, el("label", {}, box, el("span", {}, one.name), el("small", {}, size(one.capacity_bps))));
      const group = ticked.has(one.name) ? "Taken as down" : one.location ?? "Place not known";
      const isOther = group !== place;
      place = group;
      return isOther ? [el("li", { class: "place" }, group), item] : [item];
    }));
    narrow();
  }

  function narrow() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of boxes.children) item.hidden = words.length > 0 && !words.every((word) => (item.dataset.text ?? "").includes(word));
  }

  function choose() {
    const parameters = new URLSearchParams([...down].map((name) => ["down", name])).toString();
    history.replaceState(null, "", `#/what-if${parameters ? `?${parameters}` : ""}`);
    for (const box of boxes.querySelectorAll("input")) box.checked = down.has(box.value);
    show();
  }

  async function show() {
    const mine = ++turn;
    if (down.size === 0) {
      answer.replaceChildren(el("p", { class: "empty" }, "Nothing is taken as down."));
      return;
    }
    try {
      const told = await ask("what-if", [...down].map((name) => ["down", name]));
      if (mine === turn) answer.replaceChildren(...told.directions.map(direction));
    } catch (failure) {
      if (mine === turn) answer.replaceChildren(el("p", { class: "empty" }, `${failure.message}.`));
    }
  }

  function direction(told) {
    const way = WAYS.find((one) => one.key === told.direction);
    const heading = el("h2", {}, `${way.arrow} ${way.name}`);
    if (told.survivors.length === 0) return el("section", {}, heading, el("p", { class: "empty" }, "It is not known: nothing survives that could take the traffic, or loads and capacities are not known."));
    const verdict = told.holds
      ? el("p", { class: "verdict-line holds" }, mark("fine"), "The others hold.")
      : el("p", { class: "verdict-line breaks" }, mark("full"), told.unplaced_bps > 0 ? `The others do not hold: up to ${rate(told.unplaced_bps)} find no room.` : "The others are too full to hold.");
    const moved = `${rate(told.moved_now_bps)} would move now${told.moved_worst_bps === null ? "" : `, ${rate(told.moved_worst_bps)} at the worst of 24 hours`}`
      + (told.leaves_location_bps > 0 ? `; ${rate(told.leaves_location_bps)} would leave its metro.` : ".");
    const rows = told.survivors.map((one) => el("tr", {},
      el("td", {}, el("a", { href: toConnection(one.connection) }, one.connection)),
      el("td", { class: "number" }, percent(one.before_ratio)),
      el("td", { class: "number" }, percent(one.now_ratio)),
      el("td", { class: "number" }, el("b", {}, percent(one.worst_ratio))),
      el("td", { class: "bar-cell", title: `worst at ${moment(one.worst_at_ms)}` }, survivorBar(one.before_ratio, Math.max(one.worst_ratio ?? 0, one.now_ratio ?? 0)))));
    return el("section", { class: "direction" }, heading, verdict, el("p", { class: "said" }, moved),
      el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Survivor"), el("th", { class: "number" }, "is full"), el("th", { class: "number" }, "would be now"), el("th", { class: "number" }, "at the worst of 24 h"), el("th", { class: "bar-cell" }, "is → would be at most; the line is full"))), el("tbody", {}, rows))));
  }

  filter.addEventListener("input", narrow);
  let shownAt = 0;
  return {
    title: "What if",
    update(changed, isWhole) {
      if (isWhole) showBoxes();
      if (isWhole || state.atMs - shownAt >= 10_000 * state.speed) {
        shownAt = state.atMs;
        show();
      }
    },
    key(event) {
      if (event.key !== "/") return false;
      filter.focus();
      return true;
    },
    close() { turn += 1; },
  };
}

/** When and how long, in words. */
function when(event, nowMs) {
  const until = event.ended_ms ?? nowMs;
  return `${moment(event.started_ms)}, ${event.ended_ms === null ? "lasts" : "lasted"} ${duration(until - event.started_ms)}`;
}

export function failoversPage({ main, state }) {
  const list = el("ol", { class: "rows events" });
  main.append(el("h1", {}, "Failovers"), list);
  async function show() {
    try {
      const { events } = await ask("events");
      list.replaceChildren(...(events.length === 0
        ? [el("li", { class: "empty" }, "No failover is known of late.")]
        : events.map((event) => el("li", { class: "row event", "data-status": event.ended_ms === null ? "down" : "fine" },
          mark(event.ended_ms === null ? "down" : "fine"),
          el("div", { class: "what" }, el("a", { class: "name", href: `#/failover/${encodeURIComponent(event.id)}` }, event.connection), el("span", { class: "about" }, [event.kind, event.location, event.is_planned ? "planned" : null].filter(Boolean).join(" · "))),
          el("span", {}, when(event, state.atMs)),
          el("span", {}, event.moved.length === 0 ? "" : `to ${event.moved.slice(0, 3).map((moved) => `${moved.connection} ${percent(moved.share)}`).join(", ")}`),
          el("span", { class: "number" }, event.survivor_peak_utilisation_ratio === null ? "" : `fullest ${percent(event.survivor_peak_utilisation_ratio)}`)))));
    } catch (failure) {
      list.replaceChildren(el("li", { class: "empty" }, `${failure.message}.`));
    }
  }
  show();
  return {
    title: "Failovers",
    update(changed, isWhole, isOther) { if (isOther) show(); },
    key(event) {
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      const links = [...list.querySelectorAll("a.name")];
      if (!step || links.length === 0) return false;
      links[Math.min(links.length - 1, Math.max(0, links.indexOf(document.activeElement) + step))].focus();
      return true;
    },
  };
}

export function failoverPage({ main, state, argument: id }) {
  const head = el("div", { class: "detail-head" });
  const facts = el("dl", { class: "facts" });
  const charts = WAYS.map((way) => chart(`${way.arrow} ${way.name}: it, and those that took most`, 210));
  const tables = el("div", { class: "split even" });
  const frames = el("div", { class: "charts" }, charts.map((one) => one.element));
  main.append(head, facts, tables, frames);
  let isClosed = false;

  async function show() {
    const { events } = await ask("events").catch(() => ({ events: [] }));
    const event = events.find((one) => one.id === id);
    if (isClosed) return;
    if (!event) {
      head.replaceChildren(el("a", { href: "#/failovers", class: "back" }, "← Failovers"), el("h1", {}, id), el("p", { class: "empty" }, "This failover is not known any more."));
      frames.hidden = true;
      return;
    }
    head.replaceChildren(el("a", { href: "#/failovers", class: "back" }, "← Failovers"), el("h1", {}, event.connection),
      el("span", { class: "status", "data-status": event.ended_ms === null ? "down" : "fine" }, mark(event.ended_ms === null ? "down" : "fine"), event.ended_ms === null ? "lasts" : "over"),
      el("span", { class: "about" }, [event.kind, event.location, event.is_planned ? "planned" : null, event.evidence].filter(Boolean).join(" · ")));
    const share = (term, value) => (value === null ? [] : [fact(term, el("b", {}, percent(value)))]);
    facts.replaceChildren(
      fact("When", el("b", {}, when(event, state.atMs ?? Date.now())), el("small", {}, event.detected_ms === null ? "" : `seen after ${duration(event.detected_ms - event.started_ms)}`)),
      fact("Carried before", el("b", {}, rate(event.before_bps))),
      ...share("Stayed in the metro", event.stayed_local_share), ...share("Went to transit", event.to_transit_share),
      ...share("Found nowhere", event.unaccounted_share), ...share("Came back", event.returned_share), ...share("Fullest survivor", event.survivor_peak_utilisation_ratio),
      ...(event.latency_before_us === null ? [] : [fact("Median round trip", el("b", {}, `${(event.latency_before_us / 1000).toFixed(1)} → ${(event.latency_after_us / 1000).toFixed(1)} ms`))]));
    tables.replaceChildren(...WAYS.map((way) => took(way, event)));
    await Promise.all(WAYS.map((way, index) => draw(way, event, charts[index])));
  }

  /** Who took what, in one direction. */
  function took(way, event) {
    const moved = event.moved.filter((one) => one.direction === way.key);
    const heading = el("h2", {}, `${way.arrow} ${way.name}`);
    if (moved.length === 0) return el("section", {}, heading, el("p", { class: "empty" }, "Nothing moved that is known."));
    const rows = moved.map((one) => {
      const meter = el("i", { class: "meter" }, el("i", {}));
      meter.firstChild.style.width = `${Math.min(1, one.share ?? 0) * 100}%`;
      const spread = one.share_error === null ? "" : ` ± ${percent(2 * one.share_error)}`;
      return el("tr", {}, el("td", {}, el("a", { href: toConnection(one.connection) }, one.connection)), el("td", { class: "number" }, rate(one.bps)), el("td", { class: "share" }, meter, `${percent(one.share)}${spread}`));
    });
    return el("section", {}, heading, el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "Went to"), el("th", { class: "number" }, "rate"), el("th", {}, "share"))), el("tbody", {}, rows))));
  }

  async function draw(way, event, place) {
    const QUARTER = 900_000;
    const now = state.atMs ?? Date.now();
    const from = event.started_ms - QUARTER;
    const to = Math.min(now, (event.ended_ms ?? now) + QUARTER);
    const takers = event.moved.filter((one) => one.direction === way.key).slice(0, 4).map((one) => one.connection);
    const names = [event.connection, ...takers];
    const all = await Promise.all(names.map((name) => loads(name, from, to).catch(() => null)));
    const first = all.find((one) => one !== null);
    if (isClosed || !first) {
      place.element.hidden = true;
      return;
    }
    const colours = ["--burn", "--load", "--counter", "--port", "--half"];
    const series = all.map((one, index) => one && { name: names[index], values: one[way.key], colour: colours[index], width: index === 0 ? 2.4 : 1.5, points: one[way.key].length < 40 }).filter(Boolean);
    place.show({ key: id, times: first.times, series, marks: [], from: from / 1000, to: to / 1000, shape: series.map((one) => one.name).join() });
  }

  /** Loads by bin where memory still has them, else by minute. */
  async function loads(name, from, to) {
    if ((state.atMs ?? 0) - from < 3_500_000) {
      const recent = await ask("connection", [["name", name]]);
      const bins = recent.to_microsoft;
      // What may still grow would look like one more failure.
      const settled = (of) => of.bps.map((bps, index) => (index < of.mature ? bps : null));
      return { times: times(bins.from_ms, recent.step_seconds, bins.bps.length), to_microsoft: settled(bins), from_microsoft: settled(recent.from_microsoft) };
    }
    const answer = await ask("loads", [["connection", name], ["from_ms", from], ["to_ms", Math.min(to, from + 21_600_000)]]);
    return { times: times(answer.from_ms, answer.step_seconds, answer.to_microsoft.mean_bps.length), to_microsoft: answer.to_microsoft.mean_bps, from_microsoft: answer.from_microsoft.mean_bps };
  }

  let isShown = false;
  return {
    title: "Failover",
    update(changed, isWhole, isOther) {
      if (!isShown || isOther) show();
      isShown = true;
    },
    close() {
      isClosed = true;
      charts.forEach((one) => one.close());
    },
  };
}
