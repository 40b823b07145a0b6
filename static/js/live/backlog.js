/** @import { Change, Patch, Summary, Sync } from "../base/types.js" */
import { Revision } from "../base/revision.js";

/** So many changes are kept. A page that missed more reads its rows anew, as with the server. */
const MOST_CHANGES = 100;

/** What a stream has told last, for a page that joins it later: the state, and the changes that led to it. */
export class Backlog {
  /** @type {Summary | null} */
  #state = null;
  /** Where the stream stands. */
  #cursor;
  /** All changes after this are here. */
  #from;
  /** @type {{ revision: Revision, changes: Change[] }[]} the oldest first */
  #told = [];

  /** @param {string} cursor where the stream begins */
  constructor(cursor) {
    this.#cursor = cursor;
    this.#from = Revision.ofCursor(cursor);
  }

  /** Where a page stands that has been told all of it. */
  get cursor() {
    return this.#cursor;
  }

  /**
   * Adds what leads from where the stream stood to that cursor.
   * @param {Sync | Patch} event
   * @param {string} cursor
   */
  add(event, cursor) {
    const { revision, statistics, orders_by_status } = event;
    this.#state = { revision, statistics, orders_by_status };
    this.#cursor = cursor;
    const changes = "changes" in event ? event.changes : event.missed;
    if (changes) this.#told.push({ revision: Revision.ofCursor(cursor), changes });
    else this.#forget();
    while (this.#told.reduce((sum, { changes }) => sum + (changes.length || 1), 0) > MOST_CHANGES) {
      this.#from = this.#told.shift()?.revision ?? this.#from;
    }
  }

  /**
   * The state as the server would tell it to a page that stands at that cursor.
   * @param {string} cursor
   * @returns {Sync | null} null where the stream has told no state yet
   */
  sync(cursor) {
    return this.#state && { ...this.#state, missed: this.#missed(Revision.ofCursor(cursor)) };
  }

  /** @param {Revision} known */
  #missed(known) {
    if (!known.covers(this.#from)) return null;
    // nothing, of a page that was loaded after the last change
    return this.#told.filter(({ revision }) => known.isOlderThan(revision)).flatMap(({ changes }) => changes);
  }

  #forget() {
    this.#told = [];
    this.#from = Revision.ofCursor(this.#cursor);
  }
}
