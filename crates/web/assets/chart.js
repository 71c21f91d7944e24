// Pictures over time, by uPlot: one direction each.
/* global uPlot */

import { el, moment, rate, size } from "./format.js";

const shown = new Set();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Lines across the whole picture: capacity, half of it, percentiles. */
function lines(list) {
  return {
    hooks: {
      draw: [(plot) => {
        const context = plot.ctx;
        context.save();
        context.font = `${11 * devicePixelRatio}px ${colour("--font")}`;
        for (const { value, name, colour: of, dash } of list) {
          if (value === null || value === undefined || value > plot.scales.y.max) continue;
          const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
          context.strokeStyle = colour(of);
          context.fillStyle = colour(of);
          context.lineWidth = devicePixelRatio;
          context.setLineDash(dash.map((length) => length * devicePixelRatio));
          context.beginPath();
          context.moveTo(plot.bbox.left, y);
          context.lineTo(plot.bbox.left + plot.bbox.width, y);
          context.stroke();
          context.textBaseline = "bottom";
          context.textAlign = "right";
          context.fillText(name, plot.bbox.left + plot.bbox.width - 4 * devicePixelRatio, y - 1);
        }
        context.restore();
      }],
    },
  };
}

/** The part of the time of which records are still to come. */
function growing(fromSeconds) {
  return {
    hooks: {
      drawClear: [(plot) => {
        if (fromSeconds === null || fromSeconds >= plot.scales.x.max) return;
        const left = Math.max(plot.valToPos(fromSeconds, "x", true), plot.bbox.left);
        plot.ctx.save();
        plot.ctx.fillStyle = colour("--growing");
        plot.ctx.fillRect(left, plot.bbox.top, plot.bbox.left + plot.bbox.width - left, plot.bbox.height);
        plot.ctx.restore();
      }],
    },
  };
}

const NARROW = 560;
const DAY = 86_400;

/** Times of an axis: as fine as its steps are. */
function ticks(plot, splits, _axis, _space, step) {
  const two = (number) => String(number).padStart(2, "0");
  return splits.map((split) => {
    const at = new Date(split * 1000);
    const date = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    if (step >= 300 * DAY) return String(at.getFullYear());
    if (step >= 25 * DAY) return `${at.getFullYear()}-${two(at.getMonth() + 1)}`;
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
    if (step >= DAY || clock === "00:00") return date;
    return step >= 60 ? clock : `${clock}:${two(at.getSeconds())}`;
  });
}

/** Options of uPlot for what a picture is of. */
function options(picture, width, height) {
  const { series, marks = [], maturesAt = null, from, to, top } = picture;
  const axis = { stroke: colour("--soft"), font: `11px ${colour("--font")}`, grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [12, width < NARROW ? 4 : 10, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: picture.key, scales: ["x", null] } },
    legend: { live: true, markers: { width: 2 } },
    scales: { x: { time: true, min: from, max: to }, y: { range: (_, low, high) => [0, Math.max((high ?? 0) * 1.08, top ?? 0, 1)] } },
    axes: [
      { ...axis, gap: 6, space: 64, values: ticks, size: 30 },
      { ...axis, size: width < NARROW ? 62 : 74, gap: 6, space: 36, values: (_, splits) => splits.map(size) },
    ],
    series: [
      { value: (_, at) => (at === null ? "–" : moment(at * 1000)), label: "time" },
      ...series.map((one) => ({
        label: one.name,
        stroke: one.colour === null ? "transparent" : colour(one.colour),
        width: one.width ?? 1.6,
        dash: one.dash,
        fill: one.fill ? colour(one.fill) : undefined,
        spanGaps: false,
        points: { show: one.points ?? false, size: 4 },
        show: true,
        value: (_, value) => (value === null || value === undefined ? "–" : rate(value)),
      })),
    ],
    bands: (picture.bands ?? []).map(([high, low]) => ({ series: [high, low], fill: colour("--band") })),
    plugins: [growing(maturesAt), lines(marks)],
  };
}

/**
 * A picture in a frame. `picture` has: key, times, series [{name, values, colour, …}], marks, bands, from, to, maturesAt, top.
 * Gives the element, and what draws it anew with other values.
 */
export function chart(label, height = 230, kind = "chart") {
  const place = el("div", { class: kind, role: "img", "aria-label": label });
  const frame = el("figure", { class: "chart-frame" }, el("figcaption", {}, label), place);
  let plot = null;
  let last = null;
  const draw = () => {
    if (!last || !place.isConnected) return;
    plot?.destroy();
    const width = Math.max(260, Math.floor(place.clientWidth));
    plot = new uPlot(options(last, width, height), [last.times, ...last.series.map((one) => one.values)], place);
  };
  const observer = new ResizeObserver(() => {
    if (plot && Math.abs(plot.width - place.clientWidth) > 2) draw();
  });
  observer.observe(place);
  const handle = {
    element: frame,
    show(picture) {
      const isSame = last && plot && last.series.length === picture.series.length && last.shape === picture.shape;
      last = picture;
      if (isSame && plot.width > 0) {
        // The same picture, later: keeps the cursor.
        draw();
      } else requestAnimationFrame(draw);
    },
    redraw: draw,
    close() {
      observer.disconnect();
      plot?.destroy();
      shown.delete(handle);
    },
  };
  shown.add(handle);
  return handle;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown.forEach((handle) => handle.redraw()));

/** Times in seconds of steps that begin at `fromMs`. */
export function times(fromMs, stepSeconds, count) {
  return Array.from({ length: count }, (_, step) => fromMs / 1000 + step * stepSeconds);
}

/** A small picture of the last hour. */
export function sparkline(values) {
  const WIDTH = 120;
  const HEIGHT = 26;
  const known = values.filter((value) => value !== null);
  const most = Math.max(...known, 1);
  const step = WIDTH / Math.max(values.length - 1, 1);
  let line = "";
  let area = "";
  let start = null;
  values.forEach((value, index) => {
    const x = (index * step).toFixed(1);
    if (value === null) {
      if (start !== null) area += `L${((index - 1) * step).toFixed(1)} ${HEIGHT}Z`;
      start = null;
      return;
    }
    const y = (HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(1);
    if (start === null) area += `M${x} ${HEIGHT}`;
    line += `${start === null ? "M" : "L"}${x} ${y}`;
    area += `L${x} ${y}`;
    start = index;
  });
  if (start !== null) area += `L${((values.length - 1) * step).toFixed(1)} ${HEIGHT}Z`;
  return { line, area, box: `0 0 ${WIDTH} ${HEIGHT}` };
}
