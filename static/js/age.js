const WORDS = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

/** How often ages tick, in milliseconds. */
const TICK = 30_000;

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/**
 * `5 min. ago`, or nothing for a time that is none.
 * @param {string} iso
 */
export function age(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1_000;
  if (Number.isNaN(seconds)) return "";
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return WORDS.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

/**
 * Writes the ages in an element: of the time that a place is in, or stands beside.
 * @param {ParentNode} parent
 */
export function showAge(parent) {
  for (const place of parent.querySelectorAll("[data-age]")) {
    const text = age((place.closest("time") ?? place.parentElement?.querySelector("time"))?.dateTime ?? "");
    if (place.textContent !== text) place.textContent = text;
  }
}

/**
 * Keeps the ages of an element's rows right, for as long as the page lives.
 * @param {ParentNode} parent
 */
export function tickAges(parent) {
  showAge(parent);
  setInterval(() => showAge(parent), TICK);
}
