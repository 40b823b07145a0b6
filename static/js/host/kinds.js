/** @import { Paths } from "./paths.js" */
import { OrderLink } from "./links.js";

/**
 * What a column of the shop's tables has.
 * @typedef {"order" | "customer" | "rep" | "created" | "status" | "payment" | "items" | "total" | "actions"} Column
 *
 * What can be done with an order from its row: where that leads, how the shop shows it, and in which status alone it is offered, if
 * not in any.
 * @typedef {{ words: string, link: OrderLink, style: string, icon: string, status?: string }} Action
 *
 * A page of the shop's own that is kept true.
 * @typedef {object} Kind
 * @property {string} root the id of what is kept true
 * @property {string} table the id of the rows' `tbody`
 * @property {string} api
 * @property {string} changes where it is asked what changed, and what of it the person wants to be told
 * @property {string} events
 * @property {string} login where people sign in
 * @property {Column[]} columns in the shop's order
 * @property {OrderLink} order where an order has its page
 * @property {boolean} isNumbered whether an order is called by its id, as in `#123`, and not by its number
 * @property {Action[]} actions
 * @property {boolean} hasFilter whether the page has a filter and pages
 */

/**
 * A sales rep's list.
 * @param {Paths} paths
 * @returns {Kind}
 */
export function salesRep({ login, order, edit, cancel }) {
  return {
    root: "sales-rep-orders-dashboard",
    table: "orders-table-tbody",
    api: "/orders/api/sales-rep/dashboard/",
    changes: "/orders/api/sales-rep/changes/",
    events: "/orders/api/sales-rep/events/",
    login,
    columns: ["order", "created", "status", "payment", "items", "total", "actions"],
    order: new OrderLink(order),
    isNumbered: true,
    actions: [
      { words: "View", link: new OrderLink(order), style: "primary", icon: "eye" },
      { words: "Edit", link: new OrderLink(edit), style: "warning", icon: "edit", status: "pending" },
      { words: "Cancel", link: new OrderLink(cancel), style: "danger", icon: "times", status: "pending" },
    ],
    hasFilter: true,
  };
}

/**
 * The pharmacists' first page, with the newest of all orders.
 * @param {Paths} paths
 * @returns {Kind}
 */
export function pharmacist({ login, pharmacist_order, status }) {
  return {
    root: "pharmacist-dashboard",
    table: "recent-orders-tbody",
    api: "/orders/api/pharmacist/dashboard/",
    changes: "/orders/api/pharmacist/changes/",
    events: "/orders/api/pharmacist/events/",
    login,
    columns: ["order", "customer", "status", "payment", "total", "created", "actions"],
    order: new OrderLink(pharmacist_order),
    isNumbered: false,
    actions: [
      { words: "View", link: new OrderLink(pharmacist_order), style: "primary", icon: "eye" },
      { words: "Update", link: new OrderLink(status), style: "warning", icon: "edit" },
    ],
    hasFilter: false,
  };
}

/** What the heading of a column says, the more exact words first. @type {[RegExp, Column][]} */
const HEADINGS = [
  [/action/i, "actions"],
  [/payment|paid/i, "payment"],
  [/status/i, "status"],
  [/date|created|placed/i, "created"],
  [/item/i, "items"],
  [/total|amount/i, "total"],
  [/customer/i, "customer"],
  [/order|number|#/i, "order"],
  [/\brep\b|representative/i, "rep"],
];

/**
 * What each column of a table has: as its headings say, where one of them is understood to be the status, and no two the same; those
 * that are not understood have nothing of ours. Else as the shop has them.
 * @param {Kind} kind
 * @param {HTMLElement} body
 * @returns {(Column | undefined)[]}
 */
export function columnsOf(kind, body) {
  const headings = [...(body.closest("table")?.querySelectorAll("thead th") ?? [])].map(({ textContent }) => columnOf(textContent ?? ""));
  const known = headings.filter((column) => column !== undefined);
  // one cell alone says that there are no orders
  const cells = body.querySelector("tr:has(td + td)")?.children.length ?? headings.length;
  const areUnderstood = known.includes("status") && new Set(known).size === known.length && cells === headings.length;
  return areUnderstood ? headings : kind.columns;
}

/** @param {string} heading */
function columnOf(heading) {
  return HEADINGS.find(([words]) => words.test(heading))?.[1];
}
