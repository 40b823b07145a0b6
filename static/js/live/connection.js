/** @import { Answer, Change, Patch, Ping, Bye, Summary, Sync } from "../base/types.js" */
/** @import { Badge } from "./badge.js" */
/** @import { Facts } from "./facts.js" */
import { attempt } from "../base/dom.js";
import { hearServer, now } from "../base/clock.js";
import { firstFacts, isLive, judge, needOfReading } from "./facts.js";
import { Debt, Patches, merged, naming } from "./patches.js";
import { Poll } from "./poll.js";
import { Revision } from "../base/revision.js";
import { endSession, whenSessionEnds } from "../base/session.js";
import { SharedStream } from "./shared_stream.js";
import { Stream } from "./stream.js";
import { isBusy, reloadWhenIdle } from "./wire.js";

/** How soon it is read again where an answer did not bring all that was owed, in milliseconds. */
const NEXT_READ = 250;

/** How long changes are gathered before the list is read for their sake, and how far such reads are apart, in milliseconds. */
const GATHERING = 300;
const READS_APART = 1_000;

/**
 * Whom a connection tells what changed, besides the page.
 *
 * @typedef {object} ChangeListener
 * @property {(patch: Patch) => void} tell the stream told this
 * @property {(wasOld: boolean) => void} polled something may have happened that no stream told; whether the page showed something
 *   old until now
 * @property {() => void} end the session is over
 */

/**
 * What a page does with what arrives.
 *
 * @typedef {object} Page
 * @property {() => string} query of the list that the page shows, as for the API
 * @property {() => string[]} visible the orders that it shows, whatever its list
 * @property {() => unknown} list what it shows now: an answer that was asked for another list is dropped
 * @property {() => boolean} isTrue false where it knows that what it shows is old, whatever is told here
 * @property {(summary: Summary) => void} state a newer state
 * @property {(missed: Change[] | null, wasAway: boolean) => void} missed what led to a stream's first state; null where it
 *   can't be told
 * @property {(changes: Change[]) => void} told what the stream told, each once, also where an answer had it before
 * @property {(patch: Patch) => boolean} patched a change, or several that came together; whether the rows must be read after it
 * @property {(answer: Answer, later: Patch[]) => void} answered the rows as they were, and what was told since, the oldest first:
 *   it was shown before, and is newer than the answer
 * @property {() => void} ended the session is over
 */

/**
 * Keeps a page true: a stream while there is one, else a poll. Whatever happens is a fact, and from all of them follows what the
 * badge says and what is read.
 */
export class Connection {
  #root;
  #badge;
  #page;
  #news;
  #stream;
  #poll;
  #facts;
  #verdict;
  /** What the page shows. It is taken note of when it is shown, not before. */
  #revision;
  /** An answer that is older lacks something that no patch will tell. */
  #leastUseful;
  /** The life of the database that the stream tells of, and that whose state was shown when the stream was asked for. */
  #streamEpoch = "";
  #streamAskedIn = "";
  #patches = new Patches((patches) => this.#showPatches(patches));
  #tell = naming((patch) => attempt(() => this.#news?.tell(patch)));
  /** What was told since something began that is read now, of each. @type {Set<Patch[]>} */
  #records = new Set();
  #owedRows = new Debt();
  #owedList = new Debt();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #gathering;
  #gatheredAt = -Infinity;
  /** The server is of a later version than this page, which is to be loaded anew. */
  #isOutdated = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} until another verdict may follow from the same facts */
  #lapse;

