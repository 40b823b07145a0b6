/** How long a change stays marked, in milliseconds: 1.2 s and a fade of 0.6 s. */
const MARKED = 1_800;

/** @type {WeakMap<Element, ReturnType<typeof setTimeout>>} */
const marks = new WeakMap();

/**
 * Marks what changed for a moment. How that looks, and that it does not where less motion is wanted, is up to the CSS.
 * @param {Element} element
 */
export function flash(element) {
  clearTimeout(marks.get(element));
  element.removeAttribute("data-changed");
  // reading the layout restarts the animation of an element that is still marked
  void element.getBoundingClientRect();
  element.setAttribute("data-changed", "");
  marks.set(element, setTimeout(() => element.removeAttribute("data-changed"), MARKED));
}
