import assert from "node:assert/strict";
import { test } from "node:test";
import { Listing } from "../../static/js/list/listing.js";
import { Total, rangeText } from "../../static/js/list/total.js";

const listing = new Listing({ query: "payment_status=paid", sort: "", ranks: "pending", createdFrom: "", createdBefore: "" });
const row = (key, payment_status) => ({ key, status: "pending", payment_status, created_at: "2025-01-01T00:00:00+00:00", total_amount: 1 });
const entered = (order_key) => ({ order_key, operation: "insert", changed: [] });
const paid = (order_key) => ({ order_key, operation: "update", changed: [{ field: "payment_status", from: "pending", to: "paid" }] });

/** The total of such a list with order 1 on its page and nothing told that may be counted already. */
function total() {
  const counted = new Total(listing, 30, [row("1", "paid")]);
  assert.equal(counted.note([], []), false);
  return counted;
}

test("a change is counted once, however often it is told", () => {
  const counted = total();
  for (const told of [1, 2]) {
    assert.equal(counted.note([row("2", "paid")], [entered("2")]), false);
    assert.equal(counted.count, 31, `told ${told} times`);
  }
  counted.note([row("3", "paid")], [paid("3")]);
  counted.note([{ key: "2", removed: true }], [{ ...entered("2"), operation: "delete" }]);
  assert.equal(counted.count, 31);
});

test("what the server may have counted before the stream told it is asked for, not counted again", () => {
  const counted = total();
  counted.read(31, [row("1", "paid")]);
  assert.equal(counted.note([row("2", "paid")], [entered("2")]), true);
  assert.equal(counted.count, 31);
  // what is told after that, nobody can have counted
  assert.equal(counted.note([row("4", "paid")], [entered("4")]), false);
  assert.equal(counted.count, 32);
});

test("of an order in the answer it is known how it was counted, and a change of no consequence asks for nothing", () => {
  const counted = total();
  counted.read(30, [row("1", "paid"), row("5", "pending")]);
  assert.equal(counted.note([row("5", "paid"), row("6", "paid")], [paid("5"), { ...paid("6"), changed: [] }]), false);
  assert.equal(counted.count, 31);
});

test("an order that entered before an older answer was taken is counted when it is told anew", () => {
  const counted = total();
  counted.note([row("2", "paid")], [entered("2")]);
  counted.read(30, [row("1", "paid")]);
  counted.note([row("7", "pending")], [paid("7")]);
  counted.note([row("2", "paid")], [entered("2")]);
  assert.equal(counted.count, 31);
});

test("a page that the list does not reach any more has none of its orders", () => {
  assert.equal(rangeText(40, 20, 35), "0 of 35");
  assert.equal(rangeText(40, 20, 40), "0 of 40");
  assert.equal(rangeText(40, 20, 41), "41–41 of 41");
});
