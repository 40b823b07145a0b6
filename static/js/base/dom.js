/** Tags that are not the name of their kind. */
const TAGS = new Map([
  ["", "div"],
  ["Anchor", "a"],
  ["OList", "ol"],
]);

/**
 * The element of that id, without which there is nothing to do.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no #${id}`);
}

/**
 * The first such element. A page may lack it and loses nothing else by that: then this is one that nobody sees.
 * @template {HTMLElement} T
 * @param {ParentNode} parent
 * @param {string} css
 * @param {new () => T} kind
 * @returns {T}
 */
export function part(parent, css, kind) {
  const found = parent.querySelector(css);
  if (found instanceof kind) return found;
  console.warn(`the page has no ${css}`);
  const name = kind.name.replace(/^HTML|Element$/g, "");
  return /** @type {T} */ (document.createElement(TAGS.get(name) ?? name.toLowerCase()));
}

/**
 * Writes into the place of that name, if there is one and it says something else.
 * @param {ParentNode} parent
 * @param {string} name
 * @param {string} words
 */
export function fill(parent, name, words) {
  const place = parent.querySelector(`[data-text="${name}"]`);
  if (place && place.textContent !== words) place.textContent = words;
}

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
