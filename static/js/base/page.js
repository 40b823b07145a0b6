import { request } from "./http.js";

/** @typedef {{ createHTML: (text: string) => string }} Policy of which HTML is made, as the type checker does not know it */
const { trustedTypes } = /** @type {{ trustedTypes?: { createPolicy: (name: string, rules: Policy) => Policy } }} */ (globalThis);

/**
 * Pages of ours let no script take a text for HTML but by this policy, which nothing else can reach: what is read becomes a document
 * that runs nothing, of which only parts are taken over.
 */
const policy = trustedTypes?.createPolicy("oncare-live-page", { createHTML: (text) => text });

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
  const html = policy?.createHTML(answer.text) ?? answer.text;
  return { ok, status, url: reached, page: new DOMParser().parseFromString(html, "text/html") };
}
