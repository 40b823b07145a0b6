import assert from "node:assert/strict";
import { test } from "node:test";
import { paymentColour, statusColour } from "../../static/js/host/colours.js";
import { PHARMACIST, SALES_REP, columnsOf } from "../../static/js/host/kinds.js";
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

/** A table of those headings. */
const table = (...headings) => ({
  closest: () => ({ querySelectorAll: () => headings.map((textContent) => ({ textContent })) }),
});

test("what a column has is told by its heading, where all headings are understood", () => {
  const orders = table("Order ID", "Date", "Status", "Payment Status", "Items", "Total", "Actions");
  assert.deepEqual(columnsOf(SALES_REP, orders), SALES_REP.columns);
  assert.deepEqual(columnsOf(PHARMACIST, orders), SALES_REP.columns, "also where the other page has such a table");
  const turned = table("Actions", "Order #", "Placed", "Customer", "Paid", "Order Status", "Amount");
  assert.deepEqual(columnsOf(SALES_REP, turned), ["actions", "order", "created", "customer", "payment", "status", "total"]);
  for (const headings of [[], ["Order"], ["a", "b", "c", "d", "e", "f", "g"], Array(7).fill("Order")]) {
    assert.deepEqual(columnsOf(PHARMACIST, table(...headings)), PHARMACIST.columns, headings.join());
  }
});
