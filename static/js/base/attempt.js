/**
 * Does what may fail without anything else failing for it.
 * @template T
 * @param {() => T} what
 * @returns {T | null} null where it failed
 */
export function attempt(what) {
  try {
    return what();
  } catch (error) {
    reportError(error);
    return null;
  }
}
