import { serverTime } from "./clock.js";

const AGES = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });

/** How often ages tick, in milliseconds: often enough that the first minute comes in time. */
export const TICK = 5_000;

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** By zone, as making a format takes fifty times as long as using it. @type {Map<string, { exact: Intl.DateTimeFormat, clock: Intl.DateTimeFormat }>} */
const formats = new Map();

/**
 * The formats in the zone of the page, which is the pharmacy's, wherever the browser is.
 * @param {string} [zone]
 */
function inZone(zone = document.documentElement.dataset["timeZone"] ?? "UTC") {
  const known = formats.get(zone);
  if (known) return known;
  const [day, time] = [
    /** @type {const} */ ({ day: "numeric", month: "short", year: "numeric" }),
    /** @type {const} */ ({ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: zone }),
  ];
  try {
    const made = {
      exact: new Intl.DateTimeFormat("en-GB", { ...day, ...time, timeZoneName: zone === "UTC" ? "short" : "shortOffset" }),
      clock: new Intl.DateTimeFormat("en-GB", time),
    };
    formats.set(zone, made);
    return made;
  } catch (error) {
    // a zone that is younger than the browser: exact times say which one they are in
    if (error instanceof RangeError && zone !== "UTC") return inZone("UTC");
    throw error;
  }
}

/**
 * `5 min ago`, or nothing for a time that is none.
 * @param {string} iso
 */
export function age(iso) {
  const seconds = (Date.parse(iso) - serverTime()) / 1_000;
  if (Number.isNaN(seconds)) return "";
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return AGES.format(Math.trunc(seconds / length), unit).replace(".", "");
  }
  return "just now";
}

/**
 * The exact time, as it is shown on hover: `15 Jan 2025, 18:30:00 GMT+8`, in the words of the server (`tests/cases/times.json`).
 * @param {string} iso
 */
export function exactTime(iso) {
  const time = Date.parse(iso);
  // some browsers write the offset of none
  return Number.isNaN(time) ? "" : inZone().exact.format(time).replace(/GMT\+0$/, "GMT");
}

/**
 * The time of day: `18:30:00`.
 * @param {number} time in milliseconds since the epoch
 */
export function clockTime(time) {
  return inZone().clock.format(time);
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
