/** How a change is marked: for 1.2 s, and a fade of 0.6 s. */
const tint = (/** @type {string} */ colour) => [{ backgroundColor: colour }, { backgroundColor: colour, offset: 0.66 }];
const MARKED = { duration: 1_800, easing: "ease-out" };

/** @type {WeakMap<Element, Animation>} */
const marks = new WeakMap();

/**
 * Marks what changed for a moment; not where less motion is wanted.
 * @param {Element} element
 */
export function flash(element) {
  flashIn(element, "var(--mark)");
}

/**
 * The same in a colour of which the page's styles know nothing.
 * @param {Element} element
 * @param {string} colour
 */
export function flashIn(element, colour) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  marks.get(element)?.cancel();
  const mark = element.animate(tint(colour), MARKED);
  marks.set(element, mark);
  element.setAttribute("data-changed", "");
  mark.addEventListener("finish", () => element.removeAttribute("data-changed"));
}
