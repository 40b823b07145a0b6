/** @import { Answer, Change, Patch as PatchEvent, Summary } from "./types.js" */
import { tickAges, showAge } from "./age.js";
import { Away } from "./away.js";
import { Badge } from "./badge.js";
import { Connection } from "./connection.js";
import { element } from "./element.js";
import { flash } from "./flash.js";
import { freshPage } from "./fresh.js";
import { InStatus } from "./in_status.js";
import { Keyboard } from "./keyboard.js";
import { News } from "./news.js";
import { Notices } from "./notices.js";
import { Patch, isReassigned } from "./patch.js";
import { enhancePicks } from "./pick.js";
import { Placement } from "./placement.js";

/** Operations that can bring an order onto a list that it was not on. */
const ARRIVALS = new Set(["insert", "arrived"]);

/** What a list that the page places by itself is filtered or ordered by. */
const PLACING = new Set(["status", "payment_status", "total_amount", "created_at"]);

/** New orders may be added to a list that has fewer rows than this. */
const MOST_ROWS = 100;

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
  /** Whether new orders are added at the top while nobody is at the list. */
  #grows;

  /**
   * @param {HTMLElement} root `#sales-rep-orders-dashboard`, or another of its kind
   * @param {boolean} grows whether the list is the person's to grow
   */
  constructor(root, grows = false) {
    this.#root = root;
    this.#grows = grows;
    this.#patch = new Patch(root);
    this.#inStatus = new InStatus(root);
    this.#placement = new Placement(root, this.#patch.lines());
    this.#badge = new Badge(root, element("live-badge", HTMLElement), Number(root.dataset["pollInterval"]));
    this.#notices = new Notices(
      element("list-notice", HTMLButtonElement),
      element("live-region", HTMLElement),
      () => void this.#reloadList(),
    );
    this.#away = new Away(
      element("away", HTMLElement),
      element("away-line", HTMLButtonElement),
      element("away-list", HTMLElement),
      element("away-change", HTMLTemplateElement),
      () => element("orders-list", HTMLElement).focus({ preventScroll: true }),
    );
    this.#news = News.of(root, { order: null, say: (changes) => this.#notices.say(changes) });
    this.#connection = new Connection(root, this.#badge, this.#news, {
      query: () => root.dataset["query"] ?? "",
      visible: () => this.#patch.lines().map((line) => Number(line.dataset["orderId"])),
      list: () => this.#placement,
      isTrue: () => true,
      state: (summary) => this.#patch.summary(summary),
      caughtUp: (changes) => this.#customers(changes),
      missed: (missed, wasAway) => this.#tellMissed(missed, wasAway),
      patched: (patch) => this.#patched(patch),
      answered: (answer) => this.#answered(answer),
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
    this.#announce();
    this.#notices.say(patch.changes);
    this.#badge.changed();
    return mustRead;
  }

  /** @param {Answer} answer */
  #answered(answer) {
    answer.visible.forEach((row) => this.#patch.row(row));
    this.#inStatus.show();
    this.#placement.read(answer.orders, answer.visible);
    this.#announce();
  }

  /** Says what the list lacks; a list that may grow takes what is new at once, unless somebody is at it. */
  #announce() {
    this.#notices.offer(this.#placement.words);
    const canGrow = this.#grows && this.#root.dataset["page"] === "1" && this.#patch.lines().length < MOST_ROWS;
    const list = element("orders-list", HTMLElement);
    if (canGrow && this.#placement.entered.size > 0 && !list.matches(":hover, :focus-within")) void this.#grow();
  }

  /** Adds the rows of orders that entered, each where the server has it. */
  async #grow() {
    if (this.#reloading) return;
    this.#reloading = true;
    try {
      const fresh = await freshPage(location.pathname + (this.#root.dataset["query"] ?? ""));
      if (!fresh) return;
      const body = element("orders-table-tbody", HTMLElement);
      const isNew = (/** @type {Element} */ line) =>
        this.#placement.entered.has(Number(line instanceof HTMLElement ? line.dataset["orderId"] : ""));
      /** @type {Element | null} */
      let next = null;
      const grown = [];
      for (const line of [...fresh.querySelectorAll("#orders-table-tbody tr")].reverse()) {
        const shown = this.#patch.line(Number(line instanceof HTMLElement ? line.dataset["orderId"] : ""));
        if (shown) next = shown;
        else if (isNew(line)) {
          const imported = document.importNode(line, true);
          body.insertBefore(imported, next ?? null);
          next = imported;
          if (imported instanceof HTMLElement) grown.push(imported);
        }
      }
      this.#placement.admit(grown);
      showAge(this.#root);
      this.#inStatus.show();
      grown.forEach((line) => flash(line));
      this.#root.querySelector(".empty")?.remove();
      this.#notices.offer(this.#placement.words);
      if (grown.length > 0) this.#connection.listChanged();
    } finally {
      this.#reloading = false;
    }
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
    this.#reloading = true;
    try {
      const fresh = await freshPage(location.pathname + (this.#root.dataset["query"] ?? ""));
      const list = fresh?.getElementById("orders-list");
      const root = fresh?.getElementById(this.#root.id);
      if (!list || !root) {
        this.#connection.retry();
        return;
      }
      const imported = document.importNode(list, true);
      element("orders-list", HTMLElement).replaceWith(imported);
      for (const name of ["page", "totalPages", "query", "sort"]) this.#root.dataset[name] = root.dataset[name] ?? "";
      this.#placement = new Placement(this.#root, this.#patch.lines());
      showAge(this.#root);
      this.#inStatus.show();
      this.#notices.offer("");
      imported.focus({ preventScroll: true });
      this.#connection.listChanged();
    } finally {
      this.#reloading = false;
    }
  }
}

/** @param {Change} change */
function canMove({ operation, changed }) {
  return ARRIVALS.has(operation) || changed.some(({ field }) => PLACING.has(field));
}
