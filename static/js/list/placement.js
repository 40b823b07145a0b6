/** @import { Place } from "./listing.js" */
/** @import { Row, GoneRow } from "../base/types.js" */
import { Listing } from "./listing.js";

/**
 * Which orders the list, as it would be read now, has on this page and the page has not, and the other way round. Rows
 * are never moved under the person, so this is counted and offered instead.
 *
 * Where an order belongs the page can tell by itself in a list by rank or time. In one that is searched for, or sorted by
 * something else, only the server can: such a list is compared with the server's whenever something changes.
 */
export class Placement {
  #listing;
  /** The column of the order, with a minus for descending; empty for ranks. */
  #sort;
  #page;
  #isLastPage;
  /** @type {Map<number, Place>} where each visible order stood when the list was read */
  #places = new Map();
  /** @type {Map<number, HTMLElement>} */
  #lines = new Map();
  /** @type {Map<number, string>} what each visible order was sorted by when the list was read */
  #keys = new Map();
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
    const { query = "", sort = "", page = "1", totalPages = "1" } = root.dataset;
    const { ranks = "", createdFrom = "", createdBefore = "" } = root.dataset;
    this.#listing = new Listing({ query, sort, ranks, createdFrom, createdBefore });
    this.#sort = sort;
    this.#page = Number(page);
    this.#isLastPage = page === totalPages;
    /** Whether the server must be asked where an order belongs. */
    this.asksServer = root.hasAttribute("data-placed-by-server");
    this.admit(lines);
    const places = [...this.#places.values()];
    this.#first = this.#page === 1 ? null : (places.at(0) ?? null);
    this.#last = this.#isLastPage ? null : (places.at(-1) ?? null);
  }

  /** @returns {ReadonlySet<number>} the orders that are on this page and not shown */
  get entered() {
    return this.#entered;
  }

  /**
   * These are shown now, where they belong.
   * @param {HTMLElement[]} lines
   */
  admit(lines) {
    for (const line of lines) {
      const { orderId, status = "", createdAt = "" } = line.dataset;
      const id = Number(orderId);
      this.#lines.set(id, line);
      this.#places.set(id, this.#listing.place(status, createdAt, id));
      this.#keys.set(id, this.#key(line));
      this.#entered.delete(id);
    }
  }

  /**
   * Takes note of a changed order.
   * @param {Row | GoneRow} row
   * @param {boolean} moves whether the change can have brought it onto the list, or to another place in it
   */
  note(row, moves) {
    const known = this.#places.get(row.id);
    const hadEntered = this.#entered.delete(row.id);
    this.#moved.delete(row.id);
    this.#left.delete(row.id);
    if (row.removed || !this.#listing.has(row)) {
      if (known) this.#left.add(row.id);
      return;
    }
    if (this.asksServer) return;
    const place = this.#listing.place(row.status, row.created_at ?? "", row.id);
    if (known) {
      if (this.#listing.compare(known, place) !== 0) this.#moved.add(row.id);
    } else if ((moves || hadEntered) && this.#isOnPage(place)) {
      this.#entered.add(row.id);
    }
  }

  /**
   * Compares with the list as just read. An order that is on it only because others went or came is no news.
   * @param {Row[]} listed the page of the list
   * @param {(Row | GoneRow)[]} visible the rows shown, and orders that entered: a list that has grown goes on below the page
   */
  read(listed, visible) {
    for (const row of visible) this.note(row, false);
    if (!this.asksServer) {
      for (const row of listed) this.note(row, true);
      return;
    }
    this.#entered.clear();
    for (const row of visible) {
      const line = this.#lines.get(row.id);
      if (row.removed || !line) continue;
      if (!row.fits) this.#left.add(row.id);
      else if (this.#key(line) !== this.#keys.get(row.id)) this.#moved.add(row.id);
    }
    const isShown = listed.map(({ id }) => this.#places.has(id));
    // what stands before the first and after the last of those shown comes from other pages
    const first = this.#page === 1 ? 0 : isShown.indexOf(true);
    const last = this.#isLastPage || !isShown.includes(true) ? listed.length : isShown.lastIndexOf(true);
    listed.forEach(({ id }, at) => {
      if (!isShown[at] && at >= first && at <= last) this.#entered.add(id);
    });
  }

  /** `3 entered, 1 left: refresh`, or nothing. */
  get words() {
    const parts = [];
    if (this.#entered.size > 0) parts.push(`${this.#entered.size} entered`);
    if (this.#left.size > 0) parts.push(`${this.#left.size} left`);
    if (this.#moved.size > 0) parts.push(`${this.#moved.size} moved`);
    return parts.length > 0 ? `${parts.join(", ")}: refresh` : "";
  }

  /**
   * What a row is sorted by, as far as a change of it may move the row.
   * @param {HTMLElement} line
   */
  #key(line) {
    const { status = "", paymentStatus = "", createdAt = "" } = line.dataset;
    const column = this.#sort.replace("-", "");
    switch (column) {
      case "":
        return `${this.#listing.rank(status)} ${createdAt}`;
      case "status":
        return status;
      case "payment_status":
        return paymentStatus;
      case "created_at":
        return createdAt;
      default:
        return line.querySelector(`[data-text="${column}"]`)?.textContent ?? "";
    }
  }

  /** @param {Place} place */
  #isOnPage(place) {
    const isAfter = this.#first === null || this.#listing.compare(place, this.#first) > 0;
    return isAfter && (this.#last === null || this.#listing.compare(place, this.#last) < 0);
  }
}
