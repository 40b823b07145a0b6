/** @import { Change, GoneRow, Row, Summary } from "../base/types.js" */

/**
 * A row as the book has it: as it was told last, or as it was before its order went.
 * @typedef {Row & { isGone: boolean }} KnownRow
 */

/**
 * What is shown of something, and what is known of it.
 * @template T
 * @typedef {{ shown: T | undefined, known: T }} Difference
 */

/**
 * The page's truth: its rows by their orders' keys, and its figures by name. It takes what is told, and says how that differs from
 * what is shown. What has been shown is reported to it; until then it goes on to differ, so that what could not be shown is tried
 * again.
 */
export class Book {
  /** @type {Map<string, KnownRow>} */
  #rows = new Map();
  /** @type {Map<string, KnownRow>} */
  #shownRows = new Map();
  /** @type {Map<string, number | null>} */
  #figures = new Map();
  /** @type {Map<string, number | null>} */
  #shownFigures = new Map();

  /** Forgets all rows. */
  clear() {
    this.#rows.clear();
    this.#shownRows.clear();
  }

  /**
   * Begins to keep a row, which is shown like this.
   * @param {Row} row
   */
  add(row) {
    const known = { ...row, isGone: false };
    this.#rows.set(row.key, known);
    this.#shownRows.set(row.key, known);
  }

  /**
   * The row of an order that is kept.
   * @param {string} key
   */
  row(key) {
    return this.#rows.get(key);
  }

  get rows() {
    return this.#rows.values();
  }

  /**
   * Takes a row as it is now; others than those that are kept are ignored.
   * @param {Row | GoneRow} row
   * @param {Change[]} changes of the order that led to it, the oldest first
   */
  take(row, changes) {
    const before = this.#rows.get(row.key);
    if (!before) return;
    this.#rows.set(row.key, row.removed ? { ...before, isGone: true } : { ...before, ...entry(row, changes, before), isGone: false });
  }

  /** @param {Summary} summary */
  takeFigures({ statistics, orders_by_status }) {
    for (const [name, value] of Object.entries(statistics)) this.#figures.set(name, value);
    for (const [code, { count }] of Object.entries(orders_by_status)) this.#figures.set(code, count);
  }

  /** @returns {Difference<KnownRow>[]} */
  get changedRows() {
    return differences(this.#rows, this.#shownRows).map(([, difference]) => difference);
  }

  /** @returns {[name: string, Difference<number | null>][]} */
  get changedFigures() {
    return differences(this.#figures, this.#shownFigures);
  }

  /**
   * The row is shown.
   * @param {KnownRow} row
   */
  rowShown(row) {
    this.#shownRows.set(row.key, row);
  }

  /**
   * The figure is shown.
   * @param {string} name
   * @param {number | null} value
   */
  figureShown(name, value) {
    this.#shownFigures.set(name, value);
  }
}

/**
 * A row with since when it is in its status, which a patch does not tell: its changes do, as far as that is known.
 * @param {Row} row
 * @param {Change[]} changes of the order that led to it, the oldest first
 * @param {Row | undefined} before
 * @returns {Row}
 */
export function entry(row, changes, before) {
  if (row.status_since !== undefined) return row;
  const last = changes.findLast(({ changed }) => changed.some(({ field }) => field === "status"));
  const isNew = changes.some(({ operation }) => operation === "insert");
  const kept = before?.status === row.status ? (before.status_since ?? null) : null;
  return { ...row, status_since: last ? last.at : isNew ? row.created_at : kept };
}

/**
 * @template T
 * @param {Map<string, T>} known
 * @param {Map<string, T>} shown
 * @returns {[string, Difference<T>][]}
 */
function differences(known, shown) {
  const different = [...known].filter(([key, value]) => shown.get(key) !== value);
  return different.map(([key, value]) => [key, { shown: shown.get(key), known: value }]);
}
