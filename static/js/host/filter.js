import { activePage } from "./paging.js";
import { seen } from "./words.js";

/** What the shop's filter asks for. */
export const FIELDS = ["status", "date_from", "date_to"];

/**
 * Which orders the shop's page lists: as its filter's fields and its pagination say. Where it has no such element, or a field says
 * nothing though nobody has emptied it, as one that does not have what was asked for, its address tells.
 */
export class HostFilter {
  /** The fields that somebody has changed, also before this was here. @type {Set<string>} */
  #changed = new Set(FIELDS.filter(isTouched));
  /** Whoever asks for other orders sees the first page of them. */
  #page = this.#changed.size > 0 ? "1" : pageShown();
  #asked = this.#fields;
  /** @type {() => void} */
  #listener = () => {};

  constructor() {
    document.addEventListener("change", ({ target }) => {
      const name = FIELDS.find((name) => field(name) === target);
      if (!name) return;
      this.#changed.add(name);
      this.#look();
    });
    // a form says so before it has its first values again
    document.addEventListener("reset", () => setTimeout(() => this.#reset()));
    // by then a browser has given fields what they had when the page was left
    window.addEventListener("pageshow", () => this.#restored());
  }

  /** @returns {string} as the API is asked for it */
  get query() {
    const query = new URLSearchParams(this.#asked);
    if (this.#page !== "1") query.set("page", this.#page);
    return query.toString();
  }

  /**
   * Has something done when somebody asks for other orders.
   * @param {() => void} changed
   */
  onChange(changed) {
    this.#listener = changed;
  }

  get #fields() {
    const asked = FIELDS.map((name) => [name, this.#valueOf(name)]);
    return new URLSearchParams(asked.filter(([, value]) => value !== "")).toString();
  }

  /** @param {string} name */
  #valueOf(name) {
    const value = field(name)?.value ?? "";
    return value === "" && !this.#changed.has(name) ? inAddress(name) : value;
  }

  #reset() {
    this.#changed.clear();
    this.#look();
  }

  #restored() {
    for (const name of FIELDS.filter(isTouched)) this.#changed.add(name);
    this.#look();
  }

  #look() {
    if (this.#asked === this.#fields) return;
    this.#asked = this.#fields;
    this.#page = "1";
    this.#listener();
  }
}

/** @param {string} name */
function field(name) {
  /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */
  const fields = document.querySelectorAll(`input:is([name="${name}"], #${name}), select:is([name="${name}"], #${name})`);
  return fields[0] ?? null;
}

/**
 * Whether a field has another value than the shop gave it, and than was asked for.
 * @param {string} name
 */
function isTouched(name) {
  const element = field(name);
  if (!element || element.value === inAddress(name)) return false;
  if (element instanceof HTMLInputElement) return element.value !== element.defaultValue;
  const first = [...element.options].find(({ defaultSelected }) => defaultSelected) ?? element.options[0];
  return element.value !== first?.value;
}

/** @param {string} name */
function inAddress(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

function pageShown() {
  const place = activePage();
  return /^(?:Page )?(\d+)/.exec(place ? seen(place) : inAddress("page"))?.[1] ?? "1";
}
