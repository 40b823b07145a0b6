/** @import { Change } from "../base/types.js" */
import { showAge, tickAges } from "../base/time.js";
import { orderName, orderPage, whatHappened } from "../base/words.js";

/**
 * A change as the bell lists it.
 *
 * @typedef {{ change: Change, unread: boolean, muted: boolean }} Entry
 *
 * @typedef {object} BellListeners
 * @property {() => void} opened
 * @property {() => void} closed
 * @property {() => void} left what kept the list as it is does so no more, and there is something new to list
 * @property {(order: number, muted: boolean) => void} mute
 */

/** The button in the bar with the number of unread changes, and the panel with the newest ones. */
export class Bell {
  #root;
  #listeners;
  #button;
  #panel;
  #list;
  /** The list is not what it was told to be: that would have moved under a pointer or the focus. */
  #isBehind = false;

  /**
   * @param {HTMLElement} root
   * @param {BellListeners} listeners
   */
  constructor(root, listeners) {
    this.#root = root;
    this.#listeners = listeners;
    this.#button = /** @type {HTMLButtonElement} */ (root.querySelector(".ring"));
    this.#panel = /** @type {HTMLElement} */ (root.querySelector(".bell-panel"));
    this.#list = /** @type {HTMLElement} */ (root.querySelector("ol"));
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#root.hidden = false;
    tickAges(this.#list);
    this.#button.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    document.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !this.isOpen) return;
      this.close();
      this.#button.focus();
    });
    document.addEventListener("click", ({ target }) => {
      // what is replaced by its own click is nowhere any more
      const isOutside = target instanceof Node && target.isConnected && !this.#root.contains(target);
      if (isOutside && this.isOpen) this.close();
    });
    this.#list.addEventListener("click", ({ target }) => {
      if (!(target instanceof HTMLButtonElement)) return;
      this.#listeners.mute(Number(target.dataset["order"]), target.dataset["muted"] !== "true");
    });
    for (const event of ["pointerleave", "focusout"]) {
      this.#list.addEventListener(event, () => setTimeout(() => this.#left()));
    }
  }

  get isOpen() {
    return !this.#panel.hidden;
  }

  /** Whether the list lacks something until it is left. */
  get isBehind() {
    return this.#isBehind;
  }

  /** Shows the panel. */
  open() {
    this.#toggle(true);
    this.#listeners.opened();
  }

  /** Hides the panel. */
  close() {
    this.#toggle(false);
    this.#listeners.closed();
  }

  /**
   * @param {number} unread
   * @param {string} text how that is written
   */
  count(unread, text) {
    const place = this.#button.querySelector(".unread");
    place?.toggleAttribute("hidden", unread === 0);
    if (place) place.textContent = text;
    this.#text(this.#button, "label", unread === 0 ? "Changes, none unread" : `Changes, ${text} unread`);
  }

  /**
   * Lists the entries, the newest first. Under a pointer or the focus nothing moves: there, what is listed is brought up to
   * date, and the rest waits until the list is left.
   * @param {Entry[]} entries
   */
  list(entries) {
    const listed = [...this.#list.children].map((item) => item.getAttribute("data-key"));
    this.#isBehind = this.#isHeld && listed.join() !== entries.map(({ change }) => change.id).join();
    if (!this.#isBehind) this.#arrange(entries);
    for (const entry of entries) {
      const item = this.#listed(entry);
      if (item) this.#mark(item, entry);
    }
    this.#root.querySelector('[data-text="empty"]')?.toggleAttribute("hidden", entries.length > 0);
    showAge(this.#list);
  }

  /**
   * Says what did not work.
   * @param {string} problem
   */
  say(problem) {
    this.#text(this.#panel, "problem", problem);
    if (problem !== "" && !this.isOpen) this.open();
  }

  /** By a pointer, or by a focus that is seen: that of a mere click is nobody's place. */
  get #isHeld() {
    return this.#list.matches(":hover, :has(:focus-visible)");
  }

  #left() {
    if (this.isOpen && this.#isBehind && !this.#isHeld) this.#listeners.left();
  }

  /**
   * What is there already stays where it is.
   * @param {Entry[]} entries
   */
  #arrange(entries) {
    let place = this.#list.firstElementChild;
    for (const entry of entries) {
      const item = this.#listed(entry) ?? this.#item(entry);
      if (item === place) place = place.nextElementSibling;
      else this.#list.insertBefore(item, place);
    }
    while (place) {
      const next = place.nextElementSibling;
      place.remove();
      place = next;
    }
  }

  /** @param {Entry} entry */
  #listed({ change }) {
    return this.#list.querySelector(`[data-key="${change.id}"]`);
  }

  /** @param {boolean} open */
  #toggle(open) {
    this.#panel.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
  }

  /** @param {Entry} entry */
  #item({ change }) {
    const template = /** @type {HTMLTemplateElement} */ (this.#root.querySelector("template"));
    const item = /** @type {Element} */ (document.importNode(template.content, true).firstElementChild);
    item.setAttribute("data-key", String(change.id));
    this.#text(item, "order", orderName(change));
    this.#text(item, "what", whatHappened(change));
    const page = orderPage(change);
    if (page) item.querySelector("a")?.setAttribute("href", page);
    item.querySelector("time")?.setAttribute("datetime", change.at);
    return item;
  }

  /**
   * @param {Element} item
   * @param {Entry} entry
   */
  #mark(item, { change, unread, muted }) {
    item.toggleAttribute("data-unread", unread);
    item.toggleAttribute("data-muted", muted);
    const button = item.querySelector("button");
    if (!button || button.dataset["muted"] === String(muted)) return;
    button.dataset["order"] = String(change.order_id);
    button.dataset["muted"] = String(muted);
    button.textContent = muted ? "Unmute" : "Mute";
    button.setAttribute("aria-label", `${button.textContent} ${orderName(change)}`);
  }

  /**
   * @param {ParentNode} parent
   * @param {string} name
   * @param {string} text
   */
  #text(parent, name, text) {
    const place = parent.querySelector(`[data-text="${name}"]`);
    if (place && place.textContent !== text) place.textContent = text;
  }
}
