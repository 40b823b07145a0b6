import { request } from "./http.js";

/**
 * Whether two pages are made for the same person: in their browser somebody else may be signed in by now.
 * @param {HTMLElement} one the part of it that is kept true
 * @param {HTMLElement} other
 */
export function isForTheSame(one, other) {
  return ["rep", "userId"].every((name) => one.dataset[name] === other.dataset[name]);
}

/**
 * Reads a page.
 * @param {string} url
 * @param {RequestInit} [options]
 * @param {number} [patience] how long the answer may take, in milliseconds
 * @returns {Promise<{ ok: boolean, status: number, url: string, page: Document | null }>} whatever is answered, with the status and
 *   where that led to; a status of 0 and no page if there was no answer
 */
export async function readPage(url, options, patience) {
  const answer = await request(url, options, patience);
  if (!answer) return { ok: false, status: 0, url, page: null };
  const { ok, status, url: reached } = answer.response;
  return { ok, status, url: reached, page: new DOMParser().parseFromString(answer.text, "text/html") };
}
