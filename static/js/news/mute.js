import { ask } from "../base/http.js";

/**
 * Mutes an order in the account, or has it told again.
 * @param {string} url where that is done for the order
 * @param {boolean} muted
 * @returns {Promise<string>} what went wrong; empty if nothing
 */
export async function mute(url, muted) {
  const body = new URLSearchParams({ muted: muted ? "1" : "" });
  const headers = { accept: "application/json" };
  const answer = await ask(url, { method: "POST", body, headers });
  return answer?.ok ? "" : `Not ${muted ? "muted" : "unmuted"}: ${answer?.json?.error ?? "no answer"}.`;
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
    if (!field) return;
    event.preventDefault();
    void change(orderOf(form), field.value === "1");
  });
}

/**
 * Has the page's own forms say what they would do now.
 * @param {Set<number>} muted
 */
export function showMuted(muted) {
  for (const form of document.querySelectorAll("form.mute")) {
    const order = orderOf(form);
    const field = form.querySelector("input");
    const button = form.querySelector("button");
    if (field) field.value = muted.has(order) ? "" : "1";
    if (button) button.textContent = muted.has(order) ? "Unmute" : "Mute";
  }
}

/** @param {Element} form */
function orderOf(form) {
  return Number(/orders\/(\d+)\/mute/.exec(form.getAttribute("action") ?? "")?.[1]);
}
