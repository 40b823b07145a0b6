import assert from "node:assert/strict";
import { test } from "node:test";
import { isNews } from "../../static/js/news/is_news.js";
import { cases } from "./cases.js";

const { login, muted, untold, changes } = cases("news");

for (const { what, change, news } of changes) {
  test(`a page takes ${what} ${news ? "for news" : "for no news"}, as the server does`, () => {
    const seen = { ...change, order_key: String(change.order_id) };
    assert.equal(isNews(seen, { login, muted: new Set(muted.map(String)), untold }), news);
  });
}
