/** What a browser keeps for its pages; nothing where people forbid that. */

/** @param {string} key */
export function kept(key) {
  return allowed(() => localStorage.getItem(key));
}

/**
 * @param {string} key
 * @param {string | null} value null to keep nothing
 */
export function keep(key, value) {
  allowed(() => (value === null ? localStorage.removeItem(key) : localStorage.setItem(key, value)));
}

/**
 * @template T
 * @param {() => T} use
 */
function allowed(use) {
  try {
    return use();
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}
