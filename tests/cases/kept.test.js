import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Revision } from "../../static/js/base/revision.js";
import { Book } from "../../static/js/list/book.js";
import { merged } from "../../static/js/live/patches.js";
import { Stream } from "../../static/js/live/stream.js";
import { WIRE, isLater, reloadWhenIdle } from "../../static/js/live/wire.js";

/** What version 1 told, and is not changed. */
const kept = (name) => readFileSync(new URL(`../kept/1/${name}`, import.meta.url), "utf8");

/** The source that a stream opened last. */
let source;

class Source extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    source = this;
  }

  close() {
    this.isClosed = true;
  }

  /** Tells events as they come over the wire. */
  tell(text) {
    for (const block of text.split("\n\n")) {
      const field = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      if (!field("event")) continue;
      this.dispatchEvent(Object.assign(new Event(field("event")), { data: field("data"), lastEventId: field("id") ?? "" }));
    }
  }
}

let told;

function opened() {
  told = [];
  const listen = (name) => [name, (data) => told.push([name, data])];
  const stream = new Stream("/events/?rep=1", "e/1:1:", Object.fromEntries(["sync", "patch", "ping", "bye", "down"].map(listen)));
  stream.open();
  return stream;
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_800_000_000_000 });
  globalThis.EventSource = Source;
});
afterEach(() => mock.timers.reset());

test("a stream of version 1 is read", () => {
  const stream = opened();
  source.tell(kept("stream.txt"));
  assert.deepEqual(told.map(([name]) => name), ["sync", "ping", "patch", "bye"]);
  const [[, sync], [, ping], [, patch], [, bye]] = told;
  assert.equal(stream.cursor, "7c4fb55e3995bf6b/807:807:");
  assert.ok(new Revision(sync.revision).isOlderThan(new Revision(patch.revision)));
  assert.deepEqual([ping.listener, ping.next_ms, bye.reason], ["live", 5712, "draining"]);
  const book = new Book();
  book.add({ ...patch.orders[0], status: "pending" });
  book.take(patch.orders[0], patch.changes);
  assert.equal(book.rows.known.get("1994").status, "confirmed");
  assert.deepEqual(merged([patch]).changes.map(({ id, changed }) => [id, changed[0].to]), [[6025, "confirmed"]]);
  assert.equal(isLater(sync.wire), false, "what says no version is of the first");
});

test("answers of version 1 are read", () => {
  const answer = JSON.parse(kept("dashboard.json"));
  const changes = JSON.parse(kept("changes.json"));
  assert.equal(new Revision(answer.revision).epoch, Revision.ofCursor(answer.cursor).epoch);
  assert.ok(new Revision(answer.revision).isOlderThan(new Revision(changes.revision)));
  assert.deepEqual(answer.visible.map(({ key, fits }) => [key, fits]), [["1", true]]);
  assert.deepEqual(changes.changes.map(({ order_key, operation }) => [order_key, operation]), [["2011", "insert"]]);
});

test("a state of a later version is not taken for another, and the stream says so", () => {
  const stream = opened();
  source.tell(`id: e/9:9:\nevent: sync\ndata: {"wire":${WIRE + 1},"revision":"e.9.0"}\n\n`);
  assert.deepEqual(told, [["bye", { reason: "outdated" }]]);
  assert.equal(stream.cursor, "e/1:1:");
  assert.ok(source.isClosed);
  mock.timers.tick(120_000);
  assert.equal(told.length, 1, "it is not tried again by itself");
  assert.deepEqual([undefined, null, 1, "1", WIRE + 1, String(WIRE + 1)].map(isLater), [false, false, false, false, true, true]);
});

test("a page is loaded anew when nobody is in the midst of something, and at most once a minute", () => {
  let [busy, reloads] = [true, 0];
  const page = { isBusy: () => busy, reload: () => (reloads += 1) };
  reloadWhenIdle({ ...page, age: 90_000 });
  mock.timers.tick(30_000);
  assert.equal(reloads, 0);
  busy = false;
  mock.timers.tick(5_000);
  assert.equal(reloads, 1);
  // the instance that answers the next page may be of the version before
  reloadWhenIdle({ ...page, age: 1_000 });
  mock.timers.tick(58_000);
  assert.equal(reloads, 1);
  mock.timers.tick(7_000);
  assert.equal(reloads, 2);
});
