/** @import { Change } from "../base/types.js" */
import { Attention } from "../base/attention.js";
import { fill } from "../base/dom.js";
import { counted, orderName, orderPage, whatHappenedTo } from "../base/words.js";

/** How long a toast stays, in milliseconds, and how soon it is looked at again whether one is still pointed at. */
const SHOWN = 6_000;
const HELD = 1_000;

/** So many toasts are shown at once; the newest one only counts what has no place. */
const MOST_SHOWN = 3;

/** Between the toasts and what they stay clear of, in pixels. */
const GAP = 8;

/**
 * @typedef {object} ToastListeners
 * @property {(order: string, muted: boolean) => Promise<string>} mute mutes an order, or has it told again; answers what went wrong
 * @property {() => void} open shows all changes
 */

/**
 * The latest changes, for some seconds, the newest on top: they stand on the ground, so that what comes moves nothing. A screen
 * reader is told of them by the page's live region.
 */
export class Toasts {
  #root;
  #template;
  #moreTemplate;
  #listeners;
  #attention;
  /** How far the toasts are moved up, in pixels, and the frame in which that is reckoned anew. */
  #lift = 0;
  #frame = 0;
  /** Of changes that have no toast of their own. */
  #count = 0;
  /** @type {HTMLElement | null} the toast that says so */
  #more = null;
  /** @type {WeakMap<HTMLElement, ReturnType<typeof setTimeout>>} */
  #ends = new WeakMap();
  /** @type {Map<HTMLElement, Change>} what each tells */
  #shown = new Map();
  /** Whose time is over. @type {Set<HTMLElement>} */
  #over = new Set();
  #waiting = new Waiting();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #turn;

  /**
   * @param {HTMLElement} root
   * @param {HTMLTemplateElement} template one change
   * @param {HTMLTemplateElement} moreTemplate a number of them
   * @param {ToastListeners} listeners
   */
  constructor(root, template, moreTemplate, listeners) {
    this.#root = root;
    this.#template = template;
    this.#moreTemplate = moreTemplate;
    this.#listeners = listeners;
    this.#attention = new Attention(root);
    // once a frame, however much is scrolled and changed in it
    const stayClear = () => {
      this.#frame ||= requestAnimationFrame(() => this.#stayClear());
    };
    addEventListener("scroll", stayClear, { passive: true });
    addEventListener("resize", stayClear);
    // rows come and go as well
    new ResizeObserver(stayClear).observe(document.body);
    new ResizeObserver(stayClear).observe(root);
  }

  /**
   * @param {Change[]} changes
   * @param {boolean} isAll whether these are all that happened
   */
  show(changes, isAll) {
    this.#waiting.add(changes, isAll);
    this.#settle();
  }

  /**
   * Takes away what tells of an order.
   * @param {string} order
   */
  forget(order) {
    this.#waiting.keep((change) => change.order_key !== order);
    for (const toast of this.#root.querySelectorAll(`[data-order-id="${order}"]`)) {
      if (toast instanceof HTMLElement) this.#dismiss(toast);
    }
  }

  /**
   * Who made a change may be known by now: then its toast says so, or goes, where it is no news any more.
   * @param {(change: Change) => boolean} isNews
   */
  renew(isNews) {
    for (const [toast, change] of this.#shown) {
      if (!isNews(change)) this.#dismiss(toast);
      fill(toast, "what", whatHappenedTo(change));
    }
    this.#waiting.keep(isNews);
  }

