/** How a change is marked: for 1.2 s, and a fade of 0.6 s. */
const TINT = [{ backgroundColor: "var(--mark)" }, { backgroundColor: "var(--mark)", offset: 0.66 }];
const MARKED = { duration: 1_800, easing: "ease-out" };

/** @type {WeakMap<Element, Animation>} */
const marks = new WeakMap();

/**
 * Marks what changed for a moment; not where less motion is wanted.
 * @param {Element} element
 */
export function flash(element) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  marks.get(element)?.cancel();
  const mark = element.animate(TINT, MARKED);
  marks.set(element, mark);
  element.setAttribute("data-changed", "");
  mark.addEventListener("finish", () => element.removeAttribute("data-changed"));
}
