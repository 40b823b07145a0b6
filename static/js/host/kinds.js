/**
 * What a column of the shop's tables has.
 * @typedef {"order" | "customer" | "created" | "status" | "payment" | "items" | "total" | "actions"} Column
 *
 * What can be done with an order from its row: where that leads for the order 0, how the shop shows it, and in which status alone it
 * is offered, if not in any.
 * @typedef {{ words: string, path: string, style: string, icon: string, status?: string }} Action
 *
 * A page of the shop's own that is kept true.
 * @typedef {object} Kind
 * @property {string} root the id of what is kept true
 * @property {string} table the id of the rows' `tbody`
 * @property {string} api
 * @property {string} events
 * @property {Column[]} columns in the shop's order
 * @property {string} order where an order has its page, for the order 0
 * @property {boolean} isNumbered whether an order is called by its id, as in `#123`, and not by its number
 * @property {Action[]} actions
 * @property {boolean} hasFilter whether the page has a filter and pages
 */

/** @type {Kind} a sales rep's list */
export const SALES_REP = {
  root: "sales-rep-orders-dashboard",
  table: "orders-table-tbody",
  api: "/orders/api/sales-rep/dashboard/",
  events: "/orders/api/sales-rep/events/",
  columns: ["order", "created", "status", "payment", "items", "total", "actions"],
  order: "/orders/orders/0/",
  isNumbered: true,
  actions: [
    { words: "View", path: "/orders/orders/0/", style: "primary", icon: "eye" },
    { words: "Edit", path: "/orders/orders/0/edit/", style: "warning", icon: "edit", status: "pending" },
    { words: "Cancel", path: "/orders/orders/0/cancel/", style: "danger", icon: "times", status: "pending" },
  ],
  hasFilter: true,
};

/** @type {Kind} the pharmacists' first page, with the newest of all orders */
export const PHARMACIST = {
  root: "pharmacist-dashboard",
  table: "recent-orders-tbody",
  api: "/orders/api/pharmacist/dashboard/",
  events: "/orders/api/pharmacist/events/",
  columns: ["order", "customer", "status", "payment", "total", "created", "actions"],
  order: "/orders/pharmacist/orders/0/",
  isNumbered: false,
  actions: [
    { words: "View", path: "/orders/pharmacist/orders/0/", style: "primary", icon: "eye" },
    { words: "Update", path: "/orders/orders/0/status/", style: "warning", icon: "edit" },
  ],
  hasFilter: false,
};

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
];

/**
 * What each column of a table has: as its headings say, where there is one for each cell and all are understood; else as the shop has
 * them.
 * @param {Kind} kind
 * @param {HTMLElement} body
 */
export function columnsOf(kind, body) {
  const headings = [...(body.closest("table")?.querySelectorAll("thead th") ?? [])].map(({ textContent }) => columnOf(textContent ?? ""));
  const isWhole = headings.length === kind.columns.length && new Set(headings).size === headings.length;
  return isWhole && !headings.includes(undefined) ? /** @type {Column[]} */ (headings) : kind.columns;
}

/** @param {string} heading */
function columnOf(heading) {
  return HEADINGS.find(([words]) => words.test(heading))?.[1];
}
