/** @import { Change } from "../base/types.js" */

/**
 * Whether a change is news to a person: what they did is none, nor what is of an order that they muted, nor what leads to a
 * status of which they want to be told nothing. The server decides the same of the changes that it lists (`is_news` of the
 * store's bell); `tests/cases/news.json` has the cases of both.
 *
 * @param {Pick<Change, "user" | "order_key" | "status">} change
 * @param {{ login: string, muted: Set<string>, untold: string[] }} person
 */
export function isNews({ user, order_key, status }, { login, muted, untold }) {
  return user !== login && !muted.has(order_key) && !untold.includes(status ?? "");
}
