// Why a connection could not be opened: browsers report nothing of a failed WebSocket handshake, so this asks /mcp.
//
// Owns one request and the words for its outcome. Knows no element.

const STATUS_WORDS = {
  401: (key) =>
    key ? "the server does not accept this API key or token" : "the server needs an API key: enter it above",
  403: () => "the server does not accept this page",
  429: () => "the server refuses further attempts for now",
  503: () => "the server is overloaded or stops",
};
const QUESTION = { jsonrpc: "2.0", id: 1, method: "ping", params: {} };
const PATIENCE = 10_000; // milliseconds
const MOST_SAID = 300; // characters

/**
 * Return the reason in words.
 *
 * @param url of the MCP endpoint
 * @param key the API key or token, or ""
 */
export async function reasonOf(url, key) {
  if (/[^!-~]/.test(key)) return STATUS_WORDS[401](key); // no header can carry it
  let response;
  try {
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
    if (key) headers.Authorization = `Bearer ${key}`;
    const body = JSON.stringify(QUESTION);
    response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    return "the server is gone or unreachable";
  }
  const words = STATUS_WORDS[response.status]?.(key);
  if (words === undefined) return "the server answers, but no WebSocket opens: does a proxy pass upgrades on?";
  const said = (await response.text().catch(() => "")).trim();
  return response.status === 403 && said ? `${words}: “${said.slice(0, MOST_SAID)}”` : words;
}
