/** @import { Change } from "../base/types.js" */
import { fill } from "../base/dom.js";
import { exactTime, showAge } from "../base/time.js";
import { UNLISTED, counted, orderName, orderPage, whatHappened } from "../base/words.js";

/** So many changes are listed; older ones are only counted. */
const MOST_LISTED = 100;

/**
 * What changed while the page was away: one line, and behind it each change, newest first. It stays until it is
 * dismissed; further absences add to it.
 */
export class Away {
  #root;
  #line;
  #list;
  #template;
  #count = 0;
  /** There may be changes that the server could not list. */
  #incomplete = false;

  /**
   * @param {HTMLElement} root
   * @param {HTMLButtonElement} line
   * @param {HTMLElement} list
   * @param {HTMLTemplateElement} template one change
   * @param {() => void} dismissed
   */
  constructor(root, line, list, template, dismissed) {
    this.#root = root;
    this.#line = line;
    this.#list = list;
    this.#template = template;
    line.addEventListener("click", () => this.#open(this.#panel?.hidden ?? false));
    root.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.#open(false);
      line.focus();
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
    else this.#count += missed.length;
    this.#list.prepend(...(missed ?? []).map((change) => this.#item(change)).reverse());
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

  get #panel() {
    return this.#list.parentElement;
  }

  /** @param {boolean} open */
  #open(open) {
    if (this.#panel) this.#panel.hidden = !open;
    this.#line.setAttribute("aria-expanded", String(open));
  }

  /** @param {Change} change */
  #item(change) {
    const item = document.importNode(this.#template.content, true);
    fill(item, "order", orderName(change));
    fill(item, "what", whatHappened(change));
    const page = orderPage(change);
    if (page) item.querySelector("a")?.setAttribute("href", page);
    const time = item.querySelector("time");
    if (time) {
      time.dateTime = change.at;
      time.title = exactTime(change.at);
    }
    return item;
  }
}
