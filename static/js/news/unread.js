/** How the title begins where changes are unread. */
const MARK = /^\(\d+\+?\) /;

/** Says in the page's title and in its icon how many changes are unread. */
export class Unread {
  #icon = document.querySelector("link[rel=icon]");

  /**
   * @param {number} count
   * @param {string} text how the count is written
   */
  show(count, text) {
    const plain = document.title.replace(MARK, "");
    const title = count > 0 ? `(${text}) ${plain}` : plain;
    if (document.title !== title) document.title = title;
    const icon = this.#icon?.getAttribute("href") ?? "";
    const wanted = icon.replace(/icon(_unread)?\.svg/, count > 0 ? "icon_unread.svg" : "icon.svg");
    if (icon !== wanted) this.#icon?.setAttribute("href", wanted);
  }
}

/**
 * Gives the page another title, which goes on saying how many changes are unread.
 * @param {string} title
 */
export function setTitle(title) {
  const [mark = ""] = MARK.exec(document.title) ?? [];
  document.title = mark + title;
}
