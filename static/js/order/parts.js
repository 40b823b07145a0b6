import { showAge } from "../base/time.js";
import { flash } from "../base/flash.js";
import { showWas } from "../base/change_mark.js";

/**
 * Brings the parts of a page to what the server says now, and keeps every node that need not change: focus, selection and
 * scroll stay where nothing changed.
 *
 * What the server said before is kept as a tree of its own and compared with that, as what is shown has ages and marks of the
 * page's own besides.
 */
export class Parts {
  #root;
  #said;

  /** @param {HTMLElement} root as the server sent it */
  constructor(root) {
    this.#root = root;
    this.#said = /** @type {Element} */ (root.cloneNode(true));
  }

  /**
   * Takes over what differs, and marks it for a moment.
   * @param {Element} says the root of a page that was read anew
   * @returns {Element[]} the lines that changed or are new
   */
  take(says) {
    /** @type {Set<Element>} */
    const changed = new Set();
    for (const part of this.#root.querySelectorAll("[data-part]")) {
      const name = `[data-part="${part.getAttribute("data-part")}"]`;
      const [before, now] = [this.#said.querySelector(name), says.querySelector(name)];
      if (before && now) merge(part, before, now, changed);
    }
    this.#said = says;
    showAge(this.#root);
    changed.forEach(flash);
    return [...changed];
  }
}

/**
 * @param {Node} shown
 * @param {Node} said what the server said of it before
 * @param {Node} says what it says now
 * @param {Set<Element>} changed
 */
function merge(shown, said, says, changed) {
  if (said.isEqualNode(says)) return;
  if (shown instanceof Element && said instanceof Element && says instanceof Element) {
    mergeAttributes(shown, said, says);
    mergeChildren(shown, [...said.childNodes], [...says.childNodes], changed);
    return;
  }
  const [from, to] = [said.textContent ?? "", says.textContent ?? ""];
  shown.textContent = to;
  note(shown, changed);
  const teller = shown.parentElement?.closest("[data-tells]");
  if (teller instanceof HTMLElement) showWas(teller, from, to);
}

/**
 * @param {Element} shown
 * @param {Element} said
 * @param {Element} says
 */
function mergeAttributes(shown, said, says) {
  for (const name of new Set([...said.getAttributeNames(), ...says.getAttributeNames()])) {
    const value = says.getAttribute(name);
    if (value === said.getAttribute(name)) continue;
    if (value === null) shown.removeAttribute(name);
    else shown.setAttribute(name, value);
  }
}

/**
 * What is the same at the end stays; of the rest, each becomes the next of its kind.
 * @param {Element} shown
 * @param {Node[]} said
 * @param {Node[]} says
 * @param {Set<Element>} changed
 */
function mergeChildren(shown, said, says, changed) {
  const places = [...shown.childNodes];
  // otherwise somebody else has been at it, as a browser that translates, and nothing of it can be kept
  const known = places.length === said.length ? said : [];
  let end = 0;
  while (end < Math.min(known.length, says.length) && known.at(-1 - end)?.isEqualNode(says.at(-1 - end) ?? null)) end += 1;
  const last = places.length - end;
  let place = 0;
  const removeTo = (/** @type {number} */ until) => {
    const gone = places.slice(place, until);
    gone.forEach((node) => node.remove());
    const line = shown.closest("[data-line]");
    if (line && gone.some(isSomething)) changed.add(line);
    place = until;
  };
  for (const now of says.slice(0, says.length - end)) {
    const at = known.findIndex((before, index) => index >= place && index < last && kind(before) === kind(now));
    const [kept, before] = [places[at], known[at]];
    if (kept && before) {
      removeTo(at);
      merge(kept, before, now, changed);
      place = at + 1;
    } else {
      note(shown.insertBefore(document.importNode(now, true), places[place] ?? null), changed);
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
