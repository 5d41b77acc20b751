// A call as a command of curl and as a program in Python, to copy.
//
// Owns the text of both. A key is named as an environment variable and never copied. Knows no element and no socket.

import { statelessRequest } from "./eras.js";

const KEY_VARIABLE = "TFO_MCP_KEY";
const NAMED_BY = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };

/**
 * Return a command of curl that sends a stateless request.
 *
 * @param target has `url`, the MCP endpoint, and `hasKey`
 * @param schema of the arguments, which says which of them headers repeat
 */
export function curlCommand({ url, hasKey }, method, params, schema = {}) {
  const { revision, message } = statelessRequest(method, params);
  const headers = [
    ["Content-Type", "application/json"],
    ["Accept", "application/json, text/event-stream"],
    ["MCP-Protocol-Version", revision],
    ["Mcp-Method", method],
    ["Mcp-Name", headerValue(params[NAMED_BY[method]])],
    ...mirrored(schema, params.arguments ?? {}),
  ];
  const lines = [
    `curl -sS ${quoted(url)}`,
    ...headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    hasKey && `-H "Authorization: Bearer $${KEY_VARIABLE}"`,
    `-d ${quoted(JSON.stringify(message))}`,
  ];
  return lines.filter(Boolean).join(" \\\n  ");
}

/** Return a program with the official Python client, the package `mcp`. */
export function pythonProgram({ url, hasKey }, method, params) {
  const open = hasKey ? `streamable_http_client(${literal(url)}, http_client=http)` : literal(url);
  const body = [`async with Client(${open}) as client:`, `    print(await client.${pythonCall(method, params)})`];
  const opened = hasKey
    ? [
        `headers = {"Authorization": f"Bearer {os.environ['${KEY_VARIABLE}']}"}`,
        "async with httpx2.AsyncClient(headers=headers) as http:",
        ...body.map((line) => `    ${line}`),
      ]
    : body;
  return [
    "import asyncio",
    ...(hasKey ? ["import os", "", "import httpx2"] : [""]),
    "from mcp import Client",
    ...(hasKey ? ["from mcp.client.streamable_http import streamable_http_client"] : []),
    "",
    "",
    "async def main() -> None:",
    ...opened.map((line) => `    ${line}`),
    "",
    "",
    "asyncio.run(main())",
    "",
  ].join("\n");
}

function pythonCall(method, params) {
  if (method === "resources/read") return `read_resource(${literal(params.uri)})`;
  const name = method === "tools/call" ? "call_tool" : "get_prompt";
  return `${name}(${literal(params.name)}, ${literal(params.arguments ?? {})})`;
}

/** Return a JSON value as a literal of Python, whose strings know the escapes of JSON. */
function literal(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${literal(member)}`);
  return `{${members.join(", ")}}`;
}

/** Return a text as one word of a POSIX shell. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Return the headers that repeat arguments, as the schema's `x-mcp-header` names them. */
function mirrored(schema, given) {
  return Object.entries(schema?.properties ?? {}).flatMap(([name, property]) => {
    const value = given?.[name];
    if (value === undefined || value === null) return [];
    if (typeof value === "object") return mirrored(property, value);
    const header = property?.["x-mcp-header"];
    return header === undefined ? [] : [[`Mcp-Param-${header}`, headerValue(value)]];
  });
}

/** Return the value of a header: as it is, or in base64 if a header cannot carry it. */
function headerValue(value) {
  const text = String(value);
  if (/^[!-~]([ -~]*[!-~])?$/.test(text) && !text.startsWith("=?base64?")) return text;
  return `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}?=`;
}
