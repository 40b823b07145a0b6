import assert from "node:assert/strict";
import { test } from "node:test";
import { Waiting } from "../../static/js/news/toasts.js";

const change = (id) => ({ id, order_key: String(id % 10) });

test("what waits for a place is bounded, and its count is not", () => {
  const waiting = new Waiting();
  for (let id = 0; id < 100_000; id += 1) waiting.add([change(id)], true);
  assert.equal(waiting.count, 100_000);
  const kept = waiting.empty(Infinity);
  assert.ok(kept.length <= 100, `${kept.length} are kept`);
  assert.deepEqual(kept.slice(0, 3).map(({ id }) => id), [0, 1, 2]);
  assert.equal(waiting.count, 0);
});

test("what is of a muted order waits no more", () => {
  const waiting = new Waiting();
  waiting.add([1, 2, 11, 3].map(change), false);
  waiting.keep((change) => change.order_key !== "1");
  assert.deepEqual([waiting.count, waiting.isAll], [2, false]);
  assert.deepEqual(waiting.empty(1).map(({ id }) => id), [2]);
  assert.equal(waiting.isAll, true);
});
