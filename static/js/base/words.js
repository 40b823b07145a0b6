/** @import { Change, Field } from "./types.js" */
import { fill } from "./dom.js";
import { exactTime } from "./time.js";
import { amountText, countText, plural } from "./amount.js";

const LISTS = new Intl.ListFormat("en-GB", { type: "conjunction" });

/** What each column is called. */
const NAMES = new Map([
  ["status", ""],
  ["payment_status", "payment "],
  ["total_amount", "total "],
  ["customer_name", "customer "],
  ["order_number", "number "],
  ["created_at", "placed "],
  ["items", "items "],
  ["sales_rep_id", "now of "],
]);

/** Where changes can't be counted. */
export const UNLISTED = "maybe more than can be listed";

/**
 * What the order of a change is called.
 * @param {Change} change
 */
export function orderName({ order_key, order_number }) {
  return order_number ?? `Order ${order_key}`;
}

/** After these an order has no page of its own for this person. */
const DEPARTURES = new Set(["delete", "left"]);

/**
 * Where the order of a change has its page, if it has one.
 * @param {Change} change
 */
export function orderPage({ operation, order_key }) {
  return DEPARTURES.has(operation) ? null : `${document.documentElement.dataset["orders"]}${order_key}/`;
}

/**
 * A change as a list has it, from the list's template.
 * @param {HTMLTemplateElement} template
 * @param {Change} change
 * @param {string} what happened
 */
export function listItem(template, change, what) {
  const item = document.importNode(template.content, true).firstElementChild ?? document.createElement("li");
  fill(item, "order", orderName(change));
  fill(item, "what", what);
  const page = orderPage(change);
  if (page) item.querySelector("a")?.setAttribute("href", page);
  item.querySelector("time")?.setAttribute("datetime", change.at);
  return item;
}

/**
 * What happened to the order, and by whom; where nobody is known, from which application.
 * @param {Change} change
 */
export function whatHappened(change) {
  const { by, application } = change;
  return happening(change) + (by ? `, by ${by}` : application ? `, from ${application}` : "");
}

/**
 * The same with the order's name.
 * @param {Change} change
 */
export function whatHappenedTo(change) {
  return `${orderName(change)}: ${whatHappened(change)}`;
}

/**
 * `1 change`, `7,000 changes`.
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export function counted(count, one = "change", many = `${one}s`) {
  return `${countText(count)} ${plural(count, one, many)}`;
}

/**
 * `rx`, `rx and boss`, `ana, rx and boss`.
 * @param {string[]} names
 */
export function listed(names) {
  return LISTS.format(names);
}

/**
 * The same where what is unread is marked as new: "New order entered", and not "New new".
 * @param {Change} change
 */
export function listedHappening(change) {
  return change.operation === "insert" ? whatHappened(change).replace("new", "order entered") : whatHappened(change);
}

/**
 * The changes without those that are part of another one: an order and its items are one piece of news, as the server has it.
 * @param {Change[]} changes
 */
export function withoutParts(changes) {
  return changes.filter(({ part }) => !part);
}

/** @param {Change} change */
function happening({ operation, changed }) {
  switch (operation) {
    case "insert":
      return "new";
    case "delete":
      return "deleted";
    case "arrived":
      return "now yours";
    case "left":
      return "no longer yours";
    default:
      // of another rep's time it is only told that something changed
      return changed.length > 0 ? changed.map(fieldChange).join(", ") : "changed";
  }
}

/** @param {Field} change */
function fieldChange({ field, from, to, from_display, to_display }) {
  const name = NAMES.get(field) ?? `${field} `;
  const before = shown(field, from, from_display);
  const after = shown(field, to, to_display) ?? "";
  return before === null ? `${name}${after}` : `${name}${before} → ${after}`;
}

/**
 * A value as the page shows such values.
 * @param {string} field
 * @param {string | null} value
 * @param {string | null} display
 */
function shown(field, value, display) {
  if (value !== null && field === "total_amount") return amountText(Number(value));
  if (value !== null && field === "created_at") return exactTime(value) || display;
  return display;
}

/** So many changes are remembered. */
const MOST_REMEMBERED = 10_000;

/** Lets each change through once, whichever way it comes. */
export class Once {
  /** @type {Set<number>} */
  #passed = new Set();

  /** @param {Change[]} changes */
  pass(changes) {
    const passed = changes.filter(({ id }) => !this.#passed.has(id) && this.#passed.add(id));
    for (const id of this.#passed) {
      if (this.#passed.size <= MOST_REMEMBERED) break;
      this.#passed.delete(id);
    }
    return passed;
  }
}
