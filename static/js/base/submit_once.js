/** By then the server has answered, in milliseconds. Where no page came, somebody has stopped it, and may send again. */
const PATIENCE = 30_000;

/** What is being sent, and since when. @type {{ form: HTMLFormElement, since: number } | null} */
let sent = null;

/**
 * Whether the form has been sent, and the page that answers is on its way.
 * @param {HTMLFormElement} form
 */
export function isUnderWay(form) {
  return sent?.form === form && performance.now() - sent.since < PATIENCE;
}

// A double click would write twice, and tell only how the second fared. What a page sends by itself, it has prevented by now.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !(form instanceof HTMLFormElement) || form.method !== "post") return;
  if (isUnderWay(form)) event.preventDefault();
  else sent = { form, since: performance.now() };
});

// it may be shown again on the way back
window.addEventListener("pageshow", () => {
  sent = null;
});
