/** @import { Change } from "./types.js" */

/** So many changes are remembered. */
const MOST = 10_000;

/** Lets each change through once, whichever way it comes. */
export class Once {
  /** @type {Set<number>} */
  #passed = new Set();

  /** @param {Change[]} changes */
  pass(changes) {
    const passed = changes.filter(({ id }) => !this.#passed.has(id) && this.#passed.add(id));
    for (const id of this.#passed) {
      if (this.#passed.size <= MOST) break;
      this.#passed.delete(id);
    }
    return passed;
  }
}
