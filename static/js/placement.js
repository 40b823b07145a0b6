/** @import { Row, GoneRow } from "./types.js" */

/** The place of each unfinished status in an unfiltered list; all others come last. */
export const RANKS = new Map([
  ["pending", 0],
  ["processing", 1],
  ["confirmed", 2],
  ["ready_for_pickup", 3],
  ["shipped", 4],
]);
const LAST_RANK = 5;

/** @typedef {[rank: number, created: number, id: number]} Place */

/**
 * Which orders the list, as it would be read now, has on this page and the page has not, and the other way round. Rows
 * are never moved under the person, so this is counted and offered instead.
 */
export class Placement {
  #status;
  #from;
  #before;
  /** @type {Map<number, Place>} where each visible order stood when the list was read */
  #places = new Map();
  /** @type {Place | null} a place before this is on an earlier page */
  #first = null;
  /** @type {Place | null} a place after this is on a later page */
  #last = null;
  /** @type {Set<number>} */
  #entered = new Set();
  /** @type {Set<number>} */
  #left = new Set();
  /** @type {Set<number>} */
  #moved = new Set();

  /**
   * @param {HTMLElement} root
   * @param {HTMLElement[]} lines
   */
  constructor(root, lines) {
    this.#status = root.dataset["filterStatus"] ?? "";
    this.#from = Date.parse(root.dataset["createdFrom"] ?? "");
    this.#before = Date.parse(root.dataset["createdBefore"] ?? "");
    for (const { dataset } of lines) {
      const id = Number(dataset["orderId"]);
      this.#places.set(id, this.#place(dataset["status"] ?? "", dataset["createdAt"] ?? null, id));
    }
    const places = [...this.#places.values()];
    const { page, totalPages } = root.dataset;
    this.#first = page === "1" ? null : (places.at(0) ?? null);
    this.#last = page === totalPages ? null : (places.at(-1) ?? null);
  }

  /**
   * Takes note of a changed order.
   * @param {Row | GoneRow} row
   * @param {boolean} moves whether the change can have given it another place in the list
   */
  note(row, moves) {
    const known = this.#places.get(row.id);
    const hadEntered = this.#entered.delete(row.id);
    this.#moved.delete(row.id);
    this.#left.delete(row.id);
    if (row.removed || !this.#fits(row)) {
      if (known) this.#left.add(row.id);
      return;
    }
    const place = this.#place(row.status, row.created_at, row.id);
    if (known) {
      if (compare(known, place) !== 0) this.#moved.add(row.id);
    } else if ((moves || hadEntered) && this.#isOnPage(place)) {
      this.#entered.add(row.id);
    }
  }

  /**
   * Compares with the list as just read. An order that is on it only because others went or came is no news.
   * @param {Row[]} listed the page of the list
   * @param {(Row | GoneRow)[]} visible the rows shown
   */
  read(listed, visible) {
    this.#entered.clear();
    for (const row of visible) this.note(row, false);
    for (const row of listed) this.note(row, true);
  }

  /** `3 new orders, 1 left: show`, or nothing. */
  get words() {
    const parts = [];
    const entered = this.#entered.size;
    if (entered > 0) parts.push(`${entered} new ${entered === 1 ? "order" : "orders"}`);
    if (this.#left.size > 0) parts.push(`${this.#left.size} left`);
    if (this.#moved.size > 0) parts.push(`${this.#moved.size} moved`);
    return parts.length > 0 ? `${parts.join(", ")}: show` : "";
  }

  /**
   * @param {string} status
   * @param {string | null} createdAt
   * @param {number} id
   * @returns {Place}
   */
  #place(status, createdAt, id) {
    const rank = this.#status ? 0 : (RANKS.get(status) ?? LAST_RANK);
    const created = Date.parse(createdAt ?? "");
    return [rank, Number.isNaN(created) ? 0 : -created, -id];
  }

  /** @param {Row} row */
  #fits(row) {
    const created = Date.parse(row.created_at ?? "");
    return (
      (!this.#status || row.status === this.#status) &&
      (Number.isNaN(this.#from) || created >= this.#from) &&
      (Number.isNaN(this.#before) || created < this.#before)
    );
  }

  /** @param {Place} place */
  #isOnPage(place) {
    return (
      (this.#first === null || compare(place, this.#first) > 0) && (this.#last === null || compare(place, this.#last) < 0)
    );
  }
}

/**
 * @param {Place} one
 * @param {Place} other
 */
function compare(one, other) {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2];
}
