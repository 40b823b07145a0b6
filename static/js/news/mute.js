import { ask } from "../base/http.js";

/**
 * Mutes an order in the account, or has it told again.
 * @param {string} url where that is done for the order
 * @param {string} user for whom the page was made: somebody else may be signed in by now
 * @param {boolean} muted
 * @returns {Promise<string>} what went wrong; empty if nothing
 */
export async function mute(url, user, muted) {
  const body = new URLSearchParams({ user, muted: muted ? "1" : "" });
  const answer = await ask(url, { method: "POST", body });
  return answer?.ok ? "" : `Not ${muted ? "muted" : "unmuted"}: ${answer?.json?.error ?? "no answer"}.`;
}

/**
 * Mutes by the page's own forms without leaving it.
 * @param {(order: string, muted: boolean) => Promise<void>} change
 */
export function enhanceMuteForms(change) {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.matches(".mute")) return;
    const field = fieldOf(form);
    if (!field) return;
    event.preventDefault();
    void change(orderOf(form), field.value === "1");
  });
}

/**
 * Has the page's own forms say what they would do now.
 * @param {Set<string>} muted
 */
export function showMuted(muted) {
  for (const form of document.querySelectorAll("form.mute")) {
    const isMuted = muted.has(orderOf(form));
    const field = fieldOf(form);
    const button = form.querySelector("button");
    if (field) field.value = isMuted ? "" : "1";
    if (button) button.textContent = isMuted ? "Unmute" : "Mute";
  }
}

/**
 * @param {Element} form
 * @returns {HTMLInputElement | null}
 */
function fieldOf(form) {
  return form.querySelector("input[name=muted]");
}

/** @param {Element} form */
function orderOf(form) {
  return /orders\/(\d+)\/mute/.exec(form.getAttribute("action") ?? "")?.[1] ?? "";
}
