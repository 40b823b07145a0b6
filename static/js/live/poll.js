/** @import { Answer } from "../base/types.js" */

/** How long one answer may take, in milliseconds. */
const PATIENCE = 10_000;

/** What the server says where nothing has changed since. */
const NOT_MODIFIED = 304;

/**
 * The state that an answer's tag names, as in `"revision-rep"`.
 * @param {string} tag
 */
const revisionOf = (tag) => tag.replace(/^W\//, "").replaceAll('"', "").split("-")[0] ?? "";

/** Why a read was aborted by the page itself. */
const DROPPED = new DOMException("nobody waits for the answer", "AbortError");

/**
 * Reads the dashboard's API: once when asked, or again and again while the stream is not there. Never two at once, and
 * on its own only while the page is visible.
 *
 * @typedef {object} Listeners
 * @property {() => string} url what to ask for now
 * @property {() => unknown} begun called when a read begins; what it returns comes back with the answer
 * @property {(answer: Answer, begun: any) => void} answer
 * @property {(status: number) => void} failure the HTTP status, or 0 if there was none
 * @property {() => void} skipped it was time to read, but nobody looks
 */
export class Poll {
  #interval;
  #listeners;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #reading = null;
  #again = false;
  #running = false;
  /** @type {{ url: string, tag: string, answer: Answer } | null} what was last answered: it may still be right */
  #known = null;

  /**
   * @param {number} interval in milliseconds
   * @param {Listeners} listeners
   */
  constructor(interval, listeners) {
    this.#interval = interval;
    this.#listeners = listeners;
  }

  get isRunning() {
    return this.#running;
  }

  /** Reads now, and then after each interval. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.now();
  }

  /** Reads now, whether it was reading or not, and then after each interval. */
  restart() {
    this.stop();
    this.start();
  }

  /** Reads no more by itself; a read under way is finished. */
  stop() {
    this.#running = false;
    this.#again = false;
    clearTimeout(this.#timer);
  }

  /** Reads no more, and drops a read under way. */
  abort() {
    this.stop();
    this.#reading?.abort(DROPPED);
  }

  /** Reads now; after the read under way, if there is one, as that may have begun too early. */
  now() {
    if (this.#reading) this.#again = true;
    else void this.#read();
  }

  async #read() {
    clearTimeout(this.#timer);
    const reading = new AbortController();
    this.#reading = reading;
    const patience = setTimeout(() => reading.abort(), PATIENCE);
    const begun = this.#listeners.begun();
    let status = 0;
    /** @type {Answer | null} */
    let answer = null;
    let dropped = false;
    const url = this.#listeners.url();
    /** @type {Record<string, string>} */
    const headers = { accept: "application/json" };
    const known = this.#known?.url === url ? this.#known : null;
    if (known) headers["if-none-match"] = known.tag;
    try {
      const response = await fetch(url, {
        headers,
        cache: "no-store",
        signal: reading.signal,
      });
      status = response.status;
      const tag = response.headers.get("etag");
      if (response.ok) answer = await response.json();
      // the same, in the state that the tag names
      else if (status === NOT_MODIFIED && known && tag) answer = { ...known.answer, revision: revisionOf(tag) };
      if (answer) this.#known = tag ? { url, tag, answer } : null;
    } catch (error) {
      // no answer, half of one, or one that nobody waits for any more
      if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError)) throw error;
      status = 0;
      dropped = reading.signal.reason === DROPPED;
    } finally {
      clearTimeout(patience);
      this.#reading = null;
    }
    if (answer) this.#listeners.answer(answer, begun);
    else if (!dropped) this.#listeners.failure(status);
    this.#schedule();
  }

  #schedule() {
    if (this.#reading) return;
    clearTimeout(this.#timer);
    if (this.#again) {
      this.#again = false;
      void this.#read();
    } else if (this.#running) {
      this.#timer = setTimeout(() => {
        if (document.visibilityState === "visible") void this.#read();
        else {
          this.#listeners.skipped();
          this.#schedule();
        }
      }, this.#interval);
    }
  }
}
