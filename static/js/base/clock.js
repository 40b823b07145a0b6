/**
 * A moment by two clocks, as either may err: in some browsers the steady one stops while the machine sleeps, and people and
 * time servers set the other one.
 *
 * @typedef {{ clock: number, steady: number }} Moment
 */

/** @type {{ time: number, at: Moment } | null} what the server's clock said last, and when that was heard */
let heard = null;

/** @returns {Moment} */
export function now() {
  return { clock: Date.now(), steady: performance.now() };
}

/**
 * How long ago it was, in milliseconds.
 * @param {Moment} moment
 */
export function since(moment) {
  return between(moment, now());
}

/**
 * How long it is from one moment to a later one, in milliseconds: the longer of what the two clocks say.
 * @param {Moment} from
 * @param {Moment} to
 */
export function between(from, to) {
  return Math.max(to.clock - from.clock, to.steady - from.steady);
}

/**
 * The server has just said what time it is.
 * @param {string} iso
 */
export function hearServer(iso) {
  const time = Date.parse(iso);
  if (!Number.isNaN(time)) heard = { time, at: now() };
}

// when the page was made
hearServer(globalThis.document?.documentElement.dataset["now"] ?? "");

/**
 * The time by the server's clock, in milliseconds since the epoch; by the browser's own until the server's was heard. It counts
 * what the machine slept since.
 */
export function serverTime() {
  return heard ? heard.time + since(heard.at) : Date.now();
}
