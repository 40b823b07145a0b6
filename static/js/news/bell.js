/** @import { Change } from "../base/types.js" */
import { Attention } from "../base/attention.js";
import { fill, part } from "../base/dom.js";
import { showAge, tickAges } from "../base/time.js";
import { listItem, listedHappening, orderName } from "../base/words.js";

/**
 * A change as the bell lists it.
 *
 * @typedef {{ change: Change, unread: boolean, muted: boolean }} Entry
 *
 * @typedef {object} BellListeners
 * @property {() => void} opened
 * @property {() => void} closed
 * @property {() => void} left what kept the list as it is does so no more, and there is something new to list
 * @property {(order: string, muted: boolean) => void} mute
 */

/** The button in the bar with the number of unread changes, and the panel with the newest ones. */
export class Bell {
  #root;
  #listeners;
  #button;
  #panel;
  #list;
  #attention;
  /** Whether the browser shows and hides the panel: by the button, and where somebody turns to something else. */
  #isPopover;
  /** The list is not what it was told to be: that would have moved under a pointer or the focus. */
  #isBehind = false;

  /**
   * @param {HTMLElement} root
   * @param {BellListeners} listeners
   */
  constructor(root, listeners) {
    this.#root = root;
    this.#listeners = listeners;
    this.#button = part(root, ".ring", HTMLButtonElement);
    this.#panel = part(root, ".bell-panel", HTMLElement);
    this.#list = part(this.#panel, "ol", HTMLOListElement);
    this.#attention = new Attention(this.#list, () => this.#left());
    this.#isPopover = this.#panel.popover === "auto";
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#root.hidden = false;
    this.#panel.hidden = true;
    tickAges(this.#list);
    if (this.#isPopover) this.#panel.addEventListener("beforetoggle", (event) => this.#turn(event.newState === "open"));
    else this.#button.addEventListener("click", () => this.#turn(!this.isOpen));
    document.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !this.isOpen) return;
      this.close();
      this.#button.focus();
    });
    document.addEventListener("click", ({ target }) => {
      // what is replaced by its own click is nowhere any more
      const isOutside = target instanceof Node && target.isConnected && !this.#root.contains(target);
      if (isOutside) this.close();
    });
    this.#list.addEventListener("click", ({ target }) => {
      if (!(target instanceof HTMLButtonElement)) return;
      this.#listeners.mute(target.dataset["order"] ?? "", target.dataset["muted"] !== "true");
    });
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
    if (this.isOpen) return;
    if (this.#isPopover) this.#panel.showPopover();
    else this.#turn(true);
  }

  /** Hides the panel. */
  close() {
    if (!this.isOpen) return;
    if (this.#isPopover) this.#panel.hidePopover();
    else this.#turn(false);
  }

  /**
   * @param {number} unread
   * @param {string} text how that is written
   */
  count(unread, text) {
    const place = this.#button.querySelector(".unread");
    place?.toggleAttribute("hidden", unread === 0);
    if (place && place.textContent !== text) place.textContent = text;
    fill(this.#button, "label", unread === 0 ? "Changes, none unread" : `Changes, ${text} unread`);
  }

  /**
   * Lists the entries, the newest first. Under a pointer or the focus nothing moves: there, what is listed is brought up to
   * date, and the rest waits until the list is left.
   * @param {Entry[]} entries
   */
  list(entries) {
    const listed = [...this.#list.children].map((item) => item.getAttribute("data-key"));
    this.#isBehind = this.#attention.isAt() && listed.join() !== entries.map(({ change }) => change.id).join();
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
    fill(this.#panel, "problem", problem);
    if (problem !== "") this.open();
  }

  #left() {
    if (this.isOpen && this.#isBehind && !this.#attention.isAt()) this.#listeners.left();
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
  #turn(open) {
    this.#panel.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
    if (open) this.#listeners.opened();
    else this.#listeners.closed();
  }

  /** @param {Entry} entry */
  #item({ change }) {
    const item = listItem(part(this.#root, "template", HTMLTemplateElement), change, listedHappening(change));
    item.setAttribute("data-key", String(change.id));
    return item;
  }

  /**
   * @param {Element} item
   * @param {Entry} entry
   */
  #mark(item, { change, unread, muted }) {
    fill(item, "what", listedHappening(change));
    item.toggleAttribute("data-unread", unread);
    item.toggleAttribute("data-muted", muted);
    const button = item.querySelector("button");
    if (!button || button.dataset["muted"] === String(muted)) return;
    button.dataset["order"] = change.order_key;
    button.dataset["muted"] = String(muted);
    button.textContent = muted ? "Unmute" : "Mute";
    button.setAttribute("aria-label", `${button.textContent} ${orderName(change)}`);
  }
}
