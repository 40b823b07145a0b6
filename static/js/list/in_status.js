/** @import { Row } from "../base/types.js" */
import { serverTime } from "../base/clock.js";
import { exactTime } from "../base/time.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * How long an order has been in its status, as it is shown.
 * @typedef {{ words: string, title: string, since: string, isLate: boolean }} InStatus
 */

/** Tells how long an order has been in its status, and whether that is too long. */
export class Lateness {
  /** @type {Map<string, number>} how long an order may stay in a status, in milliseconds */
  #limits = new Map();
  #unfinished;

  /**
   * @param {string} limits like `pending=14400,shipped=432000`, in seconds
   * @param {string} unfinished the statuses of which it is told, with spaces between
   */
  constructor(limits, unfinished) {
    this.#unfinished = new Set(unfinished.split(" "));
    for (const limit of limits.split(",")) {
      const [status = "", seconds] = limit.split("=");
      this.#limits.set(status, 1_000 * Number(seconds));
    }
  }

  /**
   * @param {Row} row
   * @returns {InStatus | null} null where it is not known, or nobody waits for the order
   */
  of({ status, status_since }) {
    const time = serverTime() - Date.parse(status_since ?? "");
    if (!status_since || Number.isNaN(time) || !this.#unfinished.has(status)) return null;
    const isLate = time >= (this.#limits.get(status) ?? Infinity);
    const words = `${forHowLong(time)}${isLate ? ", late" : ""}`;
    return { words, title: `since ${exactTime(status_since)}`, since: status_since, isLate };
  }
}

/**
 * `for 2 h`, in the words of the server's page: `tests/cases/durations.json`.
 * @param {number} time in milliseconds
 */
export function forHowLong(time) {
  if (time < MINUTE) return "just now";
  if (time < HOUR) return `for ${Math.floor(time / MINUTE)} min`;
  if (time < DAY) return `for ${Math.floor(time / HOUR)} h`;
  const days = Math.floor(time / DAY);
  return days === 1 ? "for 1 day" : `for ${days} days`;
}
