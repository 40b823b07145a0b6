/** @import { Change } from "../base/types.js" */
import { fill, part } from "../base/dom.js";
import { showAge } from "../base/time.js";
import { Once, UNLISTED, counted, listItem, whatHappened } from "../base/words.js";

/** So many changes are listed; older ones are only counted. */
const MOST_LISTED = 100;

/**
 * What changed while the page was away: one line, and behind it each change, newest first. It stays until it is
 * dismissed; further absences add to it.
 */
export class Away {
  #root;
  #line;
  #panel;
  #list;
  #template;
  #count = 0;
  /** A stream that comes back tells again what polls have told. */
  #added = new Once();
  /** There may be changes that the server could not list. */
  #incomplete = false;

  /**
   * @param {HTMLElement} root
   * @param {() => void} dismissed
   */
  constructor(root, dismissed) {
    this.#root = root;
    this.#line = part(root, "#away-line", HTMLButtonElement);
    this.#panel = part(root, "#away-panel", HTMLElement);
    this.#list = part(root, "#away-list", HTMLElement);
    this.#template = part(root, "#away-change", HTMLTemplateElement);
    this.#line.addEventListener("click", () => this.#open(this.#panel.hidden));
    root.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.#open(false);
      this.#line.focus();
    });
    root.querySelector(".dismiss")?.addEventListener("click", () => {
      this.#clear();
      dismissed();
    });
  }

  /**
   * Adds what one absence missed.
   * @param {Change[] | null} missed the oldest first; null where it can't be listed
   */
  add(missed) {
    if (missed === null) this.#incomplete = true;
    const fresh = this.#added.pass(missed ?? []);
    this.#count += fresh.length;
    this.#list.prepend(...fresh.map((change) => listItem(this.#template, change, whatHappened(change))).reverse());
    while (this.#list.childElementCount > MOST_LISTED) this.#list.lastElementChild?.remove();
    this.#show();
  }

  #clear() {
    this.#count = 0;
    this.#incomplete = false;
    this.#list.replaceChildren();
    this.#open(false);
    this.#show();
  }

  #show() {
    this.#root.hidden = this.#count === 0 && !this.#incomplete;
    this.#line.disabled = this.#count === 0;
    fill(this.#root, "count", this.#incomplete ? UNLISTED : counted(this.#count));
    const older = this.#count - this.#list.childElementCount;
    fill(this.#root, "older", older > 0 ? `and ${counted(older)} before` : "");
    showAge(this.#list);
  }

  /** @param {boolean} open */
  #open(open) {
    this.#panel.hidden = !open;
    this.#line.setAttribute("aria-expanded", String(open));
  }
}
