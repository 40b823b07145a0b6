import { activePage } from "./markup.js";
import { seen } from "./words.js";

/** What the shop's filter asks for. */
const FIELDS = ["status", "date_from", "date_to"];

/**
 * Which orders the shop's page lists: as its filter's fields and its pagination say, and its address, where it has no such element.
 */
export class HostFilter {
  #page = pageShown();

  /** @returns {string} as the API is asked for it */
  get query() {
    const asked = FIELDS.map((name) => [name, field(name)?.value ?? inAddress(name)]);
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
      if (!FIELDS.some((name) => field(name) === target)) return;
      this.#page = "1";
      changed();
    });
  }
}

/** @param {string} name */
function field(name) {
  const found = document.getElementById(name) ?? document.querySelector(`[name="${name}"]`);
  return found instanceof HTMLInputElement || found instanceof HTMLSelectElement ? found : null;
}

/** @param {string} name */
function inAddress(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

function pageShown() {
  const place = activePage();
  return /^(?:Page )?(\d+)/.exec(place ? seen(place) : inAddress("page"))?.[1] ?? "1";
}
