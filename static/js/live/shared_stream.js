/** @import { Sync, Patch, Ping, Bye } from "../base/types.js" */
/** @import { Listeners } from "./stream.js" */
import { Backlog } from "./backlog.js";
import { Leadership } from "./leadership.js";
import { now, since } from "../base/clock.js";
import { Revision } from "../base/revision.js";
import { OPENING_PATIENCE, PING_GRACE, SILENCE_CHECK, Stream } from "./stream.js";

/** How long the leader may take to answer before another page takes its place, in milliseconds. */
const ANSWER_PATIENCE = 1_500;

/** Pages do not take the leader's place all at once, and those that nobody sees come last, in milliseconds. */
const SPREAD = 400;
const HIDDEN_DELAY = 600;

/** How often a page asks a leader without a stream whether it is still there, in milliseconds. */
const ASKING_INTERVAL = 10_000;

/** While the stream is being opened nobody gets another attempt for so long, in milliseconds: all pages ask at once. */
const SAME_ATTEMPT = 500;

/**
 * What pages say to each other. A page that joins asks; whoever leads says where its stream stands and what the page missed
 * up to there, as the server would, and from then on hands on whatever its stream tells.
 *
 * @typedef {{ name: "sync", data: Sync } | { name: "patch", data: Patch } | { name: "ping", data: Ping }
 *   | { name: "bye", data: Bye }} Event
 * @typedef {{ kind: "ask", question: string, cursor: string, retry: boolean }} Ask
 * @typedef {{ kind: "answer", from: string, question: string, cursor: string, sync: Sync | null, ping: Ping | null,
 *   isDown: boolean }} Answer
 * @typedef {{ kind: "told", from: string, event: Event, before: string, after: string }} Told
 * @typedef {{ kind: "lead" | "down" | "freezing" | "robbed", from: string }} Sign
 * @typedef {Ask | Answer | Told | Sign} Message
 */

/**
 * The stream of all of a browser's pages together, as a browser has only six connections to a server for all of them: one
 * page leads, runs the stream and tells the others what comes. It has the same methods as a `Stream`, and like that one it never
 * claims a state for longer than the stream may be silent, whatever becomes of the page that leads.
 *
 * All pages that follow stand at the leader's cursor, so that whoever leads next goes on from where all are. One that was
 * loaded after the stream's last change takes over that older cursor: at worst it gets a change twice, which revisions and
 * change ids reveal.
 */
export class SharedStream {
  #url;
  #cursor;
  #listeners;
  #name;
  #id = SharedStream.isPossible ? crypto.randomUUID() : "";
  #leadership;
  /** @type {BroadcastChannel | null} while the page takes part */
  #channel = null;
  /** @type {Stream | null} while it leads */
  #stream = null;
  /** What its stream told. */
  #backlog = new Backlog("");
  /** @type {Ping | null} */
  #ping = null;
  #openedAt = now();
  /** It leads, and its stream has told a state and what changes it since. */
  #isStreaming = false;
  /** @type {string | null} whom it follows */
  #leader = null;
  /** @type {string | null} what it waits to be answered */
  #question = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} until it takes the place of a leader that does not answer */
  #unanswered;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** The page was told a state, and is told what changes it. */
  #isUp = false;
  #wasUp = false;
  #wasOpened = false;
  /** There was no stream for a while. */
  #wasAway = false;
  /** When the stream was last heard, and how long it may be silent, in milliseconds. */
  #toldAt = now();
  #patience = OPENING_PATIENCE;
  /** When the leader was last heard. */
  #heardAt = now();
  /** The browser has stopped this page: it may still hear other pages, but not its stream, nor a timer. */
  #isFrozen = false;

  /** Whether this browser lets pages share a stream here. */
  static get isPossible() {
    return "locks" in navigator && "BroadcastChannel" in globalThis;
  }

