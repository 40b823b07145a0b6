import { element, part } from "../base/dom.js";
import { Shortcuts } from "../base/shortcuts.js";

/** In these a key is text. */
const FIELDS = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

/** What sticks to the top of the window and covers rows that scroll below it. */
const STICKY = [".controls", ".notices"];

/** The keys of a list's page: `templates/keys.html` has their help, and tells people the same. */
export class Keyboard {
  #root;
  #help = element("keys", HTMLDialogElement);
  #shortcuts;
  /** @type {string | undefined} the order whose row had the cursor last */
  #order;

  /** @param {HTMLElement} root which has the rows */
  constructor(root) {
    this.#root = root;
    this.#shortcuts = new Shortcuts(root.dataset["userId"] ?? "");
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    const button = element("keys-button", HTMLButtonElement);
    button.hidden = false;
    button.addEventListener("click", () => this.#help.showModal());
    this.#shortcuts.bind(part(document, "#keys-on", HTMLInputElement));
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((target instanceof Element && target.closest(FIELDS)) || document.querySelector("dialog[open]")) return;
    if (!this.#shortcuts.areOn) return;
    if (this.#does(key)) event.preventDefault();
  }

  /**
   * @param {string} key
   * @returns {boolean} whether the key means something here
   */
  #does(key) {
    switch (key) {
      case "j":
        return this.#move(1);
      case "k":
        return this.#move(-1);
      case "/":
        return this.#search();
      case "?":
        this.#help.showModal();
        return true;
      default:
        return false;
    }
  }

  /** @param {1 | -1} step */
  #move(step) {
    const rows = [...this.#root.querySelectorAll("tr[data-order-id]")].filter((row) => row instanceof HTMLElement);
    const focused = rows.findIndex((row) => row.contains(document.activeElement));
    const from = focused >= 0 ? focused : rows.findIndex((row) => row.dataset["orderId"] === this.#order);
    const row = rows[from < 0 ? 0 : Math.min(Math.max(from + step, 0), rows.length - 1)];
    const link = row?.querySelector("a");
    if (!row || !link) return false;
    this.#order = row.dataset["orderId"];
    link.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    const edges = STICKY.map((css) => document.querySelector(css)?.getBoundingClientRect().bottom ?? 0);
    const covered = Math.ceil(Math.max(...edges) - row.getBoundingClientRect().top);
    if (covered > 0) window.scrollBy(0, -covered);
    return true;
  }

  #search() {
    const field = document.querySelector("input[type=search]");
    if (!(field instanceof HTMLInputElement)) return false;
    field.focus();
    field.select();
    return true;
  }
}
