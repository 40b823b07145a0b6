/** @import { Sync, Patch, Ping, Bye } from "../base/types.js" */
import { now, since } from "../base/clock.js";
import { isLater } from "./wire.js";

/** How long a stream that was opened may say nothing, in milliseconds. */
export const OPENING_PATIENCE = 20_000;

/** How much later than the server said a ping may come before the stream counts as dead, in milliseconds. */
export const PING_GRACE = 3_000;

/** How often the silence is measured, in milliseconds: by clocks, as a sleeping machine stops its timers. */
export const SILENCE_CHECK = 1_000;

/** Waits between attempts to reconnect, in milliseconds: the first and the longest, each shortened at random. */
const FIRST_BACKOFF = 1_000;
const LONGEST_BACKOFF = 30_000;

/** A connection that lasted this long, in milliseconds, ends the growth of the waits. */
const LASTING = 10_000;

/**
 * A stream of its own. EventSource gives up for good at the first answer but 200, and remembers its cursor only while it
 * reconnects by itself; so this class owns the retry loop, and the cursor travels in the query.
 *
 * @typedef {object} StreamListeners
 * @property {(sync: Sync, wasAway: boolean) => void} sync the state; whether there was no stream for a while before it
 * @property {(patch: Patch) => void} patch
 * @property {(ping: Ping) => void} ping
 * @property {(bye: Bye) => void} bye
 * @property {() => void} down the stream is not there; it is being tried again
 */
export class Stream {
  #url;
  #cursor;
  #listeners;
  /** @type {EventSource | null} */
  #source = null;
  #backoff = FIRST_BACKOFF;
  #openedAt = now();
  #heardAt = now();
  #hasBeenOpened = false;
  /** How long the stream may be silent, in milliseconds. */
  #patience = OPENING_PATIENCE;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #silence;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;

  /**
   * @param {string} url with a query
   * @param {string} cursor where the page stands, `epoch/snapshot`
   * @param {StreamListeners} listeners
   */
  constructor(url, cursor, listeners) {
    this.#url = url;
    this.#cursor = cursor;
    this.#listeners = listeners;
  }

  /** Where it stands: everything up to here was told. */
  get cursor() {
    return this.#cursor;
  }

  /** Whether there is a stream, or one is being opened. */
  get isOpen() {
    return this.#source !== null;
  }

  /** Opens the stream now, whatever it was doing. */
  open() {
    this.close();
    let wasAway = this.#hasBeenOpened;
    this.#hasBeenOpened = true;
    this.#openedAt = now();
    const source = new EventSource(`${this.#url}&cursor=${encodeURIComponent(this.#cursor)}`);
    this.#source = source;
    this.#heardAt = now();
    this.#patience = OPENING_PATIENCE;
    this.#silence = setInterval(() => this.check(), SILENCE_CHECK);
    this.#on(source, "sync", (/** @type {Sync} */ sync) => {
      if (isLater(sync.wire)) {
        this.close();
        this.#listeners.bye({ reason: "outdated" });
        return;
      }
      this.#listeners.sync(sync, wasAway);
      wasAway = false;
    });
    this.#on(source, "patch", this.#listeners.patch);
    this.#on(source, "ping", (/** @type {Ping} */ ping) => {
      this.#patience = ping.next_ms + PING_GRACE;
      this.#listeners.ping(ping);
    });
    this.#on(source, "bye", (/** @type {Bye} */ bye) => {
      this.close();
      if (bye.reason === "draining") {
        // no failure: where instances are restarted one after the other, another one serves
        this.#backoff = FIRST_BACKOFF;
        this.#tryAgain();
      }
      this.#listeners.bye(bye);
    });
    source.addEventListener("error", () => this.giveUp());
  }

  /** Gives the stream up if it was silent for too long, and tries again. */
  check() {
    if (since(this.#heardAt) > this.#patience) this.giveUp();
  }

  /** Gives the stream up, if there is one, and tries again. */
  giveUp() {
    if (!this.#source) return;
    this.close();
    this.#tryAgain();
    this.#listeners.down();
  }

  /** Closes the stream and tries no more. */
  close() {
    clearInterval(this.#silence);
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  /**
   * @template T
   * @param {EventSource} source
   * @param {string} name
   * @param {(data: T) => void} listener
   */
  #on(source, name, listener) {
    source.addEventListener(name, (/** @type {MessageEvent<string>} */ event) => {
      if (source !== this.#source) return;
      this.#heardAt = now();
      const data = JSON.parse(event.data);
      // what can't be read is not known
      if (event.lastEventId && !isLater(data.wire)) this.#cursor = event.lastEventId;
      listener(data);
    });
  }

  #tryAgain() {
    if (since(this.#openedAt) > LASTING) this.#backoff = FIRST_BACKOFF;
    this.#retry = setTimeout(() => this.open(), this.#backoff * (0.5 + Math.random() / 2));
    this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF);
  }
}
