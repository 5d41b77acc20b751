// The outcome of a call: its progress, its log messages and its result.
//
// Owns the part of a panel below its buttons. Shows progress and results; sends nothing. `data-state` is idle, running,
// done, failed (reported by the tool), error (JSON-RPC), cancelled or lost.

import { Cancelled, Disconnected, RpcError } from "./client.js";
import { card } from "./content.js";
import { apart, element } from "./elements.js";
import { valueBlock } from "./json.js";

const MOST_LOG_LINES = 200;

export class Outcome {
  #headline = element("p", { class: "headline", role: "status" });
  #bar = element("progress", { max: 1, "aria-label": "Progress" });
  #step = element("span", { class: "step" });
  #progress = element("div", { class: "progress", hidden: true }, this.#bar, this.#step);
  #lines = element("ol", { class: "log-lines", tabindex: "0", "aria-label": "Log" });
  #log = element("section", { class: "log", hidden: true }, element("h3", {}, "Log"), this.#lines);
  #result = element("div", { class: "result" });
  #began = 0;

  constructor() {
    this.element = element(
      "div",
      { class: "outcome", "data-state": "idle" },
      this.#headline,
      this.#progress,
      this.#log,
      this.#result,
    );
  }

  get running() {
    return this.element.dataset.state === "running";
  }

  begin() {
    this.#began = performance.now();
    this.element.dataset.state = "running";
    this.#headline.textContent = "Running …";
    this.#lines.replaceChildren();
    this.#result.replaceChildren();
    this.#step.textContent = "";
    this.#bar.removeAttribute("value");
    this.#bar.hidden = false;
    this.#log.hidden = true;
    this.#progress.hidden = false;
    this.#headline.scrollIntoView({ block: "nearest" });
  }

  progress({ progress, total, message }) {
    if (total > 0) {
      this.#bar.max = total;
      this.#bar.value = Math.min(progress, total);
    }
    const figures = total === undefined ? `${progress}` : `${progress} of ${total}`;
    this.#step.textContent = message ? `${figures}: ${message}` : figures;
  }

  log({ level, logger, data }) {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    const parts = [
      element("span", { class: "level" }, level),
      logger && element("span", { class: "logger" }, logger),
      element("span", {}, text),
    ];
    this.#lines.append(element("li", { "data-level": level }, apart(parts)));
    if (this.#lines.childElementCount > MOST_LOG_LINES) this.#lines.firstElementChild.remove();
    this.#log.hidden = false;
    this.#lines.scrollTop = this.#lines.scrollHeight;
  }

  /** Show a result; `render` returns elements for it. */
  succeed(result, render) {
    if (result.isError) {
      this.#end("failed", "The tool reports an error", render(result));
    } else {
      this.#end("done", "Done", render(result));
    }
  }

  /** Show the reason of a failure. */
  fail(problem) {
    if (problem instanceof Cancelled) this.#end("cancelled", "Cancelled");
    else if (problem instanceof Disconnected) this.#end("lost", problem.message);
    else if (problem instanceof RpcError) this.#end("error", `Error ${problem.code}`, errorParts(problem));
    else {
      this.#end("error", "This page has failed"); // such as for a malformed result
      throw problem;
    }
  }

  #end(state, words, parts = []) {
    const milliseconds = performance.now() - this.#began;
    const time = milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
    this.element.dataset.state = state;
    this.#headline.replaceChildren(element("strong", {}, words), " ", element("span", { class: "time" }, time));
    this.#bar.hidden = !this.#bar.hasAttribute("value"); // an indeterminate bar would keep moving
    this.#progress.hidden = this.#step.textContent === "";
    this.#result.replaceChildren(...parts);
    this.#headline.scrollIntoView({ block: "nearest" }); // its scroll margin covers the result below
  }
}

function errorParts({ message, data }) {
  const parts = [element("p", { class: "error-message" }, message)];
  return data === undefined ? parts : [...parts, card("Data", [valueBlock(data)])];
}
