import { attempt } from "../base/dom.js";
import { readPage } from "../base/page.js";

/** How long changes are gathered before the page is read for their sake, in milliseconds. */
const GATHERING = 150;

/** Waits after a read that failed, in milliseconds: the first and the longest. */
const FIRST_BACKOFF = 500;
const LONGEST_BACKOFF = 4_000;

/** So long what is shown may be old while it is read anew, in milliseconds, before the page says so. */
const KEPT_WORD = 1_000;

const NOT_FOUND = 404;
const CONFLICT = 409;

/**
 * @typedef {object} RenewalListeners
 * @property {() => boolean} isOver nothing is to be read any more
 * @property {(page: Document) => boolean} read whether the page is what was asked for
 * @property {(page: Document) => boolean} refused the page says why it is not given as things stand; whether that is so
 * @property {() => void} missing there is no such page any more
 * @property {() => void} turned what is shown is known to be old from now on, or no more
 */

/**
 * Reads the page anew: after each time it was asked to, as what was asked for is in no read that began before; once for many
 * that come together; never two at once; and again until it has it.
 */
export class Renewal {
  #url;
  #listeners;
  #isAsked = false;
  #isReading = false;
  #hasFailed = false;
  #isLate = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} until what was asked for has taken too long */
  #lapse;
  #backoff = FIRST_BACKOFF;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} url
   * @param {RenewalListeners} listeners
   */
  constructor(url, listeners) {
    this.#url = url;
    this.#listeners = listeners;
  }

  /** Whether what is shown is old: reading it anew did not help, or takes long. */
  get isBehind() {
    return this.#hasFailed || this.#isLate;
  }

  /** Something of the page may have changed. */
  ask() {
    this.#isAsked = true;
    this.#lapse ??= setTimeout(() => this.#turn(this.#hasFailed, true), KEPT_WORD);
    if (!this.#isReading) this.#schedule(GATHERING);
  }

  /** @param {number} wait in milliseconds */
  #schedule(wait) {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (!this.#listeners.isOver()) void this.#read();
    }, wait);
  }

  async #read() {
    this.#isAsked = false;
    this.#isReading = true;
    const { ok, status, page } = await readPage(this.#url);
    this.#isReading = false;
    if (this.#listeners.isOver()) return;
    const isMissing = status === NOT_FOUND;
    if (isMissing) this.#listeners.missing();
    const { read, refused } = this.#listeners;
    const take = ok ? read : status === CONFLICT ? refused : null;
    const failed = !isMissing && !(take && page && attempt(() => take(page)));
    if (failed) this.#schedule(this.#backoff);
    this.#backoff = failed ? Math.min(2 * this.#backoff, LONGEST_BACKOFF) : FIRST_BACKOFF;
    clearTimeout(this.#lapse);
    this.#lapse = undefined;
    this.#turn(failed, false);
    if (this.#isAsked) this.ask();
  }

  /**
   * @param {boolean} hasFailed
   * @param {boolean} isLate
   */
  #turn(hasFailed, isLate) {
    const wasBehind = this.isBehind;
    [this.#hasFailed, this.#isLate] = [hasFailed, isLate];
    if (this.isBehind !== wasBehind) this.#listeners.turned();
  }
}
