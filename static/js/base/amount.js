const DIGITS = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const COUNT = new Intl.NumberFormat("en-US");
const PLURALS = new Intl.PluralRules("en");

/**
 * An amount as the server writes it in a page, `₱1,500.00`: `tests/cases/amounts.json`.
 * @param {number | null} amount
 */
export function amountText(amount) {
  if (amount === null) return "–";
  const sign = document.documentElement.dataset["currency"] ?? "";
  return `${amount < 0 ? "-" : ""}${sign}${DIGITS.format(Math.abs(amount))}`;
}

/**
 * How many there are as the server writes it in a page, `13,477`: `tests/cases/counts.json`.
 * @param {number} count
 */
export function countText(count) {
  return COUNT.format(count);
}

/**
 * The form of a word for so many.
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export function plural(count, one, many) {
  return PLURALS.select(count) === "one" ? one : many;
}
