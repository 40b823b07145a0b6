/** Says in the page's title and in its icon how many changes are unread. */
export class Unread {
  #icon = document.querySelector("link[rel=icon]");

  /**
   * @param {number} count
   * @param {string} text how the count is written
   */
  show(count, text) {
    // the page itself may change its title
    const title = document.title.replace(/^\(\d+\+?\) /, "");
    document.title = count > 0 ? `(${text}) ${title}` : title;
    const icon = this.#icon?.getAttribute("href") ?? "";
    const wanted = icon.replace(/icon(_unread)?\.svg/, count > 0 ? "icon_unread.svg" : "icon.svg");
    if (icon !== wanted) this.#icon?.setAttribute("href", wanted);
  }
}
