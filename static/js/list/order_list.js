/** @import { Answer, Change, Patch, Summary } from "../base/types.js" */
/** @import { Markup } from "./markup.js" */
import { attempt, part } from "../base/dom.js";
import { TICK, tickAges } from "../base/time.js";
import { isForTheSame, readPage } from "../base/page.js";
import { Revision } from "../base/revision.js";
import { Badge } from "../live/badge.js";
import { Connection } from "../live/connection.js";
import { News } from "../news/news.js";
import { Book, entry } from "./book.js";
import { Lateness } from "./in_status.js";
import { Keyboard } from "./keyboard.js";
import { Listing } from "./listing.js";
import { Away } from "./missed_changes.js";
import { Notices } from "./notices.js";
import { Placement } from "./placement.js";
import { Presence } from "./presence.js";
import { Total, rangeText } from "./total.js";

/** What the list's root is told when rows came or went, or an order of theirs did. */
export const ROWS_CHANGED = "rowschanged";

/** Operations that can bring an order onto a list that it was not on. */
const ARRIVALS = new Set(["insert", "arrived"]);

/** What a list that the page places by itself is filtered or ordered by. */
const PLACING = new Set(["status", "payment_status", "total_amount", "created_at"]);

/** A list grows once in this time, in milliseconds, however much enters. */
const GROWTH_PAUSE = 1_000;

/** How much later it is tried again after the list could not be read, in milliseconds. */
const EXCHANGE_PAUSE = 10_000;

/**
 * A list of orders that is kept true: the book takes what is told, the markup shows how it differs from what is seen, and what would
 * move rows is offered.
 */
export class OrderList {
  #root;
  #markup;
  #grows;
  #book = new Book();
  #lateness;
  /** @type {Placement} */
  #placement;
  /** @type {Total} */
  #total;
  /** The state that the list was read in. @type {Revision} */
  #readAt;
  #notices;
  #away;
  #presence;
  #news;
  #connection;
  /** A list has at most so many rows: the server is asked for each of them by its id, and answers for no more. */
  #mostRows;
  /** Which orders are said to be shown. */
  #range = "";
  #grownAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} until the list may grow again */
  #growth;
  #isReading = false;
  /** Somebody asked for the list as it is now. */
  #isAsked = false;