  /**
   * @param {HTMLElement} root whose data say where to ask and for whom
   * @param {Badge} badge
   * @param {ChangeListener | null} news who is told what changed
   * @param {Page} page
   */
  constructor(root, badge, news, page) {
    this.#root = root;
    this.#badge = badge;
    this.#page = page;
    this.#news = news;
    const { apiUrl = "", eventsUrl = "", cursor = "", revision = "" } = root.dataset;
    this.#revision = new Revision(revision);
    this.#leastUseful = this.#revision;
    this.#streamAskedIn = this.#revision.epoch;
    const interval = Number(root.dataset["pollInterval"]);
    /** @type {Facts} */
    this.#facts = firstFacts(now(), interval, isInSight());
    this.#verdict = judge(this.#facts, now());
    this.#poll = new Poll(interval, {
      url: () => this.#apiUrl(apiUrl),
      reason: () => needOfReading(this.#facts),
      begun: () => this.#readBegun(),
      answer: (answer, begun) => this.#answered(answer, begun),
      failure: (status) => this.#failed(status),
      outdated: () => this.#outdated(),
      news: () => this.#askNews(),
      over: ({ later }) => {
        // what was told during the read is known as that
        this.#patches.show();
        this.stopRecording(later);
      },
    });
    // browsers have no locks where a page came by plain HTTP from another machine
    const Kind = SharedStream.isPossible ? SharedStream : Stream;
    this.#stream = new Kind(`${eventsUrl}?${this.#whose}`, cursor, {
      sync: (sync, wasAway) => this.#synced(sync, wasAway),
      patch: (patch) => this.#patched(patch),
      ping: (ping) => this.#pinged(ping),
      bye: (bye) => this.#dismissed(bye),
      down: () => this.#lost("down"),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#badge.onRetry(() => (this.#isOutdated ? location.reload() : this.retry()));
    whenSessionEnds(() => this.#end());
    this.#stream.open();
    this.#settle();
    document.addEventListener("visibilitychange", () => this.#turned());
    document.addEventListener("resume", () => {
      // before what arrived while the page was frozen, which would count as a sign of life from now
      this.#stream.check();
      // as if somebody saw it, until it is live: whoever wakes the machine comes next
      this.#note({ isSeen: true });
    });
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => {
      this.#note({ isOnline: false });
      // tried again all the same, as not every browser that says so is right
      this.#stream.giveUp();
    });
    window.addEventListener("pagehide", () => {
      this.#patches.show();
      // nor was it live for as long as it is kept
      this.#note({ stream: "down", isSeen: false });
      this.#facts.liveUntil = null;
      this.#stream.close();
      this.#poll.abort();
    });
    window.addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      this.#note({ isSeen: isInSight() });
      this.retry();
    });
  }

  /** Tries everything again now. */
  retry() {
    if (this.isOver) return;
    this.#streamAskedIn = this.#revision.epoch;
    this.#stream.open();
    this.#note({ stream: "down", poll: "none", isOnline: true, triedAt: now() });
    this.#readIfDue();
  }

  /** The page shows another list now, which may lack what was patched while it was on its way. */
  listChanged() {
    this.#poll.abort();
    this.#owe(this.#revision);
  }

  /**
   * Adds to a list what is told from now on, the oldest first: what is read meanwhile may be older.
   * @returns {Patch[]} that list
   */
  record() {
    /** @type {Patch[]} */
    const patches = [];
    this.#records.add(patches);
    return patches;
  }

  /** @param {Patch[]} patches to which nothing is added any more */
  stopRecording(patches) {
    this.#records.delete(patches);
  }

  /**
   * Something that the page was told may have changed its list: it is read soon. What is shown is no less true until then.
   * @param {number} [apart] how far such reads are apart, in milliseconds
   */
  readSoon(apart = READS_APART) {
    const wait = Math.max(GATHERING, this.#gatheredAt + apart - performance.now());
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#gatheredAt = performance.now();
      this.#owedList.add(this.#revision);
      this.#note({ list: "due" });
      this.#readIfDue();
    }, wait);
  }

  /** What the page knows of the truth of what it shows is another now. */
  reconsider() {
    this.#hear({});
    if (this.#page.isTrue()) this.#readIfDue();
  }

  /** Whether the session is over: nothing is told any more. */
  get isOver() {
    return this.#facts.isOver;
  }

  /* What happens */

  /**
   * @param {Sync} sync
   * @param {boolean} wasAway
   */
  #synced(sync, wasAway) {
    this.#patches.show();
    const revision = new Revision(sync.revision);
    this.#streamEpoch = revision.epoch;
    const isAnotherLife = revision.epoch !== this.#revision.epoch;
    // Of two lives it can't be told which is newer. Where the page came to know its own after the stream was asked for, this may be
    // the older one: a read decides, as that is asked for after both.
    const isNewer = isAnotherLife ? this.#streamAskedIn === this.#revision.epoch : !revision.isOlderThan(this.#revision);
    const isComplete = sync.missed?.length === 0;
    // null: it can't be said what was missed, so that is asked as well
    if (!isComplete) this.#askNews();
    const isShown = attempt(() => {
      if (isNewer) this.#page.state(sync);
      // also of a state that a poll overtook: nobody else says what led to it
      this.#page.missed(sync.missed, wasAway);
      return true;
    });
    if (isNewer && isShown) {
      this.#accept(revision);
      this.#leastUseful = revision;
      this.#streamAskedIn = revision.epoch;
    }
    if (!isShown) this.#note({ rows: "failed" });
    // the state of the rows is known only if the server says that nothing of them changed since the page's last
    if (!isShown || !isComplete || (isAnotherLife && !isNewer) || this.#verdict.reads === "rows") this.#owe(revision);
    this.#hear({ stream: "up", isOnline: true });
  }

  /** @param {Patch} patch */
  #patched(patch) {
    // at once, and also where a poll overtook the state: nobody else says what led to it
    this.#tell(patch);
    this.#patches.add(patch);
  }

  /** @param {Patch[]} patches */
  #showPatches(patches) {
    if (this.isOver) return;
    for (const record of this.#records) record.push(...patches);
    // also what an answer has overtaken, or can't be shown: nobody else says that it happened
    attempt(() => this.#page.told(patches.flatMap(({ changes }) => changes)));
    const revisions = patches.map((patch) => new Revision(patch.revision));
    const newer = patches.filter((_, at) => revisions[at]?.covers(this.#revision));
    const last = /** @type {Revision} */ (revisions.at(-1));
    this.#streamEpoch = last.epoch;
    let mustRead = last.epoch !== this.#revision.epoch;
    if (newer.length > 0) {
      const patch = merged(newer);
      const isShown = attempt(() => {
        this.#page.state(patch);
        mustRead = this.#page.patched(patch);
        return true;
      });
      if (isShown) this.#accept(new Revision(patch.revision));
      else this.#note({ rows: "failed" });
      mustRead ||= !isShown;
    }
    if (mustRead) this.#owe(last);
    this.#hear({});
  }

  /** @param {Ping} ping */
  #pinged(ping) {
    hearServer(ping.time);
    this.#hear({ listener: ping.listener });
  }

  /** @param {Bye} bye */
  #dismissed(bye) {
    if (bye.reason === "outdated") this.#outdated();
    if (bye.reason === "signed_out") endSession();
    else this.#lost(bye.reason === "draining" || bye.reason === "leader_signed_out" ? "down" : "refused");
    // this page may have a later session: an answer tells, also where nobody sees the page
    if (bye.reason === "leader_signed_out") this.#poll.now();
  }

  /** @param {"down" | "refused"} stream */
  #lost(stream) {
    this.#streamAskedIn = this.#revision.epoch;
    this.#note({ stream });
  }

  #readBegun() {
    this.#patches.show();
    this.#leastUseful = this.#revision;
    return { epoch: this.#revision.epoch, list: this.#page.list(), later: this.record() };
  }

  /**
   * @param {Answer} answer
   * @param {{ epoch: string, list: unknown, later: Patch[] }} begun the page's epoch and list when the read began, and what was told since
   */
  #answered(answer, { epoch, list, later: told }) {
    if (this.#facts.stream !== "up" || this.#facts.listener !== "live") this.#askNews(judge(this.#facts, now()).isOld);
    if (this.isOver || list !== this.#page.list()) return;
    const revision = new Revision(answer.revision);
    const isAnotherLife = revision.epoch !== this.#revision.epoch;
    const isUseful = isAnotherLife ? epoch === this.#revision.epoch : !revision.isOlderThan(this.#leastUseful);
    const later = told.filter((patch) => revision.isOlderThan(new Revision(patch.revision)));
    const newest = later.at(-1) ?? answer;
    const isShown = !isUseful || attempt(() => {
      this.#page.state(newest);
      this.#page.answered(answer, later);
      return true;
    });
    if (isUseful && isShown) this.#take(revision, new Revision(newest.revision));
    else if (!isShown) this.#note({ rows: "failed" });
    // what can't be shown is read again at the poll's pace
    if (isShown && (this.#owedRows.since || this.#owedList.since)) setTimeout(() => this.#readIfDue(), NEXT_READ);
  }

  /**
   * The rows are shown as they were read, and as they are by what was told since.
   * @param {Revision} read
   * @param {Revision} newest
   */
  #take(read, newest) {
    this.#accept(newest);
    this.#owedRows.pay(read);
    this.#owedList.pay(read);
    const { stream, listener, isRight } = this.#facts;
    // what is owed came since then
    const wasRight = stream === "up" && listener === "live" && isRight ? this.#owedRows.since : null;
    this.#note({
      poll: "answered",
      rows: this.#owedRows.since ? "owed" : "exact",
      list: this.#owedList.since ? "due" : "known",
      ...(this.#page.isTrue() ? { trueAt: now() } : {}),
      ...(wasRight ? { liveUntil: wasRight } : {}),
    });
  }

  /** @param {number} status */
  #failed(status) {
    if (status === 401) endSession();
    else this.#note({ poll: "failed" });
  }

  /** What this page can't read it does not take for something else: it says that it is not live, and since when, until it is loaded anew. */
  #outdated() {
    if (this.#isOutdated) return;
    this.#isOutdated = true;
    reloadWhenIdle({ age: performance.now(), isBusy, reload: () => location.reload() });
  }

  #askNews(wasOld = false) {
    attempt(() => this.#news?.polled(wasOld));
  }

  /** Somebody sees the page again, or nobody does any more. */
  #turned() {
    const isSeen = isInSight();
    if (isSeen) {
      this.#patches.show();
      this.#stream.check();
    }
    this.#note({ isSeen, ...(isSeen ? { triedAt: now() } : {}) });
    if (isSeen && (this.#facts.stream === "down" || this.#facts.stream === "refused")) this.retry();
  }

  #end() {
    attempt(() => this.#news?.end());
    this.#note({ isOver: true });
    this.#stream.close();
    this.#poll.abort();
    this.#page.ended();
  }

  /* What follows from it */

  /**
   * Only a read can bring what led to that state.
   * @param {Revision} revision
   */
  #owe(revision) {
    this.#owedRows.add(revision);
    if (this.#facts.rows === "exact") this.#note({ rows: "owed" });
    this.#readIfDue();
  }

  #readIfDue() {
    if (this.#verdict.reads === "rows") this.#poll.now();
  }

  /**
   * That state is shown now.
   * @param {Revision} revision
   */
  #accept(revision) {
    this.#revision = revision;
    this.#root.dataset["revision"] = revision.text;
  }

  /**
   * Something was heard by which what is shown is known to be true now, if the page is live.
   * @param {Partial<Facts>} facts
   */
  #hear(facts) {
    this.#note(facts, true);
  }

  /**
   * @param {Partial<Facts>} facts
   * @param {boolean} [isSign] that the stream is well
   */
  #note(facts, isSign = false) {
    if (this.isOver) return;
    const wasLive = isLive(this.#facts);
    Object.assign(this.#facts, facts, { isRight: this.#page.isTrue() });
    const isApart = this.#streamEpoch !== this.#revision.epoch;
    if (this.#facts.stream === "up" && isApart) this.#facts.stream = "apart";
    if (this.#facts.stream === "apart" && !isApart) this.#facts.stream = "up";
    if (isLive(this.#facts)) {
      this.#facts.poll = "none";
      this.#facts.isSeen = isInSight();
      if (isSign) this.#facts.trueAt = now();
    } else if (wasLive) {
      this.#facts.liveUntil = this.#facts.isOnline ? now() : null;
    }
    this.#settle();
  }

  #settle() {
    clearTimeout(this.#lapse);
    this.#verdict = judge(this.#facts, now());
    this.#badge.show(this.#verdict, this.#facts.trueAt);
    if (this.#verdict.next !== null) this.#lapse = setTimeout(() => this.#settle(), this.#verdict.next);
    this.#poll.turn(this.#verdict.reads);
  }

  /** Whose orders are asked for, as far as the page was told, and for whom. */
  get #whose() {
    const { rep, userId = "" } = this.#root.dataset;
    return new URLSearchParams(rep === undefined ? { user: userId } : { rep, user: userId });
  }

  /** @param {string} url */
  #apiUrl(url) {
    const query = new URLSearchParams(this.#page.query());
    this.#whose.forEach((value, name) => query.set(name, value));
    query.set("visible", this.#page.visible().join(","));
    return `${url}?${query}`;
  }
}

function isInSight() {
  return document.visibilityState === "visible";
}
