// The controls of a form, one kind for each kind of shape.
//
// A control is {element, target, read(), write(value)}. `target` is the element of the label; groups have none. `read`
// returns undefined for an omitted value; `write` throws NoPlace for a value that it cannot show. The browser checks
// the limits that it supports; the others are shown as text, and the server checks them. Knows nothing of MCP.

import { apart, element, freshId } from "./elements.js";
import { indented } from "./json.js";
import { isObject } from "./schema.js";
import { suggesting } from "./suggestions.js";

const MOST_ROWS_AT_FIRST = 5;
const CONTROLS = {
  string: textControl,
  number: numberControl,
  integer: numberControl,
  boolean: booleanControl,
  choice: choiceControl,
  list: listControl,
  object: objectControl,
  json: jsonControl,
};

/** The form has no field for a value. */
export class NoPlace extends Error {}

/** Controls for the properties of an object; an optional object has a checkbox to include it. */
export function objectControl(shape, { name, required, suggest }) {
  const fields = shape.properties.map((property) => ({ ...property, ...field(property, suggest) }));
  const names = new Set(fields.map((property) => property.name));
  const body = element(
    "fieldset",
    { class: "fields" },
    fields.map((property) => property.element),
  );
  const box = element("input", { type: "checkbox", onchange: () => give(box.checked) });
  const give = (given) => {
    box.checked = given;
    body.hidden = body.disabled = !given;
  };
  const write = (value) => {
    demand(isObject(value), value, shape, name, "an object");
    const stranger = Object.keys(value ?? {}).find((key) => !names.has(key));
    if (stranger !== undefined) throw new NoPlace(`the form has no field “${stranger}”`);
    const own = new Map(Object.entries(value ?? {}));
    for (const property of fields) property.write(own.get(property.name));
    give(required || isObject(value));
  };
  const read = () => {
    if (!box.checked) return undefined;
    const filled = fields.map((property) => [property.name, property.read()]);
    return Object.fromEntries(filled.filter(([, value]) => value !== undefined));
  };
  give(required);
  if (isObject(shape.default)) begin(write, shape);
  if (name === undefined) return { element: body, read, write };
  const given = !required && element("label", { class: "given" }, box, "Send it");
  return { element: element("fieldset", { class: "object" }, given, body), read, write };
}

/** A text field for JSON, for values that no other control can express. */
export function jsonControl(shape, { required }) {
  const text = textArea({ class: "json-text", rows: 3, required, placeholder: "JSON" });
  text.addEventListener("input", () => text.setCustomValidity(problemOf(text.value)));
  const write = (value) => {
    text.value = value === undefined ? "" : indented(JSON.stringify(value));
    text.setCustomValidity("");
  };
  const read = () => (text.value.trim() === "" ? undefined : JSON.parse(text.value));
  write(shape.default ?? undefined);
  return { element: text, target: text, read, write };
}

/** Return a property's control with its label, description and limits around it. */
function field({ name, required, shape }, suggest) {
  const ask = suggest && ((value) => suggest(name, value));
  const control = CONTROLS[shape.kind](shape, { name, required, ask });
  const notes = shape.description && element("p", { class: "notes", id: freshId("notes") }, shape.description);
  const limits = [shape.type + (shape.nullable ? " or null" : ""), ...shape.limits].join(", ");
  const facts = apart([
    element("code", {}, name),
    shape.title && shape.title !== name && element("span", { class: "title" }, shape.title),
    element("span", { class: "type" }, limits),
    required && element("span", { class: "required" }, "required"),
  ]);
  const { target } = control;
  if (notes) (target ?? control.element).setAttribute("aria-describedby", notes.id);
  if (target === undefined) {
    control.element.prepend(element("legend", {}, facts), notes || "");
    return control;
  }
  target.id = freshId("field");
  const label = element("label", { for: target.id }, facts);
  const parts = target.type === "checkbox" ? [target, label, notes] : [label, control.element, notes];
  return {
    ...control,
    element: element("div", { class: target.type === "checkbox" ? "field check" : "field" }, parts),
  };
}

/** A picker of a moment, in the time zone of the browser; the value is RFC 3339 in UTC. */
function momentControl(shape, { name, required }) {
  const input = element("input", { type: "datetime-local", step: 1, required: required && !shape.nullable });
  const write = (value) => {
    const moment = new Date(value ?? NaN);
    demand(typeof value === "string" && !Number.isNaN(moment.valueOf()), value, shape, name, "a date with a time");
    const local = new Date(moment.valueOf() - moment.getTimezoneOffset() * 60_000);
    input.value = value ? local.toISOString().slice(0, 19) : "";
  };
  const read = () => (input.value === "" ? missing(required) : new Date(input.value).toISOString());
  begin(write, shape);
  return { element: input, target: input, read, write };
}

/** Enter submits the form while the text is one line; Shift+Enter starts a new line. */
function textControl(shape, { name, required, ask }) {
  if (shape.schema.format === "date-time") return momentControl(shape, { name, required });
  const needed = required && shape.schema.minLength >= 1 && !shape.nullable;
  const text = textArea({ rows: 1, required: needed, placeholder: shape.default });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.altKey || event.isComposing) return;
    if (text.value.includes("\n") && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    text.form?.requestSubmit();
  });
  const write = (value) => {
    demand(typeof value === "string", value, shape, name, "a text");
    text.value = value ?? "";
  };
  const read = () => {
    if (text.value !== "" || (required && !shape.nullable)) return text.value;
    return required ? null : undefined;
  };
  begin(write, shape);
  return { element: ask ? suggesting(text, ask) : text, target: text, read, write };
}

