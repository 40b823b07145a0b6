/** @import { Sync, Patch, Ping, Bye } from "../base/types.js" */
/** @import { Moment } from "../base/clock.js" */
/** @import { StreamListeners } from "./stream.js" */
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
 * What a page does for the stream, one at a time:
 *
 * - `out`: it takes no part.
 * - `asking`: it waits for the answer of whoever leads, and takes that one's place when the time is up.
 * - `following`: another page tells it what comes.
 * - `leading`: it has the stream, and tells the others. `isStreaming`: that has told a state and what changes it since.
 *
 * @typedef {{ is: "out" }} Out
 * @typedef {{ is: "asking", question: string, timeUp: ReturnType<typeof setTimeout> }} Asking
 * @typedef {{ is: "following", leader: string, heardAt: Moment }} Following
 * @typedef {{ is: "leading", stream: Stream, backlog: Backlog, ping: Ping | null, openedAt: Moment, isStreaming: boolean }} Leading
 * @typedef {Out | Asking | Following | Leading} Role
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
  /** @type {Role} */
  #role = { is: "out" };
  /** @type {BroadcastChannel | null} while the page takes part */
  #channel = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** The page was told a state, and is told what changes it. */
  #isUp = false;
  #hasBeenUp = false;
  #hasBeenOpened = false;
  /** There was no stream for a while. */
  #wasAway = false;
  /** When the stream was last heard, and how long it may be silent, in milliseconds. */
  #toldAt = now();
  #patience = OPENING_PATIENCE;
  /** The browser has stopped this page: it may still hear other pages, but not its stream, nor a timer. */
  #isFrozen = false;

  /** Whether this browser lets pages share a stream here. */
  static get isPossible() {
    return "locks" in navigator && "BroadcastChannel" in globalThis;
  }

  /**
   * @param {string} url with a query; it says whose orders are told, so that pages of the same one share it
   * @param {string} cursor where the page stands, `epoch/snapshot`
   * @param {StreamListeners} listeners
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
    if (this.#hasBeenOpened) this.#wasAway = true;
    this.#hasBeenOpened = true;
    if (this.#role.is === "leading") {
      reopen(this.#role);
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
    if (this.#role.is === "leading") this.#role.stream.check();
    if (this.#isUp) {
      // also where what was told last was told by a page that led before, and the new leader's stream does not come
      if (since(this.#toldAt) > this.#patience) this.#lose();
    } else if (this.#role.is === "following" && since(this.#role.heardAt) > ASKING_INTERVAL) {
      this.#ask(false);
    }
  }

  /** Gives the stream up, if there is one, and tries again. */
  giveUp() {
    if (this.#role.is === "leading") this.#role.stream.giveUp();
    else if (this.#isUp) this.#lose();
  }

  /** Takes no part any more. */
  close() {
    clearInterval(this.#clock);
    this.#become({ is: "out" });
    this.#isUp = false;
    this.#leadership.resign();
    this.#channel?.close();
    this.#channel = null;
  }

  /**
   * Nothing of what it was doing goes on.
   * @param {Role} role
   */
  #become(role) {
    if (this.#role.is === "asking") clearTimeout(this.#role.timeUp);
    if (this.#role.is === "leading") this.#role.stream.close();
    this.#role = role;
  }

  /** @param {Ask | Omit<Answer, "from"> | Omit<Told, "from"> | Omit<Sign, "from">} message */
  #say(message) {
    this.#channel?.postMessage({ ...message, from: this.#id });
  }

  /** @param {Message} message */
  #hear(message) {
    const role = this.#role;
    if (message.kind === "ask") {
      if (role.is === "leading" && !this.#isFrozen) this.#answer(role, message);
      return;
    }
    // who leads is decided by the lock alone
    if (role.is === "leading") return;
    if (message.kind === "answer") {
      if (role.is === "asking" && message.question === role.question) this.#join(message);
      return;
    }
    if (message.kind === "lead") {
      this.#follow(message.from);
      // it did not hear the question
      if (role.is === "asking") this.#ask(false);
      return;
    }
    if (role.is !== "following" || message.from !== role.leader) return;
    role.heardAt = now();
    if (message.kind === "told") this.#told(message);
    else if (message.kind === "down") this.#down();
    else if (message.kind === "freezing") this.#ask(false, 0);
    else if (message.kind === "robbed") this.#ask(false);
  }

  /* The page that leads */

  #lead() {
    const stream = new Stream(this.#url, this.#cursor, {
      sync: (data) => this.#tell({ name: "sync", data }),
      patch: (data) => this.#tell({ name: "patch", data }),
      ping: (data) => this.#tell({ name: "ping", data }),
      bye: (data) => this.#tell({ name: "bye", data }),
      down: () => this.#lose(),
    });
    /** @type {Leading} */
    const role = { is: "leading", stream, backlog: new Backlog(this.#cursor), ping: null, openedAt: now(), isStreaming: false };
    this.#become(role);
    this.#say({ kind: "lead" });
    reopen(role);
  }

  /** @param {Event} event */
  #tell(event) {
    if (this.#role.is !== "leading") return;
    const before = this.#cursor;
    const after = this.#role.stream.cursor;
    if (event.name === "sync" || event.name === "patch") this.#role.backlog.add(event.data, after);
    if (event.name === "ping") this.#role.ping = event.data;
    if (event.name === "sync") this.#role.isStreaming = true;
    if (event.name === "bye") this.#role.isStreaming = false;
    this.#say({ kind: "told", event, before, after });
    this.#take(event, after);
  }

  /**
   * @param {Leading} role
   * @param {Ask} question
   */
  #answer(role, { question, cursor, retry }) {
    // where nobody sees this page its own clock is slow
    role.stream.check();
    const isTrying = role.stream.isOpen && since(role.openedAt) < SAME_ATTEMPT;
    if (retry && !role.isStreaming && !isTrying) reopen(role);
    this.#say({
      kind: "answer",
      question,
      cursor: role.backlog.cursor,
      sync: role.isStreaming ? role.backlog.sync(cursor) : null,
      ping: role.ping,
      isDown: this.#wasAway,
    });
  }

  #robbed() {
    if (this.#role.is === "leading") this.#say({ kind: "robbed" });
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
    const question = crypto.randomUUID();
    const delay = document.visibilityState === "hidden" ? HIDDEN_DELAY : 0;
    const timeUp = setTimeout(() => this.#leadership.seize(), patience + delay + Math.random() * SPREAD);
    this.#become({ is: "asking", question, timeUp });
    this.#say({ kind: "ask", question, cursor: this.#cursor, retry });
  }

  /** @param {string} leader */
  #follow(leader) {
    this.#become({ is: "following", leader, heardAt: now() });
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
      if (!this.#hasBeenUp) this.#wasAway = false;
      const missed = Revision.ofCursor(this.#cursor).covers(Revision.ofCursor(after)) ? [] : null;
      this.#take({ name: "sync", data: { ...event.data, missed } }, after);
    } else if (event.name === "bye" && event.data.reason === "signed_out") {
      this.#take({ name: "bye", data: { reason: "leader_signed_out" } }, after);
      this.#ask(false);
    } else {
      this.#take(event, after);
    }
  }

  #freeze() {
    this.#isFrozen = true;
    // one that waits for the lead would be given it and not be able to use it
    if (this.#role.is === "leading") this.#say({ kind: "freezing" });
    else this.#leadership.resign();
  }

  #thaw() {
    this.#isFrozen = false;
    if (this.#role.is === "out" || this.#role.is === "leading") return;
    this.#leadership.stand();
    // the answer may be among what was not delivered
    if (this.#role.is === "asking") this.#ask(false);
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
      this.#hasBeenUp = true;
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
    const role = this.#role;
    if (role.is === "leading") {
      role.isStreaming = false;
      this.#say({ kind: "down" });
    }
    this.#down();
    if (role.is !== "leading") this.#ask(false);
  }

  #down() {
    this.#isUp = false;
    this.#wasAway = true;
    this.#listeners.down();
  }
}

/** @param {Leading} role */
function reopen(role) {
  role.isStreaming = false;
  role.openedAt = now();
  role.stream.open();
}
