/** How long it is shown what a cell said before, in milliseconds. */
const SHOWN = 6_000;

/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const shown = new WeakMap();

/**
 * Shows for a moment what a cell said before it changed; after that where somebody points at the cell, taps it, or has the
 * focus in its row. How that looks is up to the CSS.
 * @param {HTMLElement} cell
 * @param {string} from
 * @param {string} to
 */
export function showWas(cell, from, to) {
  clearTimeout(shown.get(cell));
  cell.dataset["was"] = from;
  cell.title = `${from} → ${to}, ${new Date().toLocaleTimeString("en-GB")}`;
  cell.tabIndex = -1;
  cell.toggleAttribute("data-was-shown", true);
  shown.set(cell, setTimeout(() => cell.toggleAttribute("data-was-shown", false), SHOWN));
}
