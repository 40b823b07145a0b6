import assert from "node:assert/strict";
import { test } from "node:test";
import { hearServer, now, serverTime, since } from "../../static/js/base/clock.js";

const SERVER = "2025-06-01T12:00:00.000Z";
const HOUR = 3_600_000;

/** Both clocks of the browser, which a test sets. */
const clocks = { clock: Date.parse(SERVER) - 3 * HOUR, steady: 1_000 };
Date.now = () => clocks.clock;
performance.now = () => clocks.steady;

/** Lets time pass by either clock. */
function pass(clock, steady) {
  clocks.clock += clock;
  clocks.steady += steady;
}

test("the browser's own time holds until the server's was heard", () => {
  assert.equal(serverTime(), clocks.clock);
  hearServer("");
  assert.equal(serverTime(), clocks.clock);
});

test("the server's time goes on from where it was heard, whatever the browser's clock says", () => {
  hearServer(SERVER);
  assert.equal(serverTime(), Date.parse(SERVER));
  pass(1_000, 1_000);
  assert.equal(serverTime(), Date.parse(SERVER) + 1_000);
  // set back
  pass(-HOUR, 500);
  assert.equal(serverTime(), Date.parse(SERVER) + 1_500);
});

test("what the machine slept counts, also where the steady clock stood", () => {
  hearServer(SERVER);
  const moment = now();
  pass(HOUR, 0);
  assert.equal(since(moment), HOUR);
  assert.equal(serverTime(), Date.parse(SERVER) + HOUR);
});

test("a clock that was set forward is made good by what is heard next", () => {
  hearServer(SERVER);
  pass(HOUR, 5_000);
  hearServer("2025-06-01T12:00:05.000Z");
  assert.equal(serverTime(), Date.parse(SERVER) + 5_000);
  // as HTTP writes it
  hearServer("Sun, 01 Jun 2025 13:00:00 GMT");
  assert.equal(serverTime(), Date.parse(SERVER) + HOUR);
});
