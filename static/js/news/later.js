/** @import { Change } from "../base/types.js" */
/** @import { Revision } from "../base/revision.js" */

/** So many changes are kept; of older ones it is only counted how many are news. */
const MOST_KEPT = 500;

/** What the stream told since the last answer, the oldest first. */
export class Later {
  #isNews;
  /** @type {{ change: Change, revision: Revision }[]} */
  #kept = [];
  /** Of those that are not kept any more. */
  #olderNews = 0;

  /** @param {(change: Change) => boolean} isNews */
  constructor(isNews) {
    this.#isNews = isNews;
  }

  /**
   * @param {Change[]} changes
   * @param {Revision} revision of the state that they led to
   */
  add(changes, revision) {
    for (const change of changes) this.#kept.push({ change, revision });
    // each is moved at most once on an average, as half of them go at a time
    if (this.#kept.length <= 2 * MOST_KEPT) return;
    this.#olderNews += this.#kept.splice(0, this.#kept.length - MOST_KEPT).filter(({ change }) => this.#isNews(change)).length;
  }

  /**
   * Keeps only what is newer than an answer. What is of another epoch can't be compared, and the answer has it.
   * @param {Revision} revision of the answer
   */
  keepAfter(revision) {
    this.#olderNews = 0;
    this.#kept = this.#kept.filter((kept) => revision.isOlderThan(kept.revision));
  }

  /** How many are news. */
  get news() {
    return this.#olderNews + this.#kept.filter(({ change }) => this.#isNews(change)).length;
  }

  /** Those that are kept. */
  get changes() {
    return this.#kept.map(({ change }) => change);
  }
}
