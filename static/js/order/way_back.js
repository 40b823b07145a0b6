/**
 * Leads back to the list as it was filtered, if this tab came from it: also after the order was changed, when the page before
 * is the order's own.
 * @param {HTMLAnchorElement} link to the list
 */
export function leadBack(link) {
  const kept = `list ${link.pathname}`;
  const from = document.referrer === "" ? null : new URL(document.referrer);
  if (from?.origin === location.origin && from.pathname === link.pathname) sessionStorage.setItem(kept, from.search);
  link.search = sessionStorage.getItem(kept) ?? "";
}
