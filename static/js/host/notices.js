/** @import { Change, Patch } from "../base/types.js" */
import { UNLISTED, counted, orderName, whatHappenedTo, withoutParts } from "../base/words.js";
import { isNews } from "../news/is_news.js";

/** How long a notice stays, in milliseconds. */
const SHOWN = 6_000;

/** So many toasts are shown at once. */
const MOST_SHOWN = 3;

/** What the person is told in a corner of the window: the latest changes by others, and a line of what can't be shown one by one. */
export class HostNotices {
  #root = made("div", "oncare-live-notices");
  #pill = made("div", "oncare-live-pill");
  #login;
  #order;
  /** @type {WeakMap<Element, Change>} what each toast tells */
  #told = new WeakMap();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pillEnd;

  /**
   * @param {string} login of the person
   * @param {string} order where an order has its page, for the order 0
   */
  constructor(login, order) {
    this.#login = login;
    this.#order = order;
    this.#root.setAttribute("role", "status");
    document.body.append(this.#root);
  }

  /** @param {Patch} patch */
  tell({ changes, named }) {
    // who made what is told may be known by now
    for (const toast of named ? this.#root.querySelectorAll(".oncare-live-toast") : []) {
      const change = this.#told.get(toast);
      const link = toast.querySelector("a");
      if (!change || !link) continue;
      if (!this.#isNews(change)) toast.remove();
      link.textContent = whatHappenedTo(change);
    }
    const news = withoutParts(changes).filter((change) => this.#isNews(change));
    for (const change of news.slice(-MOST_SHOWN)) this.#root.append(this.#toast(change));
    const toasts = [...this.#root.querySelectorAll(".oncare-live-toast")];
    toasts.slice(0, -MOST_SHOWN).forEach((toast) => toast.remove());
    if (news.length > MOST_SHOWN) this.say(`${counted(news.length - MOST_SHOWN, "more change")}`);
  }

  /** @param {Change} change */
  #isNews(change) {
    return isNews(change, { login: this.#login, muted: new Set(), untold: [] });
  }

  /** Nothing was told that a stream would have told: rows and figures show it. */
  polled() {}

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
    if (hasPage) link.href = this.#order.replace("/0/", `/${change.order_key}/`);
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
