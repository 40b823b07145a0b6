/** Orders the states that the server tells, so that a late answer never overwrites a newer one. */
export class Revision {
  #epoch;
  #xmax;
  #inProgress;

  /** @param {string} text `epoch.xmax.in_progress`, as every answer and event carries it */
  constructor(text) {
    const [epoch = "", xmax = "0", inProgress = "0"] = text.split(".");
    this.#epoch = epoch;
    this.#xmax = BigInt(xmax);
    this.#inProgress = Number(inProgress);
  }

  get epoch() {
    return this.#epoch;
  }

  /**
   * Whether this state is older than the other. Revisions of different epochs are not ordered: neither is older.
   * @param {Revision} other
   */
  isOlderThan(other) {
    if (this.#epoch !== other.#epoch) return false;
    if (this.#xmax !== other.#xmax) return this.#xmax < other.#xmax;
    return this.#inProgress > other.#inProgress;
  }
}
