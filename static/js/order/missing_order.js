/** The order is deleted or no longer this person's: what is shown is how it was, and nothing can be done with it. */
export class MissingOrder {
  #root;
  #note;
  #isMissing = false;

  /**
   * @param {HTMLElement} root whose data say what that is called
   * @param {HTMLElement} note
   */
  constructor(root, note) {
    this.#root = root;
    this.#note = note;
  }

  get isMissing() {
    return this.#isMissing;
  }

  /** @param {boolean} isMissing false where it came back */
  show(isMissing) {
    if (isMissing === this.#isMissing) return;
    this.#isMissing = isMissing;
    this.#note.hidden = !isMissing;
    this.#note.textContent = isMissing ? (this.#root.dataset["gone"] ?? "") : "";
    this.#root.toggleAttribute("data-is-missing", isMissing);
    for (const usable of this.#root.querySelectorAll("[data-part='actions'], #change")) usable.toggleAttribute("inert", isMissing);
  }
}
