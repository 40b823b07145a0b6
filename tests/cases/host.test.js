import assert from "node:assert/strict";
import { test } from "node:test";
import { paymentColour, statusColour } from "../../static/js/host/colours.js";
import { columnsOf, pharmacist, salesRep } from "../../static/js/host/kinds.js";
import { OrderLink } from "../../static/js/host/links.js";
import { shopAmount, shopItems } from "../../static/js/host/words.js";

test("amounts and items are in the shop's words", () => {
  assert.deepEqual([1234.5, 0, 1234567.89, null].map(shopAmount), ["₱1234.50", "₱0.00", "₱1234567.89", "–"]);
  assert.deepEqual([shopItems(1, "3 items"), shopItems(3, ""), shopItems(3, "12")], ["1 item", "3 items", "3"]);
});

test("badges have the shop's colours, and what it does not know is grey", () => {
  const statuses = ["pending", "returned", "confirmed", "processing", "shipped", "ready_for_pickup", "delivered", "cancelled", "on_hold"];
  const colours = ["warning", "warning", "info", "info", "info", "success", "dark", "danger", "secondary"];
  assert.deepEqual(statuses.map(statusColour), colours);
  const payments = ["paid", "pending", "failed", "refunded", "partially_refunded", "iou"];
  assert.deepEqual(payments.map(paymentColour), ["success", "warning", "danger", "secondary", "info", "secondary"]);
});

const PATHS = {
  login: "/in/",
  order: "/o/{id}/",
  edit: "/o/{id}/edit/",
  cancel: "/o/{id}/cancel/",
  status: "/o/{id}/status/",
  pharmacist_order: "/p/{id}/",
};
const [SALES_REP, PHARMACIST] = [salesRep(PATHS), pharmacist(PATHS)];

/** A link or a form of that address. */
function element(name, address) {
  const attributes = { [name]: address };
  return {
    attributes,
    getAttribute: (asked) => attributes[asked] ?? null,
    hasAttribute: (asked) => asked in attributes,
    setAttribute: (asked, value) => (attributes[asked] = value),
  };
}

test("a link is known by where it leads, whatever is before and behind that, and is led to another order's page", () => {
  globalThis.document = { baseURI: "https://shop.example/orders/orders/?page=2" };
  for (const [pattern, address, key, of12] of [
    ["/orders/orders/{id}/edit/", "/orders/orders/7/edit/", "7", "/orders/orders/12/edit/"],
    ["/orders/orders/{id}/edit/", "/shop/orders/orders/7/edit/?next=/orders/", "7", "/shop/orders/orders/12/edit/?next=/orders/"],
    ["/orders/orders/{id}/edit/", "7/edit/#top", "7", "/orders/orders/12/edit/"],
    ["/orders/orders/{id}/", "/orders/orders/7/edit/", "", ""],
    ["/edit?order={id}", "/edit?order=77", "77", "/edit?order=12"],
    ["/a/{id}/b/{id}", "/a/7/b/7", "7", "/a/12/b/12"],
    ["/a/{id}/b/{id}", "/a/7/b/8", "", ""],
    ["https://shop.example/o.{id}", "/o.7", "7", "https://shop.example/o.12"],
    ["https://shop.example/o.{id}", "/oo7", "", ""],
    ["/o/{id}/", "https://[", "", ""],
  ]) {
    const link = new OrderLink(pattern);
    for (const name of ["href", "action"]) {
      const leading = element(name, address);
      assert.equal(link.keyIn(leading), key, `${pattern}: ${address}`);
      if (key === "") continue;
      link.lead(leading, "12");
      assert.equal(leading.attributes[name], of12, `${pattern}: ${address}`);
    }
    assert.equal(link.keyIn(element("title", address)), "");
  }
});

/** A table of those headings. */
const table = (...headings) => withCells(headings.length, ...headings);
const withCells = (count, ...headings) => ({
  closest: () => ({ querySelectorAll: () => headings.map((textContent) => ({ textContent })) }),
  querySelector: () => ({ children: { length: count } }),
});

test("what a column has is told by its heading, where headings are understood", () => {
  const orders = table("Order ID", "Date", "Status", "Payment Status", "Items", "Total", "Actions");
  assert.deepEqual(columnsOf(SALES_REP, orders), SALES_REP.columns);
  assert.deepEqual(columnsOf(PHARMACIST, orders), SALES_REP.columns, "also where the other page has such a table");
  const turned = table("Actions", "Order #", "Placed", "Customer", "Paid", "Order Status", "Amount");
  assert.deepEqual(columnsOf(SALES_REP, turned), ["actions", "order", "created", "customer", "payment", "status", "total"]);
  for (const headings of [[], ["Order"], ["a", "b", "c", "d", "e", "f", "g"], Array(7).fill("Order")]) {
    assert.deepEqual(columnsOf(PHARMACIST, table(...headings)), PHARMACIST.columns, headings.join());
  }
  const lacking = withCells(7, "Date", "Status", "Payment Status", "Items", "Total", "Actions");
  assert.deepEqual(columnsOf(SALES_REP, lacking), SALES_REP.columns, "a heading is missing");
});

test("a column whose heading is not understood has nothing of ours", () => {
  const kind = /** @type {any} */ ({ columns: ["order", "status"] });
  const other = table("Order", "Client", "Sales Rep", "Status", "Payment", "Total", "Courier", "Date");
  assert.deepEqual(columnsOf(kind, other), ["order", undefined, "rep", "status", "payment", "total", undefined, "created"]);
});