function numberControl(shape, { name, required }) {
  const { multipleOf, minimum: min, maximum: max } = shape.schema;
  const whole = shape.kind === "integer";
  const step = multipleOf > 0 ? multipleOf : whole ? 1 : "any";
  const input = element("input", { type: "number", step, min, max, required: required && !shape.nullable });
  input.addEventListener("input", () => {
    const value = input.valueAsNumber;
    const inexact = whole && Number.isInteger(value) && !Number.isSafeInteger(value);
    input.setCustomValidity(inexact ? "A browser cannot hold an integer of this size exactly." : "");
  });
  const write = (value) => {
    demand(typeof value === "number", value, shape, name, "a number");
    input.value = value ?? "";
  };
  const read = () => (input.value === "" ? missing(required) : input.valueAsNumber);
  begin(write, shape);
  return { element: input, target: input, read, write };
}

function booleanControl(shape, { name, required }) {
  if (!required && typeof shape.default !== "boolean") {
    const choices = [true, false].map((value) => ({ value, label: String(value) }));
    return choiceControl({ ...shape, choices }, { name, required });
  }
  const box = element("input", { type: "checkbox" });
  const write = (value) => {
    demand(typeof value === "boolean", value, shape, name, "true or false");
    box.checked = value ?? shape.default ?? false; // an omitted value means the default
  };
  begin(write, shape);
  return { element: box, target: box, read: () => box.checked, write };
}

function choiceControl(shape, { name, required }) {
  const { choices } = shape;
  const select = element("select", { required: required && !shape.nullable });
  select.append(element("option", { value: "" }, required ? "Choose …" : "left out"));
  select.append(...choices.map(({ label }, index) => element("option", { value: index }, label)));
  const write = (value) => {
    const index = choices.findIndex((choice) => JSON.stringify(choice.value) === JSON.stringify(value));
    demand(index >= 0, value, shape, name, "one of the choices");
    select.value = index < 0 ? "" : index;
  };
  const read = () => (select.value === "" ? missing(required) : choices[select.value].value);
  begin(write, required && choices.length === 1 ? { default: choices[0].value } : shape);
  return { element: select, target: select, read, write };
}

/** A row for each entry of a list of scalars. */
function listControl(shape, { name, required }) {
  const rows = element("ol", { class: "rows" });
  const more = element(
    "button",
    { type: "button", class: "quiet", onclick: () => add().target.focus() },
    "Add an entry",
  );
  let controls = [];
  const add = (value) => {
    const control = CONTROLS[shape.item.kind](shape.item, { name, required: true });
    if (value !== undefined) control.write(value);
    control.target.setAttribute("aria-label", `An entry of ${name}`);
    const attributes = { type: "button", class: "quiet", "aria-label": `Remove this entry of ${name}` };
    const row = element("li", {}, control.element, element("button", attributes, "Remove"));
    row.lastElementChild.addEventListener("click", () => remove(control, row));
    controls.push(control);
    rows.append(row);
    return control;
  };
  const remove = (control, row) => {
    const next = controls[controls.indexOf(control) + 1] ?? controls[controls.indexOf(control) - 1];
    controls = controls.filter((other) => other !== control);
    row.remove();
    (next?.target ?? more).focus();
  };
  const write = (value) => {
    demand(Array.isArray(value), value, shape, name, "a list");
    controls = [];
    rows.replaceChildren();
    for (const entry of value ?? []) add(entry);
  };
  const read = () => (controls.length > 0 || required ? controls.map((control) => control.read()) : undefined);
  begin(write, shape);
  const least = required ? Math.min(shape.schema.minItems ?? 0, MOST_ROWS_AT_FIRST) : 0;
  while (controls.length < least) add();
  return { element: element("fieldset", { class: "list" }, rows, more), read, write };
}

function textArea(attributes) {
  const plain = { spellcheck: "false", autocomplete: "off", autocapitalize: "off" };
  return element("textarea", { ...plain, ...attributes });
}

/** Set the default of a control, if it fits. */
function begin(write, shape) {
  try {
    write(shape.default ?? undefined);
  } catch (problem) {
    if (!(problem instanceof NoPlace)) throw problem;
    write(undefined); // the schema contradicts itself
  }
}

/** Throw NoPlace unless a value is of the right kind, or none is given. */
function demand(fits, value, shape, name, kind) {
  const none = value === undefined || (value === null && shape.nullable);
  if (!fits && !none) throw new NoPlace(`${name ? `“${name}”` : "this"} is not ${kind}`);
}

/** Return the value of an empty control: null if the property is required, undefined (omitted) if not. */
function missing(required) {
  return required ? null : undefined;
}

function problemOf(text) {
  try {
    if (text.trim() !== "") JSON.parse(text);
    return "";
  } catch (problem) {
    return `This is not JSON: ${problem.message}`;
  }
}
