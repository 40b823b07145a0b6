/**
 * Which of the browser's pages leads: the one that has the lock. The browser gives it to one of them, and to the next when
 * that one gives it back, is closed or crashes.
 *
 * @typedef {object} LeadershipListeners
 * @property {() => void} led this page leads from now on
 * @property {() => void} robbed it leads no more: another page took the lock
 */
export class Leadership {
  #name;
  #listeners;
  /** @type {symbol | null} the request for the lock that counts; nothing comes of an earlier one any more */
  #turn = null;
  /** @type {AbortController | null} ends the wait for the lock */
  #waiting = null;
  /** @type {(() => void) | null} gives the lock back */
  #release = null;

  /**
   * @param {string} name of the lock
   * @param {LeadershipListeners} listeners
   */
  constructor(name, listeners) {
    this.#name = name;
    this.#listeners = listeners;
  }

  /** Waits for its turn to lead. */
  stand() {
    if (this.#turn !== null) return;
    this.#waiting = new AbortController();
    void this.#ask({ signal: this.#waiting.signal });
  }

  /** Leads, whoever does now. */
  seize() {
    this.resign();
    void this.#ask({ steal: true });
  }

  /** Leads no more, and does not wait for it. */
  resign() {
    this.#turn = null;
    this.#waiting?.abort();
    this.#waiting = null;
    this.#release?.();
    this.#release = null;
  }

  /** @param {LockOptions} how */
  async #ask(how) {
    const turn = Symbol();
    this.#turn = turn;
    try {
      await navigator.locks.request(this.#name, how, () => this.#led(turn));
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
      if (turn !== this.#turn) return;
      this.#turn = null;
      this.#waiting = null;
      this.#release = null;
      this.#listeners.robbed();
    }
  }

  /**
   * @param {symbol} turn
   * @returns {Promise<void> | undefined} how long the lock is kept
   */
  #led(turn) {
    if (turn !== this.#turn) return undefined;
    const kept = new Promise((/** @type {(value: void) => void} */ release) => {
      this.#release = release;
    });
    this.#listeners.led();
    return kept;
  }
}
