import assert from "node:assert/strict";
import { test } from "node:test";
import { amountText, countText } from "../../static/js/base/amount.js";
import { forHowLong } from "../../static/js/list/in_status.js";
import { rangeText } from "../../static/js/list/total.js";
import { segments } from "../../static/js/list/bar.js";
import { orderPage, whatHappened } from "../../static/js/base/words.js";
import { cases } from "./cases.js";

// what a page is told of the currency; times are shown in the reader's zone
const dataset = { currency: "₱", orders: "/orders/orders/" };
globalThis.document = { documentElement: { dataset } };
process.env.TZ = "UTC";

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
  assert.equal(orderPage({ operation: "update", order_id: 7 }), "/orders/orders/7/");
  for (const operation of ["delete", "left"]) assert.equal(orderPage({ operation, order_id: 7 }), null);
});

for (const { counts, segments: expected } of cases("bars").bars) {
  test(`the page divides the bar for ${counts} as the server does`, () => {
    assert.deepEqual(
      segments(counts).map(({ start, width }) => [`${start}%`, `${width}%`]),
      expected,
    );
  });
}
