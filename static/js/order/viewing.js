import { ask } from "../base/http.js";
import { listed } from "../base/words.js";

/** How often a page says that it is looked at, in milliseconds. It counts as left after three times that. */
const BEAT = 4_000;

/** How long one answer may take, in milliseconds. */
const PATIENCE = 4_000;

const NOT_FOUND = 404;

/** The session is over, or is another's. */
const REFUSED = new Set([401, 403]);

/**
 * @typedef {object} ViewingListeners
 * @property {() => boolean} isOver the session is over
 * @property {(touched: string) => void} touched what tells one state of the order from another
 * @property {() => void} missing there is no such order for this user
 */

/** Tells the others that this page is looked at, while it is, and shows who else looks at the order. */
export class Viewing {
  #url;
  #user;
  #place;
  #listeners;
  #page = pageId();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} the question under way */
  #asking = null;

  /**
   * @param {string} url
   * @param {string} user for whom the page was made
   * @param {HTMLElement} place
   * @param {ViewingListeners} listeners
   */
  constructor(url, user, place, listeners) {
    this.#url = url;
    this.#user = user;
    this.#place = place;
    this.#listeners = listeners;
  }

  /** Begins, and goes on while the page is looked at. */
  start() {
    document.addEventListener("visibilitychange", () => this.#turn());
    window.addEventListener("pagehide", () => this.#leave());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#turn();
    });
    this.#turn();
  }

  #turn() {
    if (document.visibilityState === "visible") void this.#beat();
    else this.#leave();
  }

  async #beat() {
    this.#stop();
    if (this.#listeners.isOver()) {
      this.#show([]);
      return;
    }
    const asking = new AbortController();
    this.#asking = asking;
    this.#timer = setTimeout(() => void this.#beat(), BEAT);
    const body = new URLSearchParams({ page: this.#page, user: this.#user });
    const answer = await ask(this.#url, { method: "POST", body }, PATIENCE, asking);
    if (asking !== this.#asking) return;
    if (REFUSED.has(answer?.status ?? 0)) this.#stop();
    this.#show(answer?.ok ? answer.json.viewers : []);
    if (answer?.ok) this.#listeners.touched(answer.json.touched);
    else if (answer?.status === NOT_FOUND) this.#listeners.missing();
  }

  #leave() {
    if (!this.#asking) return;
    this.#stop();
    this.#show([]);
    navigator.sendBeacon(this.#url, new URLSearchParams({ page: this.#page, user: this.#user, leaving: "1" }));
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = null;
  }

  /** @param {string[]} viewers */
  #show(viewers) {
    const words = viewers.length === 0 ? "" : `${listed(viewers)} ${viewers.length === 1 ? "is" : "are"} viewing`;
    if (this.#place.textContent !== words) this.#place.textContent = words;
  }
}

/** An id that no other page has. Browsers have no `randomUUID` where a page came by plain HTTP from another machine. */
function pageId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
