/** @import { Change } from "../base/types.js" */
import { Announcer } from "../base/announcer.js";
import { counted, Once, UNLISTED, whatHappenedTo, withoutParts } from "../base/words.js";

/** The line above the table, and what a screen reader is told. */
export class Notices {
  #notice;
  #announcer;
  #leave;
  /** What was told already comes also with an answer. */
  #unsaid = new Once();
  /** What is offered. */
  #words = "";

  /**
   * @param {HTMLButtonElement} notice
   * @param {HTMLElement} region
   * @param {() => void} show what a click on the notice does
   * @param {() => void} leave takes the focus on from a notice that goes
   */
  constructor(notice, region, show, leave) {
    this.#notice = notice;
    this.#leave = leave;
    this.#announcer = new Announcer(region, (count) => `${counted(count, "change", "changes")} to your orders.`);
    notice.addEventListener("click", show);
  }

  /**
   * Offers to read the list anew; an empty text offers nothing.
   * @param {string} words
   */
  offer(words) {
    if (this.#words === words) return;
    this.#words = words;
    if (words === "" && this.#notice === document.activeElement) this.#leave();
    this.#notice.textContent = words;
    this.#notice.hidden = words === "";
    this.#announcer.offer(words);
  }

  /**
   * Says politely what changed, each change once.
   * @param {Change[]} changes
   */
  say(changes) {
    this.#announcer.say(withoutParts(this.#unsaid.pass(changes)).map(told));
  }

  /**
   * Says how much changed while the page was away.
   * @param {Change[] | null} missed null where it can't be listed
   * @returns {Change[] | null} what of it was not told before
   */
  sayMissed(missed) {
    const unsaid = missed && this.#unsaid.pass(missed);
    const what = unsaid ? counted(unsaid.length) : UNLISTED;
    if (unsaid?.length !== 0) this.#announcer.say([`While you were away: ${what}.`]);
    return unsaid;
  }
}

/** @param {Change} change */
function told(change) {
  return `${whatHappenedTo(change)}.`;
}
