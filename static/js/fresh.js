/** How long reading a page anew may take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * A page as it would be loaded now; nothing if that can't be had.
 * @param {string} url
 */
export async function freshPage(url) {
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return null;
    throw error;
  }
}
