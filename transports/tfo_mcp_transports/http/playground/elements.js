// Creation of DOM elements.
//
// Owns the only way in which this page creates elements, and helpers to copy and to save. Text always becomes a text
// node, so that nothing from a server can become markup. Knows nothing of MCP.

const MOST_SHOWN = 300_000; // characters

/**
 * Return a new element. `onclick` and similar names become listeners, all others attributes. Attributes and children
 * that are undefined, null or false are omitted, and so are empty texts. Children are nodes, texts, or arrays of them.
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** Return a new element of an SVG picture; the arguments are those of `element`. */
export function drawing(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return made;
}

/** Return the children with spaces in between, for screen readers and for copying. */
export function apart(children) {
  return children.filter(Boolean).flatMap((child, index) => (index > 0 ? [" ", child] : [child]));
}

let identifiers = 0;

/** Return an id that no other element has. */
export function freshId(prefix) {
  identifiers += 1;
  return `${prefix}-${identifiers}`;
}

/** Return a button that copies the current result of `text`, and confirms it. */
export function copyButton(text, label = "Copy") {
  const button = element(
    "button",
    { type: "button", class: "quiet", onclick: () => copied(button, text(), label) },
    label,
  );
  return button;
}

/** Copy a text to the clipboard, and show the outcome on the button. */
export async function copied(button, text, label = button.textContent) {
  let outcome = "Copied";
  try {
    await navigator.clipboard.writeText(text); // exists only in secure contexts, such as loopback
  } catch {
    outcome = "Not allowed";
  }
  button.textContent = outcome;
  setTimeout(() => (button.textContent = label), 1500);
}

/** Offer bytes to the user as a file download. */
export function save(bytes, mimeType, name) {
  const address = URL.createObjectURL(new Blob([bytes], { type: mimeType }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Return a <pre> with a text; a text that would slow down the page is truncated. */
export function textBlock(text, attributes = { class: "text" }) {
  const block = element("pre", { tabindex: "0", ...attributes }, text.slice(0, MOST_SHOWN));
  if (text.length > MOST_SHOWN) {
    block.append(
      element("p", { class: "muted" }, `… and ${text.length - MOST_SHOWN} more characters, which Copy copies`),
    );
  }
  return block;
}

/** Return a human-readable size. */
export function sizeInWords(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
