/** How long an answer may usually take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Asks the server.
 * @param {string} url
 * @param {RequestInit} [options]
 * @param {number} [patience] how long the answer may take, in milliseconds
 * @param {AbortController} [asking] ends it when nobody waits any more
 * @returns {Promise<{ response: Response, text: string } | null>} null where there is no answer, or half of one
 */
export async function request(url, options = {}, patience = PATIENCE, asking = new AbortController()) {
  const timer = setTimeout(() => asking.abort(), patience);
  try {
    const response = await fetch(url, { ...options, cache: "no-store", signal: asking.signal });
    return { response, text: await response.text() };
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks the server for JSON.
 * @param {string} url
 * @param {RequestInit} options
 * @param {number} [patience] how long the answer may take, in milliseconds
 * @param {AbortController} [asking] ends it when nobody waits any more
 * @returns {Promise<{ ok: boolean, status: number, headers: Headers, json: any } | null>} null where there is no answer, or half of
 *   one
 */
export async function ask(url, options, patience, asking) {
  const answer = await request(url, { ...options, headers: { accept: "application/json", ...options.headers } }, patience, asking);
  if (!answer) return null;
  const { ok, status, headers } = answer.response;
  try {
    return { ok, status, headers, json: answer.text === "" ? null : JSON.parse(answer.text) };
  } catch (error) {
    // whoever stands between says what is wrong in words of its own
    if (error instanceof SyntaxError) return ok ? null : { ok, status, headers, json: null };
    throw error;
  }
}
