/** @import { Answer, Row, Summary } from "../base/types.js" */
/** @import { KnownRow } from "./book.js" */
/** @import { InStatus } from "./in_status.js" */
import { amountText, countText } from "../base/amount.js";
import { part } from "../base/dom.js";
import { showAge, write } from "../base/time.js";
import { flash, showPrevious } from "../base/flash.js";

/** Which element has which figure; the statuses' have theirs by the status. */
const FIGURES = new Map([
  ["total_orders", "stat-total-orders"],
  ["pending_orders", "stat-pending-orders"],
  ["processing_orders", "stat-processing-orders"],
  ["delivered_orders", "stat-delivered-orders"],
  ["cancelled_orders", "stat-cancelled-orders"],
  ["total_revenue", "stat-total-revenue"],
]);

/** What sticks to the top of the window and covers rows that scroll below it. */
const STICKY = [".controls", ".notices"];

/**
 * The texts of a row, by the names that their places have; `gone` is said of an order that is.
 * @type {[string, (row: KnownRow, gone: string) => string | undefined][]}
 */
const TEXTS = [
  ["order_number", (row) => row.order_number],
  ["customer_name", (row) => row.customer_name],
  ["sales_rep", (row) => (row.sales_rep_id === null ? "–" : row.sales_rep)],
  ["created_at_display", (row) => row.created_at_display ?? "–"],
  ["status_display", (row, gone) => (row.isGone ? gone : row.status_display)],
  ["payment_status_display", (row) => row.payment_status_display],
  ["items_count", (row) => String(row.items_count)],
  ["total_amount", (row) => amountText(row.total_amount)],
];

/**
 * The page as our own server writes it. Everything that is known of its elements is known here: others say what is to be seen,
 * and of which order. It never builds HTML: a row that comes is made from the server's template.
 */
export class Markup {
  #root;
  #body = part(document, "#orders-table-tbody", HTMLElement);
  /** The rows by their orders, as far as they were looked for. @type {Map<string, HTMLElement>} */
  #lines = new Map();

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /**
   * What the page shows at the start, as the server told it.
   * @returns {Summary & { orders: Row[], total: number } | null} null where it did not
   */
  rows() {
    const { firstAnswer } = this.#root.dataset;
    return firstAnswer ? JSON.parse(firstAnswer) : null;
  }

  /**
   * Shows a row as it is now. Texts of it that changed are marked, with what they were.
   * @param {KnownRow} row
   * @param {KnownRow | undefined} before as it was shown last; nothing of a row that is new
   */
  show(row, before) {
    const line = this.#line(row.key);
    if (!line) return;
    const { status, payment_status, created_at } = row;
    line.dataset["status"] = status;
    line.dataset["paymentStatus"] = payment_status;
    line.querySelector("time")?.setAttribute("datetime", created_at ?? "");
    for (const action of line.querySelectorAll("[data-while]")) {
      action.toggleAttribute("hidden", !action.getAttribute("data-while")?.split(" ").includes(status));
    }
    const box = this.#box(row.key);
    if (box) box.value = `${row.key}:${status}:${payment_status}`;
    const gone = this.#root.dataset["gone"] ?? "";
    for (const [name, text] of TEXTS) {
      const [from, to] = [before && text(before, gone), text(row, gone)];
      if (to !== undefined && from !== to) this.#text(line, name, from, to);
    }
    for (const action of line.querySelectorAll(".action")) action.setAttribute("aria-label", `${action.textContent} ${row.order_number}`);
    box?.setAttribute("aria-label", `Select ${row.order_number}`);
    showAge(line);
  }

  /**
   * With a row whose order is gone nothing can be done.
   * @param {string} key
   * @param {boolean} isGone false where it came back
   */
  gone(key, isGone) {
    this.#line(key)?.toggleAttribute("data-removed", isGone);
    const box = this.#box(key);
    if (!box) return;
    box.disabled = isGone;
    box.checked &&= !isGone;
  }

  /**
   * @param {string} name
   * @param {number | null} value
   * @param {boolean} isChange whether it was another before
   */
  figure(name, value, isChange) {
    const figure = document.getElementById(FIGURES.get(name) ?? `status-count-${name}`);
    if (!figure) return;
    figure.textContent = name === "total_revenue" ? amountText(value) : countText(value ?? 0);
    if (isChange) flash(figure.closest(".card") ?? figure);
  }

  /** @param {Summary["orders_by_status"]} counts */
  bar(counts) {
    const entries = Object.entries(counts);
    const placed = segments(entries.map(([, { count }]) => count));
    entries.forEach(([code], at) => {
      const segment = this.#root.querySelector(`rect[data-status="${CSS.escape(code)}"]`);
      segment?.setAttribute("x", `${placed[at]?.start}%`);
      segment?.setAttribute("width", `${placed[at]?.width}%`);
    });
  }

  /** Whether rows can be added. */
  get canPlace() {
    return this.#body.isConnected && this.#template !== null;
  }

