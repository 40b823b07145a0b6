import assert from "node:assert/strict";
import { test } from "node:test";
import { isLive, judge } from "../../static/js/live/facts.js";
import { cases } from "./cases.js";

const table = cases("connection");

const NOW = { clock: 1_000_000_000, steady: 1_000_000 };

/** The moments of facts, by how long ago they were, by both clocks. */
function moments(ages, clocks = { clock: 1, steady: 1 }) {
  const moment = (age) => age === null ? null : { clock: NOW.clock - age * clocks.clock, steady: NOW.steady - age * clocks.steady };
  return Object.fromEntries(Object.entries(ages).map(([name, age]) => [name, moment(age)]));
}

function facts({ facts = {}, ages = {} }, clocks) {
  const page = table.a_live_page;
  return { ...page.facts, ...facts, ...moments({ ...page.ages, ...ages }, clocks) };
}

for (const one of table.cases) {
  const { says, badge, isOld, reads } = one;
  test(`${says}: ${badge}`, () => {
    const verdict = judge(facts(one), NOW);
    assert.deepEqual({ badge: verdict.badge, isOld: verdict.isOld, reads: verdict.reads }, { badge, isOld, reads });
    // a clock that stands, or was set back, hides no age
    for (const clocks of [{ clock: 1, steady: 0 }, { clock: -1, steady: 1 }]) {
      assert.deepEqual(judge(facts(one, clocks), NOW), verdict);
    }
  });
}

test("the table has each word, and every value of every fact", () => {
  const all = table.cases.map((one) => facts(one));
  const values = (name) => new Set(all.map((one) => one[name])).size;
  assert.equal(new Set(table.cases.map(({ badge }) => badge)).size, 5);
  const counts = { stream: 5, listener: 2, rows: 3, list: 2, poll: 3, isRight: 2, isOnline: 2, isSeen: 2, isOver: 2 };
  for (const [name, count] of Object.entries(counts)) assert.equal(values(name), count, name);
});

/** Every combination of facts, with a moment of each kind. */
function* combinations() {
  const values = {
    stream: ["opening", "up", "apart", "down", "refused"],
    listener: ["live", "degraded"],
    rows: ["exact", "owed", "failed"],
    list: ["known", "due"],
    poll: ["none", "answered", "failed"],
    isRight: [true, false],
    isOnline: [true, false],
    isSeen: [true, false],
    isOver: [false, true],
    trueAt: [0, 14_000, 16_000],
    liveUntil: [null, 500, 5_000],
    triedAt: [0, 20_000],
  };
  const names = Object.keys(values);
  const count = names.reduce((product, name) => product * values[name].length, 1);
  for (let at = 0; at < count; at += 1) {
    let rest = at;
    const one = { interval: 5_000, openedAt: 60_000 };
    for (const name of names) {
      one[name] = values[name][rest % values[name].length];
      rest = Math.floor(rest / values[name].length);
    }
    const { openedAt, trueAt, liveUntil, triedAt, ...rests } = one;
    yield { ...rests, ...moments({ openedAt, trueAt, liveUntil, triedAt }) };
  }
}

test("whatever the facts, nothing old is called new, and what is not live is read", () => {
  for (const one of combinations()) {
    const { badge, isOld, reads, next } = judge(one, NOW);
    const age = NOW.clock - one.trueAt.clock;
    const words = JSON.stringify({ one, badge, isOld, reads, next });
    if (one.isOver) {
      assert.deepEqual([badge, isOld, reads, next], ["signed_out", true, "nothing", null], words);
      continue;
    }
    if (isLive(one)) assert.equal(badge, "live", words);
    else if (badge === "live") assert.ok(one.liveUntil && NOW.clock - one.liveUntil.clock < 1_000 && age < 15_000, words);
    else assert.equal(isOld, age > 15_000, words);
    if (badge === "stale") assert.ok(isOld, words);
    if (badge === "polling") assert.ok(one.poll === "answered" && one.rows !== "failed" && one.isRight, words);
    if (!one.isSeen) assert.notEqual(reads, "rows", words);
    else assert.equal(reads === "rows", !isLive(one) || one.list === "due", words);
    // a word that time alone makes wrong is looked at again in time
    if (badge === "live" && !isLive(one)) assert.ok(next !== null && next <= 1_000, words);
    if (!isOld && !isLive(one)) assert.ok(next !== null && next <= 15_000 - age, words);
  }
});
