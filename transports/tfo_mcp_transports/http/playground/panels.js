// The panels in the middle of the page: one tool, resource, template or prompt, and the form to call it.
//
// Owns a panel's heading, facts, form and buttons, and the request that they send. Gets the current client from the
// given `site`, so that a panel outlives a connection. Knows no socket.

import { Cancelled } from "./client.js";
import { promptResult, resourceResult, toolResult } from "./content.js";
import { copyButton, element, freshId, textBlock } from "./elements.js";
import { SchemaForm } from "./form.js";
import { valueBlock } from "./json.js";
import { Outcome } from "./outcome.js";
import { curlCommand, pythonProgram } from "./snippets.js";
import { expanded, variablesOf } from "./templates.js";

/** A panel with a form and the outcome of its calls. */
export class CallPanel {
  #site;
  #request;
  #render;
  #form;
  #outcome = new Outcome();
  #cancel = element("button", { type: "button", class: "cancel", hidden: true }, "Cancel");
  #send;
  #abort;

  /**
   * @param site has `client`, the current client, `running`, the set of running outcomes, and `target`, which returns
   *   the MCP endpoint and whether there is a key
   * @param parts heading, facts, form (or undefined), verb, request (takes the form's values, returns [method,
   *   params]), render (takes a result, returns elements) and schema (of the arguments of a tool)
   */
  constructor(site, { heading, facts, form, preview, verb, request, render, schema }) {
    this.#site = site;
    this.#request = request;
    this.#render = render;
    this.#form = form;
    this.#cancel.addEventListener("click", () => this.#abort.abort(new Cancelled("Cancelled")));
    this.#send = element("button", { type: "submit", class: "primary" }, verb);
    const keys = [element("kbd", {}, "Enter"), " sends, ", element("kbd", {}, "Shift+Enter"), " starts a line"];
    const hint = form?.hasText && element("span", { class: "keys" }, keys);
    const given = () => request(form?.readable() ?? {});
    const copies = element("span", { class: "copies" }, [
      copyButton(() => curlCommand(site.target(), ...given(), schema), "Copy as curl"),
      copyButton(() => pythonProgram(site.target(), ...given()), "Copy as Python"),
    ]);
    const buttons = element("div", { class: "buttons" }, this.#send, this.#cancel, hint, copies);
    const sheet = element(
      "form",
      { "aria-labelledby": heading.id, onsubmit: (event) => this.#submit(event) },
      form?.element,
      preview,
      buttons,
    );
    sheet.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) sheet.requestSubmit();
    });
    this.element = element("article", {}, heading, facts, sheet, this.#outcome.element);
  }

  get running() {
    return this.#outcome.running;
  }

