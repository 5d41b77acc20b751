// The mapping from a JSON schema to the shape of a form.
//
// Owns the interpretation of schemas: references within the document, alternatives with null, choices, limits in words.
// Creates no element and validates no value: what the form cannot express has kind "json", and the server checks it.

const MOST_REFERENCES = 16;
const DEEPEST = 3; // levels of nested objects; deeper ones are edited as JSON
const SCALARS = new Set(["string", "number", "integer", "boolean", "choice"]);

/**
 * Return the shape of a value of this schema: `kind` is string, number, integer, boolean, choice (with
 * `choices`), list (with `item`), object (with `properties`) or json.
 */
export function shapeOf(schema, root = schema, depth = 0) {
  const { plain, nullable } = simplified(schema, root);
  const shape = {
    kind: "json",
    type: typeInWords(plain),
    nullable,
    title: plain.title,
    description: plain.description,
    default: plain.default,
    schema: plain,
    limits: limitsOf(plain),
  };
  const choices = choicesOf(plain);
  if (choices) return { ...shape, kind: "choice", choices };
  if (SCALARS.has(plain.type)) return { ...shape, kind: plain.type };
  if (plain.type === "array") return listShape(shape, plain, root, depth);
  if (isObject(plain.properties) && depth < DEEPEST && [undefined, "object"].includes(plain.type)) {
    return { ...shape, kind: "object", properties: propertiesOf(plain, root, depth) };
  }
  return shape;
}

/** Return the shape of a tool's arguments: always an object, possibly without properties. */
export function argumentsShape(schema) {
  const shape = shapeOf(schema ?? {});
  return shape.kind === "object" ? shape : { ...shape, kind: "object", properties: [] };
}

function listShape(shape, plain, root, depth) {
  if (!isObject(plain.items) || plain.prefixItems) return shape;
  const item = shapeOf(plain.items, root, depth + 1);
  return SCALARS.has(item.kind) ? { ...shape, kind: "list", item, type: `list of ${item.type}` } : shape;
}

function propertiesOf(plain, root, depth) {
  const required = new Set(plain.required ?? []);
  const properties = Object.entries(plain.properties).map(([name, schema]) => ({
    name,
    required: required.has(name),
    shape: shapeOf(schema, root, depth + 1),
  }));
  return properties.sort((one, other) => Number(other.required) - Number(one.required));
}

/** Resolve references and single alternatives, and separate null. */
function simplified(schema, root) {
  let plain = isObject(schema) ? schema : {};
  let nullable = false;
  for (let step = 0; step < MOST_REFERENCES; step += 1) {
    const { $ref, allOf, anyOf, oneOf, ...rest } = plain;
    if (typeof $ref === "string") {
      plain = { ...referenced($ref, root), ...without(plain, "$ref") };
      continue;
    }
    if (Array.isArray(allOf) && allOf.length === 1 && isObject(allOf[0])) {
      plain = { ...allOf[0], ...without(plain, "allOf") };
      continue;
    }
    const alternatives = anyOf ?? oneOf;
    if (Array.isArray(alternatives)) {
      const others = alternatives.filter((one) => one?.type !== "null");
      nullable ||= others.length < alternatives.length;
      if (others.length === 1 && isObject(others[0])) {
        plain = { ...others[0], ...rest };
        continue;
      }
    }
    break;
  }
  if (Array.isArray(plain.type)) {
    const types = plain.type.filter((type) => type !== "null");
    nullable ||= types.length < plain.type.length;
    plain = { ...plain, type: types.length === 1 ? types[0] : undefined, anyTypes: types };
  }
  return { plain, nullable };
}

function without(schema, key) {
  const { [key]: _left, ...rest } = schema;
  return rest;
}

function referenced(reference, root) {
  if (!reference.startsWith("#")) return {};
  let found = root;
  for (const part of reference.slice(1).split("/").slice(1)) {
    const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    found = isObject(found) && Object.hasOwn(found, key) ? found[key] : {};
  }
  return isObject(found) ? found : {};
}

/** Return [{value, label}] if the schema enumerates its values. */
function choicesOf(plain) {
  if (Array.isArray(plain.enum)) {
    return plain.enum.map((value, index) => ({ value, label: plain.enumNames?.[index] ?? inWords(value) }));
  }
  if ("const" in plain) return [{ value: plain.const, label: inWords(plain.const) }];
  const alternatives = (plain.oneOf ?? plain.anyOf)?.filter?.((one) => one?.type !== "null");
  if (!alternatives?.length || !alternatives.every((one) => isObject(one) && "const" in one)) return undefined;
  return alternatives.map((one) => ({ value: one.const, label: one.title ?? inWords(one.const) }));
}

function inWords(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function typeInWords(plain) {
  const types = plain.anyTypes ?? (plain.type === undefined ? [] : [plain.type]);
  if (types.length > 0) return types.join(" or ");
  return isObject(plain.properties) ? "object" : "any JSON";
}

/** Return the limits of a schema as short phrases. */
function limitsOf(plain) {
  return [
    range(plain.minimum, plain.maximum, ""),
    plain.exclusiveMinimum !== undefined && `more than ${plain.exclusiveMinimum}`,
    plain.exclusiveMaximum !== undefined && `less than ${plain.exclusiveMaximum}`,
    plain.multipleOf !== undefined && `multiple of ${plain.multipleOf}`,
    range(plain.minLength, plain.maxLength, plain.maxLength === 1 ? " character" : " characters"),
    range(plain.minItems, plain.maxItems, " entries"),
    plain.uniqueItems && "no entry twice",
    plain.pattern !== undefined && `matches ${plain.pattern}`,
    plain.format,
  ].filter((limit) => typeof limit === "string");
}

function range(least, most, unit) {
  if (least !== undefined && most !== undefined)
    return least === most ? `exactly ${least}${unit}` : `${least} to ${most}${unit}`;
  if (most !== undefined) return `at most ${most}${unit}`;
  return least !== undefined && !(unit && least <= 1) ? `at least ${least}${unit}` : undefined;
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
