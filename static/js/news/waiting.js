/** @import { Change } from "../base/types.js" */

/** So many changes wait at most; of more it is only known how many they are. */
const MOST = 50;

/** Changes that have no toast yet, the oldest first: however long somebody keeps the places of those that have. */
export class Waiting {
  /** @type {Change[]} */
  #kept = [];
  #dropped = 0;
  #isAll = true;

  /**
   * @param {Change[]} changes
   * @param {boolean} isAll whether these are all that happened
   */
  add(changes, isAll) {
    this.#kept.push(...changes);
    this.#dropped += this.#kept.splice(MOST).length;
    this.#isAll &&= isAll;
  }

  get count() {
    return this.#kept.length + this.#dropped;
  }

  /** Whether nothing else happened. */
  get isAll() {
    return this.#isAll;
  }

  /**
   * What is of that order waits no more.
   * @param {string} order
   */
  forget(order) {
    this.#kept = this.#kept.filter((change) => change.order_key !== order);
  }

  /**
   * Nothing waits any more.
   * @param {number} most
   * @returns {Change[]} the first, as many as asked for
   */
  empty(most) {
    const first = this.#kept.slice(0, most);
    [this.#kept, this.#dropped, this.#isAll] = [[], 0, true];
    return first;
  }
}
