/** @import { Markup } from "./markup.js" */
import { part } from "../base/dom.js";
import { keepInTab, keptInTab } from "../base/kept.js";
import { Shortcuts } from "../base/shortcuts.js";

/** In these a key is text. */
const FIELDS = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

/** The keys of a list's page: `templates/keys.html` has their help, and tells people the same. */
export class Keyboard {
  #markup;
  #help = part(document, "#keys", HTMLDialogElement);
  /** The order whose row had the cursor last; at first the one from which somebody came back. */
  #order;
  #shortcuts;

  /**
   * @param {Markup} markup which shows the rows
   * @param {string} user whose page it is
   */
  constructor(markup, user) {
    this.#markup = markup;
    this.#shortcuts = new Shortcuts(user);
    const key = `order left from ${location.pathname} of ${user}`;
    this.#order = keptInTab(key) ?? "";
    keepInTab(key, null);
    // whichever link of the row leads away
    window.addEventListener("pagehide", () => keepInTab(key, this.#here || null));
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    const button = part(document, "#keys-button", HTMLButtonElement);
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

  get #here() {
    return this.#markup.keyOf(document.activeElement) || this.#order;
  }

  /** @param {1 | -1} step */
  #move(step) {
    const { keys } = this.#markup;
    const from = keys.indexOf(this.#here);
    const key = keys[from < 0 ? 0 : Math.min(Math.max(from + step, 0), keys.length - 1)];
    if (key === undefined || !this.#markup.focus(key)) return false;
    this.#order = key;
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
