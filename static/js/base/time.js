const WORDS = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

/** How often ages tick, in milliseconds: often enough that the first minute comes in time. */
export const TICK = 5_000;

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
 * The exact time, as it is shown on hover.
 * @param {string} iso
 */
export function exactTime(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.valueOf())) return "";
  return time.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "long" });
}

/**
 * Writes the ages in an element: of the time that a place is in, or stands beside.
 * @param {ParentNode} parent
 */
export function showAge(parent) {
  for (const place of parent.querySelectorAll("[data-age]")) {
    const iso = (place.closest("time") ?? place.parentElement?.querySelector("time"))?.dateTime ?? "";
    write(place, age(iso), exactTime(iso));
  }
}

/**
 * @param {Element} place
 * @param {string} text
 * @param {string} title
 */
export function write(place, text, title) {
  if (place.textContent !== text) place.textContent = text;
  if (place.getAttribute("title") !== title) place.setAttribute("title", title);
}

/**
 * Keeps the ages of an element's rows right, for as long as the page lives.
 * @param {ParentNode} parent
 */
export function tickAges(parent) {
  showAge(parent);
  setInterval(() => showAge(parent), TICK);
}
