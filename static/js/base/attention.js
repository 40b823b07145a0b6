/**
 * Whether somebody is at an element: points at it with what can hover, or has the focus in it. What is only tapped or clicked is
 * left again at once, though its `:hover` and its focus stay until something else is tapped.
 */
export class Attention {
  #element;
  /** Whether what pointed at the element last can hover; until something did, what people of this device mostly point with. */
  #hovers = matchMedia("(hover: hover)").matches;
  #isPressed = false;
  /** The focus came into the element by a tap or a click. */
  #isFocusOfPress = false;

  /**
   * @param {Element} element
   * @param {() => void} [left] it may have been left
   */
  constructor(element, left = () => {}) {
    this.#element = element;
    for (const type of ["pointerover", "pointerdown"]) {
      element.addEventListener(type, (event) => {
        this.#hovers = event instanceof PointerEvent && event.pointerType !== "touch";
        this.#isPressed ||= type === "pointerdown";
      });
    }
    // a finger gives the focus only after it has left the screen
    for (const type of ["click", "pointercancel"]) addEventListener(type, () => (this.#isPressed = false), true);
    element.addEventListener("focusin", () => (this.#isFocusOfPress = this.#isPressed));
    for (const type of ["pointerleave", "focusout"]) element.addEventListener(type, () => setTimeout(left));
  }

  /**
   * Whether somebody is at it, or at one of what is in it.
   * @param {Element} [inside]
   */
  isAt(inside = this.#element) {
    const isFocused = inside.matches(this.#isFocusOfPress ? ":has(:focus-visible)" : ":focus-within");
    return isFocused || (this.#hovers && inside.matches(":hover"));
  }
}
