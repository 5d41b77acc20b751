// URI templates (RFC 6570): their variables and their expansion.
//
// Owns the expansion of strings, with all operators and the prefix modifier. Knows nothing of MCP and no element.

const EXPRESSION = /\{([+#./;?&]?)([^{}]*)\}/g;
const OPERATORS = {
  "": { first: "", separator: ",", named: false },
  "+": { first: "", separator: ",", named: false, reserved: true },
  "#": { first: "#", separator: ",", named: false, reserved: true },
  ".": { first: ".", separator: ".", named: false },
  "/": { first: "/", separator: "/", named: false },
  ";": { first: ";", separator: ";", named: true },
  "?": { first: "?", separator: "&", named: true, always: "=" },
  "&": { first: "&", separator: "&", named: true, always: "=" },
};

/** Return the names of a template's variables, in order. */
export function variablesOf(template) {
  const names = [...template.matchAll(EXPRESSION)].flatMap(([, , list]) =>
    list.split(",").map((one) => parsed(one).name),
  );
  return [...new Set(names)];
}

/** Return the expanded URI; variables without a value in `values` are omitted. */
export function expanded(template, values) {
  return template.replace(EXPRESSION, (_whole, operator, list) => {
    const rule = OPERATORS[operator];
    const parts = list
      .split(",")
      .map(parsed)
      .filter(({ name }) => Object.hasOwn(values, name));
    const texts = parts.map(({ name, length }) => {
      const value = escaped([...String(values[name])].slice(0, length).join(""), rule.reserved);
      if (!rule.named) return value;
      return value === "" ? name + (rule.always ?? "") : `${name}=${value}`;
    });
    return texts.length > 0 ? rule.first + texts.join(rule.separator) : "";
  });
}

function parsed(variable) {
  const [name, length] = variable.replace(/\*$/, "").split(":");
  return { name: name.trim(), length: length === undefined ? undefined : Number(length) };
}

function escaped(text, reserved) {
  const strictly = (piece) =>
    encodeURIComponent(piece).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  if (!reserved) return strictly(text);
  return text.replace(/%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]+/g, (piece) =>
    /^%[0-9A-Fa-f]{2}$/.test(piece) ? piece : strictly(piece),
  );
}
