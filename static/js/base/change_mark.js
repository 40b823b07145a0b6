import { serverTime } from "./clock.js";
import { clockTime } from "./time.js";

/** How long it is shown what a cell said before, in milliseconds. */
const SHOWN = 6_000;

/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const timers = new WeakMap();

/**
 * Shows for a moment what a cell said before it changed; after that where somebody points at the cell, taps it, or has the
 * focus in its row. How that looks is up to the CSS.
 * @param {HTMLElement} cell
 * @param {string} from
 * @param {string} to
 */
export function showPrevious(cell, from, to) {
  clearTimeout(timers.get(cell));
  cell.dataset["was"] = from;
  cell.title = `${from} → ${to}, ${clockTime(serverTime())}`;
  cell.tabIndex = -1;
  cell.toggleAttribute("data-was-shown", true);
  timers.set(cell, setTimeout(() => cell.toggleAttribute("data-was-shown", false), SHOWN));
}
