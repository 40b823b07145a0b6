/** How long muting may take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Mutes an order in the account, or has it told again.
 * @param {number} order
 * @param {boolean} muted
 * @returns {Promise<string>} what went wrong; empty if nothing
 */
export async function mute(order, muted) {
  try {
    const response = await fetch(`/orders/api/orders/${order}/mute/`, {
      method: "POST",
      body: new URLSearchParams({ muted: muted ? "1" : "" }),
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(PATIENCE),
    });
    return response.ok ? "" : `Not ${muted ? "muted" : "unmuted"}: ${(await response.json()).error}.`;
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof DOMException || error instanceof SyntaxError)) throw error;
    return `Not ${muted ? "muted" : "unmuted"}: no answer.`;
  }
}

/**
 * Mutes by the page's own forms without leaving it.
 * @param {(order: number, muted: boolean) => Promise<void>} change
 */
export function enhanceMuteForms(change) {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.matches(".mute")) return;
    const field = form.querySelector("input");
    const order = Number(/orders\/(\d+)\/mute/.exec(form.action)?.[1]);
    if (!field) return;
    event.preventDefault();
    void change(order, field.value === "1");
  });
}

/**
 * Has the page's own forms say what they would do now.
 * @param {Set<number>} muted
 */
export function showMuted(muted) {
  for (const form of document.querySelectorAll("form.mute")) {
    const order = Number(/orders\/(\d+)\/mute/.exec(form.getAttribute("action") ?? "")?.[1]);
    const field = form.querySelector("input");
    const button = form.querySelector("button");
    if (field) field.value = muted.has(order) ? "" : "1";
    if (button) button.textContent = muted.has(order) ? "Unmute" : "Mute";
  }
}
