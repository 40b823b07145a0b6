import assert from "node:assert/strict";
import { test } from "node:test";
import { Later } from "../../static/js/news/later.js";
import { Revision } from "../../static/js/base/revision.js";

const revision = (xmax) => new Revision(`e.${xmax}.0`);
const change = (id) => ({ id, order_key: String(id) });

test("what is kept is bounded, and the count of news is not", () => {
  const later = new Later(({ id }) => id % 2 === 0);
  for (let id = 0; id < 100_000; id += 1) later.add([change(id)], revision(id));
  assert.equal(later.news, 50_000);
  assert.ok(later.changes.length <= 1_000, `${later.changes.length} are kept`);
  assert.equal(later.changes.at(-1).id, 99_999);
});

test("one patch of many is bounded too", () => {
  const later = new Later(() => true);
  later.add(Array.from({ length: 10_000 }, (_, id) => change(id)), revision(1));
  assert.equal(later.news, 10_000);
  assert.ok(later.changes.length <= 1_000);
});

test("an answer takes away what it has", () => {
  const later = new Later(() => true);
  for (const id of [1, 2, 3]) later.add([change(id)], revision(id));
  later.keepAfter(revision(2));
  assert.deepEqual([later.changes.map(({ id }) => id), later.news], [[3], 1]);
  later.keepAfter(new Revision("other.1.0"));
  assert.equal(later.news, 0);
});
