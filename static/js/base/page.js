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
  const { page } = await readPage(url);
  return page;
}

/**
 * The same with the answer's status; 0 if there was no answer.
 * @param {string} url
 * @returns {Promise<{ status: number, page: Document | null }>}
 */
export async function readPage(url) {
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    const text = response.ok ? await response.text() : null;
    return { status: response.status, page: text === null ? null : new DOMParser().parseFromString(text, "text/html") };
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return { status: 0, page: null };
    throw error;
  }
}
