// Text as a terminal shows it: without escape sequences, and with lines that are overwritten from their start.
//
// Owns the interpretation of control characters in the output of commands. Creates no element.

// CSI (colours, cursor), OSC (titles, links) up to BEL or ST, and two-character sequences (ECMA-48)
const ESCAPE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])/g;

/** Return the text that remains visible. */
export function terminalText(text) {
  if (!/[\u001b\r\b]/.test(text)) return text;
  return text.replace(ESCAPE, "").replaceAll("\r\n", "\n").split("\n").map(visible).join("\n");
}

/** Return a line after its carriage returns and backspaces. */
function visible(line) {
  if (!/[\r\b]/.test(line)) return line;
  const shown = [];
  let column = 0;
  for (const character of line) {
    if (character === "\r") column = 0;
    else if (character === "\b") column = Math.max(column - 1, 0);
    else shown[column++] = character;
  }
  return shown.join("");
}
