// A form for the values that a JSON schema describes, with JSON text as the other way to write them.
//
// Owns the change between fields and JSON. What a field looks like is the affair of controls.js. Knows nothing of MCP.

import { jsonControl, NoPlace, objectControl } from "./controls.js";
import { element, freshId } from "./elements.js";
import { argumentsShape } from "./schema.js";

export class SchemaForm {
  #fields;
  #text;
  #modes;
  #problem = element("p", { class: "problem", role: "alert" });

  /**
   * @param schema of an object; its properties become fields
   * @param suggest takes (name, value, all values) and returns a promise of strings to choose from; may be left out
   */
  constructor(schema, { suggest } = {}) {
    const shape = argumentsShape(schema);
    const propose = suggest && ((name, value) => suggest(name, value, this.#fields.read()));
    this.#fields = objectControl(shape, { required: true, suggest: propose });
    this.#text = jsonControl({}, { required: true });
    this.#text.target.setAttribute("aria-label", "Arguments as JSON");
    this.#modes = radioButtons(["Form", "JSON"], (mode) => this.#change(mode === "JSON"));
    const none = shape.properties.length === 0 && element("p", { class: "muted" }, "Its schema names no arguments.");
    const parts = [this.#modes, this.#problem, none, this.#fields.element, this.#text.element];
    this.element = element("div", { class: "form" }, parts);
    this.#show(false);
  }

  /** Whether some field takes a text. */
  get hasText() {
    return this.#fields.element.querySelector("textarea") !== null;
  }

  /** Return what is filled in, as an object. The browser has checked the fields before. */
  read() {
    return this.#text.element.hidden ? this.#fields.read() : this.#text.read();
  }

  /** Return what is filled in, or undefined while it is not JSON yet. */
  readable() {
    return this.#text.target.validity.customError ? undefined : this.read();
  }

  /** Put the focus on the first field; tell whether there is one. */
  focus() {
    const fields = this.element.querySelectorAll(":is(input:not([type=radio]), textarea, select):enabled");
    const first = [...fields].find((field) => field.offsetParent !== null);
    first?.focus();
    return first !== undefined;
  }

  #change(asText) {
    this.#problem.textContent = "";
    try {
      if (asText) this.#text.write(this.#fields.read());
      else this.#fields.write(this.#text.read() ?? {});
      this.#show(asText);
    } catch (problem) {
      if (!(problem instanceof NoPlace || problem instanceof SyntaxError)) throw problem;
      this.#problem.textContent = `It stays JSON: ${problem.message}`;
      this.#modes.querySelector("[value=JSON]").checked = true;
    }
  }

  #show(asText) {
    const { element: fields } = this.#fields;
    fields.hidden = fields.disabled = asText; // what is disabled is not checked
    this.#text.element.hidden = this.#text.target.disabled = !asText;
  }
}

function radioButtons(labels, change) {
  const name = freshId("mode");
  const buttons = labels.map((label, index) => {
    const attributes = { type: "radio", name, value: label, checked: index === 0, onchange: () => change(label) };
    return element("label", {}, element("input", attributes), label);
  });
  return element("div", { class: "modes", role: "radiogroup", "aria-label": "Write the arguments as" }, buttons);
}
