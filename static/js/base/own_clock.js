import { serverTime } from "./clock.js";

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
export function tellOwnClock() {
  const place = document.querySelector("[data-own-clock]");
  if (place) place.textContent = ownClock(serverTime(), document.documentElement.dataset["timeZone"] ?? "UTC");
}
