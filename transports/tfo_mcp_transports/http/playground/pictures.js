// Pictures of telemetry: the spans of a trace as a waterfall, and patterns of log records as bars.
//
// Owns which texts have a picture, and its drawing as SVG. Positions are percentages and texts have a fixed size, so
// that a picture fits any width. Requests nothing.

import { drawing, element } from "./elements.js";
import { csvRows, PATTERNS_HEADER, spansOf, tracesIn, treeOrder } from "./telemetry.js";

const MOST_ROWS = 400;
const ROW = 34; // pixels: a line of text, and a bar
const AXIS = 22;
const INDENT = 10;
const DEEPEST_INDENT = 12;
const HUES = 5; // colours of services, see results.css
const LEAST_WIDTH = 0.3; // percent, so that the shortest bar is visible
const TRACE = "telemetry://trace/";

/** Return the picture of a text, or undefined if it has none. */
export function pictureOf(text) {
  const spans = spansOf(text);
  if (spans !== undefined) return waterfall(spans);
  const rows = csvRows(text, PATTERNS_HEADER);
  return rows.length > 0 ? patternBars(rows) : undefined;
}

/** Return links to the waterfalls of the traces that a text names, or undefined. */
export function waterfallLinks(text) {
  const traces = tracesIn(text);
  if (traces.length === 0) return undefined;
  const links = traces.map((id) =>
    element("li", {}, element("a", { href: `#resource/${encodeURIComponent(TRACE + id)}` }, element("code", {}, id))),
  );
  return element("details", {}, element("summary", {}, "Show a trace as a waterfall"), element("ul", {}, links));
}

function waterfall(spans) {
  const start = spans.reduce((least, span) => (span.start < least ? span.start : least), spans[0].start);
  const end = spans.reduce((most, span) => (span.end > most ? span.end : most), spans[0].end);
  const total = Math.max(Number(end - start), 1);
  const services = [...new Set(spans.map(({ service }) => service))];
  const rows = treeOrder(spans).map(({ span, depth }) => {
    const length = Number(span.end - span.start);
    const offset = Number(span.start - start);
    const words = `${span.name} [${span.service}] ${duration(length)}${span.failed ? ", error" : ""}`;
    return {
      words,
      title: `${words}, +${duration(offset)}, ${span.id}`,
      indent: Math.min(depth, DEEPEST_INDENT) * INDENT,
      from: (offset / total) * 100,
      width: (length / total) * 100,
      kind: span.failed ? "failed" : `hue-${services.indexOf(span.service) % HUES}`,
    };
  });
  const errors = spans.filter(({ failed }) => failed).length;
  const facts = [counted(spans.length, "span"), counted(services.length, "service"), counted(errors, "error")];
  return figure(`Waterfall: ${duration(total)}, ${facts.join(", ")}`, rows, "span", axis(total));
}

function patternBars(found) {
  const most = Math.max(...found.map(({ count }) => Number(count)), 1);
  const rows = found.map(({ count, severity, trend, new: novelty, services, pattern }) => {
    const facts = [severity, trend, novelty, services].filter(Boolean).join(", ");
    return {
      words: `${count} × ${pattern}`,
      title: `${count} × ${pattern} (${facts})`,
      indent: 0,
      from: 0,
      width: (Number(count) / most) * 100,
      kind: { error: "failed", fatal: "failed", warn: "warned" }[severity] ?? "hue-0",
    };
  });
  const records = found.reduce((sum, { count }) => sum + Number(count), 0);
  return figure(`Log patterns: ${counted(found.length, "pattern")}, ${counted(records, "record")}`, rows, "pattern");
}

/** Return a figure with a row of text and a bar for each entry; rows beyond the limit are counted. */
function figure(caption, rows, noun, scale = []) {
  const shown = rows.slice(0, MOST_ROWS);
  const top = scale.length > 0 ? AXIS : 0;
  const height = top + shown.length * ROW;
  const picture = drawing("svg", { class: "picture", width: "100%", height, role: "img", "aria-label": caption }, [
    scale,
    shown.map((row, index) => bar(row, top + index * ROW)),
  ]);
  const hidden = rows.length - shown.length;
  const more = hidden > 0 && element("p", { class: "muted" }, `… and ${counted(hidden, `more ${noun}`)}`);
  return element("figure", {}, element("figcaption", {}, caption), picture, more);
}

function bar({ words, title, indent, from, width, kind }, top) {
  const place = { x: `${Math.min(from, 100 - LEAST_WIDTH)}%`, width: `${Math.max(width, LEAST_WIDTH)}%` };
  return drawing("g", { class: kind }, [
    drawing("title", {}, title),
    drawing("text", { x: indent, y: top + 15 }, words),
    drawing("rect", { ...place, y: top + 20, height: 8, rx: 2 }),
  ]);
}

function axis(total) {
  return [0.25, 0.5, 0.75].map((part) =>
    drawing("g", { class: "axis" }, [
      drawing("line", { x1: `${part * 100}%`, x2: `${part * 100}%`, y1: AXIS - 4, y2: "100%" }),
      drawing("text", { x: `${part * 100}%`, y: AXIS - 8, "text-anchor": "middle" }, duration(total * part)),
    ]),
  );
}

/** Return nanoseconds in a readable unit. */
function duration(nanoseconds) {
  const [unit, size] = [
    ["s", 1e9],
    ["ms", 1e6],
    ["µs", 1e3],
  ].find(([, limit]) => nanoseconds >= limit) ?? ["ns", 1];
  return `${Number((nanoseconds / size).toPrecision(3))} ${unit}`;
}

function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
