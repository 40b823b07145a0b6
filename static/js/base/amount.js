const DIGITS = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/**
 * An amount as the server writes it in a page, `₱1,500.00`: `tests/cases/amounts.json`.
 * @param {number | null} amount
 */
export function amountText(amount) {
  if (amount === null) return "–";
  const sign = document.documentElement.dataset["currency"] ?? "";
  return `${amount < 0 ? "-" : ""}${sign}${DIGITS.format(Math.abs(amount))}`;
}