  /** What is over goes, and what waits comes. While one is pointed at or has the focus, all stay, as those above would come down. */
  #settle() {
    clearTimeout(this.#turn);
    if (!this.#attention.isAt()) this.#over.forEach((toast) => this.#remove(toast));
    if (this.#waiting.count > 0) this.#fill();
    if (this.#over.size + this.#waiting.count > 0) this.#turn = setTimeout(() => this.#settle(), HELD);
  }

  /** What waits has toasts of its own, as far as there are places, and one that counts the rest. */
  #fill() {
    const places = this.#more ? 0 : MOST_SHOWN - this.#root.childElementCount;
    if (!this.#more && places === 0 && !this.#makeRoom()) return;
    const { count, isAll } = this.#waiting;
    const isRoom = isAll && count <= places;
    const own = this.#waiting.empty(isRoom ? places : Math.max(0, places - 1));
    own.forEach((change) => this.#add(change));
    if (!isRoom) this.#addMore(count - own.length, isAll);
  }

  /** The newest one becomes one of those that are counted, unless somebody is at it. */
  #makeRoom() {
    const newest = this.#root.firstElementChild;
    if (!(newest instanceof HTMLElement) || this.#attention.isAt(newest)) return false;
    this.#remove(newest);
    this.#count += 1;
    return true;
  }

  /** @param {Change} change */
  #add(change) {
    const toast = this.#place(this.#template);
    if (!toast) return;
    toast.dataset["orderId"] = change.order_key;
    fill(toast, "what", whatHappenedTo(change));
    this.#shown.set(toast, change);
    const page = orderPage(change);
    if (page) toast.querySelector("a")?.setAttribute("href", page);
    const mute = toast.querySelector("[data-mute]");
    mute?.setAttribute("aria-label", `Mute ${orderName(change)}`);
    mute?.addEventListener("click", () => void this.#mute(toast, change));
    toast.querySelector(".dismiss")?.setAttribute("aria-label", `Dismiss what is said of ${orderName(change)}`);
    this.#keep(toast);
  }

  /**
   * Mutes the order of a toast. That toast alone stays, for its time: it says so, and the same button takes it back.
   * @param {HTMLElement} toast
   * @param {Change} change
   */
  async #mute(toast, change) {
    const muted = toast.dataset["muted"] === undefined;
    // nothing takes it away meanwhile, nor with what else tells of the order
    clearTimeout(this.#ends.get(toast));
    this.#over.delete(toast);
    toast.removeAttribute("data-order-id");
    this.#shown.delete(toast);
    const problem = await this.#listeners.mute(change.order_key, muted);
    if (!toast.isConnected) return;
    const button = toast.querySelector("[data-mute]");
    if (problem === "" && button) {
      toast.toggleAttribute("data-muted", muted);
      button.textContent = muted ? "Undo" : "Mute";
      button.setAttribute("aria-label", `${muted ? "Undo the muting of" : "Mute"} ${orderName(change)}`);
    }
    fill(toast, "what", problem || (muted ? `${orderName(change)} is muted` : `${orderName(change)} is not muted any more`));
    this.#keep(toast);
  }

  /**
   * @param {number} count
   * @param {boolean} isAll
   */
  #addMore(count, isAll) {
    this.#count += count;
    const toast = this.#more ?? this.#place(this.#moreTemplate);
    if (!toast) return;
    const button = toast.querySelector(".more");
    if (button) button.textContent = more(this.#count, isAll);
    if (!this.#more) {
      button?.addEventListener("click", () => {
        this.#remove(toast);
        this.#listeners.open();
      });
    }
    this.#more = toast;
    this.#keep(toast);
  }

  /** @param {HTMLTemplateElement} template */
  #place(template) {
    const toast = document.importNode(template.content, true).firstElementChild;
    if (!(toast instanceof HTMLElement)) return null;
    toast.querySelector(".dismiss")?.addEventListener("click", () => this.#dismiss(toast));
    this.#root.prepend(toast);
    return toast;
  }

  /**
   * For its time, from now on.
   * @param {HTMLElement} toast
   */
  #keep(toast) {
    clearTimeout(this.#ends.get(toast));
    this.#over.delete(toast);
    const end = setTimeout(() => {
      this.#over.add(toast);
      this.#settle();
    }, SHOWN);
    this.#ends.set(toast, end);
  }

  /**
   * A focus in it goes on to the next one, unless it is only that of a click, which would hold what nobody points at any more.
   * @param {HTMLElement} toast
   */
  #dismiss(toast) {
    const next = toast.querySelector(":focus-visible") ? (toast.previousElementSibling ?? toast.nextElementSibling) : null;
    this.#remove(toast);
    const button = next?.querySelector(".dismiss");
    if (button instanceof HTMLElement) button.focus();
  }

  /** Moves the toasts up from over the list's last row and the way to its next page, if there is room above. */
  #stayClear() {
    this.#frame = 0;
    if (this.#root.childElementCount === 0 || this.#attention.isAt()) return;
    const last = document.querySelector("tr[data-order-id]:last-child")?.getBoundingClientRect();
    if (!last) return;
    const lift = this.#lift;
    const { top, bottom } = this.#root.getBoundingClientRect();
    const end = document.querySelector(".paging")?.getBoundingClientRect().bottom ?? last.bottom;
    const isOver = top + lift < end && bottom + lift > last.top;
    const needed = isOver ? bottom + lift - last.top + GAP : 0;
    this.#lift = top + lift >= needed ? needed : 0;
    if (this.#lift !== lift) this.#root.style.setProperty("--lift", `${this.#lift}px`);
  }

  /** @param {HTMLElement} toast */
  #remove(toast) {
    toast.remove();
    clearTimeout(this.#ends.get(toast));
    this.#over.delete(toast);
    this.#shown.delete(toast);
    if (toast !== this.#more) return;
    this.#more = null;
    this.#count = 0;
  }
}

/**
 * @param {number} count
 * @param {boolean} isAll
 */
function more(count, isAll) {
  if (count === 0) return "and maybe more changes";
  return `and ${isAll ? "" : "at least "}${counted(count, "more change")}`;
}

/** So many changes wait at most; of more it is only known how many they are. */
const MOST_WAITING = 50;

/** Changes that have no toast yet, the oldest first: however long somebody keeps the places of those that have. */
export class Waiting {
  /** @type {Change[]} */
  #kept = [];
  #dropped = 0;
  #isAll = true;

  /**
   * @param {Change[]} changes
   * @param {boolean} isAll whether these are all that happened
   */
  add(changes, isAll) {
    this.#kept.push(...changes);
    this.#dropped += this.#kept.splice(MOST_WAITING).length;
    this.#isAll &&= isAll;
  }

  get count() {
    return this.#kept.length + this.#dropped;
  }

  /** Whether nothing else happened. */
  get isAll() {
    return this.#isAll;
  }

  /**
   * All others wait no more.
   * @param {(change: Change) => boolean} waits
   */
  keep(waits) {
    this.#kept = this.#kept.filter(waits);
  }

  /**
   * Nothing waits any more.
   * @param {number} most
   * @returns {Change[]} the first, as many as asked for
   */
  empty(most) {
    const first = this.#kept.slice(0, most);
    [this.#kept, this.#dropped, this.#isAll] = [[], 0, true];
    return first;
  }
}
