/** @import { Answer, Change, GoneRow, Patch as PatchEvent, Row, Summary } from "../base/types.js" */
import { tickAges, showAge } from "../base/time.js";
import { Away } from "./missed_changes.js";
import { Badge } from "../live/badge.js";
import { Connection } from "../live/connection.js";
import { element } from "../base/dom.js";
import { flash } from "../base/flash.js";
import { freshPage, isForTheSame } from "../base/page.js";
import { InStatus } from "./in_status.js";
import { Keyboard } from "./keyboard.js";
import { News } from "../news/news.js";
import { Notices } from "./notices.js";
import { Patch, ROWS_CHANGED, isReassigned } from "./patch.js";
import { enhancePicks } from "./filter_menus.js";
import { Placement } from "./placement.js";

/** Operations that can bring an order onto a list that it was not on. */
const ARRIVALS = new Set(["insert", "arrived"]);

/** What a list that the page places by itself is filtered or ordered by. */
const PLACING = new Set(["status", "payment_status", "total_amount", "created_at"]);

/** A list of orders: patches cards and rows in place, and offers what would move them. */
export class OrderList {
  #root;
  #patch;
  #badge;
  #notices;
  #away;
  #placement;
  #inStatus;
  #news;
  #connection;
  #reloading = false;
  /** A list has at most so many rows: the server is asked for each of them by its id, and answers for no more. */
  #mostRows;
  /** Whether new orders are added where they belong while nobody is at the list. */
  #grows;
  /** Orders that entered and for which the list has no place: they wait until they are asked for. @type {Set<number>} */
  #waiting = new Set();

