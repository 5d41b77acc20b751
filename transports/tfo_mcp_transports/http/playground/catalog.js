// The catalog on the left side of the page: the server's entries in groups, with a filter.
//
// Owns the links and the current one. An entry is {address, name, title, description}; the listener to the location's
// hash resolves an address. Knows no client.

import { apart, element } from "./elements.js";

export class Catalog {
  #groups = new Map();
  #current = "";
  #filter;
  #place;
  #inSight;

  /**
   * @param place the element for the groups
   * @param filter the input of the filter
   * @param titles the titles of the groups
   */
  constructor(place, filter, titles) {
    this.#filter = filter;
    this.#place = place;
    for (const title of titles) {
      const count = element("span", { class: "count" }, "0");
      const list = element("ul");
      const problem = element("p", { class: "problem" });
      place.append(
        element("details", { class: "group", open: true }, element("summary", {}, title, " ", count), problem, list),
      );
      this.#groups.set(title, { count, list, problem, links: [] });
    }
    filter.addEventListener("input", () => this.#apply());
  }

  /** Show these entries in a group, or the reason why there are none. */
  show(title, entries, problem = "") {
    const group = this.#groups.get(title);
    group.links = entries.map((entry) => ({ entry, item: link(entry) }));
    group.list.replaceChildren(...group.links.map(({ item }) => item));
    group.problem.textContent = problem;
    this.#apply();
  }

  /** Mark the entry with this address as current, and scroll it into view. */
  mark(address) {
    this.#current = address;
    this.#apply();
    const marked = this.#place.querySelector("[aria-current]");
    if (marked === null || this.#inSight === address) return;
    marked.scrollIntoView({ block: "nearest" });
    this.#inSight = address;
  }

  #apply() {
    const wanted = this.#filter.value.trim().toLowerCase();
    for (const { count, links } of this.#groups.values()) {
      let shown = 0;
      for (const { entry, item } of links) {
        const words = `${entry.name} ${entry.title ?? ""} ${entry.description ?? ""}`.toLowerCase();
        item.hidden = !words.includes(wanted);
        shown += item.hidden ? 0 : 1;
        if (entry.address === this.#current) item.firstElementChild.setAttribute("aria-current", "true");
        else item.firstElementChild.removeAttribute("aria-current");
      }
      count.textContent = wanted ? `${shown} of ${links.length}` : links.length;
    }
  }
}

function link({ address, name, title }) {
  const other = title && title.toLowerCase() !== name.toLowerCase() && element("span", { class: "title" }, title);
  return element("li", {}, element("a", { href: address }, apart([element("span", { class: "name" }, name), other])));
}
