import { showAge } from "../base/time.js";
import { flash, showPrevious } from "../base/flash.js";

/**
 * Brings the parts of a page to what the server says now, and keeps every node that need not change: focus, selection and
 * scroll stay where nothing changed.
 *
 * What the server said before is kept as a tree of its own and compared with that, as what is shown has ages and marks of the
 * page's own besides.
 */
export class Parts {
  #root;
  #before;

  /** @param {HTMLElement} root as the server sent it */
  constructor(root) {
    this.#root = root;
    this.#before = /** @type {Element} */ (root.cloneNode(true));
  }

  /**
   * Takes over what differs, and marks it for a moment.
   * @param {Element} now the root of a page that was read anew
   * @returns {Element[]} the lines that changed or are new
   */
  take(now) {
    /** @type {Set<Element>} */
    const changed = new Set();
    for (const part of this.#root.querySelectorAll("[data-part]")) {
      const name = `[data-part="${part.getAttribute("data-part")}"]`;
      const [old, wanted] = [this.#before.querySelector(name), now.querySelector(name)];
      if (old && wanted) merge(part, old, wanted, changed);
    }
    this.#before = now;
    showAge(this.#root);
    changed.forEach(flash);
    return [...changed];
  }
}

/**
 * @param {Node} shown
 * @param {Node} before what the server said of it
 * @param {Node} now what it says
 * @param {Set<Element>} changed
 */
function merge(shown, before, now, changed) {
  if (before.isEqualNode(now)) return;
  if (shown instanceof Element && before instanceof Element && now instanceof Element) {
    mergeAttributes(shown, before, now);
    mergeChildren(shown, [...before.childNodes], [...now.childNodes], changed);
    return;
  }
  const [from, to] = [before.textContent ?? "", now.textContent ?? ""];
  shown.textContent = to;
  note(shown, changed);
  const teller = shown.parentElement?.closest("[data-tells]");
  if (teller instanceof HTMLElement) showPrevious(teller, from, to);
}

/**
 * @param {Element} shown
 * @param {Element} before
 * @param {Element} now
 */
function mergeAttributes(shown, before, now) {
  for (const name of new Set([...before.getAttributeNames(), ...now.getAttributeNames()])) {
    const value = now.getAttribute(name);
    if (value === before.getAttribute(name)) continue;
    if (value === null) shown.removeAttribute(name);
    else shown.setAttribute(name, value);
  }
}

/**
 * What is the same at the end stays; of the rest, each becomes the next of its kind.
 * @param {Element} shown
 * @param {Node[]} before
 * @param {Node[]} now
 * @param {Set<Element>} changed
 */
function mergeChildren(shown, before, now, changed) {
  const places = [...shown.childNodes];
  // otherwise somebody else has been at it, as a browser that translates, and nothing of it can be kept
  const known = places.length === before.length ? before : [];
  let end = 0;
  while (end < Math.min(known.length, now.length) && known.at(-1 - end)?.isEqualNode(now.at(-1 - end) ?? null)) end += 1;
  const last = places.length - end;
  let place = 0;
  const removeTo = (/** @type {number} */ until) => {
    const removed = places.slice(place, until);
    removed.forEach((node) => node.remove());
    const line = shown.closest("[data-line]");
    if (line && removed.some(isSomething)) changed.add(line);
    place = until;
  };
  for (const wanted of now.slice(0, now.length - end)) {
    const at = known.findIndex((node, index) => index >= place && index < last && kind(node) === kind(wanted));
    const [kept, old] = [places[at], known[at]];
    if (kept && old) {
      removeTo(at);
      merge(kept, old, wanted, changed);
      place = at + 1;
    } else {
      note(shown.insertBefore(document.importNode(wanted, true), places[place] ?? null), changed);
    }
  }
  removeTo(last);
}

/**
 * A line with a key is that line alone.
 * @param {Node} node
 */
function kind(node) {
  const key = node instanceof Element ? node.getAttribute("data-line") : null;
  return key ? `line ${key}` : node.nodeName;
}

/**
 * Takes note of the line that a changed node is in, or of those in it.
 * @param {Node} node
 * @param {Set<Element>} changed
 */
function note(node, changed) {
  if (!isSomething(node)) return;
  const element = node instanceof Element ? node : node.parentElement;
  const line = element?.closest("[data-line]");
  if (line) changed.add(line);
  else if (node instanceof Element) node.querySelectorAll("[data-line]").forEach((one) => changed.add(one));
}

/** @param {Node} node whether it is more than space */
function isSomething(node) {
  return node instanceof Element || node.textContent?.trim() !== "";
}
