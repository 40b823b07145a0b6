/** @import { Change } from "../base/types.js" */
import { TICK, exactTime, write } from "../base/time.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Says in each row how long its order has been in its status, and marks what is late. */
export class InStatus {
  #root;
  /** @type {Map<string, number>} how long an order may stay in a status, in milliseconds */
  #limits = new Map();

  #unfinished;

  /** @param {HTMLElement} root whose `data-late-after` is like `pending=14400,shipped=432000`, in seconds */
  constructor(root) {
    this.#root = root;
    this.#unfinished = new Set((root.dataset["ranks"] ?? "").split(" "));
    for (const limit of (root.dataset["lateAfter"] ?? "").split(",")) {
      const [status = "", seconds] = limit.split("=");
      this.#limits.set(status, 1_000 * Number(seconds));
    }
  }

  /** Keeps the rows right, for as long as the page lives. */
  start() {
    this.show();
    setInterval(() => this.show(), TICK);
  }

  /**
   * Takes note of when a row's order came into its status.
   * @param {HTMLElement} line
   * @param {Change[]} changes of the order, the oldest first
   */
  note(line, changes) {
    const last = changes.findLast(({ changed }) => changed.some(({ field }) => field === "status"));
    if (last) line.dataset["statusSince"] = last.at;
    this.#write(line);
  }

  /** Writes all rows. */
  show() {
    for (const line of this.#root.querySelectorAll("tr[data-order-id]")) {
      if (line instanceof HTMLElement) this.#write(line);
    }
  }

  /** @param {HTMLElement} line */
  #write(line) {
    const place = line.querySelector(".in-status");
    if (!place) return;
    const { status = "", statusSince = "" } = line.dataset;
    const time = Date.now() - Date.parse(statusSince);
    const isKnown = this.#unfinished.has(status) && !Number.isNaN(time);
    const isLate = isKnown && time >= (this.#limits.get(status) ?? Infinity);
    place.toggleAttribute("data-late", isLate);
    if (isKnown) place.setAttribute("datetime", statusSince);
    else place.removeAttribute("datetime");
    const words = `${forHowLong(time)}${isLate ? ", late" : ""}`;
    write(place, isKnown ? words : "", isKnown ? `since ${exactTime(statusSince)}` : "");
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
