/** @import { Change } from "./types.js" */
import { UNLISTED, counted, orderName, whatHappened } from "./words.js";

/** Between two announcements to a screen reader at least this long, in milliseconds. */
const PAUSE = 3_000;

/** More changes than this are only counted. */
const MOST_TOLD = 3;

/** The line above the table, and what a screen reader is told. */
export class Notices {
  #notice;
  #region;
  /** @type {string[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /**
   * @param {HTMLButtonElement} notice
   * @param {HTMLElement} region
   * @param {() => void} show what a click on the notice does
   */
  constructor(notice, region, show) {
    this.#notice = notice;
    this.#region = region;
    notice.addEventListener("click", show);
  }

  /**
   * Offers to read the list anew; an empty text offers nothing.
   * @param {string} words
   */
  offer(words) {
    if (this.#notice.textContent !== words) this.#notice.textContent = words;
    this.#notice.hidden = words === "";
  }

  /**
   * Says politely what changed.
   * @param {Change[]} changes
   */
  say(changes) {
    this.#waiting.push(...changes.map(told));
    if (this.#pause === undefined) this.#speak();
  }

  /**
   * Says how much changed while the page was away.
   * @param {Change[] | null} missed null where it can't be listed
   */
  sayMissed(missed) {
    const what = missed ? counted(missed.length) : UNLISTED;
    this.#waiting.push(`While you were away: ${what}.`);
    if (this.#pause === undefined) this.#speak();
  }

  #speak() {
    this.#pause = undefined;
    const count = this.#waiting.length;
    if (count === 0) return;
    this.#region.textContent = count <= MOST_TOLD ? this.#waiting.join(" ") : `${count} changes to your orders.`;
    this.#waiting = [];
    this.#pause = setTimeout(() => this.#speak(), PAUSE);
  }
}

/** @param {Change} change */
function told(change) {
  return `${orderName(change)}: ${whatHappened(change)}.`;
}
