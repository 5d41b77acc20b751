// The questions of a server, answered by the user in a dialog: elicitation and sampling.
//
// Owns the dialog, one question at a time in the order of arrival, and the results that answer them. The client sends
// the results; a question ends without one when its signal is aborted. No URL of a question is loaded or linked.

import { RpcError } from "./client.js";
import { promptResult } from "./content.js";
import { copyButton, element, freshId, textBlock } from "./elements.js";
import { SchemaForm } from "./form.js";

const METHOD_NOT_FOUND = -32601;
const DECLINED = -1; // as in the specification's example of a declined sampling request
const KINDS = { "elicitation/create": elicitation, "sampling/createMessage": sampling };

/** The capabilities that the dialog gives to the page. */
export const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {} };

export class Dialogue {
  #dialog;
  #last = Promise.resolve();

  constructor(dialog) {
    this.#dialog = dialog;
  }

  /**
   * Ask the user, after all earlier questions, and return the result.
   *
   * @param question {method, params} of a request of the server
   * @param signal ends the question; the promise is rejected with its reason
   */
  ask({ method, params }, signal) {
    const kind = KINDS[method];
    if (kind === undefined) throw new RpcError({ code: METHOD_NOT_FOUND, message: "Method not found" });
    const answer = this.#last.then(() => this.#show(kind(params ?? {}), signal));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #show({ title, parts, form, answers, dismissed }, signal) {
    signal.throwIfAborted();
    const heading = element("h2", { id: freshId("question") }, title);
    const buttons = answers.map(({ label, primary }, index) =>
      element("button", { value: index, class: primary && "primary", formnovalidate: !primary }, label),
    );
    const sheet = element("form", { method: "dialog" }, heading, parts, element("div", { class: "buttons" }, buttons));
    const dialog = this.#dialog;
    dialog.setAttribute("aria-labelledby", heading.id);
    dialog.replaceChildren(sheet);
    let chosen;
    sheet.addEventListener("submit", ({ submitter }) => (chosen = submitter?.value ?? 0)); // Enter: the first answer
    const withdraw = () => dialog.close();
    signal.addEventListener("abort", withdraw, { once: true });
    dialog.showModal();
    form?.focus();
    await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    signal.removeEventListener("abort", withdraw);
    dialog.replaceChildren();
    signal.throwIfAborted();
    return (answers[chosen]?.result ?? dismissed)();
  }
}

function elicitation({ mode, message, requestedSchema, url }) {
  const action = (name) => () => ({ action: name });
  const others = [
    { label: "Decline", result: action("decline") },
    { label: "Cancel", result: action("cancel") },
  ];
  const asked = { title: "The server asks", dismissed: action("cancel") };
  if (mode === "url") {
    const parts = [
      element("p", { class: "description" }, String(message ?? "")),
      element("p", {}, "It asks you to open this address yourself, if you trust it:"),
      textBlock(String(url)),
      copyButton(() => String(url), "Copy the address"),
    ];
    return { ...asked, parts, answers: [{ label: "I agree", primary: true, result: action("accept") }, ...others] };
  }
  const form = new SchemaForm(requestedSchema);
  const accept = () => ({ action: "accept", content: form.read() });
  const parts = [element("p", { class: "description" }, String(message ?? "")), form.element];
  return { ...asked, form, parts, answers: [{ label: "Send", primary: true, result: accept }, ...others] };
}

function sampling({ messages, systemPrompt, maxTokens }) {
  const schema = {
    type: "object",
    properties: {
      text: { type: "string", minLength: 1, description: "The model's message." },
      model: { type: "string", default: "a person" },
    },
    required: ["text"],
  };
  const form = new SchemaForm(schema);
  const declined = () => {
    throw new RpcError({ code: DECLINED, message: "The user declined the sampling request" });
  };
  const send = () => {
    const { text, model = "unknown" } = form.read();
    return { role: "assistant", content: { type: "text", text }, model, stopReason: "endTurn" };
  };
  return {
    title: "The server asks for a message of a model",
    form,
    parts: [
      systemPrompt && [element("h3", {}, "System prompt"), textBlock(systemPrompt)],
      promptResult({ messages }),
      maxTokens && element("p", { class: "muted" }, `At most ${maxTokens} tokens`),
      form.element,
    ],
    answers: [
      { label: "Send", primary: true, result: send },
      { label: "Decline", result: declined },
    ],
    dismissed: declined,
  };
}
