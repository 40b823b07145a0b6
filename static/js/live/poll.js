/** @import { Answer } from "../base/types.js" */
import { hearServer } from "../base/clock.js";
import { ask } from "../base/http.js";
import { READ_PATIENCE } from "./facts.js";
import { WIRE_HEADER, isLater } from "./wire.js";

/** What the server says where nothing has changed since. */
const NOT_MODIFIED = 304;

/**
 * The state that an answer's tag names, as in `"revision-rep"`.
 * @param {string} tag
 */
const revisionOf = (tag) => tag.replace(/^W\//, "").replaceAll('"', "").split("-")[0] ?? "";

/**
 * @typedef {object} PollListeners
 * @property {() => string} url what to ask for now
 * @property {() => string} reason why there is need of it, for the server's metrics
 * @property {() => unknown} begun called when a read begins; what it returns comes back with the answer
 * @property {(answer: Answer, begun: any) => void} answer
 * @property {(status: number) => void} failure the HTTP status, or 0 if there was none
 * @property {() => void} outdated the answer is of a later version than this page reads
 * @property {() => void} news it is time to ask for news instead
 * @property {(begun: any) => void} over a read has come to its end, however it did, and nothing was done with its answer yet
 */

/** Reads the dashboard's API, once when asked, or again and again while that is its turn. Never two at once. */
export class Poll {
  #interval;
  #listeners;
  /** @type {"nothing" | "news" | "rows"} what is read after each interval */
  #turn = "nothing";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} ends the read whose answer is waited for */
  #reading = null;
  /** @type {{ url: string, tag: string, answer: Answer } | null} what was last answered: it may still be right */
  #known = null;

  /**
   * @param {number} interval in milliseconds
   * @param {PollListeners} listeners
   */
  constructor(interval, listeners) {
    this.#interval = interval;
    this.#listeners = listeners;
  }

  /**
   * Reads that after each interval, rows first now; a read under way is finished, whatever comes after it.
   * @param {"nothing" | "news" | "rows"} turn
   */
  turn(turn) {
    if (turn === this.#turn) return;
    this.#turn = turn;
    if (turn === "rows") this.now();
    else this.#schedule();
  }

  /** Reads the rows now, unless that is under way. */
  now() {
    if (!this.#reading) void this.#read();
  }

  /** Drops a read under way, and waits for no other. */
  abort() {
    clearTimeout(this.#timer);
    this.#reading?.abort();
    this.#reading = null;
  }

  async #read() {
    clearTimeout(this.#timer);
    const reading = new AbortController();
    this.#reading = reading;
    const begun = this.#listeners.begun();
    const url = this.#listeners.url();
    const known = this.#known?.url === url ? this.#known : null;
    const headers = { "oncare-reason": this.#listeners.reason(), ...(known && { "if-none-match": known.tag }) };
    const answered = await ask(url, { headers }, READ_PATIENCE, reading);
    hearServer(answered?.headers.get("date") ?? "");
    const tag = answered?.headers.get("etag");
    /** @type {Answer | null} */
    let answer = answered?.ok ? answered.json : null;
    const isOutdated = isLater(answered?.headers.get(WIRE_HEADER));
    if (isOutdated) answer = null;
    // the same, in the state that the tag names
    if (!isOutdated && answered?.status === NOT_MODIFIED && known && tag) answer = { ...known.answer, revision: revisionOf(tag) };
    if (answer) this.#known = tag ? { url, tag, answer } : null;
    this.#listeners.over(begun);
    if (reading !== this.#reading) return;
    this.#reading = null;
    if (isOutdated) this.#listeners.outdated();
    if (answer) this.#listeners.answer(answer, begun);
    else this.#listeners.failure(isOutdated ? 0 : answered?.status ?? 0);
    this.#schedule();
  }

  #schedule() {
    if (this.#reading) return;
    clearTimeout(this.#timer);
    if (this.#turn !== "nothing") this.#timer = setTimeout(() => this.#tick(), this.#interval);
  }

  #tick() {
    if (this.#turn === "rows") this.now();
    else this.#listeners.news();
    this.#schedule();
  }
}
