/** @import { Change, GoneRow, Row, Summary } from "../base/types.js" */
/** @import { Listing } from "./listing.js" */
import { countText } from "../base/amount.js";

/** What of an order can bring it onto a list or take it off. */
const FIELDS = new Set(["status", "payment_status", "total_amount", "created_at"]);

/**
 * How many orders a list has, on all pages. The statistics tell it of lists of whole statuses; of others it is reckoned from each
 * change, and asked for where a change does not tell enough.
 */
export class Total {
  #listing;
  #count;
  /** The statistics tell it. */
  #isTold = false;

  /**
   * @param {Listing} listing
   * @param {number} count
   */
  constructor(listing, count) {
    this.#listing = listing;
    this.#count = count;
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

  /** @param {number} count as the server counted, possibly in an older state than that of the statistics */
  read(count) {
    if (!this.#isTold) this.#count = count;
  }

  /**
   * Takes note of a changed order.
   * @param {Row | GoneRow} row
   * @param {Row | null | undefined} known the order before; null where it was on no list, undefined where it is not known
   * @param {Change[]} changes of the order
   * @returns {boolean} whether the list must be counted anew
   */
  note(row, known, changes) {
    if (this.#isTold || changes.length === 0) return false;
    const before = known === undefined ? earlier(row, changes) : known;
    if (before === undefined) return true;
    const [was, is] = [before !== null && this.#listing.has(before), !row.removed && this.#listing.has(row)];
    this.#count += Number(is) - Number(was);
    return false;
  }
}

/**
 * The order before its changes, as far as a list asks for it; null where it was on none, undefined where that can't be told.
 * @param {Row | GoneRow} row
 * @param {Change[]} changes
 * @returns {Row | null | undefined}
 */
function earlier(row, changes) {
  if (changes.some(({ operation }) => operation === "insert" || operation === "arrived")) return null;
  if (row.removed) return undefined;
  const before = { ...row };
  for (const { changed } of changes.toReversed()) {
    for (const { field, from } of changed) {
      if (!FIELDS.has(field)) continue;
      Object.assign(before, { [field]: field === "total_amount" && from !== null ? Number(from) : from });
    }
  }
  return before;
}

/**
 * Which orders of a list are shown, as the server says it: `21–40 of 1,124`. `tests/cases/counts.json` has the cases.
 * @param {number} offset how many orders are on the pages before
 * @param {number} shown
 * @param {number} count
 */
export function rangeText(offset, shown, count) {
  if (shown === 0) return `0 of ${countText(count)}`;
  return `${countText(offset + 1)}–${countText(Math.min(offset + shown, count))} of ${countText(count)}`;
}
