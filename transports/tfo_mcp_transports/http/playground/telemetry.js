// Telemetry in texts of a server: traces as OTLP JSON, and the tables and trace ids of the telemetry tools.
//
// Owns the reading of these formats. Creates no element.

const FENCE = /<telemetry-data>\n([\s\S]*?)\n<\/telemetry-data>/;
const TRACE_ID = /\b[0-9a-f]{32}\b/g;
const TRACE_HEAD = /^Trace [0-9a-f]{32}:/;
const MOST_TRACES = 20;
const LONGEST = 20_000_000; // characters; a longer text is not parsed
const ERROR_STATUS = 2;

/** The header of the patterns that search_logs returns. */
export const PATTERNS_HEADER = "count,severity,trend,new,first,last,services,pattern,telling values,trace_id";

/** Return the spans of a text in OTLP JSON, or undefined if it is something else. Times are BigInt, in nanoseconds. */
export function spansOf(text) {
  if (!text.startsWith('{"resourceSpans":') || text.length > LONGEST) return undefined;
  try {
    const spans = JSON.parse(text).resourceSpans.flatMap(({ resource, scopeSpans }) => {
      const service = resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue ?? "";
      return scopeSpans.flatMap((scope) => scope.spans.map((span) => spanOf(span, service)));
    });
    return spans.length > 0 ? spans : undefined;
  } catch {
    return undefined; // not what it looked like
  }
}

function spanOf({ spanId, parentSpanId, name, startTimeUnixNano, endTimeUnixNano, status }, service) {
  const [start, end] = [BigInt(startTimeUnixNano), BigInt(endTimeUnixNano)];
  const failed = status?.code === ERROR_STATUS;
  return { id: spanId, parent: parentSpanId, name, service, start, end: end < start ? start : end, failed };
}

/** Return the spans with their depths, each below its parent and after its earlier siblings. */
export function treeOrder(spans) {
  const known = new Set(spans.map(({ id }) => id));
  const children = Map.groupBy(spans, ({ parent }) => (known.has(parent) ? parent : ""));
  for (const siblings of children.values()) siblings.sort((one, other) => (one.start < other.start ? -1 : 1));
  const ordered = [];
  const seen = new Set();
  const visit = (tops) => {
    const pending = tops.map((span) => ({ span, depth: 0 })).reverse();
    while (pending.length > 0) {
      const { span, depth } = pending.pop();
      if (seen.has(span)) continue;
      seen.add(span);
      ordered.push({ span, depth });
      const below = (children.get(span.id) ?? []).map((child) => ({ span: child, depth: depth + 1 }));
      pending.push(...below.reverse());
    }
  };
  visit(children.get("") ?? []);
  visit(spans.filter((span) => !seen.has(span))); // parents in a circle
  return ordered;
}

/** Return the ids of the first traces that an answer of the telemetry tools names. */
export function tracesIn(text) {
  if (!FENCE.test(text) && !TRACE_HEAD.test(text)) return [];
  return [...new Set(text.match(TRACE_ID) ?? [])].slice(0, MOST_TRACES);
}

/** Return the rows of the fenced table with this header, as objects with its columns. */
export function csvRows(text, header) {
  const [first, ...lines] = FENCE.exec(text)?.[1].split("\n") ?? [];
  if (first !== header) return [];
  const columns = header.split(",");
  return lines.map((line) => {
    const cells = cellsOf(line);
    return Object.fromEntries(columns.map((column, index) => [column, cells[index] ?? ""]));
  });
}

/** Return the cells of a line of CSV (RFC 4180). */
function cellsOf(line) {
  const cells = [];
  for (const [, cell, end] of line.matchAll(/("(?:[^"]|"")*"|[^,]*)(,|$)/g)) {
    cells.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === "") break;
  }
  return cells;
}
