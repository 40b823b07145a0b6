/** @import { Row } from "../base/types.js" */
/** @import { KnownRow } from "../list/book.js" */
/** @import { Action, Column, Kind } from "./kinds.js" */
import { flash } from "../base/flash.js";
import { paymentColour, statusColour } from "./colours.js";
import { columnsOf } from "./kinds.js";
import { showPaging } from "./paging.js";
import { seen, shopAmount, shopItems } from "./words.js";

/** An address of something else that can be done with an order. */
const ORDER = /\/orders\/(?:pharmacist\/)?orders\/(\d+)(?:\/|$)/;

/**
 * The page as the shop writes it, which knows nothing of us: rows are told by where they lead. Whatever is not there is left out,
 * and nothing else for it. Texts are written as texts; what is as it should be is not touched.
 */
export class HostMarkup {
  #kind;
  /** The shop's own elements by which something is done with an order. @type {Map<Action, Element>} */
  #models = new Map();

  /** @param {Kind} kind */
  constructor(kind) {
    this.#kind = kind;
    for (const action of kind.actions) {
      const model = action.status && this.#body && action.link.leadingFrom(this.#body);
      if (model) this.#models.set(action, model);
    }
  }

  /** The orders that are shown, from the top. */
  get keys() {
    return this.#lines.map((line) => this.#keyOf(line)).filter((key) => key !== "");
  }

  /** Whether rows can be added. */
  get canPlace() {
    return this.#body !== null;
  }

