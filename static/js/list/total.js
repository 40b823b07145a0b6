/** @import { Change, GoneRow, Row, Summary } from "../base/types.js" */
/** @import { Listing } from "./listing.js" */
import { countText } from "../base/amount.js";

/** What of an order can bring it onto a list or take it off. */
const FIELDS = new Set(["status", "payment_status", "total_amount", "created_at"]);

/** Of so many orders it is known whether they are counted. */
const MOST_KNOWN = 1_000;

/**
 * How many orders a list has, on all pages. The statistics tell it of lists of whole statuses; of others it is reckoned from each
 * change, and asked for where a change does not tell enough.
 */
export class Total {
  #listing;
  #count = 0;
  /** The statistics tell it. */
  #isTold = false;
  /** Which orders are counted, and which are not, as far as that is known. @type {Map<string, boolean>} */
  #counted = new Map();
  /** What is told next may be counted already: whoever counted can have seen it before the stream tells it. */
  #isAhead = true;

  /**
   * @param {Listing} listing
   * @param {number} count
   * @param {Row[]} rows which are among those counted
   */
  constructor(listing, count, rows) {
    this.#listing = listing;
    this.read(count, rows);
  }

  get count() {
    return this.#count;
  }

  /** @param {Summary} summary */
  take(summary) {
    const told = this.#listing.count(summary);
    this.#isTold = told !== null;
    this.#count = told ?? this.#count;
  }

  /**
   * @param {number} count as the server counted, possibly in an older state than that of the statistics
   * @param {(Row | GoneRow)[]} rows as they were then
   */
  read(count, rows) {
    if (this.#isTold) return;
    this.#count = count;
    this.#counted = new Map(rows.map((row) => [row.key, this.#has(row)]));
    this.#isAhead = true;
  }

  /**
   * Takes note of changed orders.
   * @param {(Row | GoneRow)[]} rows
   * @param {Change[]} changes that led to them
   * @returns {boolean} whether the list must be counted anew
   */
  note(rows, changes) {
    if (this.#isTold) return false;
    let isUncertain = false;
    for (const row of rows) {
      const own = changes.filter(({ order_key }) => order_key === row.key);
      const known = this.#counted.get(row.key);
      const [was, is] = [known ?? this.#hadBefore(row, own), this.#has(row)];
      this.#counted.set(row.key, is);
      if (was === is || own.length === 0) continue;
      if (was === null || (known === undefined && this.#isAhead)) isUncertain = true;
      else this.#count += is ? 1 : -1;
    }
    // whatever had been seen by then has been told with it
    this.#isAhead = false;
    for (const key of this.#counted.keys()) {
      if (this.#counted.size <= MOST_KNOWN) break;
      this.#counted.delete(key);
    }
    return isUncertain;
  }

  /** @param {Row | GoneRow} row */
  #has(row) {
    return !row.removed && this.#listing.has(row);
  }

  /**
   * Whether the list had the order before its changes; null where they don't tell.
   * @param {Row | GoneRow} row
   * @param {Change[]} changes
   */
  #hadBefore(row, changes) {
    if (changes.some(({ operation }) => operation === "insert" || operation === "arrived")) return false;
    if (row.removed) return null;
    const before = { ...row };
    for (const { changed } of changes.toReversed()) {
      for (const { field, from } of changed) {
        if (!FIELDS.has(field)) continue;
        Object.assign(before, { [field]: field === "total_amount" && from !== null ? Number(from) : from });
      }
    }
    return this.#listing.has(before);
  }
}

/**
 * Which orders of a list are shown, as the server says it: `21–40 of 1,124`. `tests/cases/counts.json` has the cases.
 * @param {number} offset how many orders are on the pages before
 * @param {number} shown
 * @param {number} count
 */
export function rangeText(offset, shown, count) {
  // rows that are shown stay where they are, though the list has come to end before them
  if (shown === 0 || offset >= count) return `0 of ${countText(count)}`;
  return `${countText(offset + 1)}–${countText(Math.min(offset + shown, count))} of ${countText(count)}`;
}
