import assert from "node:assert/strict";
import { test } from "node:test";
import { Book } from "../../static/js/list/book.js";

const row = (key, status, since) => ({ key, id: Number(key), status, total_amount: 1, status_since: since });
const told = (key, status) => ({ key, id: Number(key), status, total_amount: 1 });
const change = (at) => ({ operation: "update", at, changed: [{ field: "status", from: "", to: "" }] });
const statuses = (book) => book.rows.differences.map(({ shown, known }) => `${shown?.status} → ${known.status} ${known.status_since}`);

test("what is told after an answer was read is replayed over it, and the difference to what is seen is one", () => {
  const book = new Book();
  book.add(row("1", "pending", "a"));
  // a patch is shown at once
  book.take(told("1", "shipped"), [change("c")]);
  assert.deepEqual(statuses(book), ["pending → shipped c"]);
  for (const { known } of book.rows.differences) book.rows.show(known.key, known);
  // an answer that was read before it comes after it
  book.take(row("1", "confirmed", "b"), []);
  book.take(told("1", "shipped"), [change("c")]);
  assert.deepEqual(statuses(book), ["shipped → shipped c"]);
});

test("what could not be shown goes on to differ from what is seen", () => {
  const book = new Book();
  book.add(row("1", "pending", "a"));
  book.take(told("1", "shipped"), [change("b")]);
  assert.equal(book.rows.differences.length, 1);
  book.take(told("1", "delivered"), [change("c")]);
  assert.deepEqual(statuses(book), ["pending → delivered c"]);
});

test("ids that are one number are two orders, and an order that goes keeps its row until it comes back", () => {
  const book = new Book();
  for (const key of ["9007199254740992", "9007199254740993"]) book.add(row(key, "pending", "a"));
  book.take({ key: "9007199254740993", removed: true }, []);
  assert.deepEqual(book.rows.differences.map(({ known }) => [known.key, known.isGone, known.status]), [["9007199254740993", true, "pending"]]);
  book.take(told("9007199254740993", "pending"), []);
  assert.deepEqual(statuses(book), ["pending → pending a"]);
});

test("it says of which orders only the server knows since when they are in their status", () => {
  const book = new Book();
  book.add({ ...row("1", "pending", "a"), created_at: "a" });
  const take = (status, created_at, changes) => book.take({ ...told("1", status), created_at }, changes);
  assert.equal(take("pending", "a", []), true);
  assert.equal(take("shipped", "a", [change("b")]), true);
  assert.equal(take("shipped", "c", []), false, "placed anew");
  assert.equal(take("delivered", "c", []), false, "changed while it was another's");
  assert.equal(book.take({ key: "1", removed: true }, []), true);
  assert.equal(book.take(told("2", "pending"), []), true, "not on the page");
});
