/** @import { Answer, Change, Patch, Ping, Bye, Summary, Sync } from "../base/types.js" */
/** @import { Badge } from "./badge.js" */
import { Poll } from "./poll.js";
import { Revision } from "../base/revision.js";
import { SharedStream } from "./shared_stream.js";
import { Stream } from "./stream.js";

/** How long the first connection may take before polling begins, in milliseconds. */
const CONNECT_PATIENCE = 4_000;

/** How soon a read that a newer state overtook is tried again, in milliseconds. */
const OVERTAKEN_PAUSE = 250;

/** How long changes are gathered before the list is read for their sake, in milliseconds. */
const GATHERING = 300;

/**
 * Whom a connection tells what changed, besides the page.
 *
 * @typedef {object} ChangeListener
 * @property {(patch: Patch) => void} tell the stream told this
 * @property {(isAlone: boolean) => void} polled something may have happened that no stream told; whether there is no stream that
 *   will tell it
 * @property {() => void} end the session is over
 */

/**
 * What a page does with what arrives.
 *
 * @typedef {object} Page
 * @property {() => string} query of the list that the page shows, as for the API
 * @property {() => (string | number)[]} visible the orders that it shows, whatever its list
 * @property {() => unknown} list what it shows now: an answer that was asked for another list is dropped
 * @property {() => boolean} isTrue false where it knows that what it shows is old, whatever is told here
 * @property {(summary: Summary) => void} state a newer state
 * @property {(changes: Change[]) => void} caughtUp a newer state, and what is known to have led to it
 * @property {(missed: Change[] | null, wasAway: boolean) => void} missed what led to a stream's first state; null where it
 *   can't be told
 * @property {(patch: Patch) => boolean} patched a change; whether the rows must be read after it
 * @property {(answer: Answer) => void} answered the rows as they are
 * @property {() => void} ended the session is over
 */

/**
 * Keeps a page true: a stream while there is one, else a poll; and has the badge say which.
 *
 * All states pass `#accept`, which drops those that are older than what is shown.
 */
