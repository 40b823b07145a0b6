import { now, since } from "../base/clock.js";
import { clockTime } from "../base/time.js";

/** Older than this, in milliseconds, what is shown is stale while nothing is known. */
const LONGEST_TRUST = 15_000;

/**
 * Says what the page is worth now. The product's conscience: it never says more than is known.
 *
 * @typedef {"connecting" | "live" | "polling" | "stale" | "signed_out"} State
 */
export class Badge {
  #root;
  #badge;
  #interval;
  /** @type {Date | null} */
  #changed = null;
  /** When what is shown was last known to be true, for people and for reckoning. */
  #trueAt = new Date();
  #trueSince = now();
  /** @type {State} */
  #state = "connecting";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #lapse;

  /**
   * @param {HTMLElement} root what loses its colours while stale
   * @param {HTMLElement} badge
   * @param {number} interval of polling, in milliseconds
   */
  constructor(root, badge, interval) {
    this.#root = root;
    this.#badge = badge;
    this.#interval = interval;
    const next = encodeURIComponent(location.pathname + location.search);
    const login = badge.querySelector("a");
    if (login) login.search = `?next=${next}`;
  }

  /** @param {() => void} retry what "retry now" does */
  onRetry(retry) {
    this.#badge.querySelector("button")?.addEventListener("click", retry);
  }

  get state() {
    return this.#state;
  }

  /** What is shown is known to be true now. */
  confirm() {
    this.#trueAt = new Date();
    this.#trueSince = now();
    this.#tell();
  }

  /** Something shown has changed. */
  changed() {
    this.#changed = new Date();
    this.#tell();
  }

  /** @param {State} state */
  show(state) {
    this.#state = state;
    this.#badge.dataset["state"] = state;
    clearTimeout(this.#lapse);
    const trust = LONGEST_TRUST - since(this.#trueSince);
    const old = trust < 0;
    if (state === "connecting" && !old) this.#lapse = setTimeout(() => this.show("stale"), trust + 1);
    const stale = state === "stale" || state === "signed_out" || (state === "connecting" && old);
    this.#root.toggleAttribute("data-stale", stale);
    const word = this.#badge.querySelector(".word");
    const text = this.#words(state);
    if (word && word.textContent !== text) word.textContent = text;
    this.#badge.querySelector("button")?.toggleAttribute("hidden", state !== "stale");
    this.#badge.querySelector("a")?.toggleAttribute("hidden", state !== "signed_out");
    this.#tell();
  }

  /** @param {State} state */
  #words(state) {
    switch (state) {
      case "connecting":
        return "Connecting";
      case "live":
        return "Live";
      case "polling":
        return `Polling every ${this.#interval / 1_000} s`;
      case "stale":
        return `Stale since ${clock(this.#trueAt)}`;
      case "signed_out":
        return "Signed out";
    }
  }

  #tell() {
    const changed = this.#changed ? `Last change ${clock(this.#changed)}` : "No change since the page was loaded";
    this.#badge.title = `${changed}. What is shown was last known to be true at ${clock(this.#trueAt)}.`;
  }
}

/** @param {Date} time */
function clock(time) {
  return clockTime(time.valueOf());
}
