// The messages on the right side of the page, as transmitted over the socket.
//
// Owns the list of the latest messages, which are formatted when they are opened. Knows the structure of JSON-RPC
// messages and not their meaning.

import { apart, copied, copyButton, element, sizeInWords, textBlock } from "./elements.js";
import { indented, jsonBlock } from "./json.js";

const MOST = 300;
const BASE64 = /"([A-Za-z0-9+/_-]{48})[A-Za-z0-9+/_-]{352,}={0,2}"/g;
const NEAR_THE_END = 40; // pixels from the end within which the list scrolls to new messages

export class Traffic {
  #list;
  #count;
  #texts = [];
  #waiting = []; // entries for the next animation frame
  #total = 0;

  #filter;

  /**
   * @param list, count, copy, clear, filter elements of the page
   */
  constructor({ list, count, copy, clear, filter }) {
    this.#list = list;
    this.#count = count;
    this.#filter = filter;
    filter.addEventListener("input", () => this.#apply(list.children));
    copy.addEventListener("click", () => copied(copy, this.#texts.join("\n"), "Copy all"));
    clear.addEventListener("click", () => this.clear());
  }

  clear() {
    this.#list.replaceChildren();
    this.#texts = [];
    this.#waiting.splice(0);
    this.#total = 0;
    this.#tell();
  }

  /**
   * Add a message.
   *
   * @param direction sent or received
   * @param text the message as transmitted
   * @param message the parsed message; undefined if the text is not JSON
   * @param method the method of the message, or of the request that it answers
   */
  add({ direction, text, message, method }) {
    this.#texts.push(`${direction === "sent" ? ">" : "<"} ${text}`);
    this.#waiting.push(entry(direction, text, message, method));
    this.#total += 1;
    if (this.#texts.length > MOST) this.#texts.shift();
    if (this.#waiting.length > MOST) this.#waiting.shift();
    else if (this.#waiting.length === 1) requestAnimationFrame(() => this.#show());
  }

  /** Append the messages since the last animation frame to the list. */
  #show() {
    const follows = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < NEAR_THE_END;
    const added = this.#waiting.splice(0);
    this.#apply(added);
    this.#list.append(...added);
    while (this.#list.childElementCount > MOST) this.#list.firstElementChild.remove();
    if (follows) this.#list.scrollTop = this.#list.scrollHeight;
    this.#tell();
  }

  /** Hide the entries whose label does not contain the filter. */
  #apply(entries) {
    const wanted = this.#filter.value.trim().toLowerCase();
    for (const item of entries) {
      item.hidden = !item.querySelector(".label").textContent.toLowerCase().includes(wanted);
    }
  }

  #tell() {
    this.#count.textContent = this.#total > MOST ? `latest ${MOST} of ${this.#total}` : this.#total;
  }
}

function entry(direction, text, message, method) {
  const { kind, what, name } = described(message, method);
  const subject = method === message?.method && (message?.params?.name ?? message?.params?.uri);
  const words = [
    what && element("span", { class: "what" }, what, " "),
    name,
    typeof subject === "string" && element("span", { class: "what" }, " ", subject),
  ];
  const parts = [
    element("span", { class: "arrow", role: "img", "aria-label": direction }, direction === "sent" ? "↑" : "↓"),
    element("span", { class: "label" }, words),
    message?.id !== undefined && element("span", { class: "id" }, `#${message.id}`),
    element("span", { class: "size" }, sizeInWords(new Blob([text]).size)),
    element("time", {}, timeOfDay(new Date())),
  ];
  const details = element("details", {}, element("summary", {}, apart(parts)));
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    if (details.childElementCount === 1) details.append(readable(text, message));
    details.scrollIntoView({ block: "nearest" });
  });
  return element("li", { "data-direction": direction, "data-kind": kind }, details);
}

function readable(text, message) {
  const isJson = message !== undefined;
  const copy = copyButton(() => (isJson ? indented(text) : text));
  return element("div", { class: "body" }, copy, isJson ? jsonBlock(withoutBase64(text)) : textBlock(text));
}

/** Return the message with only the beginning of long base64 strings; Copy copies the whole. */
function withoutBase64(text) {
  const size = (whole) => sizeInWords(((whole.length - 2) * 3) / 4);
  return text.replace(BASE64, (whole, start) => `"${start}… (${size(whole)} of base64)"`);
}

function described(message, method) {
  if (message === undefined) return { kind: "unreadable", name: "not JSON" };
  if (message?.method !== undefined) return { kind: "id" in message ? "request" : "notification", name: method };
  if (message?.error) return { kind: "error", what: `error ${message.error.code}`, name: method };
  if (message?.result?.isError) return { kind: "failed", what: "isError", name: method };
  return { kind: "result", what: "result", name: method };
}

function timeOfDay(moment) {
  return `${moment.toTimeString().slice(0, 8)}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}
