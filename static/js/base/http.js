/** How long an answer may usually take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Asks the server.
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} [patience] how long the answer may take, in milliseconds
 * @returns {Promise<{ ok: boolean, status: number, tag: string, json: any } | null>} null where there is no answer, or half of
 *   one
 */
export async function ask(url, options, patience = PATIENCE) {
  try {
    const response = await fetch(url, { ...options, cache: "no-store", signal: AbortSignal.timeout(patience) });
    const { ok, status, headers } = response;
    const text = await response.text();
    return { ok, status, tag: headers.get("etag") ?? "", json: text === "" ? null : JSON.parse(text) };
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError) return null;
    throw error;
  }
}
