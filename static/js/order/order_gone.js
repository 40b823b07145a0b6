/** The order is deleted or no longer this person's: what is shown is how it was, and nothing can be done with it. */
export class Gone {
  #root;
  #note;
  #isGone = false;

  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} note
   */
  constructor(root, note) {
    this.#root = root;
    this.#note = note;
  }

  get isGone() {
    return this.#isGone;
  }

  /** @param {boolean} isGone false where it came back */
  show(isGone) {
    if (isGone === this.#isGone) return;
    this.#isGone = isGone;
    this.#note.hidden = !isGone;
    this.#note.textContent = isGone ? (this.#root.dataset["gone"] ?? "") : "";
    this.#root.toggleAttribute("data-is-gone", isGone);
    for (const usable of this.#root.querySelectorAll("[data-part='actions'], #change")) usable.toggleAttribute("inert", isGone);
  }
}
