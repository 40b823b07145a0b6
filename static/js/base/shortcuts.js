import { keep, kept } from "./kept.js";

/**
 * Whether one-key shortcuts are on. Off belongs to a person in a browser: they are in the way of what that machine has, as speech
 * that types or keys that are pressed by accident, and not of the same person at another one.
 */
export class Shortcuts {
  #key;

  /** @param {string} user */
  constructor(user) {
    this.#key = `shortcuts of ${user}`;
  }

  get areOn() {
    return kept(this.#key) !== "off";
  }

  /**
   * Has a box say it and change it, here and in the browser's other pages.
   * @param {HTMLInputElement} box
   */
  bind(box) {
    const show = () => (box.checked = this.areOn);
    window.addEventListener("storage", show);
    box.addEventListener("change", () => keep(this.#key, box.checked ? null : "off"));
    show();
  }
}
