import assert from "node:assert/strict";
import { test } from "node:test";
import { Listing } from "../../static/js/list/listing.js";
import { Placement } from "../../static/js/list/placement.js";

const row = (id) => ({ key: String(id), id, status: "pending", created_at: `2025-01-01T00:00:${String(id).padStart(2, "0")}Z` });
const rows = (newest, oldest) => Array.from({ length: newest - oldest + 1 }, (_, at) => row(newest - at));

test("of what entered, that is asked for first of which nothing was heard for the longest time", () => {
  const listing = new Listing({ query: "", sort: "", ranks: "pending", createdFrom: "", createdBefore: "" });
  const placement = new Placement(listing, { sort: "", page: 1, isLastPage: true, asksServer: false }, rows(3, 1));
  for (const entered of rows(8, 4).reverse()) placement.note(entered, true);
  const first = () => [...placement.entered.keys()].slice(0, 2).join();
  assert.equal(first(), "4,5");
  placement.read([row(8)], true, rows(5, 4));
  assert.equal(first(), "6,7");
  placement.read([row(8)], true, [{ key: "6", id: 6, removed: true }, row(7)]);
  assert.equal(first(), "5,4");
  assert.equal(placement.words(), "4+ orders entered · Update");
});