  /** Focus the first field, or else the button. */
  focus() {
    if (!this.#form?.focus()) this.#send.focus();
  }

  async #submit(event) {
    event.preventDefault();
    if (this.running) return;
    const [method, params] = this.#request(this.#form?.read() ?? {});
    this.#abort = new AbortController();
    this.#outcome.begin();
    this.#busy(true);
    try {
      const options = { signal: this.#abort.signal, onProgress: (report) => this.#outcome.progress(report) };
      this.#outcome.succeed(await this.#site.client.call(method, params, options), this.#render);
    } catch (problem) {
      this.#outcome.fail(problem);
    } finally {
      this.#busy(false);
    }
  }

  #busy(busy) {
    if (busy) this.#site.running.add(this.#outcome);
    else this.#site.running.delete(this.#outcome);
    if (!busy && document.activeElement === this.#cancel) this.#send.focus();
    this.#cancel.hidden = !busy;
    this.#send.setAttribute("aria-disabled", String(busy)); // keeps the focus, unlike `disabled`
  }
}

export function toolPanel(site, tool) {
  const schemas = [schemaDetails("Input schema", tool.inputSchema), schemaDetails("Output schema", tool.outputSchema)];
  return new CallPanel(site, {
    heading: headingOf("Tool", tool.title ?? tool.annotations?.title, tool.name),
    facts: [description(tool), hintsOf(tool.annotations ?? {}), schemas],
    form: new SchemaForm(tool.inputSchema),
    verb: "Call",
    request: (given) => ["tools/call", { name: tool.name, arguments: given }],
    render: toolResult,
    schema: tool.inputSchema,
  });
}

export function resourcePanel(site, resource) {
  const facts = [resource.mimeType, resource.size !== undefined && `${resource.size} bytes`].filter(Boolean);
  return new CallPanel(site, {
    heading: headingOf("Resource", resource.title ?? resource.name, resource.uri),
    facts: [description(resource), chips(facts.map((fact) => [fact]))],
    verb: "Read",
    request: () => ["resources/read", { uri: resource.uri }],
    render: resourceResult,
  });
}

export function templatePanel(site, template) {
  const { uriTemplate } = template;
  const properties = Object.fromEntries(variablesOf(uriTemplate).map((name) => [name, { type: "string" }]));
  const preview = element("output", { class: "preview" });
  const form = new SchemaForm(
    { type: "object", properties, required: Object.keys(properties) },
    { suggest: suggest(site, { type: "ref/resource", uri: uriTemplate }) },
  );
  const show = () => (preview.textContent = expanded(uriTemplate, form.readable() ?? {}));
  const panel = new CallPanel(site, {
    heading: headingOf("Resource template", template.title ?? template.name, uriTemplate),
    facts: [description(template), chips(template.mimeType ? [[template.mimeType]] : [])],
    form,
    preview: element("p", { class: "uri" }, element("span", { class: "muted" }, "URI "), preview),
    verb: "Read",
    request: (given) => ["resources/read", { uri: expanded(uriTemplate, given) }],
    render: resourceResult,
  });
  panel.element.addEventListener("input", show);
  panel.element.addEventListener("click", show);
  show();
  return panel;
}

export function promptPanel(site, prompt) {
  const fields = prompt.arguments ?? [];
  const property = ({ name, title, description: words }) => [name, { type: "string", title, description: words }];
  const schema = {
    type: "object",
    properties: Object.fromEntries(fields.map(property)),
    required: fields.filter((field) => field.required).map((field) => field.name),
  };
  return new CallPanel(site, {
    heading: headingOf("Prompt", prompt.title, prompt.name),
    facts: [description(prompt)],
    form: new SchemaForm(schema, { suggest: suggest(site, { type: "ref/prompt", name: prompt.name }) }),
    verb: "Get",
    request: (given) => ["prompts/get", { name: prompt.name, arguments: given }],
    render: promptResult,
  });
}

/** The panel of the server itself, shown while no entry is chosen. */
export function overview(session, suggestions, hiddenTools) {
  if (session === undefined) return element("article", {}, element("h2", {}, "Not connected"));
  const { server, capabilities, revision, supported, instructions } = session;
  const rows = [
    ["Server", [server.name, server.version].filter(Boolean).join(" ")],
    ["Revision", revision],
    supported?.length > 1 && ["Also speaks", supported.filter((one) => one !== revision).join(", ")],
    server.websiteUrl && ["Website", server.websiteUrl],
  ].filter(Boolean);
  return element(
    "article",
    {},
    element("h2", { id: freshId("heading") }, server.title ?? server.name ?? "Server"),
    server.description && element("p", { class: "description" }, server.description),
    element(
      "p",
      { class: "description" },
      "Choose a tool, a resource or a prompt to try it. Sent and received messages appear under Messages.",
    ),
    hiddenTools > 0 &&
      element(
        "p",
        { class: "description" },
        hiddenTools === 1 ? "1 tool needs a key" : `${hiddenTools} tools need a key`,
        " and stay hidden without one: ",
        element("code", {}, "tfo-mcp keys create --help"),
        " names the scopes.",
      ),
    suggestions.length > 0 && [
      element("h3", {}, "Try first"),
      element("ul", { class: "tries" }, suggestions.map(tryItem)),
    ],
    element(
      "dl",
      { class: "facts" },
      rows.flatMap(([term, words]) => [element("dt", {}, term), element("dd", {}, words)]),
    ),
    instructions && [element("h3", {}, "Instructions"), textBlock(instructions)],
    element("h3", {}, "Capabilities"),
    valueBlock(capabilities),
  );
}

function tryItem({ address, name, description: words }) {
  const first = words?.split(/(?<=[.!?])\s/, 1)[0];
  return element("li", {}, element("a", { href: address }, element("code", {}, name)), first && ` ${first}`);
}

/** Return a function that requests completions for a prompt or a template. */
function suggest(site, ref) {
  return async (name, value, others) => {
    if (!site.client.session?.capabilities.completions) return [];
    const { [name]: _own, ...known } = others;
    const params = { ref, argument: { name, value }, context: { arguments: known } };
    return (await site.client.request("completion/complete", params)).completion?.values ?? [];
  };
}

function headingOf(kind, title, name) {
  const titled = title && title !== name;
  const attributes = { id: freshId("heading"), class: !titled && "untitled" };
  return element(
    "h2",
    attributes,
    element("span", { class: "kind" }, kind),
    titled && [title, " "],
    element("code", {}, name),
  );
}

function description({ description: words }) {
  return words && element("p", { class: "description" }, words);
}

function schemaDetails(title, schema) {
  return schema && element("details", { class: "schema" }, element("summary", {}, title), valueBlock(schema));
}

/** The hints, in the specification's words; hints about writing are omitted for a read-only tool. */
function hintsOf({ readOnlyHint, destructiveHint, idempotentHint, openWorldHint }) {
  return chips(
    [
      readOnlyHint === true && ["read-only", "good"],
      readOnlyHint === false && destructiveHint === true && ["destructive", "careful"],
      readOnlyHint === false && destructiveHint === false && ["not destructive"],
      readOnlyHint === false && destructiveHint === undefined && ["writes", "careful"],
      readOnlyHint === false && idempotentHint === true && ["idempotent"],
      openWorldHint === true && ["open world"],
      openWorldHint === false && ["closed world"],
    ],
    "Hints",
  );
}

function chips(entries, label = "Facts") {
  const shown = entries
    .filter(Boolean)
    .map(([words, mood]) => element("li", { class: "chip", "data-mood": mood }, words));
  return shown.length > 0 && element("ul", { class: "chips", "aria-label": label }, shown);
}
