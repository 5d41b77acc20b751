// A form for the values of a JSON schema, with JSON text as the alternative to fields.
//
// Owns the switch between fields and JSON. controls.js owns the fields. Knows nothing of MCP.

import { jsonControl, NoPlace, objectControl } from "./controls.js";
import { element, freshId } from "./elements.js";
import { argumentsShape } from "./schema.js";

export class SchemaForm {
  #fields;
  #text;
  #modes;
  #problem = element("p", { class: "problem", role: "alert" });

  /**
   * @param schema the schema of an object; its properties become fields
   * @param suggest takes (name, value, all values) and returns a promise of suggested strings; optional
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

  /** Whether the form has a text field. */
  get hasText() {
    return this.#fields.element.querySelector("textarea") !== null;
  }

  /** Return the values as an object; the browser must have validated the fields. */
  read() {
    return this.#text.element.hidden ? this.#fields.read() : this.#text.read();
  }

  /** Return the values, or undefined while the text is not valid JSON. */
  readable() {
    return this.#text.target.validity.customError ? undefined : this.read();
  }

  /** Focus the first field; return whether there is one. */
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
    fields.hidden = fields.disabled = asText; // disabled fields are not validated
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
