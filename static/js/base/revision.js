/** Orders the states that the server tells, so that a late answer never overwrites a newer one. */
export class Revision {
  #epoch;
  #xmax;
  #inProgress;

  /** @param {string} text `epoch.xmax.in_progress`, as every answer and event carries it */
  constructor(text) {
    /** As it was written. */
    this.text = text;
    const [epoch = "", xmax = "0", inProgress = "0"] = text.split(".");
    this.#epoch = epoch;
    this.#xmax = BigInt(xmax);
    this.#inProgress = Number(inProgress);
  }

  /**
   * The revision of the state that a cursor stands for.
   * @param {string} cursor `epoch/xmin:xmax:xip,…`
   */
  static ofCursor(cursor) {
    const [epoch = "", snapshot = ""] = cursor.split("/");
    const [, xmax = "0", inProgress = ""] = snapshot.split(":");
    return new Revision(`${epoch}.${xmax}.${inProgress === "" ? 0 : inProgress.split(",").length}`);
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

  /**
   * Whether everything that led to the other state led to this one as well.
   * @param {Revision} other
   */
  covers(other) {
    return this.#epoch === other.#epoch && !this.isOlderThan(other);
  }
}
