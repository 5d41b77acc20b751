// Making DOM elements.
//
// Owns the one way in which this page makes elements, and two small things that go with it: copying and saving. Text
// only ever becomes a text node, so nothing that a server sends can become markup. Knows nothing of MCP.

const MOST_SHOWN = 300_000; // characters

/**
 * Return a new element. `onclick` and its like become listeners, everything else an attribute; attributes that are
 * undefined, null or false are left out, and so are such children and empty texts. Children are nodes, texts, or
 * arrays of them.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return made;
}

/** Return the same children with a space between any two, for those who hear them or copy them. */
export function apart(children) {
  return children.filter(Boolean).flatMap((child, index) => (index > 0 ? [" ", child] : [child]));
}

let identifiers = 0;

/** Return an id that no other element has. */
export function freshId(prefix) {
  identifiers += 1;
  return `${prefix}-${identifiers}`;
}

/** Return a button that copies what `text` returns at that moment, and says so. */
export function copyButton(text, label = "Copy") {
  const button = element(
    "button",
    { type: "button", class: "quiet", onclick: () => copied(button, text(), label) },
    label,
  );
  return button;
}

/** Copy a text to the clipboard and say on the button what came of it. */
export async function copied(button, text, label = button.textContent) {
  let outcome = "Copied";
  try {
    await navigator.clipboard.writeText(text); // there only in secure contexts, such as loopback
  } catch {
    outcome = "Not allowed";
  }
  button.textContent = outcome;
  setTimeout(() => (button.textContent = label), 1500);
}

/** Hand bytes to the user as a file. */
export function save(bytes, mimeType, name) {
  const address = URL.createObjectURL(new Blob([bytes], { type: mimeType }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** Return a <pre> with a text, or with the beginning of one that would make the page slow. */
export function textBlock(text, attributes = { class: "text" }) {
  const block = element("pre", { tabindex: "0", ...attributes }, text.slice(0, MOST_SHOWN));
  if (text.length > MOST_SHOWN) {
    block.append(
      element("p", { class: "muted" }, `… and ${text.length - MOST_SHOWN} more characters, which Copy copies`),
    );
  }
  return block;
}

/** Return a size as people write it. */
export function sizeInWords(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
