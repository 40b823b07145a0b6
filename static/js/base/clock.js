/**
 * A moment by two clocks, as either may err: in some browsers the steady one stops while the machine sleeps, and people and
 * time servers set the other one.
 *
 * @typedef {{ clock: number, steady: number }} Moment
 */

/** @returns {Moment} */
export function now() {
  return { clock: Date.now(), steady: performance.now() };
}

/**
 * How long ago it was, in milliseconds: the longer of what the two clocks say.
 * @param {Moment} moment
 */
export function since({ clock, steady }) {
  return Math.max(Date.now() - clock, performance.now() - steady);
}
