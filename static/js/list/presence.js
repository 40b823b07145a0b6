/** @import { Markup } from "./markup.js" */

/**
 * Whether somebody is at the list: they have scrolled, touched it, selected something, point at a row or at what is offered, or have
 * the focus there. Then nothing comes or goes but what they ask for. The list itself has the focus after it was read anew.
 */
export class Presence {
  #markup;
  #notice;
  #isTouched = false;

  /**
   * @param {Markup} markup
   * @param {HTMLElement} notice what is offered
   * @param {() => void} turned somebody may have left
   */
  constructor(markup, notice, turned) {
    this.#markup = markup;
    this.#notice = notice;
    document.addEventListener("pointerdown", ({ pointerType, target }) => {
      if (pointerType !== "mouse" && target instanceof Node && markup.list.contains(target)) this.#isTouched = true;
    });
    document.addEventListener("pointerout", turned);
    // the focus is nowhere until it has arrived
    document.addEventListener("focusout", () => setTimeout(turned));
    document.addEventListener("scroll", turned, { passive: true });
    document.addEventListener("change", turned);
  }

  get isThere() {
    const { list, boxes } = this.#markup;
    const isAtIt = this.#notice.matches(":hover, :focus") || list.matches(":hover") || hasFocusIn(list);
    return isAtIt || this.#isTouched || window.scrollY > 0 || boxes.some((box) => box.checked);
  }

  /** They asked for the list as it is now: what they touched before is forgotten. */
  renew() {
    this.#isTouched = false;
  }
}

/** @param {HTMLElement} list */
function hasFocusIn(list) {
  return list !== document.activeElement && list.contains(document.activeElement);
}
