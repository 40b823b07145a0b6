/**
 * An amount as the shop writes it: `₱1234.50`.
 * @param {number | null} amount
 */
export function shopAmount(amount) {
  return amount === null ? "–" : `₱${amount.toFixed(2)}`;
}

/**
 * How many items as the shop writes it, `3 items`; or the number alone, where that is what stands there.
 * @param {number} count
 * @param {string} now what stands there, or in such a place
 */
export function shopItems(count, now) {
  if (/^\d+$/.test(now)) return String(count);
  return `${count} item${count === 1 ? "" : "s"}`;
}

/**
 * A text as people see it.
 * @param {Node} node
 */
export function seen(node) {
  return (node.textContent ?? "").trim().replace(/\s+/g, " ");
}
