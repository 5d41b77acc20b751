// The left side of the page: what the server has, in groups, with a filter.
//
// Owns the links and which of them is current. An entry is {address, name, title, description}; what stands behind an
// address is the affair of whoever listens to the location's hash. Knows no client.

import { apart, element } from "./elements.js";

export class Catalog {
  #groups = new Map();
  #current = "";
  #filter;
  #place;
  #inSight;

  /**
   * @param place where the groups go
   * @param filter the input that they are filtered by
   * @param titles of the groups
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

  /** Put these entries into a group, or say why there are none. */
  show(title, entries, problem = "") {
    const group = this.#groups.get(title);
    group.links = entries.map((entry) => ({ entry, item: link(entry) }));
    group.list.replaceChildren(...group.links.map(({ item }) => item));
    group.problem.textContent = problem;
    this.#apply();
  }

  /** Mark the entry with this address, and have it in sight. */
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
