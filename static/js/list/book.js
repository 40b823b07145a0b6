/** @import { Change, GoneRow, Row, Summary } from "../base/types.js" */

/**
 * A row as the book has it: as it was told last, or as it was before its order went.
 * @typedef {Row & { isGone: boolean }} KnownRow
 */

/**
 * What is known of things, by their keys, and what of it is shown. What has been shown is reported; until then it goes on to differ,
 * so that what could not be shown is tried again.
 * @template T
 */
class Ledger {
  /** @type {Map<string, T>} */
  known = new Map();
  /** @type {Map<string, T>} */
  #shown = new Map();

  /**
   * That is shown of it.
   * @param {string} key
   * @param {T} value
   */
  show(key, value) {
    this.#shown.set(key, value);
  }

  /** Forgets everything. */
  clear() {
    this.known.clear();
    this.#shown.clear();
  }

  /** @returns {{ key: string, shown: T | undefined, known: T }[]} how what is known differs from what is shown */
  get differences() {
    const different = [...this.known].filter(([key, value]) => this.#shown.get(key) !== value);
    return different.map(([key, known]) => ({ key, shown: this.#shown.get(key), known }));
  }
}

/** The page's truth: its rows by their orders' keys, and its figures by name. */
export class Book {
  /** @type {Ledger<KnownRow>} */
  rows = new Ledger();
  /** @type {Ledger<number | null>} */
  figures = new Ledger();

  /**
   * Begins to keep a row, which is shown like this.
   * @param {Row} row
   */
  add(row) {
    const known = { ...row, isGone: false };
    this.rows.known.set(row.key, known);
    this.rows.show(row.key, known);
  }

  /**
   * Takes a row as it is now; others than those that are kept are ignored.
   * @param {Row | GoneRow} row
   * @param {Change[]} changes of the order that led to it, the oldest first
   * @returns {boolean} false where only the server knows since when it is in its status: it was placed anew, or its status was
   *   changed while it was another's
   */
  take(row, changes) {
    const before = this.rows.known.get(row.key);
    if (!before) return true;
    const known = row.removed ? { ...before, isGone: true } : { ...before, ...entry(row, changes, before), isGone: false };
    this.rows.known.set(row.key, known);
    return row.removed || (Boolean(known.status_since) && known.created_at === before.created_at);
  }

  /** @param {Summary} summary */
  takeFigures({ statistics, orders_by_status }) {
    for (const [name, value] of Object.entries(statistics)) this.figures.known.set(name, value);
    for (const [code, { count }] of Object.entries(orders_by_status)) this.figures.known.set(code, count);
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
