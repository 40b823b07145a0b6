import { keepInTab, keptInTab } from "../base/kept.js";

/**
 * Leads back to the list as this person filtered it, if this tab came from it: also after the order was changed, when the page
 * before is the order's own.
 * @param {HTMLAnchorElement} link to the list
 * @param {string} user
 */
export function leadBack(link, user) {
  const key = `list ${link.pathname} of ${user}`;
  const from = document.referrer === "" ? null : new URL(document.referrer);
  if (from?.origin === location.origin && from.pathname === link.pathname) keepInTab(key, from.search);
  link.search = keptInTab(key) ?? "";
}
