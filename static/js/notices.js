/** @import { Change, Field } from "./types.js" */

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
   * @param {number} count
   */
  sayMissed(count) {
    this.#waiting.push(`While you were away: ${count} ${count === 1 ? "change" : "changes"}.`);
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

/** What each column is called. */
const NAMES = new Map([
  ["status", ""],
  ["payment_status", "payment "],
  ["total_amount", "total "],
  ["customer_name", "customer "],
  ["order_number", "number "],
  ["created_at", "placed "],
  ["items", "items "],
]);

/** @param {Field} field */
function toldField({ field, from_display, to_display }) {
  const name = NAMES.get(field) ?? `${field} `;
  return from_display === null ? `${name}${to_display ?? ""}` : `${name}${from_display} → ${to_display ?? ""}`;
}

/** @param {Change} change */
function told({ order_id, order_number, operation, changed, by }) {
  const order = order_number ?? `Order ${order_id}`;
  switch (operation) {
    case "insert":
      return `${order}: new, by ${by}.`;
    case "delete":
      return `${order}: deleted, by ${by}.`;
    case "arrived":
      return `${order}: now yours, by ${by}.`;
    case "left":
      return `${order}: no longer yours, by ${by}.`;
    default: {
      return `${order}: ${changed.map(toldField).join(", ")}, by ${by}.`;
    }
  }
}
