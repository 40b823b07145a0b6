/** Between two sounds at least this long, in milliseconds: a hundred changes are one sound. */
const PAUSE = 4_000;

/** How long a page waits for its turn, in milliseconds. Another one that plays keeps it for longer. */
const TURN = 1_000;

/** How long the browser may take to let the page play, in milliseconds. One that refuses does not say so. */
const PATIENCE = 300;

/** Frequency in hertz and beginning in seconds of each note, how long it sounds, and how loud. */
const NOTES = [
  [660, 0],
  [880, 0.12],
];
const LENGTH = 0.3;
const VOLUME = 0.08;

/** Two quiet notes, of all of the browser's pages together only once. */
export class Sound {
  /** @type {AudioContext | null} */
  #context = null;
  #playedAt = -PAUSE;

  /**
   * Plays, unless another page does, or has just done so. A page that the browser keeps silent is not in the way of those that
   * it does not.
   */
  async tell() {
    const context = await this.#running();
    if (!context) return;
    if (!("locks" in navigator)) {
      if (performance.now() - this.#playedAt >= PAUSE) this.#sound(context);
      return;
    }
    try {
      await navigator.locks.request(`${import.meta.url}`, { signal: AbortSignal.timeout(TURN) }, async () => {
        this.#sound(context);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      });
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }

  /**
   * Plays now.
   * @returns {Promise<boolean>} whether the browser let it
   */
  async play() {
    const context = await this.#running();
    if (context) this.#sound(context);
    return context !== null;
  }

  /** What plays, if the browser lets the page. */
  async #running() {
    const context = (this.#context ??= new AudioContext());
    if (context.state !== "running") {
      await Promise.race([context.resume(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    }
    // what was resumed meanwhile is not what it was
    return /** @type {string} */ (context.state) === "running" ? context : null;
  }

  /** @param {AudioContext} context */
  #sound(context) {
    this.#playedAt = performance.now();
    for (const [frequency = 0, begin = 0] of NOTES) {
      const at = context.currentTime + begin;
      const note = new OscillatorNode(context, { frequency });
      const volume = new GainNode(context, { gain: VOLUME });
      volume.gain.setValueAtTime(VOLUME, at);
      volume.gain.exponentialRampToValueAtTime(0.000_1, at + LENGTH);
      note.connect(volume).connect(context.destination);
      note.start(at);
      note.stop(at + LENGTH);
    }
  }
}