export class Connection {
  #root;
  #badge;
  #page;
  #news;
  #stream;
  #poll;
  #revision;
  /** The stream has told its state and nothing is known to be missing. */
  #streaming = false;
  /** The server's own listener hears changes at once. */
  #listening = true;
  /** The rows must be read before they are known to be right. */
  #behind = false;
  /** The server told this page to use no stream. */
  #streamless = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #gathering;
  /** Something was told for whose sake the list must be read, and was not since. */
  #owesRead = false;
  /** The session is over: this page tells nothing more, whoever signs in next in the same browser. */
  #over = false;

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
    const { apiUrl = "", eventsUrl = "", rep = "", userId = "", cursor = "", revision = "" } = root.dataset;
    this.#revision = new Revision(revision);
    this.#poll = new Poll(Number(root.dataset["pollInterval"]), {
      url: () => this.#apiUrl(apiUrl),
      begun: () => ({ epoch: this.#revision.epoch, list: page.list() }),
      answer: (answer, begun) => this.#answered(answer, begun),
      failure: (status) => this.#failed(status),
      skipped: () => this.#news?.polled(!this.#streaming),
    });
    // browsers have no locks where a page came by plain HTTP from another machine
    const Kind = SharedStream.isPossible ? SharedStream : Stream;
    this.#stream = new Kind(`${eventsUrl}?${new URLSearchParams({ rep, user: userId })}`, cursor, {
      sync: (sync, wasAway) => this.#synced(sync, wasAway),
      patch: (patch) => this.#patched(patch),
      ping: (ping) => this.#pinged(ping),
      bye: (bye) => this.#dismissed(bye),
      down: () => this.#streamDown(),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#badge.onRetry(() => this.retry());
    this.#badge.show("connecting");
    this.#stream.open();
    setTimeout(() => {
      if (this.#badge.state === "connecting") this.#poll.start();
    }, CONNECT_PATIENCE);
    document.addEventListener("visibilitychange", () => this.#returned());
    // before what arrived while the page was frozen, which would count as a sign of life from now
    document.addEventListener("resume", () => this.#stream.check());
    window.addEventListener("online", () => this.retry());
    // tried again all the same, as not every browser that says so is right
    window.addEventListener("offline", () => this.#stream.giveUp());
    window.addEventListener("pagehide", () => {
      this.#streaming = false;
      this.#stream.close();
      this.#poll.abort();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.retry();
    });
  }

  /** Tries everything again now. */
  retry() {
    if (this.#over) return;
    this.#streaming = false;
    this.#streamless = false;
    this.#badge.show("connecting");
    this.#stream.open();
    this.#poll.restart();
  }

  /** The page shows another list now, which may lack what was patched while it was on its way. */
  listChanged() {
    if (this.#over) return;
    this.#poll.abort();
    this.#fallBehind();
    this.#settle();
  }

  /** Something that the page was told may have changed its list: it is read soon. What is shown is no less true until then. */
  readSoon() {
    this.#owesRead = true;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      if (!this.#over) this.#poll.now();
    }, GATHERING);
  }

  /** What the page knows of the truth of what it shows is another now. */
  reconsider() {
    if (this.#over) return;
    if (this.#page.isTrue()) {
      if (this.#streaming) this.#settle();
      else this.#poll.now();
      return;
    }
    if (this.#badge.state === "live" || this.#badge.state === "polling") this.#badge.show("connecting");
    this.#poll.start();
  }

  /** Whether the session is over: nothing is told any more. */
  get isOver() {
    return this.#over;
  }

  /** Whether what is shown is what the database says, and stays so by itself. */
  get #isLive() {
    return this.#streaming && this.#listening && !this.#behind && this.#page.isTrue();
  }

  /**
   * @param {Sync} sync
   * @param {boolean} wasAway
   */
  #synced(sync, wasAway) {
    const wasPolling = this.#poll.isRunning;
    // null: it can't be said what was missed, so that is asked as well
    if (sync.missed?.length !== 0) this.#news?.polled(false);
    this.#streaming = true;
    if (this.#accept(sync, true)) this.#page.caughtUp(sync.missed ?? []);
    // also of a state that a poll overtook: nobody else says what led to it
    this.#page.missed(sync.missed, wasAway);
    // the state of the rows is known only if the server says that nothing of them changed since the page's last
    if (wasPolling || sync.missed === null || sync.missed.length > 0) this.#fallBehind();
    this.#settle();
  }

  /** @param {Patch} patch */
  #patched(patch) {
    // also where a poll overtook the state: nobody else says what led to it
    this.#news?.tell(patch);
    if (!this.#accept(patch, false)) return;
    if (this.#page.patched(patch)) this.#fallBehind();
    this.#settle();
  }

  /** @param {Ping} ping */
  #pinged(ping) {
    this.#listening = ping.listener === "live";
    this.#settle();
  }

  /** @param {Bye} bye */
  #dismissed(bye) {
    if (bye.reason === "signed_out") {
      this.#end();
      return;
    }
    this.#streamless = bye.reason === "replaced";
    this.#streamDown();
  }

  #streamDown() {
    if (this.#over) return;
    this.#streaming = false;
    if (this.#badge.state === "live") this.#badge.show("connecting");
    this.#poll.start();
  }

  /**
   * @param {Answer} answer
   * @param {{ epoch: string, list: unknown }} begun the page's epoch and list when the read began
   */
  #answered(answer, { epoch, list }) {
    if (!this.#streaming || !this.#listening) this.#news?.polled(!this.#streaming);
    if (this.#over || list !== this.#page.list()) return;
    const revision = new Revision(answer.revision);
    const overtaken = epoch !== this.#revision.epoch && revision.epoch !== this.#revision.epoch;
    if (overtaken || !this.#accept(answer, true)) {
      if (!this.#isLive) setTimeout(() => this.#poll.isRunning && this.#poll.now(), OVERTAKEN_PAUSE);
      return;
    }
    this.#page.answered(answer);
    this.#behind = false;
    // what was told by now is in it
    this.#owesRead = false;
    if (this.#page.isTrue()) {
      this.#badge.confirm();
      if (!this.#isLive) this.#badge.show("polling");
    }
    this.#settle();
  }

  /** @param {number} status */
  #failed(status) {
    if (this.#over) return;
    if (status === 401) this.#end();
    else if (!this.#isLive) this.#badge.show("stale");
    else if (this.#owesRead) this.#poll.start();
  }

  /** The session is over. */
  #end() {
    this.#over = true;
    this.#news?.end();
    this.#streaming = false;
    this.#stream.close();
    this.#poll.abort();
    this.#badge.show("signed_out");
    this.#page.ended();
  }

  /** The rows must be read: what the stream told does not say all of them. */
  #fallBehind() {
    this.#behind = true;
    this.#poll.restart();
  }

  /** Live only with a stream, a listening server, and rows that are known to be right; else it polls until so. */
  #settle() {
    if (!this.#streaming || this.#over) return;
    if (this.#isLive) {
      if (!this.#owesRead) this.#poll.stop();
      this.#badge.confirm();
      this.#badge.show("live");
      return;
    }
    if (this.#badge.state === "live") this.#badge.show("connecting");
    this.#poll.start();
  }

  /** Somebody looks at the page again. */
  #returned() {
    if (document.visibilityState !== "visible" || this.#over) return;
    this.#stream.check();
    if (this.#badge.state === "live") return;
    this.#badge.show("connecting");
    if (this.#streamless || !this.#streaming) this.retry();
    else this.#poll.now();
  }

  /**
   * Takes a state unless it is older than what is shown. All pass here.
   * @param {Summary} summary
   * @param {boolean} complete whether it may begin a new epoch
   */
  #accept(summary, complete) {
    const revision = new Revision(summary.revision);
    const anotherEpoch = revision.epoch !== this.#revision.epoch;
    if (anotherEpoch ? !complete : revision.isOlderThan(this.#revision)) return false;
    this.#revision = revision;
    this.#root.dataset["revision"] = summary.revision;
    this.#page.state(summary);
    return true;
  }

  /** @param {string} url */
  #apiUrl(url) {
    const query = new URLSearchParams(this.#page.query());
    query.set("rep", this.#root.dataset["rep"] ?? "");
    query.set("user", this.#root.dataset["userId"] ?? "");
    query.set("visible", this.#page.visible().join(","));
    return `${url}?${query}`;
  }
}
