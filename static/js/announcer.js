/** Between two announcements at least this long, in milliseconds. */
const PAUSE = 3_000;

/** More than this are only counted. */
const MOST_TOLD = 3;

/** Tells a screen reader politely what changed: not more often than one can listen. */
export class Announcer {
  #region;
  #counted;
  /** @type {string[]} */
  #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pause;

  /**
   * @param {HTMLElement} region
   * @param {(count: number) => string} counted what is said of too many
   */
  constructor(region, counted) {
    this.#region = region;
    this.#counted = counted;
  }

  /** @param {string[]} sentences */
  say(sentences) {
    this.#waiting.push(...sentences);
    if (this.#pause === undefined) this.#speak();
  }

  #speak() {
    this.#pause = undefined;
    const count = this.#waiting.length;
    if (count === 0) return;
    this.#region.textContent = count <= MOST_TOLD ? this.#waiting.join(" ") : this.#counted(count);
    this.#waiting = [];
    this.#pause = setTimeout(() => this.#speak(), PAUSE);
  }
}
