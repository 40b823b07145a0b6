import assert from "node:assert/strict";
import { test } from "node:test";
import { Listing } from "../../static/js/list/listing.js";
import { cases } from "./cases.js";

const { ranks, orders, lists } = cases("lists");

for (const { query, created_from = "", created_before = "", ids } of lists) {
  const sort = new URLSearchParams(query).get("sort") ?? "";
  if (query.includes("q=") || !["", "created_at", "-created_at"].includes(sort)) continue;
  test(`a page places orders on the list ${query || "of all"} as the server does`, () => {
    const listing = new Listing({ query, sort, ranks, createdFrom: created_from, createdBefore: created_before });
    const place = ({ status, created_at, id }) => listing.place(status, created_at ?? "", id);
    const placed = orders.filter((order) => listing.has(order));
    const placedIds = placed.sort((one, other) => listing.compare(place(one), place(other))).map(({ id }) => id);
    assert.deepEqual(placedIds, ids);
  });
}