  /**
   * @param {HTMLElement} root `#sales-rep-orders-dashboard`, or another of its kind
   * @param {boolean} grows whether the list is the person's to grow
   */
  constructor(root, grows = false) {
    this.#root = root;
    this.#grows = grows;
    this.#mostRows = Number(root.dataset["mostVisible"]);
    this.#patch = new Patch(root);
    this.#inStatus = new InStatus(root);
    this.#placement = new Placement(root, this.#patch.lines());
    this.#badge = new Badge(root, element("live-badge", HTMLElement), Number(root.dataset["pollInterval"]));
    this.#notices = new Notices(
      element("list-notice", HTMLButtonElement),
      element("live-region", HTMLElement),
      () => void this.#reloadList(),
      () => this.#focusList(),
    );
    this.#away = new Away(
      element("away", HTMLElement),
      element("away-line", HTMLButtonElement),
      element("away-list", HTMLElement),
      element("away-change", HTMLTemplateElement),
      () => this.#focusList(),
    );
    this.#news = News.of(root, { order: null, say: (changes) => this.#notices.say(changes) });
    this.#connection = new Connection(root, this.#badge, this.#news, {
      query: () => root.dataset["query"] ?? "",
      // of what is offered it is asked whether it is there still
      visible: () => [...this.#patch.lines().map(orderOf), ...this.#placement.entered].slice(0, this.#mostRows),
      list: () => this.#placement,
      isTrue: () => true,
      state: (summary) => this.#patch.summary(summary),
      caughtUp: (changes) => this.#customers(changes),
      missed: (missed, wasAway) => this.#tellMissed(missed, wasAway),
      patched: (patch) => this.#patched(patch),
      answered: (answer, later) => this.#answered(answer, later),
      ended: () => this.#notices.offer(""),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    tickAges(this.#root);
    this.#inStatus.start();
    new Keyboard(this.#root).start();
    enhancePicks(this.#root);
    if (this.#grows) this.#root.addEventListener("pointerout", () => this.#announce());
    if (this.#grows) this.#root.addEventListener("focusout", () => setTimeout(() => this.#announce()));
    this.#news?.start();
    this.#connection.start();
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

  /** @param {PatchEvent} patch */
  #patched(patch) {
    let mustRead = false;
    for (const row of patch.orders) {
      const changes = patch.changes.filter((change) => change.order_id === row.id);
      const line = this.#patch.line(row.id);
      this.#patch.row(row);
      if (line) this.#inStatus.note(line, changes);
      this.#placement.note(row, changes.some(canMove));
      // the customer of an order that comes back may have changed while it was away
      mustRead ||= line !== null && changes.some(({ operation }) => ARRIVALS.has(operation));
      mustRead ||= line !== null && !row.removed && isReassigned(row, line);
    }
    this.#customers(patch.changes);
    if (this.#placement.asksServer) this.#connection.readSoon();
    // what happened comes before what is offered for it
    this.#notices.say(patch.changes);
    this.#announce();
    this.#badge.changed();
    return mustRead;
  }

  /**
   * @param {Answer} answer
   * @param {PatchEvent[]} later what was told since, and shown already
   */
  #answered(answer, later) {
    const told = new Map(later.flatMap(({ orders }) => orders.map((row) => [row.key, row])));
    answer.visible.forEach((row) => this.#patch.row(newer(row, told.get(row.key))));
    this.#inStatus.show();
    this.#placement.read(answer.orders, answer.visible);
    for (const { orders, changes } of later) {
      for (const row of orders) {
        this.#placement.note(row, changes.some((change) => change.order_key === row.key && canMove(change)));
      }
    }
    this.#announce();
  }

  /** Says what the list lacks; a list that may grow takes what is new at once, unless somebody is at it. */
  #announce() {
    if (this.#connection.isOver) return;
    this.#notices.offer(this.#placement.words);
    const isNew = [...this.#placement.entered].some((id) => !this.#waiting.has(id));
    if (isNew && this.#grows && this.#root.dataset["page"] === "1" && !this.#isAttended) void this.#grow();
  }

  /** Whether somebody points at a row or has the focus in one. The list itself has the focus after it was read anew. */
  get #isAttended() {
    return element("orders-list", HTMLElement).matches(":hover, :has(:focus)");
  }

  /** Adds the rows of orders that entered, each where the server has it. */
  async #grow() {
    const entered = new Set(this.#placement.entered);
    const fresh = await this.#read();
    if (!fresh || this.#isAttended) return;
    this.#waiting = entered;
    const lines = [...fresh.list.querySelectorAll("tr[data-order-id]")].filter((line) => line instanceof HTMLElement);
    const added = lines.filter((line) => this.#placement.entered.has(orderOf(line)));
    const last = lines.at(-1);
    const isCut = last !== undefined && added.includes(last) && fresh.root.dataset["page"] !== fresh.root.dataset["totalPages"];
    // what belongs between the last of them and the rows that are shown is on the next page
    if (isCut && !this.#root.hasAttribute("data-selecting")) this.#replace(fresh);
    else if (!isCut && added.length > 0 && added.length + this.#patch.lines().length <= this.#mostRows) this.#insert(lines, added);
    // what entered meanwhile
    this.#announce();
  }

  /**
   * @param {HTMLElement[]} lines as the server has them
   * @param {HTMLElement[]} added those of them that are new
   */
  #insert(lines, added) {
    const body = element("orders-table-tbody", HTMLElement);
    const inserted = [];
    /** @type {HTMLElement | null} */
    let before = null;
    for (const line of lines) {
      const shown = this.#patch.line(orderOf(line));
      if (shown) before = shown;
      else if (added.includes(line)) {
        const imported = document.importNode(line, true);
        if (before) before.after(imported);
        else body.prepend(imported);
        before = imported;
        inserted.push(imported);
      }
    }
    this.#placement.admit(inserted);
    showAge(this.#root);
    this.#inStatus.show();
    inserted.forEach((line) => flash(line));
    this.#root.querySelector(".empty")?.remove();
    this.#root.dispatchEvent(new Event(ROWS_CHANGED));
    this.#connection.listChanged();
  }

  /** @param {Change[]} changes */
  #customers(changes) {
    for (const { order_id, changed } of changes) {
      const name = changed.find(({ field }) => field === "customer_name")?.to;
      if (typeof name === "string") this.#patch.customer(order_id, name);
    }
  }

  /** Reads the list anew, as the person asked for, in place of the one shown. */
  async #reloadList() {
    if (this.#reloading) return;
    const fresh = await this.#read();
    if (!fresh) {
      this.#connection.retry();
      return;
    }
    this.#replace(fresh);
    this.#focusList();
  }

  #focusList() {
    element("orders-list", HTMLElement).focus({ preventScroll: true });
  }

  /**
   * The list as it would be loaded now; nothing if that can't be had, or is on its way already.
   * @returns {Promise<{ root: HTMLElement, list: HTMLElement } | null>}
   */
  async #read() {
    if (this.#reloading || this.#connection.isOver) return null;
    this.#reloading = true;
    try {
      const page = await freshPage(location.pathname + (this.#root.dataset["query"] ?? ""));
      const root = page?.getElementById(this.#root.id);
      const list = page?.getElementById("orders-list");
      const isRight = root && isForTheSame(root, this.#root) && !this.#connection.isOver;
      return isRight && list ? { root, list } : null;
    } finally {
      this.#reloading = false;
    }
  }

  /** @param {{ root: HTMLElement, list: HTMLElement }} fresh */
  #replace({ root, list }) {
    const shown = element("orders-list", HTMLElement);
    const imported = document.importNode(list, true);
    keepSelected(shown, imported);
    shown.replaceWith(imported);
    for (const name of ["page", "totalPages", "query", "sort"]) this.#root.dataset[name] = root.dataset[name] ?? "";
    this.#placement = new Placement(this.#root, this.#patch.lines());
    this.#waiting = new Set();
    showAge(this.#root);
    this.#inStatus.show();
    this.#notices.offer("");
    this.#root.dispatchEvent(new Event(ROWS_CHANGED));
    this.#connection.listChanged();
  }
}

/**
 * What is selected in a list is selected in the one that takes its place, as far as that has it.
 * @param {HTMLElement} shown
 * @param {HTMLElement} fresh
 */
function keepSelected(shown, fresh) {
  for (const box of shown.querySelectorAll("input[name=order]:checked")) {
    const id = box.closest("tr")?.dataset["orderId"];
    const same = fresh.querySelector(`tr[data-order-id="${id}"] input[name=order]`);
    if (same instanceof HTMLInputElement) same.checked = true;
  }
}

/**
 * A row as it was told after it was read; of what a patch does not tell, only the read knows anything.
 * @param {Row | GoneRow} read
 * @param {Row | GoneRow} [told]
 * @returns {Row | GoneRow}
 */
function newer(read, told = read) {
  if (read.removed || told.removed || read.status !== told.status) return told;
  return { ...read, ...told };
}

/** @param {HTMLElement} line */
function orderOf(line) {
  return Number(line.dataset["orderId"]);
}

/** @param {Change} change */
function canMove({ operation, changed }) {
  return ARRIVALS.has(operation) || changed.some(({ field }) => PLACING.has(field));
}
