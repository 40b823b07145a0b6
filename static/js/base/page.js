/** How long reading a page anew may take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Whether two pages are made for the same person: in their browser somebody else may be signed in by now.
 * @param {HTMLElement} one the part of it that is kept true
 * @param {HTMLElement} other
 */
export function isForTheSame(one, other) {
  return ["rep", "userId"].every((name) => one.dataset[name] === other.dataset[name]);
}

/**
 * A page as it would be loaded now; nothing if that can't be had.
 * @param {string} url
 */
export async function freshPage(url) {
  const { ok, page } = await readPage(url);
  return ok ? page : null;
}

/**
 * The same of whatever is answered, with the status and where that led to; a status of 0 if there was no answer.
 * @param {string} url
 * @param {RequestInit} [options]
 * @param {number} [patience] how long the answer may take, in milliseconds
 * @returns {Promise<{ ok: boolean, status: number, url: string, page: Document | null }>}
 */
export async function readPage(url, options = {}, patience = PATIENCE) {
  try {
    const response = await fetch(url, { ...options, cache: "no-store", signal: AbortSignal.timeout(patience) });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return { ok: response.ok, status: response.status, url: response.url, page };
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return { ok: false, status: 0, url, page: null };
    throw error;
  }
}
