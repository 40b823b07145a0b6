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
 * How the browser's own clock differs from those of the page, for who is elsewhere: ` Your own clock is 8 h ahead.`
 * @param {number} time in milliseconds since the epoch, as zones differ in when they put their clocks forward
 * @param {string} zone of the page
 * @param {string} [own] the browser's
 */
export function ownClock(time, zone, own) {
  const wall = (/** @type {string | undefined} */ timeZone) => {
    // in Swedish a day and a time stand as ISO has them
    const format = new Intl.DateTimeFormat("sv", { timeZone, dateStyle: "short", timeStyle: "short" });
    return Date.parse(`${format.format(time).replace(" ", "T")}Z`);
  };
  const minutes = (wall(own) - wall(zone)) / 60_000;
  if (!minutes) return "";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const words = [hours && `${hours} h`, rest && `${rest} min`].filter((word) => word).join(" ");
  return ` Your own clock is ${words} ${minutes > 0 ? "ahead" : "behind"}.`;
}

/** Has the page say so, where it says which zone its times are in. */
function tellOwnClock() {
  const place = document.querySelector("[data-own-clock]");
  const zone = inZone().clock.resolvedOptions().timeZone;
  if (place) place.textContent = ownClock(serverTime(), zone);
}

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
  tellOwnClock();
  showAge(parent);
  setInterval(() => showAge(parent), TICK);
}
