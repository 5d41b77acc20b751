// The page: composes the client, the catalog, the panels and the messages.
//
// Owns the lifetime of the connection, the controls in the bar, and the routing from the location's hash to a panel.
// The imported modules own everything else.

import { Catalog } from "./catalog.js";
import { Client, Disconnected } from "./client.js";
import { Dialogue } from "./dialogue.js";
import { Directory, GROUPS, groupOf, nameIn } from "./directory.js";
import { element } from "./elements.js";
import { ERAS } from "./eras.js";
import { overview } from "./panels.js";
import { reasonOf } from "./reachability.js";
import { Traffic } from "./traffic.js";

const TITLE = "tfo-mcp playground";
const LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
const NARROW = matchMedia("(max-width: 43.99rem)"); // as in layout.css
const NO_CLOSE_FRAME = 1006;
const CLOSE_CODES = {
  1000: "normal end",
  1001: "the server is going away",
  1002: "protocol error",
  1003: "the server does not accept this kind of frame",
  1007: "invalid UTF-8",
  1008: "policy violation",
  1009: "a message was too large for the server",
  1011: "internal error of the server",
  1012: "the server restarts or stops",
  1013: "the server is overloaded, or the page did not read",
  3000: "the API key or token is no longer valid",
};

const $ = (id) => document.getElementById(id);
const hiddenTools = await fetch("playground/hidden-tools.json")
  .then((answer) => answer.json())
  .catch(() => 0);
const target = () => ({ url: new URL("mcp", document.baseURI).href, hasKey: $("key").value.trim() !== "" });
const site = { client: undefined, running: new Set(), target };
const catalog = new Catalog($("groups"), $("filter"), GROUPS);
const dialogue = new Dialogue($("question"));
const directory = new Directory(site, catalog);
const traffic = new Traffic({
  list: $("traffic-list"),
  count: $("traffic-count"),
  copy: $("traffic-copy"),
  clear: $("traffic-clear"),
  filter: $("traffic-filter"),
});

async function connect() {
  site.client?.close();
  const on = { traffic: (passed) => traffic.add(passed), notification, closed, question };
  const client = new Client({ era: ERAS[$("revision").selectedIndex], logLevel: $("log-level").value, on });
  site.client = client;
  tell("connecting", "Connecting …");
  notice();
  $("catalog").setAttribute("aria-busy", "true");
  try {
    const url = new URL("ws", document.baseURI); // beneath the prefix that a proxy serves the page at
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const { server } = await client.connect(url.href, $("key").value.trim());
    tell("open", `Connected · ${server.name ?? "server"} ${server.version ?? ""}`);
    client.watch().catch(() => {}); // without it the lists are not updated
    await Promise.all(GROUPS.map((group) => directory.refresh(group)));
  } catch (problem) {
    if (site.client !== client) return; // a newer connection has replaced it
    if (!(problem instanceof Disconnected)) notBegun(problem); // a disconnect has been reported already
  }
  if (site.client !== client) return;
  $("catalog").setAttribute("aria-busy", "false");
  show();
}

function notBegun(problem) {
  site.client.close();
  tell("closed", "Not connected");
  notice(`The connection could not be initialized: ${problem.code ?? ""} ${problem.message}`);
}

function question(asked, signal) {
  return dialogue.ask(asked, signal);
}

async function closed({ opened, code, reason }) {
  const { client } = site;
  const what = opened ? "The connection was closed" : "The connection could not be opened";
  const said = reason ? ` The server says: “${reason}”` : "";
  tell("closed", "Not connected");
  if (code !== NO_CLOSE_FRAME) {
    notice(`${what}: ${code}, ${CLOSE_CODES[code] ?? "a code of the server's own"}.${said}`);
    return;
  }
  const why = await reasonOf(new URL("mcp", document.baseURI), $("key").value.trim());
  if (site.client === client) notice(`${what}: ${why}.`);
}

function notification({ method, params }) {
  if (method === "notifications/message") for (const outcome of site.running) outcome.log(params ?? {});
  const group = groupOf(method);
  if (group !== undefined) directory.refresh(group).then(show);
}

/** Show the panel for the location's hash, and return it; without a hash, show the server. */
function show() {
  const address = location.hash;
  const panel = directory.panel(address);
  const wanted = panel?.element ?? notListed(address) ?? start();
  if ($("panel").firstElementChild !== wanted) $("panel").replaceChildren(wanted);
  catalog.mark(address);
  document.title = panel === undefined ? TITLE : `${nameIn(address)} · ${TITLE}`;
  return panel;
}

/** Return the first page; tools can be hidden only from a caller without a key. */
function start() {
  return overview(site.client?.session, directory.suggestions(), $("key").value.trim() ? 0 : hiddenTools);
}

function notListed(address) {
  if (!/^#(tool|template|prompt)\//.test(address) || $("catalog").getAttribute("aria-busy") === "true")
    return undefined;
  const words = ["This server, for this caller, does not list ", element("code", {}, nameIn(address)), "."];
  return element("article", {}, element("h2", {}, "Not there"), element("p", {}, words));
}

/** Focus the new panel: its first field, or its top where an on-screen keyboard would cover the page. */
function follow() {
  const panel = show();
  if (NARROW.matches) $("panel").scrollIntoView();
  if (panel && !NARROW.matches) panel.focus();
  else $("panel").focus({ preventScroll: true });
}

function tell(state, words) {
  $("status").dataset.state = state;
  $("status").textContent = words;
  $("connect").textContent = state === "closed" ? "Connect" : "Reconnect";
}

function notice(words = "") {
  $("notice").textContent = words;
  $("notice").hidden = words === "";
}

function prepareControls() {
  const level = (name) => element("option", { value: name, selected: name === "info" }, name || "off");
  $("revision").append(...ERAS.map(({ label, revision }) => element("option", { value: revision }, label)));
  $("log-level").append(...["", ...LEVELS].map(level));
  const kept = sessionStorage.getItem("revision");
  if (ERAS.some(({ revision }) => revision === kept)) $("revision").value = kept;
  $("connect").addEventListener("click", connect);
  $("key").addEventListener("keydown", (event) => event.key === "Enter" && connect());
  $("revision").addEventListener("change", () => {
    sessionStorage.setItem("revision", $("revision").value);
    connect();
  });
  $("log-level").addEventListener("change", () => site.client?.setLogLevel($("log-level").value).catch(() => {}));
  const showTraffic = (shown) => {
    $("traffic").hidden = !shown;
    $("traffic-toggle").setAttribute("aria-pressed", String(shown));
    sessionStorage.setItem("messages", shown ? "shown" : "hidden");
  };
  showTraffic(sessionStorage.getItem("messages") !== "hidden");
  $("traffic-toggle").addEventListener("click", () => showTraffic($("traffic").hidden));
  $("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the hash selects the panel
    $("panel").focus();
  });
}

prepareControls();
addEventListener("hashchange", follow);
show();
connect();
