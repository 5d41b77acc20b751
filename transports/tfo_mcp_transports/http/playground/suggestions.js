// The server's suggestions for a field while the user types.
//
// Owns the row of suggestions below a text field: requested after a short pause, one request at a time, accepted by a
// click or a key, hidden when the focus leaves. The caller provides the suggestions.

import { element } from "./elements.js";

const PAUSE = 200; // milliseconds without typing
const MOST = 8;

/**
 * Return the field with the row below it.
 *
 * @param ask takes the field's text and returns a promise of strings
 */
export function suggesting(field, ask) {
  const row = element("div", { class: "suggestions", role: "group", "aria-label": "Suggestions", hidden: true });
  const around = element("div", { class: "suggesting" }, field, row);
  let timer;
  let lastQuestion = 0;

  const show = (values) => {
    const proposal = (value) =>
      element("button", { type: "button", class: "quiet", onclick: () => take(value) }, value);
    row.replaceChildren(...values.slice(0, MOST).map(proposal));
    row.hidden = values.length === 0;
  };
  const stop = () => {
    clearTimeout(timer);
    lastQuestion += 1;
  };
  const forget = () => {
    stop();
    show([]);
  };
  const take = (value) => {
    field.value = value;
    field.focus();
    forget();
  };
  const look = async () => {
    lastQuestion += 1;
    const question = lastQuestion;
    const values = await ask(field.value).catch(() => []);
    if (question === lastQuestion) show(values.filter((value) => value !== field.value));
  };
  const lookSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  };
  field.addEventListener("input", lookSoon);
  field.addEventListener("focus", lookSoon);
  around.addEventListener("focusout", ({ relatedTarget }) => {
    if (around.contains(relatedTarget)) return;
    stop();
    // while a button is pressed the row stays: hiding it would move the button away, and its click would be lost
    if (document.querySelector("button:active")) addEventListener("pointerup", () => setTimeout(forget), { once: true });
    else forget();
  });
  return around;
}
