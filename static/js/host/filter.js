import { activePage } from "./markup.js";
import { seen } from "./words.js";

/** What the shop's filter asks for. */
const FIELDS = ["status", "date_from", "date_to"];

/**
 * Which orders the shop's page lists: as its filter's fields and its pagination say. Where it has no such element, or a field says
 * nothing though nobody has emptied it, as one that does not have what was asked for, its address tells.
 */
export class HostFilter {
  #page = pageShown();
  /** The fields that somebody has changed. @type {Set<string>} */
  #changed = new Set();

  /** @returns {string} as the API is asked for it */
  get query() {
    const asked = FIELDS.map((name) => [name, this.#asked(name)]);
    const query = new URLSearchParams(asked.filter(([, value]) => value !== ""));
    if (this.#page !== "1") query.set("page", this.#page);
    return query.toString();
  }

  /**
   * Has something done when somebody asks for other orders; they see the first page of them.
   * @param {() => void} changed
   */
  onChange(changed) {
    document.addEventListener("change", ({ target }) => {
      const name = FIELDS.find((name) => field(name) === target);
      if (!name) return;
      this.#changed.add(name);
      this.#page = "1";
      changed();
    });
  }

  /** @param {string} name */
  #asked(name) {
    const value = field(name)?.value ?? "";
    return value === "" && !this.#changed.has(name) ? inAddress(name) : value;
  }
}

/** @param {string} name */
function field(name) {
  /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */
  const fields = document.querySelectorAll(`input:is([name="${name}"], #${name}), select:is([name="${name}"], #${name})`);
  return fields[0] ?? null;
}

/** @param {string} name */
function inAddress(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

function pageShown() {
  const place = activePage();
  return /^(?:Page )?(\d+)/.exec(place ? seen(place) : inAddress("page"))?.[1] ?? "1";
}