  /**
   * @param {HTMLElement} root `#sales-rep-orders-dashboard`, or another of its kind
   * @param {Markup} markup which shows what the list has
   * @param {boolean} grows whether new orders are added where they belong while nobody is at the list
   */
  constructor(root, markup, grows = false) {
    this.#root = root;
    this.#markup = markup;
    this.#grows = grows;
    const { mostVisible, lateAfter = "", ranks = "", pollInterval } = root.dataset;
    this.#mostRows = Number(mostVisible);
    this.#lateness = new Lateness(lateAfter, ranks);
    [this.#placement, this.#total, this.#readAt] = this.#begin(root);
    const first = markup.rows();
    if (first) this.#book.takeFigures(first);
    for (const { key, known } of this.#book.figures.differences) this.#book.figures.show(key, known);
    const badge = new Badge(root, part(document, "#live-badge", HTMLElement), Number(pollInterval));
    const focusList = () => markup.list.focus({ preventScroll: true });
    const notice = part(document, "#list-notice", HTMLButtonElement);
    this.#notices = new Notices(notice, part(document, "#live-region", HTMLElement), () => void this.#exchange(true), focusList);
    this.#away = new Away(part(document, "#away", HTMLElement), focusList);
    this.#presence = new Presence(markup, notice, () => this.#announce());
    this.#news = attempt(() => News.of(root, { order: null, say: (...polled) => this.#sayPolled(...polled) }));
    this.#connection = new Connection(root, badge, this.#news, {
      query: () => root.dataset["query"] ?? "",
      // of what is offered it is asked whether it is there still
      visible: () => [...this.#placement.keys, ...this.#placement.entered.keys()].slice(0, this.#mostRows),
      list: () => this.#placement,
      isTrue: () => true,
      state: (summary) => {
        if (this.#takeFigures(summary)) badge.changed();
      },
      missed: (missed, wasAway) => this.#tellMissed(missed, wasAway),
      told: (changes) => this.#notices.say(changes),
      patched: (patch) => {
        this.#take(patch);
        this.#show();
        // the rows are right, whatever becomes of this
        attempt(() => this.#announce());
        badge.changed();
        return false;
      },
      answered: (answer, later) => this.#answered(answer, later),
      ended: () => this.#notices.offer(""),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    attempt(() => tickAges(this.#root));
    attempt(() => new Keyboard(this.#markup, this.#root.dataset["userId"] ?? "").start());
    attempt(() => enhanceMenus(this.#root));
    this.#tellLateness();
    setInterval(() => this.#tellLateness(), TICK);
    attempt(() => this.#news?.start());
    this.#connection.start();
  }

  /**
   * Where the order stands, whatever the page shows of it.
   * @param {string} key
   */
  row(key) {
    return this.#book.rows.known.get(key);
  }

  /**
   * Begins with the list as a page has it.
   * @param {HTMLElement} root of that page
   * @returns {[Placement, Total, Revision]}
   */
  #begin(root) {
    const { query = "", sort = "", ranks = "", createdFrom = "", createdBefore = "", page, totalPages, revision = "" } = root.dataset;
    const first = this.#markup.rows();
    const rows = first?.orders ?? [];
    const readAt = new Revision(revision);
    const listing = new Listing({ query, sort, ranks, createdFrom, createdBefore });
    const total = new Total(listing, first?.total ?? rows.length, rows);
    if (first) total.take(first);
    const asksServer = root.hasAttribute("data-placed-by-server");
    const asked = { sort, page: Number(page ?? 1), isLastPage: page === totalPages, asksServer };
    const placement = new Placement(listing, asked, rows);
    this.#book.rows.clear();
    rows.forEach((row) => this.#book.add(row));
    return [placement, total, readAt];
  }

  /** @param {Summary} summary */
  #takeFigures(summary) {
    this.#total.take(summary);
    this.#book.takeFigures(summary);
    const changed = this.#book.figures.differences;
    for (const { key, shown, known } of changed) {
      this.#markup.figure(key, known, shown !== undefined);
      this.#book.figures.show(key, known);
    }
    if (changed.length > 0) this.#markup.bar(summary.orders_by_status);
    this.#showPaging();
    return changed.some(({ shown }) => shown !== undefined);
  }

  /** @param {Patch} patch */
  #take({ revision, orders, changes }) {
    // a list that was read later has it
    if (this.#readAt.covers(new Revision(revision))) return;
    const { asksServer, entered } = this.#placement;
    let mustRead = asksServer || this.#total.note(orders, changes);
    for (const row of orders) {
      const own = changes.filter(({ order_key }) => order_key === row.key);
      const before = this.#book.rows.known.get(row.key) ?? entered.get(row.key);
      mustRead = !this.#book.take(row, own) || mustRead;
      this.#placement.note(row.removed ? row : { ...before, ...entry(row, own, before) }, own.some(canMove));
    }
    if (mustRead) this.#connection.readSoon();
  }

  /**
   * Takes the rows as they were when they were read, and what was told since.
   * @param {Answer} answer
   * @param {Patch[]} later the oldest first
   */
  #answered({ orders, visible, total, pagination }, later) {
    this.#total.read(total, [...orders, ...visible]);
    visible.forEach((row) => this.#book.take(row, []));
    this.#placement.read(orders, pagination.has_next, visible);
    later.forEach((patch) => this.#take(patch));
    this.#show();
    attempt(() => this.#announce());
  }

  /** Shows how the book differs from what is seen: all that can be shown, whatever can't. */
  #show() {
    /** @type {unknown[]} */
    const errors = [];
    let hasTurned = false;
    for (const { shown, known } of this.#book.rows.differences) {
      try {
        if (shown?.isGone !== known.isGone) {
          this.#markup.gone(known.key, known.isGone);
          hasTurned = true;
        }
        this.#markup.show(known, shown);
        this.#markup.inStatus(known.key, this.#lateness.of(known));
        this.#book.rows.show(known.key, known);
      } catch (error) {
        errors.push(error);
      }
    }
    this.#showPaging();
    if (hasTurned) this.#root.dispatchEvent(new Event(ROWS_CHANGED));
    if (errors.length > 0) throw errors[0];
  }

  #showPaging() {
    const [size, page] = [Number(this.#root.dataset["pageSize"]), Number(this.#root.dataset["page"])];
    const { count } = this.#total;
    const range = rangeText((page - 1) * size, this.#placement.keys.length, count);
    if (range === this.#range) return;
    this.#range = range;
    this.#markup.paging({ range, page, pages: Math.max(page, Math.ceil(count / size)) });
  }

  #tellLateness() {
    for (const row of this.#book.rows.known.values()) this.#markup.inStatus(row.key, this.#lateness.of(row));
  }

  /**
   * @param {Change[] | null} missed
   * @param {boolean} wasAway
   */
  #tellMissed(missed, wasAway) {
    if (missed?.length === 0) return;
    if (wasAway) {
      this.#away.add(missed);
      this.#notices.sayMissed(missed);
    } else if (missed) {
      this.#notices.say(missed);
    }
  }

  /**
   * What polls brought: of a page that was old until then, as what it missed.
   * @param {Change[]} changes
   * @param {boolean} wasOld
   * @param {boolean} isAll
   */
  #sayPolled(changes, wasOld, isAll) {
    if (wasOld) this.#away.add(this.#notices.sayMissed(changes));
    else this.#notices.say(changes);
    if (wasOld && !isAll) this.#away.add(null);
  }

  /** Offers what the list lacks; one that may grow takes what is new by itself, unless somebody is at it. */
  #announce() {
    if (this.#connection.isOver) return;
    const grows = this.#canGrow;
    // what must be read first is offered until it is here
    const isAdded = grows && !this.#placement.isCut;
    this.#notices.offer(this.#placement.words(!isAdded));
    if (!grows) return;
    const wait = this.#grownAt + GROWTH_PAUSE - performance.now();
    if (wait <= 0) this.#grow();
    else {
      this.#growth ??= setTimeout(() => {
        this.#growth = undefined;
        this.#announce();
      }, wait);
    }
  }

  get #canGrow() {
    const { entered, keys, isCut } = this.#placement;
    const fits = isCut || entered.size + keys.length <= this.#mostRows;
    return this.#grows && entered.size > 0 && fits && this.#markup.canPlace && this.#root.dataset["page"] === "1" && !this.#presence.isThere;
  }

  /** Adds the rows of the orders that entered, each where it belongs. */
  #grow() {
    this.#grownAt = performance.now();
    if (this.#placement.isCut) {
      void this.#exchange(false);
      return;
    }
    let isExact = true;
    for (const row of [...this.#placement.entered.values()]) {
      const next = this.#placement.next(row);
      this.#placement.admit(row, next);
      this.#book.add(row);
      this.#markup.place({ ...row, isGone: false }, next);
      this.#markup.inStatus(row.key, this.#lateness.of(row));
      isExact &&= Boolean(row.status_since);
    }
    this.#showPaging();
    this.#root.dispatchEvent(new Event(ROWS_CHANGED));
    // how long one that did not just come into its status has been in it, only the server knows
    if (!isExact) this.#connection.readSoon();
  }

  /**
   * Reads the list anew and shows it in place of this one.
   * @param {boolean} isAsked whether somebody asked for it; else they may have come meanwhile, and it is only offered
   */
  async #exchange(isAsked) {
    this.#isAsked ||= isAsked;
    if (this.#isReading || this.#connection.isOver) return;
    this.#isReading = true;
    const later = this.#connection.record();
    const { ok, page } = await readPage(location.pathname + (this.#root.dataset["query"] ?? ""));
    const fresh = ok ? page?.getElementById(this.#root.id) : null;
    const isMine = fresh && isForTheSame(fresh, this.#root) && !this.#connection.isOver;
    const isWanted = this.#isAsked || !this.#presence.isThere;
    try {
      if (isMine && isWanted) await this.#markup.exchange(fresh, () => this.#renew(fresh, later));
    } catch (error) {
      reportError(error);
      this.#connection.listChanged();
    }
    // a page that did not come says nothing of the stream, and is not asked for again at once
    if (!ok) this.#grownAt = performance.now() + EXCHANGE_PAUSE;
    if (!isMine && (ok || this.#isAsked)) this.#connection.retry();
    this.#isReading = false;
    this.#isAsked = false;
    this.#connection.stopRecording(later);
    this.#announce();
  }

  /**
   * @param {HTMLElement} fresh the root of the page whose list is shown now
   * @param {Patch[]} later what was told since that was asked for
   */
  #renew(fresh, later) {
    [this.#placement, this.#total, this.#readAt] = this.#begin(fresh);
    later.forEach((patch) => this.#take(patch));
    this.#range = "";
    this.#tellLateness();
    if (this.#isAsked) {
      this.#presence.renew();
      this.#markup.list.focus({ preventScroll: true });
    }
    this.#root.dispatchEvent(new Event(ROWS_CHANGED));
    this.#connection.listChanged();
    this.#show();
  }
}

/** @param {Change} change */
function canMove({ operation, changed }) {
  return ARRIVALS.has(operation) || changed.some(({ field }) => PLACING.has(field));
}

/**
 * Tells what is chosen in a menu on its button at once.
 * @param {HTMLElement} root
 */
function enhanceMenus(root) {
  root.addEventListener("change", ({ target }) => {
    const menu = target instanceof Element ? target.closest("[data-told]") : null;
    const told = document.getElementById(menu?.getAttribute("data-told") ?? "");
    if (menu && told) told.textContent = chosen(menu);
  });
}

/** @param {Element} menu */
function chosen(menu) {
  const [first, ...others] = menu.querySelectorAll("input:checked");
  if (!first) return "All";
  if (others.length === 0) return first.parentElement?.textContent.trim() ?? "";
  return `${others.length + 1} of ${menu.querySelectorAll("input").length}`;
}
