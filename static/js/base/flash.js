import { serverTime } from "./clock.js";
import { clockTime } from "./time.js";

/** How long a change is marked, and how long its mark fades, in milliseconds. */
const MARKED = 1_200;
const FADING = 600;

/** So many marks fade at once: each costs something in every frame. Where more changes, the others just go. */
const MOST_FADING = 12;

/** Until each mark goes. @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const timers = new WeakMap();

/** Marks that fade. @type {Map<Element, Animation>} */
const fading = new Map();

/**
 * Marks what changed for a moment; not where less motion is wanted. What is marked looks the same until it fades, which costs nothing.
 * @param {Element} element
 */
export function flash(element) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  clearTimeout(timers.get(element));
  fading.get(element)?.cancel();
  element.setAttribute("data-changed", "");
  timers.set(element, setTimeout(() => fade(element), MARKED));
}

/** @param {Element} element */
function fade(element) {
  element.removeAttribute("data-changed");
  if (fading.size >= MOST_FADING) return;
  const mark = element.animate([{ backgroundColor: "var(--mark)" }, {}], { duration: FADING, easing: "ease-out" });
  fading.set(element, mark);
  for (const end of ["finish", "cancel"]) mark.addEventListener(end, () => fading.get(element) === mark && fading.delete(element));
}

/** How long it is shown what a cell said before, in milliseconds. */
const BEFORE_SHOWN = 6_000;

/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const shownTimers = new WeakMap();

/**
 * Shows for a moment what a cell said before it changed; after that where somebody points at the cell, taps it, or has the
 * focus in its row. How that looks is up to the CSS.
 * @param {HTMLElement} cell
 * @param {string} from
 * @param {string} to
 */
export function showPrevious(cell, from, to) {
  clearTimeout(shownTimers.get(cell));
  cell.dataset["was"] = from;
  cell.title = `${from} → ${to}, ${clockTime(serverTime())}`;
  cell.tabIndex = -1;
  cell.toggleAttribute("data-was-shown", true);
  shownTimers.set(cell, setTimeout(() => cell.toggleAttribute("data-was-shown", false), BEFORE_SHOWN));
}