  /**
   * Shows a row as it is now. What changed is marked.
   * @param {KnownRow} row
   * @param {KnownRow | undefined} before as it was shown last; nothing of a row that is new
   */
  show(row, before) {
    const line = this.#line(row.key);
    const body = this.#body;
    if (!line || !body) return;
    columnsOf(this.#kind, body).forEach((column, at) => {
      const cell = line.cells[at];
      if (cell) this.#fill(cell, column, row, before);
    });
  }

  /**
   * With an order that is gone nothing can be done.
   * @param {string} key
   * @param {boolean} isGone false where it came back
   */
  gone(key, isGone) {
    this.#line(key)?.classList.toggle("oncare-live-gone", isGone);
  }

  /**
   * @param {string} name
   * @param {number | null} value
   * @param {boolean} isChange whether it was another before
   */
  figure(name, value, isChange) {
    for (const id of placesOf(name)) {
      const figure = document.getElementById(id);
      if (figure) write(figure, name === "total_revenue" ? shopAmount(value) : String(value ?? 0), isChange);
    }
  }

  /**
   * Has the row of an order before that of another one, or at the end.
   * @param {KnownRow} row
   * @param {string | undefined} next
   */
  place(row, next) {
    const body = this.#body;
    if (!body) return;
    const below = next === undefined ? null : this.#line(next);
    const known = this.#line(row.key);
    const line = known ?? this.#made(body, row);
    // one that stands where it should keeps its focus
    if (!known || line.nextElementSibling !== below) body.insertBefore(line, below);
    if (known) return;
    this.show(row, undefined);
    flash(line);
  }

  /**
   * Only these orders have rows; nor is it said that there are none, if there are.
   * @param {Set<string>} keys
   */
  keepOnly(keys) {
    for (const line of this.#lines) {
      const isMessage = line.cells.length === 1 && this.#keyOf(line) === "";
      if (isMessage ? keys.size > 0 : !keys.has(this.#keyOf(line))) line.remove();
    }
    if (keys.size === 0 && this.#lines.length === 0) this.#sayEmpty();
  }

  /**
   * On which of how many pages the list is, and which list that is.
   * @param {number} page
   * @param {number} pages
   * @param {string} query as the API is asked for it
   */
  paging(page, pages, query) {
    if (!this.#kind.hasFilter) return;
    const table = this.#body?.closest("table") ?? null;
    showPaging(page, pages, query, table?.closest(".table-responsive") ?? table);
  }

  get #body() {
    return document.getElementById(this.#kind.table);
  }

  get #lines() {
    return /** @type {HTMLTableRowElement[]} */ ([...(this.#body?.querySelectorAll("tr") ?? [])]);
  }

  /** @param {string} key */
  #line(key) {
    return this.#lines.find((line) => this.#keyOf(line) === key) ?? null;
  }

  /** @param {HTMLTableRowElement} line */
  #keyOf(line) {
    const links = [this.#kind.order, ...this.#kind.actions.map(({ link }) => link)];
    for (const element of line.querySelectorAll("[href], [action]")) {
      const key = links.map((link) => link.keyIn(element)).find((known) => known !== "") ?? ORDER.exec(element.getAttribute("href") ?? "")?.[1];
      if (key) return key;
    }
    const [first] = line.cells;
    return (first && /^#(\d+)$/.exec(seen(first))?.[1]) ?? "";
  }

  #sayEmpty() {
    const line = document.createElement("tr");
    const cell = document.createElement("td");
    cell.colSpan = this.#kind.columns.length;
    cell.className = "text-center text-muted py-4";
    cell.textContent = "No orders found";
    line.append(cell);
    this.#body?.append(line);
  }

  /**
   * A row of empty cells, in which it is known what belongs where.
   * @param {HTMLElement} body
   * @param {Row} row
   */
  #made(body, row) {
    const line = document.createElement("tr");
    for (const column of columnsOf(this.#kind, body)) {
      const cell = document.createElement("td");
      if (column === "actions") {
        for (const action of this.#kind.actions) if (!action.status) cell.append(button(action, row.key), " ");
      }
      if (column === "status" || column === "payment") cell.append(made("span", "badge"));
      if (column === "order") {
        const link = made("a", "text-decoration-none");
        link.setAttribute("href", this.#kind.order.of(row.key));
        link.textContent = this.#kind.isNumbered ? `#${row.key}` : row.order_number;
        cell.append(link);
      }
      line.append(cell);
    }
    return line;
  }

  /**
   * @param {HTMLTableCellElement} cell
   * @param {Column | undefined} column
   * @param {KnownRow} row
   * @param {KnownRow | undefined} before
   */
  #fill(cell, column, row, before) {
    switch (column) {
      case "order":
        return rename(cell, row, before);
      case "customer":
        return write(cell, row.customer_name ?? seen(cell), isOther(before?.customer_name, row.customer_name));
      case "rep":
        return nameRep(cell, row, before);
      case "created":
        return write(cell, row.created_at_display ?? "–", isOther(before?.created_at_display, row.created_at_display));
      case "status":
        return paint(cell, row.status_display, statusColour(row.status), isOther(before?.status, row.status));
      case "payment":
        return paint(cell, row.payment_status_display, paymentColour(row.payment_status), isOther(before?.payment_status, row.payment_status));
      case "items":
        return write(cell, shopItems(row.items_count, this.#itemsLike(cell)), isOther(before?.items_count, row.items_count));
      case "total":
        return write(cell, shopAmount(row.total_amount), isOther(before?.total_amount, row.total_amount));
      case "actions":
        for (const action of this.#kind.actions) if (action.status) this.#offer(cell, action, row);
    }
  }

  /**
   * What stands where the number of items belongs, or in that place of another row.
   * @param {HTMLTableCellElement} cell
   */
  #itemsLike(cell) {
    const others = this.#lines.map(({ cells }) => cells[cell.cellIndex]);
    return [cell, ...others].map((other) => (other ? seen(other) : "")).find((text) => text !== "") ?? "";
  }

  /**
   * @param {HTMLTableCellElement} cell
   * @param {Action} action
   * @param {KnownRow} row
   */
  #offer(cell, action, row) {
    const present = action.link.leadingFrom(cell);
    const isOffered = row.status === action.status && !row.isGone;
    if (!isOffered) present?.remove();
    else if (!present) (cell.querySelector(".btn-group") ?? cell).append(" ", this.#copied(action, row.key) ?? button(action, row.key));
  }

  /**
   * What the shop shows for it in another row, for this order.
   * @param {Action} action
   * @param {string} key
   */
  #copied(action, key) {
    const copy = this.#models.get(action)?.cloneNode(true);
    if (!(copy instanceof Element)) return null;
    action.link.lead(copy, key);
    return copy;
  }
}

/**
 * Where a figure may stand: the shop has its names with hyphens, and of others shorter ones are understood.
 * @param {string} name of a figure of the statistics, or the code of a status
 */
function placesOf(name) {
  const isStatistic = name.endsWith("_orders") || name === "total_revenue";
  const names = isStatistic ? [name, name.replace(/^total_(?=revenue$)|_orders$/, "")] : [name];
  const ids = names.flatMap((one) => [one, one.replaceAll("_", "-")]);
  return new Set(ids.map((id) => (isStatistic ? `stat-${id}` : `status-count-${id}`)));
}

/**
 * @template T
 * @param {T | undefined} before
 * @param {T} now
 */
function isOther(before, now) {
  return before !== undefined && before !== now;
}

/**
 * @param {Element} place
 * @param {string} text
 * @param {boolean} isChange
 */
function write(place, text, isChange) {
  if (seen(place) === text) return;
  place.textContent = text;
  if (isChange) flash(place);
}

/**
 * @param {HTMLTableCellElement} cell
 * @param {string} text
 * @param {string} colour
 * @param {boolean} isChange
 */
function paint(cell, text, colour, isChange) {
  const badge = cell.querySelector(".badge");
  if (!badge) return;
  const others = [...badge.classList].filter((name) => /^(text-)?bg-/.test(name) && name !== `bg-${colour}`);
  badge.classList.remove(...others);
  badge.classList.add(`bg-${colour}`);
  if (seen(badge) !== text) badge.textContent = text;
  if (isChange) flash(cell);
}

/**
 * An order that is called by its number may be given another one.
 * @param {HTMLTableCellElement} cell
 * @param {KnownRow} row
 * @param {KnownRow | undefined} before
 */
function rename(cell, row, before) {
  const place = cell.querySelector("a") ?? cell;
  if (before && seen(place) === before.order_number) write(place, row.order_number, true);
}

/**
 * The shop may call its reps otherwise than we do, so that what it wrote stays until the order is another's.
 * @param {HTMLTableCellElement} cell
 * @param {KnownRow} row
 * @param {KnownRow | undefined} before
 */
function nameRep(cell, row, before) {
  const isChange = isOther(before?.sales_rep_id, row.sales_rep_id);
  if (isChange || seen(cell) === "") write(cell, row.sales_rep ?? "-", isChange);
}

/**
 * @param {Action} action
 * @param {string} key
 */
function button({ words, link, style, icon }, key) {
  const element = made("a", `btn btn-sm btn-outline-${style}`);
  element.setAttribute("href", link.of(key));
  element.append(made("i", `fas fa-${icon}`), ` ${words}`);
  return element;
}

/**
 * @param {string} tag
 * @param {string} style
 */
function made(tag, style) {
  const element = document.createElement(tag);
  element.className = style;
  return element;
}