  /**
   * @param {string} url with a query; it says whose orders are told, so that pages of the same one share it
   * @param {string} cursor where the page stands, `epoch/snapshot`
   * @param {Listeners} listeners
   */
  constructor(url, cursor, listeners) {
    this.#url = url;
    this.#cursor = cursor;
    this.#listeners = listeners;
    // pages of another version, before and after an update of the service, may say other things to each other
    this.#name = `${import.meta.url} ${url}`;
    this.#leadership = new Leadership(this.#name, { led: () => this.#lead(), robbed: () => this.#robbed() });
    document.addEventListener("freeze", () => this.#freeze());
    document.addEventListener("resume", () => this.#thaw());
  }

  /** Takes part, and tries now, whatever it was doing. */
  open() {
    if (this.#wasOpened) this.#wasAway = true;
    this.#wasOpened = true;
    if (this.#stream) {
      this.#reopen(this.#stream);
      return;
    }
    if (!this.#channel) {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.addEventListener("message", ({ data }) => this.#hear(data));
      this.#clock = setInterval(() => this.check(), SILENCE_CHECK);
      this.#leadership.stand();
    }
    this.#ask(true);
  }

  /** Gives the stream, or the page that leads, up if it was silent for too long. */
  check() {
    this.#stream?.check();
    if (this.#isUp) {
      // also where what was told last was told by a page that led before, and the new leader's stream does not come
      if (since(this.#toldAt) > this.#patience) this.#lose();
    } else if (this.#leader !== null && since(this.#heardAt) > ASKING_INTERVAL) {
      this.#ask(false);
    }
  }

  /** Gives the stream up, if there is one, and tries again. */
  giveUp() {
    if (this.#stream) this.#stream.giveUp();
    else if (this.#isUp) this.#lose();
  }

  /** Takes no part any more. */
  close() {
    clearInterval(this.#clock);
    this.#follow(null);
    this.#stream?.close();
    this.#stream = null;
    this.#isStreaming = false;
    this.#isUp = false;
    this.#leadership.resign();
    this.#channel?.close();
    this.#channel = null;
  }

  /** @param {Ask | Omit<Answer, "from"> | Omit<Told, "from"> | Omit<Sign, "from">} message */
  #say(message) {
    this.#channel?.postMessage({ ...message, from: this.#id });
  }

  /** @param {Message} message */
  #hear(message) {
    if (message.kind === "ask") {
      if (this.#stream && !this.#isFrozen) this.#answer(this.#stream, message);
      return;
    }
    // who leads is decided by the lock alone
    if (this.#stream) return;
    if (message.kind === "answer") {
      if (message.question === this.#question) this.#join(message);
      return;
    }
    if (message.kind === "lead") {
      const asked = this.#question !== null;
      this.#follow(message.from);
      // it did not hear the question
      if (asked) this.#ask(false);
      return;
    }
    if (message.from !== this.#leader) return;
    this.#heardAt = now();
    if (message.kind === "told") this.#told(message);
    else if (message.kind === "down") this.#down();
    else if (message.kind === "freezing") this.#ask(false, 0);
    else if (message.kind === "robbed") this.#ask(false);
  }

  /* The page that leads */

  #lead() {
    this.#follow(null);
    this.#backlog = new Backlog(this.#cursor);
    this.#ping = null;
    this.#stream = new Stream(this.#url, this.#cursor, {
      sync: (data) => this.#tell({ name: "sync", data }),
      patch: (data) => this.#tell({ name: "patch", data }),
      ping: (data) => this.#tell({ name: "ping", data }),
      bye: (data) => this.#tell({ name: "bye", data }),
      down: () => this.#lose(),
    });
    this.#say({ kind: "lead" });
    this.#reopen(this.#stream);
  }

  /** @param {Stream} stream */
  #reopen(stream) {
    this.#isStreaming = false;
    this.#openedAt = now();
    stream.open();
  }

  /** @param {Event} event */
  #tell(event) {
    const before = this.#cursor;
    const after = this.#stream?.cursor ?? before;
    if (event.name === "sync" || event.name === "patch") this.#backlog.add(event.data, after);
    if (event.name === "ping") this.#ping = event.data;
    if (event.name === "sync") this.#isStreaming = true;
    if (event.name === "bye") this.#isStreaming = false;
    this.#say({ kind: "told", event, before, after });
    this.#take(event, after);
  }

  /**
   * @param {Stream} stream
   * @param {Ask} question
   */
  #answer(stream, { question, cursor, retry }) {
    // where nobody sees this page its own clock is slow
    stream.check();
    const isTrying = stream.isOpen && since(this.#openedAt) < SAME_ATTEMPT;
    if (retry && !this.#isStreaming && !isTrying) this.#reopen(stream);
    this.#say({
      kind: "answer",
      question,
      cursor: this.#backlog.cursor,
      sync: this.#isStreaming ? this.#backlog.sync(cursor) : null,
      ping: this.#ping,
      isDown: this.#wasAway,
    });
  }

  #robbed() {
    this.#stream?.close();
    this.#stream = null;
    this.#isStreaming = false;
    this.#say({ kind: "robbed" });
    if (!this.#isFrozen) this.#leadership.stand();
    this.#ask(false);
  }

  /* A page that follows */

  /**
   * Asks whoever leads what the page missed; takes the leader's place where nobody answers.
   * @param {boolean} retry whether somebody wants the stream to be tried now
   * @param {number} [patience] in milliseconds
   */
  #ask(retry, patience = ANSWER_PATIENCE) {
    this.#follow(null);
    const question = crypto.randomUUID();
    this.#question = question;
    const delay = document.visibilityState === "hidden" ? HIDDEN_DELAY : 0;
    this.#unanswered = setTimeout(() => this.#leadership.seize(), patience + delay + Math.random() * SPREAD);
    this.#say({ kind: "ask", question, cursor: this.#cursor, retry });
  }

  /** @param {string | null} leader */
  #follow(leader) {
    clearTimeout(this.#unanswered);
    this.#question = null;
    this.#leader = leader;
    this.#heardAt = now();
  }

  /** @param {Answer} answer */
  #join({ from, cursor, sync, ping, isDown }) {
    this.#follow(from);
    if (sync) this.#take({ name: "sync", data: sync }, cursor);
    if (sync && ping) this.#take({ name: "ping", data: ping }, cursor);
    if (isDown && !sync) this.#down();
  }

  /** @param {Told} told */
  #told({ event, before, after }) {
    const inStep = before === this.#cursor;
    if (event.name === "patch" && !inStep) {
      this.#ask(false);
    } else if (event.name === "sync" && !inStep) {
      // the leader's list of missed changes is not this page's; and a page that was loaded while there was no stream was not away
      if (!this.#wasUp) this.#wasAway = false;
      const missed = Revision.ofCursor(this.#cursor).covers(Revision.ofCursor(after)) ? [] : null;
      this.#take({ name: "sync", data: { ...event.data, missed } }, after);
    } else {
      this.#take(event, after);
    }
  }


  #freeze() {
    this.#isFrozen = true;
    // one that waits for the lead would be given it and not be able to use it
    if (this.#stream) this.#say({ kind: "freezing" });
    else this.#leadership.resign();
  }

  #thaw() {
    this.#isFrozen = false;
    if (!this.#channel || this.#stream) return;
    this.#leadership.stand();
    // the answer may be among what was not delivered
    if (this.#question !== null) this.#ask(false);
  }

  /* Every page */

  /**
   * @param {Event} event
   * @param {string} cursor where it leads
   */
  #take({ name, data }, cursor) {
    this.#cursor = cursor;
    this.#toldAt = now();
    if (name === "sync") {
      const wasAway = this.#wasAway;
      this.#isUp = true;
      this.#wasUp = true;
      this.#wasAway = false;
      this.#listeners.sync(data, wasAway);
    } else if (name === "patch") {
      this.#listeners.patch(data);
    } else if (name === "ping") {
      this.#patience = data.next_ms + PING_GRACE;
      this.#listeners.ping(data);
    } else {
      this.#isUp = false;
      this.#wasAway = true;
      this.#listeners.bye(data);
    }
  }

  /** Nothing is heard any more. */
  #lose() {
    this.#isStreaming = false;
    if (this.#stream) this.#say({ kind: "down" });
    this.#down();
    if (!this.#stream) this.#ask(false);
  }

  #down() {
    this.#isUp = false;
    this.#wasAway = true;
    this.#listeners.down();
  }
}
