/** @import { Answer, Change, Patch, Row, Summary } from "../base/types.js" */
/** @import { Badge } from "../live/badge.js" */
/** @import { HostFilter } from "./filter.js" */
/** @import { HostMarkup } from "./markup.js" */
/** @import { HostNotices } from "./notices.js" */
import { Book } from "../list/book.js";
import { Connection } from "../live/connection.js";

/**
 * What the API answers to a page of the shop.
 * @typedef {Answer & { recent_orders?: Row[], pagination: { current_page: number, total_pages: number, has_next: boolean } }} HostAnswer
 */

/** After these the list may have other rows, or others on this page. */
const MOVES = new Set(["insert", "arrived", "delete", "left"]);

/** What the shop's lists are filtered and ordered by. */
const PLACING = new Set(["status", "created_at"]);

/** How far reads of the list for the sake of what moves rows are apart, in milliseconds. */
const READS_APART = 500;

/**
 * The list of a page of the shop, kept true: what is told of its rows is shown at once, and where rows may come, go or move, the
 * list is read and shown as the shop would show it now.
 */
export class HostList {
  #markup;
  #notices;
  #filter;
  #connection;
  #book = new Book();
  /** Whether the page was made without a table, as there were no orders. */
  #isBare;

  /**
   * @param {HTMLElement} root whose data say where to ask and for whom
   * @param {Badge} badge
   * @param {{ markup: HostMarkup, notices: HostNotices, filter: HostFilter | null }} page
   * @param {HostAnswer} first what the list is now
   */
  constructor(root, badge, { markup, notices, filter }, first) {
    this.#markup = markup;
    this.#notices = notices;
    this.#filter = filter;
    this.#isBare = !markup.canPlace && rowsOf(first).length === 0;
    this.#takeFigures(first);
    this.#list(first, []);
    this.#connection = new Connection(root, badge, notices, {
      query: () => this.#query,
      // the list is shown as it is read, so that there are no others to ask for
      visible: () => [],
      list: () => this.#query,
      isTrue: () => true,
      state: (summary) => this.#takeFigures(summary),
      missed: (missed, wasAway) => {
        if (wasAway && missed?.length !== 0) this.#notices.sayMissed(missed);
      },
      told: () => {},
      patched: (patch) => {
        this.#take(patch);
        this.#show();
        badge.changed();
        return false;
      },
      answered: (answer, later) => this.#list(/** @type {HostAnswer} */ (answer), later),
      ended: () => {},
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#filter?.onChange(() => this.#connection.listChanged());
    this.#connection.start();
  }

  get #query() {
    return this.#filter?.query ?? "";
  }

  /** @param {Summary} summary */
  #takeFigures(summary) {
    this.#book.takeFigures(summary);
    for (const { key, shown, known } of this.#book.figures.differences) {
      this.#markup.figure(key, known, shown !== undefined);
      this.#book.figures.show(key, known);
    }
  }

  /** @param {Patch} patch */
  #take({ orders, changes }) {
    for (const row of orders) this.#book.take(row, changes.filter(({ order_key }) => order_key === row.key));
    if (orders.some(({ removed }) => removed) || changes.some(moves)) this.#connection.readSoon(READS_APART);
  }

  /**
   * Shows the list as it was read, and what was told of its rows since.
   * @param {HostAnswer} answer
   * @param {Patch[]} later the oldest first
   */
  #list(answer, later) {
    const rows = rowsOf(answer);
    const shown = new Map(rows.map(({ key }) => [key, this.#book.rows.known.get(key)]));
    this.#book.rows.clear();
    for (const row of rows) {
      this.#book.add(shown.get(row.key) ?? row);
      this.#book.take(row, []);
    }
    this.#markup.keepOnly(new Set(shown.keys()));
    /** @type {string | undefined} */
    let next;
    for (const row of [...this.#book.rows.known.values()].reverse()) {
      this.#markup.place(row, next);
      next = row.key;
    }
    later.forEach((patch) => this.#take(patch));
    this.#show();
    this.#markup.paging(answer.pagination.current_page, answer.pagination.total_pages);
    if (this.#isBare && rows.length > 0) this.#notices.offerReload();
  }

  #show() {
    for (const { shown, known } of this.#book.rows.differences) {
      this.#markup.gone(known.key, known.isGone);
      this.#markup.show(known, shown);
      this.#book.rows.show(known.key, known);
    }
  }
}

/** @param {HostAnswer} answer */
function rowsOf({ orders, recent_orders }) {
  return recent_orders ?? orders;
}

/** @param {Change} change */
function moves({ operation, changed }) {
  return MOVES.has(operation) || changed.some(({ field }) => PLACING.has(field));
}
