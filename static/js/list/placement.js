/** @import { Place } from "./listing.js" */
/** @import { Row, GoneRow } from "../base/types.js" */
import { countText, plural } from "../base/amount.js";
import { counted } from "../base/words.js";
import { Listing } from "./listing.js";

const LIST = new Intl.ListFormat("en-GB");

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
  /** The orders that are shown, from the top. @type {string[]} */
  #keys = [];
  /** @type {Map<string, Place>} where each of them stood when the list was read */
  #places = new Map();
  /** @type {Map<string, string>} what each of them was sorted by then */
  #sortedBy = new Map();
  /** @type {Place | null} a place before this is on an earlier page */
  #first = null;
  /** @type {Place | null} a place after this is on a later page */
  #last = null;
  /** @type {Map<string, Row>} */
  #entered = new Map();
  /** @type {Set<string>} */
  #left = new Set();
  /** @type {Set<string>} */
  #moved = new Set();
  /** The list's page as the server told it last. @type {string[]} */
  #listed = [];

  /**
   * @param {Listing} listing
   * @param {{ sort: string, page: number, isLastPage: boolean, asksServer: boolean }} asked
   * @param {Row[]} rows
   */
  constructor(listing, { sort, page, isLastPage, asksServer }, rows) {
    this.#listing = listing;
    this.#sort = sort;
    this.#page = page;
    this.#isLastPage = isLastPage;
    /** Whether the server must be asked where an order belongs. */
    this.asksServer = asksServer;
    /** Whether there are orders between those that entered and those that are shown of which nothing is known. */
    this.isCut = false;
    for (const row of rows) this.admit(row, undefined);
    const places = [...this.#places.values()];
    this.#first = page === 1 ? null : (places.at(0) ?? null);
    this.#last = isLastPage ? null : (places.at(-1) ?? null);
  }

  /** The orders that are shown, from the top. */
  get keys() {
    return this.#keys;
  }

  /**
   * @returns {ReadonlyMap<string, Row>} the orders that are on this page and not shown, first those of which nothing was heard for
   *   the longest time: where there are more than can be asked for at once, each has its turn
   */
  get entered() {
    return this.#entered;
  }

  /**
   * The order is shown now, before another one, or at the end.
   * @param {Row} row
   * @param {string | undefined} next
   */
  admit(row, next) {
    const { key, status, created_at } = row;
    const at = next === undefined ? this.#keys.length : this.#keys.indexOf(next);
    this.#keys.splice(at, 0, key);
    this.#places.set(key, this.#listing.place(status, created_at ?? "", key));
    this.#sortedBy.set(key, this.#sorting(row));
    this.#entered.delete(key);
  }

  /**
   * The shown order before which one that entered belongs; nothing where it is the last.
   * @param {Row} row
   */
  next({ key, status, created_at }) {
    if (this.asksServer) {
      const before = this.#listed.slice(0, this.#listed.indexOf(key)).findLast((other) => this.#places.has(other));
      return this.#keys[before === undefined ? 0 : this.#keys.indexOf(before) + 1];
    }
    const place = this.#listing.place(status, created_at ?? "", key);
    return this.#keys.find((other) => this.#listing.compare(this.#places.get(other) ?? place, place) > 0);
  }

  /**
   * Takes note of a changed order.
   * @param {Row | GoneRow} row
   * @param {boolean} moves whether the change can have brought it onto the list, or to another place in it
   */
  note(row, moves) {
    const known = this.#places.get(row.key);
    const isOff = row.removed || !this.#listing.has(row);
    // until the server is asked, what it told last is all that can be said of one that is still on the list
    if (this.asksServer && !isOff) return;
    const hadEntered = this.#entered.delete(row.key);
    this.#moved.delete(row.key);
    this.#left.delete(row.key);
    if (row.removed || isOff) {
      if (known) this.#left.add(row.key);
      return;
    }
    const place = this.#listing.place(row.status, row.created_at ?? "", row.key);
    if (known) {
      if (this.#listing.compare(known, place) !== 0) this.#moved.add(row.key);
    } else if ((moves || hadEntered) && this.#isOnPage(place)) {
      this.#entered.set(row.key, row);
    }
  }

  /**
   * Compares with the list as just read. An order that is on it only because others went or came is no news.
   * @param {Row[]} listed the page of the list
   * @param {boolean} hasMore whether the list goes on after it
   * @param {(Row | GoneRow)[]} visible the rows shown, and orders that entered: a list that has grown goes on below the page
   */
  read(listed, hasMore, visible) {
    if (this.asksServer) this.#compare(listed, visible);
    else for (const row of [...listed, ...visible]) this.note(row, listed.includes(/** @type {Row} */ (row)));
    this.#listed = listed.map(({ key }) => key);
    this.isCut = hasMore && this.#entered.has(this.#listed.at(-1) ?? "");
  }

  /**
   * @param {Row[]} listed
   * @param {(Row | GoneRow)[]} visible
   */
  #compare(listed, visible) {
    this.#entered.clear();
    for (const row of visible) {
      if (!this.#places.has(row.key)) continue;
      this.#left.delete(row.key);
      this.#moved.delete(row.key);
      if (row.removed || !row.fits) this.#left.add(row.key);
      else if (this.#sorting(row) !== this.#sortedBy.get(row.key)) this.#moved.add(row.key);
    }
    const isShown = listed.map(({ key }) => this.#places.has(key));
    // what stands before the first and after the last of those shown comes from other pages
    const first = this.#page === 1 ? 0 : isShown.indexOf(true);
    const last = this.#isLastPage || !isShown.includes(true) ? listed.length : isShown.lastIndexOf(true);
    listed.forEach((row, at) => {
      if (!isShown[at] && at >= first && at <= last) this.#entered.set(row.key, row);
    });
  }

  /**
   * `3 orders entered and 1 no longer matches · Update`, with `20+` where more may have entered; or nothing.
   * @param {boolean} [withEntered] false to say nothing of orders that entered
   */
  words(withEntered = true) {
    const entered = withEntered ? this.#entered.size : 0;
    /** @type {[number, string][]} */
    const all = [
      [entered, "entered"],
      [this.#left.size, plural(this.#left.size, "no longer matches", "no longer match")],
      [this.#moved.size, "moved"],
    ];
    const parts = all.filter(([count]) => count > 0).map(([count, what], at) => {
      return `${at === 0 ? counted(count, "order", "orders") : countText(count)} ${what}`;
    });
    if (parts.length === 0) return "";
    const words = `${LIST.format(parts)} · Update`;
    // more may have entered on pages that are not known
    return entered > 0 && this.isCut ? words.replace(" ", "+ ") : words;
  }

  /**
   * What a row is sorted by, as far as a change of it may move the row.
   * @param {Row} row
   */
  #sorting(row) {
    const { status, created_at } = row;
    const column = this.#sort.replace("-", "");
    return column === "" ? `${this.#listing.rank(status)} ${created_at}` : String(Object.entries(row).find(([name]) => name === column)?.[1]);
  }

  /** @param {Place} place */
  #isOnPage(place) {
    const isAfter = this.#first === null || this.#listing.compare(place, this.#first) > 0;
    return isAfter && (this.#last === null || this.#listing.compare(place, this.#last) < 0);
  }
}
