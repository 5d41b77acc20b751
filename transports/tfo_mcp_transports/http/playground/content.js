// Renders the results of a server: content blocks, resource contents, prompt messages.
//
// Owns the presentation of each kind of content. Texts become text nodes, images and sounds data: URLs with a checked
// type, and other bytes a file to save. No URL from a server is ever loaded or linked.

import { copyButton, element, save, sizeInWords, textBlock } from "./elements.js";
import { jsonBlock, valueBlock } from "./json.js";
import { pictureOf, waterfallLinks } from "./pictures.js";
import { terminalText } from "./terminal.js";

const MEDIA_TYPE = /^(image|audio)\/[\w.+-]+$/;
const LONGEST_JSON = 2_000_000; // characters; a longer text is not parsed as JSON

/** Return the elements for the result of a tool. */
export function toolResult(result) {
  const blocks = (result.content ?? []).map(contentBlock);
  if (result.structuredContent === undefined) return blocks.length > 0 ? blocks : [nothing()];
  const structured = JSON.stringify(result.structuredContent);
  const repeated = result.content?.length === 1 && isSame(result.content[0], structured);
  const hasText = !repeated && result.content?.some(({ type, text }) => type === "text" && text);
  const shown = card("Structured content", [valueBlock(result.structuredContent)], () =>
    JSON.stringify(result.structuredContent, null, 2),
  );
  if (hasText) {
    const summary = element("summary", {}, "Structured content");
    return [...blocks, element("details", { class: "schema" }, summary, shown)];
  }
  return repeated ? [shown] : [shown, ...blocks];
}

/** Return the elements for the result of reading a resource. */
export function resourceResult(result) {
  const contents = result.contents ?? [];
  return contents.length > 0 ? contents.map(resourceContents) : [nothing()];
}

/** Return the elements for the result of getting a prompt. */
export function promptResult(result) {
  const messages = (result.messages ?? []).map(({ role, content }) =>
    element(
      "section",
      { class: "message", "data-role": role },
      element("h3", {}, role),
      [content].flat().map(contentBlock),
    ),
  );
  const description = result.description && element("p", { class: "muted" }, result.description);
  return [description || "", ...messages];
}

function contentBlock(block) {
  switch (block?.type) {
    case "text":
      return textCard("Text", block.text);
    case "image":
    case "audio":
      return media(block.type, block.mimeType, block.data) ?? fileCard(block.type, block.data, block.mimeType);
    case "resource_link":
      return linkCard(block);
    case "resource":
      return resourceContents(block.resource ?? {});
    default:
      return card(`Content of the type ${block?.type}`, [valueBlock(block ?? null)]);
  }
}

function resourceContents({ uri, mimeType, text, blob }) {
  const title = [element("code", {}, String(uri)), mimeType && ` ${mimeType}`];
  if (typeof text === "string") return textCard(title, text);
  return media(title, mimeType, blob ?? "") ?? fileCard(title, blob ?? "", mimeType, String(uri).split("/").pop());
}

function textCard(title, text) {
  const parsed = text.length < LONGEST_JSON && /^\s*[{[]/.test(text) && isJson(text);
  const shown = parsed ? jsonBlock(text) : textBlock(terminalText(text));
  return card(title, [pictureOf(text), waterfallLinks(text), shown], () => text);
}

function linkCard({ uri, name, title, description, mimeType, size }) {
  const facts = [mimeType, size !== undefined && sizeInWords(size)].filter(Boolean).join(" · ");
  return card("Link to a resource", [
    element("p", {}, element("strong", {}, title ?? name ?? ""), " ", element("code", {}, String(uri))),
    description && element("p", {}, description),
    facts && element("p", { class: "muted" }, facts),
    element("p", {}, element("a", { href: `#resource/${encodeURIComponent(uri)}` }, "Open this resource")),
  ]);
}

/** Return an image or audio element, or undefined for other types. */
function media(title, mimeType, data) {
  const kind = MEDIA_TYPE.exec(mimeType ?? "")?.[1];
  if (kind === undefined) return undefined;
  const source = `data:${mimeType};base64,${data}`;
  const shown =
    kind === "image"
      ? element("img", { src: source, alt: `Picture of the type ${mimeType}` })
      : element("audio", { src: source, controls: true });
  return card(title === kind ? `${kind === "image" ? "Image" : "Audio"} ${mimeType}` : title, [
    shown,
    fileLine(data, mimeType, kind),
  ]);
}

function fileCard(title, data, mimeType, name) {
  return card(title, [fileLine(data, mimeType, name)]);
}

function fileLine(data, mimeType = "application/octet-stream", name = "content") {
  const bytes = bytesOf(data);
  if (bytes === undefined) return element("p", { class: "problem" }, "This is not base64.");
  const keep = element(
    "button",
    { type: "button", class: "quiet", onclick: () => save(bytes, mimeType, name || "content") },
    "Save",
  );
  return element("p", { class: "file" }, `${sizeInWords(bytes.length)}, ${mimeType} `, keep);
}

/** Return a titled box; `text`, if given, returns the text for its copy button. */
export function card(title, children, text) {
  const head = element("div", { class: "card-head" }, element("h3", {}, title), text && copyButton(text));
  return element("section", { class: "card" }, head, children);
}

function nothing() {
  return element("p", { class: "muted" }, "The result is empty.");
}

function bytesOf(base64) {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Return whether a block repeats the structured content as text. */
function isSame(block, structured) {
  return block.type === "text" && isJson(block.text) && JSON.stringify(JSON.parse(block.text)) === structured;
}
