/** @import { Answer } from "./types.js" */

/** How long one answer may take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Reads the dashboard's API: once when asked, or again and again while the stream is not there. Never two at once, and
 * on its own only while the page is visible.
 *
 * @typedef {object} Listeners
 * @property {() => string} url what to ask for now
 * @property {() => unknown} begun called when a read begins; what it returns comes back with the answer
 * @property {(answer: Answer, begun: any) => void} answer
 * @property {(status: number) => void} failure the HTTP status, or 0 if there was none
 */
export class Poll {
  #interval;
  #listeners;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #reading = null;
  #running = false;

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
    void this.once();
  }

  /** Reads no more by itself; a read under way is finished. */
  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** Reads now, unless a read is under way, and says whether the answer was good. */
  async once() {
    if (this.#reading) return false;
    clearTimeout(this.#timer);
    const reading = new AbortController();
    this.#reading = reading;
    const patience = setTimeout(() => reading.abort(), PATIENCE);
    const begun = this.#listeners.begun();
    let status = 0;
    try {
      const response = await fetch(this.#listeners.url(), {
        headers: { accept: "application/json" },
        cache: "no-store",
        signal: reading.signal,
      });
      status = response.status;
      if (response.ok) {
        const answer = await response.json();
        this.#listeners.answer(answer, begun);
        return true;
      }
    } catch (error) {
      // no answer, or half of one: the status tells which
      if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError)) throw error;
      status = 0;
    } finally {
      clearTimeout(patience);
      this.#reading = null;
      this.#schedule();
    }
    this.#listeners.failure(status);
    return false;
  }

  #schedule() {
    if (!this.#running) return;
    this.#timer = setTimeout(() => {
      if (document.visibilityState === "visible") void this.once();
      else this.#schedule();
    }, this.#interval);
  }
}
