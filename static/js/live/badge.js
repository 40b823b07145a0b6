/** @import { Moment } from "../base/clock.js" */
/** @import { Verdict } from "./facts.js" */
import { serverTime, since } from "../base/clock.js";
import { clockTime, exactTime } from "../base/time.js";

/** Says what the page is worth now. The product's conscience: it never says more than it is told. */
export class Badge {
  #root;
  #badge;
  #interval;
  /** When something shown changed last, by the server's clock. @type {number | null} */
  #changedAt = null;
  /** When what is shown was last known to be true, and the same by the server's clock. @type {Moment | null} */
  #trueAt = null;
  #trueTime = serverTime();

  /**
   * @param {HTMLElement} root what loses its colours while it is old
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

  /** Something shown has changed. */
  changed() {
    this.#changedAt = serverTime();
    this.#explain();
  }

  /**
   * @param {Verdict} verdict
   * @param {Moment} trueAt when what is shown was last known to be true
   */
  show({ badge, isOld }, trueAt) {
    // of the same moment it says the same, whatever the server's clock is found to be meanwhile
    if (trueAt !== this.#trueAt) this.#trueTime = serverTime() - since(trueAt);
    this.#trueAt = trueAt;
    if (this.#badge.dataset["state"] !== badge) this.#badge.dataset["state"] = badge;
    this.#root.toggleAttribute("data-stale", isOld);
    const word = this.#badge.querySelector(".word, .oncare-live-word");
    const text = this.#words(badge);
    if (word && word.textContent !== text) word.textContent = text;
    this.#badge.querySelector("button")?.toggleAttribute("hidden", badge !== "stale");
    this.#badge.querySelector("a")?.toggleAttribute("hidden", badge !== "signed_out");
    this.#explain();
  }

  /** @param {Verdict["badge"]} badge */
  #words(badge) {
    switch (badge) {
      case "connecting":
        return "Connecting";
      case "live":
        return "Live";
      case "polling":
        return `Polling every ${this.#interval / 1_000} s`;
      case "stale":
        return `Stale since ${clockTime(this.#trueTime)}`;
      case "signed_out":
        return "Signed out";
    }
  }

  #explain() {
    const changed = this.#changedAt ? `Last change ${clockTime(this.#changedAt)}` : "No change since the page was loaded";
    const title = `${changed}. What is shown was last known to be true on ${exactTime(new Date(this.#trueTime).toISOString())}.`;
    if (this.#badge.title !== title) this.#badge.title = title;
  }
}
