import assert from "node:assert/strict";
import { test } from "node:test";
import { amountText, countText } from "../../static/js/base/amount.js";
import { forHowLong } from "../../static/js/list/in_status.js";
import { rangeText } from "../../static/js/list/total.js";
import { segments } from "../../static/js/list/markup.js";
import { ownClock } from "../../static/js/base/own_clock.js";
import { clockTime, exactTime } from "../../static/js/base/time.js";
import { counted, listed, listedHappening, orderPage, whatHappened } from "../../static/js/base/words.js";
import { cases } from "./cases.js";

// what a page is told, read by somebody elsewhere
const dataset = { currency: "₱", orders: "/orders/orders/", timeZone: "UTC" };
globalThis.document = { documentElement: { dataset } };
process.env.TZ = "Pacific/Honolulu";

for (const { iso, zone, exact } of cases("times").times) {
  test(`${iso} is "${exact}" by the page as by the server`, () => {
    dataset.timeZone = zone;
    assert.equal(exactTime(iso), exact);
    assert.equal(clockTime(Date.parse(iso)), /[\d:]{8}/.exec(exact)?.[0]);
    dataset.timeZone = "UTC";
  });
}

test("who is elsewhere is told how far their own clock is from the page's", () => {
  const winter = Date.parse("2025-01-15T02:30:00Z");
  for (const [zone, own, words] of [
    ["UTC", "UTC", ""],
    ["UTC", "Asia/Manila", " Your own clock is 8 h ahead."],
    ["Asia/Manila", "America/St_Johns", " Your own clock is 11 h 30 min behind."],
    ["Asia/Kolkata", "Asia/Kathmandu", " Your own clock is 15 min ahead."],
    ["Europe/London", "UTC", ""],
  ]) {
    assert.equal(ownClock(winter, zone, own), words, `${own} in ${zone}`);
  }
  assert.equal(ownClock(Date.parse("2025-07-15T02:30:00Z"), "Europe/London", "UTC"), " Your own clock is 1 h behind.");
  assert.equal(ownClock(winter, "UTC"), " Your own clock is 10 h behind.", "the browser's own");
});

test("in a zone that the browser does not know, a time says that it is another one's", () => {
  dataset.timeZone = "Mars/Olympus";
  assert.equal(exactTime("2025-01-15T10:30:00Z"), "15 Jan 2025, 10:30:00 UTC");
  dataset.timeZone = "UTC";
});

test("a format is made once for all rows and ticks", () => {
  const real = Intl.DateTimeFormat;
  let made = 0;
  Intl.DateTimeFormat = class extends real {
    constructor(...how) {
      super(...how);
      made += 1;
    }
  };
  dataset.timeZone = "Asia/Tokyo";
  for (let row = 0; row < 100; row += 1) exactTime(new Date(row * 86_400_000).toISOString());
  assert.ok(made <= 2, `${made} formats for 100 rows`);
  Intl.DateTimeFormat = real;
  dataset.timeZone = "UTC";
});

test("numbers and lists are in words", () => {
  assert.deepEqual([counted(0), counted(1), counted(2), counted(1, "box", "boxes"), counted(3, "box", "boxes")], [
    "0 changes",
    "1 change",
    "2 changes",
    "1 box",
    "3 boxes",
  ]);
  assert.deepEqual([["rx"], ["rx", "boss"], ["ana", "rx", "boss"]].map(listed), ["rx", "rx and boss", "ana, rx and boss"]);
});

test("a new order is not new twice where the list marks it as new", () => {
  const change = { operation: "insert", changed: [], by: "rx" };
  assert.equal(whatHappened(change), "new, by rx");
  assert.equal(listedHappening(change), "order entered, by rx");
  assert.equal(listedHappening({ ...change, by: "new" }), "order entered, by new");
});

for (const { milliseconds, words } of cases("durations").durations) {
  test(`${milliseconds} ms are "${words}" in the page's words as in the server's`, () => {
    assert.equal(forHowLong(milliseconds), words);
  });
}

for (const { rounded, sign, shown } of cases("amounts").amounts) {
  test(`${rounded} is shown as ${shown} by the page as by the server`, () => {
    dataset.currency = sign;
    assert.equal(amountText(Number(rounded)), shown);
    dataset.currency = "₱";
  });
}

for (const { count, shown } of cases("counts").counts) {
  test(`${count} orders are counted as ${shown} by the page as by the server`, () => assert.equal(countText(count), shown));
}

for (const { page, shown, orders, range } of cases("counts").ranges) {
  test(`the page says ${range} as the server does`, () => assert.equal(rangeText(20 * (page - 1), shown, orders), range));
}

for (const { change, news } of cases("changes").changes) {
  test(`the page says of a change "${news}"`, () => {
    assert.equal(whatHappened({ by: "", ...change }), news);
  });
}

test("the page of a change's order is where the server says that orders have theirs", () => {
  assert.equal(orderPage({ operation: "update", order_key: "9007199254740993" }), "/orders/orders/9007199254740993/");
  for (const operation of ["delete", "left"]) assert.equal(orderPage({ operation, order_key: "7" }), null);
});

for (const { counts, segments: expected } of cases("bars").bars) {
  test(`the page divides the bar for ${counts} as the server does`, () => {
    assert.deepEqual(
      segments(counts).map(({ start, width }) => [`${start}%`, `${width}%`]),
      expected,
    );
  });
}
