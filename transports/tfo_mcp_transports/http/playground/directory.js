// The current lists of the server, and the panels for their entries.
//
// Owns the lists and the addresses of their entries: #tool/NAME, #resource/URI, #template/TEMPLATE and #prompt/NAME. A
// hidden panel is kept with its input and its running calls; it is rebuilt when its definition has changed. Renders
// nothing itself.

import { Disconnected } from "./client.js";
import { promptPanel, resourcePanel, templatePanel, toolPanel } from "./panels.js";

const LISTS = [
  { kind: "tool", group: "Tools", method: "tools/list", key: "tools", id: "name", panel: toolPanel },
  { kind: "resource", group: "Resources", method: "resources/list", key: "resources", id: "uri", panel: resourcePanel },
  {
    kind: "template",
    group: "Resources",
    method: "resources/templates/list",
    key: "resourceTemplates",
    id: "uriTemplate",
    panel: templatePanel,
  },
  { kind: "prompt", group: "Prompts", method: "prompts/list", key: "prompts", id: "name", panel: promptPanel },
];

const MOST_SUGGESTED = { tool: 3, resource: 1, prompt: 1 };

/** The groups of the lists; each is named like the capability that it needs. */
export const GROUPS = ["Tools", "Resources", "Prompts"];

/** The group that a notification belongs to, or undefined. */
export function groupOf(method) {
  return GROUPS.find((group) => method === `notifications/${group.toLowerCase()}/list_changed`);
}

export class Directory {
  #site;
  #catalog;
  #known = new Map(); // address -> {list, definition}
  #panels = new Map(); // address -> {text: the definition as JSON, panel}
  #asked = new Map(); // group -> number of requests

  constructor(site, catalog) {
    this.#site = site;
    this.#catalog = catalog;
  }

  /** Request a group's lists again and show them, unless a later request has overtaken this one. */
  async refresh(group) {
    const { client } = this.#site;
    const turn = (this.#asked.get(group) ?? 0) + 1;
    this.#asked.set(group, turn);
    const overtaken = () => this.#site.client !== client || this.#asked.get(group) !== turn;
    const offered = client.session?.capabilities[group.toLowerCase()];
    const lists = offered ? LISTS.filter((list) => list.group === group) : [];
    try {
      const pages = await Promise.all(lists.map((list) => client.list(list.method, list.key)));
      if (!overtaken()) this.#replace(group, lists, pages);
    } catch (problem) {
      if (problem instanceof Disconnected || overtaken()) return;
      this.#catalog.show(group, [], `The list could not be loaded: ${problem.code ?? ""} ${problem.message}`);
    }
  }

  #replace(group, lists, pages) {
    for (const [address, { list }] of this.#known) if (list.group === group) this.#known.delete(address);
    const entries = lists.flatMap((list, index) => pages[index].map((definition) => ({ list, definition })));
    const shown = entries.map(({ list, definition }) => {
      const name = definition[list.id];
      const address = `#${list.kind}/${encodeURIComponent(name)}`;
      this.#known.set(address, { list, definition });
      return { address, name, title: definition.title, description: definition.description };
    });
    this.#catalog.show(group, shown);
  }

  /** Return the first entries that are easiest to try, of each kind: read-only tools that need few arguments first. */
  suggestions() {
    const effort = ({ annotations, inputSchema, arguments: fields }) =>
      (annotations?.readOnlyHint === false || annotations === undefined ? 100 : 0) +
      (inputSchema?.required?.length ?? fields?.filter(({ required }) => required).length ?? 0);
    const entries = [...this.#known].map(([address, { list, definition }]) => ({ address, list, definition }));
    return Object.entries(MOST_SUGGESTED).flatMap(([kind, most]) =>
      entries
        .filter(({ list }) => list.kind === kind)
        .sort((one, other) => effort(one.definition) - effort(other.definition))
        .slice(0, most)
        .map(({ address, list, definition: { [list.id]: name, description } }) => ({ address, name, description })),
    );
  }

  /** Return the panel for an address, or undefined if the entry is not listed. */
  panel(address) {
    const { list, definition } = this.#known.get(address) ?? unlisted(address);
    const before = this.#panels.get(address);
    const text = JSON.stringify(definition);
    if (before !== undefined && (before.text === text || before.panel.running)) return before.panel;
    if (list === undefined) return undefined;
    const panel = list.panel(this.#site, definition);
    this.#panels.set(address, { text, panel });
    return panel;
  }
}

/** Return the name in an address. */
export function nameIn(address) {
  const name = address.slice(address.indexOf("/") + 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // malformed: not created by this page
  }
}

/** Return a definition for an unlisted resource, which links in results can refer to. */
function unlisted(address) {
  const list = LISTS.find(({ kind }) => kind === "resource");
  return address.startsWith("#resource/") ? { list, definition: { uri: nameIn(address) } } : {};
}
