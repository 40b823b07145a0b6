/** Between two announcements at least this long, in milliseconds. */
const PAUSE = 3_000;

/** More than this are only counted. */
const MOST_SPOKEN = 3;

/** Tells a screen reader politely what changed: not more often than one can listen. */
export class Announcer {
  #region;
  #counted;
  /** @type {string[]} */
  #waiting = [];
  /** What is offered, and was not told yet. */
  #offered = "";
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

  /**
   * Says what is offered, unless it is taken back within a pause: often what does so follows at once.
   * @param {string} words empty to take it back
   */
  offer(words) {
    this.#offered = words;
    if (words !== "") this.#pause ??= setTimeout(() => this.#speak(), PAUSE);
  }

  #speak() {
    this.#pause = undefined;
    const count = this.#waiting.length;
    const spoken = count <= MOST_SPOKEN ? this.#waiting : [this.#counted(count)];
    const words = [...spoken, this.#offered].filter((sentence) => sentence !== "").join(" ");
    if (words === "") return;
    this.#region.textContent = words;
    this.#waiting = [];
    this.#offered = "";
    this.#pause = setTimeout(() => this.#speak(), PAUSE);
  }
}
