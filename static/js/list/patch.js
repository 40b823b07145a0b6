/** @import { Row, GoneRow, Summary } from "../base/types.js" */
import { amountText } from "../base/amount.js";
import { flash } from "../base/flash.js";
import { showAge } from "../base/time.js";
import { showPrevious } from "../base/change_mark.js";

const CARDS = {
  total_orders: "stat-total-orders",
  pending_orders: "stat-pending-orders",
  processing_orders: "stat-processing-orders",
  delivered_orders: "stat-delivered-orders",
  cancelled_orders: "stat-cancelled-orders",
};

/** What the list's root is told when rows came or went, or an order of theirs did. */
export const ROWS_CHANGED = "rowschanged";

/**
 * Whether a row of a list of all orders is somebody else's than its line says.
 * @param {Row} row
 * @param {HTMLElement} line
 */
export function isReassigned(row, line) {
  const rep = line.dataset["rep"];
  return rep !== undefined && row.sales_rep_id !== undefined && String(row.sales_rep_id ?? "") !== rep;
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

/** Sets the texts and attributes of the page to what the server says. It never builds HTML and never moves a row. */
export class Patch {
  #root;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Cards, breakdown and bar.
   * @param {Summary} summary
   */
  summary({ statistics, orders_by_status }) {
    for (const [name, id] of Object.entries(CARDS)) this.#figure(id, String(statistics[name]));
    this.#figure("stat-total-revenue", amountText(statistics["total_revenue"] ?? null));
    const entries = Object.entries(orders_by_status);
    const placed = segments(entries.map(([, { count }]) => count));
    entries.forEach(([code, { count }], at) => {
      this.#figure(`status-count-${code}`, String(count));
      const segment = this.#root.querySelector(`rect[data-status="${CSS.escape(code)}"]`);
      segment?.setAttribute("x", `${placed[at]?.start}%`);
      segment?.setAttribute("width", `${placed[at]?.width}%`);
    });
  }

  /**
   * One visible row; other orders are ignored.
   * @param {Row | GoneRow} row
   */
  row(row) {
    const line = this.line(row.id);
    if (!line) return;
    this.#mark(line, row.removed ?? false);
    if (row.removed) {
      this.#text(line, "status_display", this.#root.dataset["gone"] ?? "");
      return;
    }
    // a patch does not tell since when, but what changed it
    if (row.status_since !== undefined) line.dataset["statusSince"] = row.status_since ?? "";
    else if (line.dataset["status"] !== row.status) delete line.dataset["statusSince"];
    line.dataset["status"] = row.status;
    for (const action of line.querySelectorAll("[data-while]")) {
      const statuses = action.getAttribute("data-while")?.split(" ");
      action.toggleAttribute("hidden", !statuses?.includes(row.status));
    }
    line.dataset["paymentStatus"] = row.payment_status;
    line.dataset["createdAt"] = row.created_at ?? "";
    this.#text(line, "order_number", row.order_number);
    for (const action of line.querySelectorAll(".action")) action.setAttribute("aria-label", `${action.textContent} ${row.order_number}`);
    if (row.customer_name !== undefined) this.#text(line, "customer_name", row.customer_name);
    if (isReassigned(row, line) && row.sales_rep !== undefined) {
      line.dataset["rep"] = String(row.sales_rep_id ?? "");
      this.#text(line, "sales_rep", row.sales_rep);
    }
    const selected = line.querySelector("input[name=order]");
    if (selected instanceof HTMLInputElement) selected.value = `${row.id}:${row.status}:${row.payment_status}`;
    this.#text(line, "created_at_display", row.created_at_display ?? "–");
    this.#text(line, "status_display", row.status_display);
    this.#text(line, "payment_status_display", row.payment_status_display);
    this.#text(line, "items_count", String(row.items_count));
    this.#text(line, "total_amount", amountText(row.total_amount));
    line.querySelector("time")?.setAttribute("datetime", row.created_at ?? "");
    showAge(line);
  }

  /**
   * The customer of a visible row: the API's rows do not have it, the changes do.
   * @param {number} id
   * @param {string} name
   */
  customer(id, name) {
    const line = this.line(id);
    if (line) this.#text(line, "customer_name", name);
  }

  /**
   * The visible row of an order.
   * @param {number} id
   * @returns {HTMLElement | null}
   */
  line(id) {
    return this.#root.querySelector(`tr[data-order-id="${id}"]`);
  }

  /** @returns {HTMLElement[]} every row, in the order shown */
  lines() {
    return [...this.#root.querySelectorAll("tr[data-order-id]")].filter((line) => line instanceof HTMLElement);
  }

  /**
   * With a row whose order is gone nothing can be done.
   * @param {HTMLElement} line
   * @param {boolean} isGone false where it came back
   */
  #mark(line, isGone) {
    if (line.hasAttribute("data-removed") === isGone) return;
    line.toggleAttribute("data-removed", isGone);
    const box = line.querySelector("input[name=order]");
    if (box instanceof HTMLInputElement) {
      box.disabled = isGone;
      box.checked &&= !isGone;
    }
    this.#root.dispatchEvent(new Event(ROWS_CHANGED));
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  #figure(id, text) {
    const figure = document.getElementById(id);
    if (!figure || figure.textContent === text) return;
    figure.textContent = text;
    flash(figure.closest(".card") ?? figure);
  }

  /**
   * @param {HTMLElement} line
   * @param {string} name
   * @param {string} text
   */
  #text(line, name, text) {
    const place = line.querySelector(`[data-text="${name}"]`);
    if (!place || place.textContent === text) return;
    const cell = place.closest("td");
    if (cell) showPrevious(cell, place.textContent, text);
    place.textContent = text;
    flash(cell ?? place);
  }
}
