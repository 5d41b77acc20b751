// Human-readable JSON.
//
// Owns indentation and colours. Works on the tokens of the text and not on the parsed value, so that large numbers,
// repeated keys and escapes are shown as they were sent. Knows nothing of MCP.

import { element, textBlock } from "./elements.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const MOST_COLOURED = 200_000; // characters; a longer text has no colours, so that the page stays fast

/** Return a <pre> with this JSON text, indented and coloured. */
export function jsonBlock(text) {
  if (text.length > MOST_COLOURED) return textBlock(indented(text), { class: "json" });
  return element("pre", { class: "json", tabindex: "0" }, [...coloured(text)]);
}

/** Return a <pre> with this value as JSON. */
export function valueBlock(value) {
  return jsonBlock(JSON.stringify(value));
}

/** Return a JSON text with one member per line. */
export function indented(text) {
  return [...pieces(text)].map((piece) => piece.text).join("");
}

function* coloured(text) {
  for (const { text: piece, kind } of pieces(text)) {
    yield kind === undefined ? piece : element("span", { class: kind }, piece);
  }
}

/** Yield the tokens of the text; white space and punctuation have no kind. */
function* pieces(text) {
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index];
    const next = tokens[index + 1];
    if (token === "{" || token === "[") {
      if (next === "}" || next === "]") {
        yield { text: token + next };
        index += 1;
      } else {
        depth += 1;
        yield { text: token + newLine(depth) };
      }
    } else if (token === "}" || token === "]") {
      depth -= 1;
      yield { text: newLine(depth) + token };
    } else if (token === ",") {
      yield { text: token + newLine(depth) };
    } else if (token === ":") {
      yield { text: ": " };
    } else {
      yield { text: token, kind: kindOf(token, next) };
    }
  }
}

function newLine(depth) {
  return "\n" + "  ".repeat(Math.max(depth, 0));
}

function kindOf(token, next) {
  if (token.startsWith('"')) return next === ":" ? "json-key" : "json-string";
  return /^[-\d]/.test(token) ? "json-number" : "json-word";
}
