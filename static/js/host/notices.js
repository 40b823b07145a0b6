/** @import { Change } from "../base/types.js" */
/** @import { OrderLink } from "./links.js" */
import { UNLISTED, counted, orderName, whatHappenedTo, withoutParts } from "../base/words.js";

/** How long a notice stays, in milliseconds. */
const SHOWN = 6_000;

/** So many toasts are shown at once. */
const MOST_SHOWN = 3;

/** What the person is told in a corner of the window: the latest changes by others, and a line of what can't be shown one by one. */
export class HostNotices {
  #root = made("div", "oncare-live-notices");
  #pill = made("div", "oncare-live-pill");
  #order;
  /** @type {WeakMap<Element, Change>} what each toast tells */
  #told = new WeakMap();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pillEnd;

  /** @param {OrderLink} order where an order has its page */
  constructor(order) {
    this.#order = order;
    this.#root.setAttribute("role", "status");
    document.body.append(this.#root);
  }

  /**
   * Who made a change may be known by now: then its toast says so, or goes, where it is no news any more.
   * @param {(change: Change) => boolean} isNews
   */
  renew(isNews) {
    for (const toast of this.#root.querySelectorAll(".oncare-live-toast")) {
      const change = this.#told.get(toast);
      const link = toast.querySelector("a");
      if (!change || !link) continue;
      if (!isNews(change)) toast.remove();
      link.textContent = whatHappenedTo(change);
    }
  }

  /**
   * Shows what happened.
   * @param {Change[]} news the oldest first
   * @param {boolean} isAll whether that is all
   */
  tell(news, isAll) {
    for (const change of news.slice(-MOST_SHOWN)) this.#root.append(this.#toast(change));
    const toasts = [...this.#root.querySelectorAll(".oncare-live-toast")];
    toasts.slice(0, -MOST_SHOWN).forEach((toast) => toast.remove());
    if (news.length > MOST_SHOWN) this.say(`${isAll ? "" : "at least "}${counted(news.length - MOST_SHOWN, "more change")}`);
  }

  /** The session is over. */
  end() {
    this.#root.remove();
  }

  /**
   * Says how much changed while there was no stream.
   * @param {Change[] | null} missed null where it can't be listed
   */
  sayMissed(missed) {
    this.say(`While you were away: ${missed ? counted(withoutParts(missed).length) : UNLISTED}`);
  }

  /**
   * Says a line for a while.
   * @param {string} words
   */
  say(words) {
    clearTimeout(this.#pillEnd);
    this.#pill.textContent = words;
    this.#root.prepend(this.#pill);
    this.#pillEnd = setTimeout(() => this.#pill.remove(), SHOWN);
  }

  /** Offers to load the page again, for as long as it is not done. */
  offerReload() {
    clearTimeout(this.#pillEnd);
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Orders have come in · Show them";
    this.#pill.replaceChildren(link);
    this.#root.prepend(this.#pill);
  }

  /** @param {Change} change */
  #toast(change) {
    const toast = made("div", "oncare-live-toast");
    const link = document.createElement("a");
    const hasPage = change.operation !== "delete" && change.operation !== "left";
    if (hasPage) link.href = this.#order.of(change.order_key);
    link.textContent = whatHappenedTo(change);
    this.#told.set(toast, change);
    const dismiss = document.createElement("button");
    dismiss.type = "button";
    dismiss.textContent = "×";
    dismiss.setAttribute("aria-label", `Dismiss what is said of ${orderName(change)}`);
    dismiss.addEventListener("click", () => toast.remove());
    toast.append(link, dismiss);
    this.#keep(toast);
    return toast;
  }

  /**
   * For its time, or for as long as somebody points at it.
   * @param {HTMLElement} toast
   */
  #keep(toast) {
    setTimeout(() => (toast.matches(":hover, :focus-within") ? this.#keep(toast) : toast.remove()), SHOWN);
  }
}

/**
 * @param {string} tag
 * @param {string} style
 */
function made(tag, style) {
  const element = document.createElement(tag);
  element.className = style;
  return element;
}
