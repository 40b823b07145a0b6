/** @import { Moment } from "../base/clock.js" */
/** @import { Revision } from "../base/revision.js" */
import { now } from "../base/clock.js";

/**
 * What only a read can bring: states up to which the page must have read. It is paid by an answer that is as new. However many are
 * added, two are kept: those that the read under way will pay, and those that came since, the newest for all of them.
 */
export class Debt {
  /** @type {{ revision: Revision, since: Moment }[]} */
  #parts = [];

  /** Since when something is owed. @returns {Moment | null} */
  get since() {
    return this.#parts[0]?.since ?? null;
  }

  /** @param {Revision} revision */
  add(revision) {
    const last = this.#parts[1];
    if (last) last.revision = revision;
    else this.#parts.push({ revision, since: now() });
  }

  /**
   * An answer of that state was taken. One of another life of the database has all that there is.
   * @param {Revision} read
   */
  pay(read) {
    this.#parts = this.#parts.filter(({ revision }) => read.isOlderThan(revision));
  }
}