  get #template() {
    return part(document, "#order-row", HTMLTemplateElement).content.querySelector("tr");
  }

  /**
   * Adds the row of an order before that of another one, or at the end.
   * @param {KnownRow} row
   * @param {string | undefined} next
   */
  place(row, next) {
    if (!this.#template) return;
    const line = document.importNode(this.#template, true);
    line.dataset["orderId"] = row.key;
    for (const link of line.querySelectorAll("a")) {
      const pattern = link.getAttribute("href") ?? "";
      const [place, id] = pattern.includes("{id}") ? ["{id}", row.key] : ["/0/", `/${row.key}/`];
      link.setAttribute("href", pattern.replaceAll(place, id));
    }
    this.#root.querySelector(".empty")?.remove();
    const below = next === undefined ? null : this.#line(next);
    if (below) below.before(line);
    else this.#body.append(line);
    this.show(row, undefined);
    flash(line);
  }

  /**
   * Says how long an order has been in its status.
   * @param {string} key
   * @param {InStatus | null} state
   */
  inStatus(key, state) {
    const place = this.#line(key)?.querySelector(".in-status");
    if (!place) return;
    if (state) place.setAttribute("datetime", state.since);
    else place.removeAttribute("datetime");
    place.toggleAttribute("data-late", state?.isLate ?? false);
    write(place, state?.words ?? "", state?.title ?? "");
  }

  /**
   * Which of the list's orders are shown, on which of how many pages.
   * @param {{ range: string, page: number, pages: number }} shown
   */
  paging({ range, page, pages }) {
    const [place, of] = [".range", ".page"].map((css) => this.list.querySelector(`.paging ${css}`));
    if (place) place.textContent = range;
    if (of) of.textContent = `Page ${countText(page)} of ${countText(pages)}`;
    this.list.querySelector("[rel=next]")?.toggleAttribute("hidden", page >= pages);
  }

  /** The list with all that is of it. */
  get list() {
    return part(document, "#orders-list", HTMLElement);
  }

  /**
   * Shows the list of a page that was read anew in place of this one.
   * @param {HTMLElement} fresh the root of that page
   * @param {() => void} shown
   */
  async exchange(fresh, shown) {
    const list = fresh.querySelector("#orders-list");
    if (!list) return;
    const replace = () => {
      this.list.replaceWith(document.importNode(list, true));
      this.#body = part(document, "#orders-table-tbody", HTMLElement);
      this.#lines.clear();
      for (const name of ["page", "totalPages", "query", "sort", "firstAnswer"]) this.#root.dataset[name] = fresh.dataset[name] ?? "";
      showAge(this.#root);
      shown();
    };
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (isStill || !("startViewTransition" in document)) replace();
    else await document.startViewTransition(replace).updateCallbackDone;
  }

  /**
   * Puts the cursor on the row of an order, clear of what sticks to the window's edge.
   * @param {string} key
   */
  focus(key) {
    const line = this.#line(key);
    const link = line?.querySelector("a");
    if (!line || !link) return false;
    link.focus({ preventScroll: true });
    line.scrollIntoView({ block: "nearest" });
    const edges = STICKY.map((css) => document.querySelector(css)?.getBoundingClientRect().bottom ?? 0);
    const covered = Math.ceil(Math.max(...edges) - line.getBoundingClientRect().top);
    if (covered > 0) window.scrollBy(0, -covered);
    return true;
  }

  /** The orders that are shown, from the top. */
  get keys() {
    return [...this.#root.querySelectorAll("tr[data-order-id]")].map((line) => this.keyOf(line));
  }

  /**
   * The order of the row that an element is in; empty where it is in none.
   * @param {Element | null} element
   */
  keyOf(element) {
    return element?.closest("tr")?.dataset["orderId"] ?? "";
  }

  /** @returns {HTMLInputElement[]} the boxes of all orders that can be selected */
  get boxes() {
    return /** @type {HTMLInputElement[]} */ ([...this.#root.querySelectorAll("input[name=order]:enabled")]);
  }

  /** @param {string} key */
  #box(key) {
    const box = this.#line(key)?.querySelector("input[name=order]");
    return box instanceof HTMLInputElement ? box : null;
  }

  /**
   * @param {string} key
   * @returns {HTMLElement | null}
   */
  #line(key) {
    const known = this.#lines.get(key);
    if (known?.isConnected) return known;
    /** @type {HTMLElement | null} */
    const found = this.#root.querySelector(`tr[data-order-id="${CSS.escape(key)}"]`);
    if (found) this.#lines.set(key, found);
    return found;
  }

  /**
   * @param {HTMLElement} line
   * @param {string} name
   * @param {string | undefined} from nothing where it was not shown before
   * @param {string} to
   */
  #text(line, name, from, to) {
    const place = line.querySelector(`[data-text="${name}"]`);
    if (!place) return;
    place.textContent = to;
    if (from === undefined) return;
    const cell = place.closest("td");
    if (cell) showPrevious(cell, from, to);
    flash(cell ?? place);
  }
}

/**
 * Where each count has its segment of the bar, in percent, as in the server's page: `tests/cases/bars.json`.
 * @param {number[]} counts
 */
export function segments(counts) {
  const listed = counts.reduce((sum, count) => sum + count, 0);
  let end = 0;
  return counts.map((count) => {
    const width = listed > 0 ? (100 * count) / listed : 0;
    const start = end;
    end += width;
    return { start, width };
  });
}
