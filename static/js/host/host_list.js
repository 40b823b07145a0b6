/** @import { Answer, Change, Patch, Row, Summary } from "../base/types.js" */
/** @import { Badge } from "../live/badge.js" */
/** @import { HostFilter } from "./filter.js" */
/** @import { HostMarkup } from "./markup.js" */
/** @import { HostNews } from "./news.js" */
/** @import { HostNotices } from "./notices.js" */
import { since } from "../base/clock.js";
import { Revision } from "../base/revision.js";
import { Book } from "../list/book.js";
import { Connection } from "../live/connection.js";
import { Debt } from "../live/patches.js";

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

/** So long what the list shows counts as true although it must be read, in milliseconds. */
const LONGEST_DUE = 2_000;

/**
 * The list of a page of the shop, kept true: what is told of its rows is shown at once, and where rows may come, go or move, the
 * list is read and shown as the shop would show it now.
 */
export class HostList {
  #markup;
  #news;
  #notices;
  #filter;
  #connection;
  #book = new Book();
  /** What may have other rows than are shown, until the list is read. */
  #due = new Debt();
  /** @type {ReturnType<typeof setTimeout> | undefined} until that is due for too long */
  #lapse;
  /** Whether the page was made without a table, as there were no orders. */
  #isBare;

  /**
   * @param {HTMLElement} root whose data say where to ask and for whom
   * @param {Badge} badge
   * @param {{ markup: HostMarkup, news: HostNews, notices: HostNotices, filter: HostFilter | null }} page
   * @param {HostAnswer} first what the list is now
   */
  constructor(root, badge, { markup, news, notices, filter }, first) {
    this.#markup = markup;
    this.#news = news;
    this.#notices = notices;
    this.#filter = filter;
    this.#isBare = !markup.canPlace && rowsOf(first).length === 0;
    this.#takeFigures(first);
    this.#list(first, []);
    this.#connection = new Connection(root, badge, news, {
      query: () => this.#query,
      // the list is shown as it is read, so that there are no others to ask for
      visible: () => [],
      list: () => this.#query,
      isTrue: () => this.#dueFor < LONGEST_DUE,
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
    this.#news.start();
    this.#connection.start();
  }

  get #query() {
    return this.#filter?.query ?? "";
  }

  /** @param {Summary} summary */
  #takeFigures(summary) {
    this.#book.takeFigures(summary);
    const changed = new Set(this.#book.figures.differences.filter(({ shown }) => shown !== undefined).map(({ key }) => key));
    // also those that are the same: a script of the shop's own may have written older ones
    for (const [key, known] of this.#book.figures.known) {
      this.#markup.figure(key, known, changed.has(key));
      this.#book.figures.show(key, known);
    }
  }

  /** @param {Patch} patch */
  #take({ revision, orders, changes }) {
    for (const row of orders) this.#book.take(row, changes.filter(({ order_key }) => order_key === row.key));
    if (!orders.some(({ removed }) => removed) && !changes.some(moves)) return;
    this.#due.add(new Revision(revision));
    this.#watch();
    this.#connection.readSoon(READS_APART);
  }

  /** For how long the list must be read, in milliseconds. */
  get #dueFor() {
    const begun = this.#due.since;
    return begun ? since(begun) : -Infinity;
  }

  /** Has it be said when the list is due for too long. */
  #watch() {
    clearTimeout(this.#lapse);
    const left = LONGEST_DUE - this.#dueFor;
    if (left <= 0 || left === Infinity) return;
    this.#lapse = setTimeout(() => {
      this.#connection.reconsider();
      this.#watch();
    }, left);
  }

  /**
   * Shows the list as it was read, and what was told of its rows since.
   * @param {HostAnswer} answer
   * @param {Patch[]} later the oldest first
   */
  #list(answer, later) {
    this.#due.pay(new Revision(answer.revision));
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
    this.#watch();
    this.#show();
    this.#markup.paging(answer.pagination.current_page, answer.pagination.total_pages, this.#query);
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
