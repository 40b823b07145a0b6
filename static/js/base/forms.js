import { keepInTab, keptInTab } from "./kept.js";
import { readPage } from "./page.js";

/** By then the server has answered, in milliseconds. Where no page came, somebody has stopped it, and may send again. */
const PATIENCE = 30_000;

const NO_ANSWER = "There was no answer, so this may be saved or not. What you entered is still here: see what is saved before you send it again.";
const SIGNED_OUT = "You are signed out, so nothing is saved. What you entered is still here: sign in in another tab, then send it again.";
const TO_LOGIN = "Sign in in another tab";

/** Fields that are no work of the person's, or are not to be kept. */
const NOT_KEPT = new Set(["user", "password", "next"]);

/** What a form is told when it has become what the server sent back. */
export const SENT_BACK = "sentback";

/** What is being sent, and since when. @type {{ form: HTMLFormElement, since: number } | null} */
let sent = null;

/**
 * Whether the form has been sent, and the page that answers is on its way.
 * @param {HTMLFormElement} form
 */
export function isUnderWay(form) {
  return sent?.form === form && performance.now() - sent.since < PATIENCE;
}

/**
 * Gives the form the content of another one of its kind; the focus stays where it is, if that has the same control.
 * @param {HTMLFormElement} form
 * @param {HTMLFormElement} other
 */
export function become(form, other) {
  const focus = document.activeElement;
  const same = focus && form.contains(focus) ? sameControl(focus) : null;
  form.replaceChildren(...[...other.childNodes].map((node) => document.importNode(node, true)));
  for (const name of Object.keys(form.dataset)) delete form.dataset[name];
  Object.assign(form.dataset, other.dataset);
  const control = same ? form.querySelector(same) : null;
  if (control instanceof HTMLElement) control.focus({ preventScroll: true });
}

/**
 * Where the control is in another form of the same kind.
 * @param {Element} control
 */
export function sameControl(control) {
  const name = control.getAttribute("name");
  if (name === null) return control.matches("[type=submit]") ? "[type=submit]" : null;
  const value = control instanceof HTMLInputElement && control.type === "radio" ? `[value="${CSS.escape(control.value)}"]` : "";
  return `[name="${CSS.escape(name)}"]${value}`;
}

/**
 * Sends the form without leaving the page, which only a success does: whatever else is answered, nothing entered is lost.
 * @param {HTMLFormElement} form
 */
async function send(form) {
  say(form, "");
  const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  const { ok, url, page } = await readPage(form.action, { method: "POST", body }, PATIENCE);
  if (ok && !page?.querySelector("[type=password]")) {
    keepInTab(draftOf(form), null);
    location.assign(url);
    return;
  }
  sent = null;
  const again = page?.querySelector(`form[action="${form.getAttribute("action")}"]`);
  if (again instanceof HTMLFormElement) {
    const values = chosen(form);
    become(form, again);
    fill(form, values);
    form.dispatchEvent(new Event(SENT_BACK));
    const wrong = form.querySelector("[aria-invalid=true]");
    if (wrong instanceof HTMLElement) wrong.focus();
    else form.querySelector("[role=alert]:not([hidden])")?.scrollIntoView({ block: "nearest" });
    return;
  }
  const reason = page?.querySelector("main p")?.textContent;
  if (ok) say(form, SIGNED_OUT, toLogin());
  else say(form, reason ? `${reason} What you entered is still here.` : NO_ANSWER);
}

function toLogin() {
  const link = document.createElement("a");
  link.href = document.documentElement.dataset["login"] ?? "/accounts/login/";
  link.target = "_blank";
  link.textContent = TO_LOGIN;
  return link;
}

/**
 * @param {HTMLFormElement} form
 * @param {string} problem
 * @param {Element} [way] out of it
 */
function say(form, problem, way) {
  form.querySelector("[data-answer]")?.remove();
  if (problem === "") return;
  const place = document.createElement("p");
  place.className = "problem";
  place.setAttribute("role", "alert");
  place.dataset["answer"] = "";
  place.textContent = problem;
  if (way) place.append(" ", way);
  form.append(place);
  place.scrollIntoView({ block: "nearest" });
}

/**
 * @param {HTMLFormElement} form
 * @returns {[string, string][]}
 */
function entered(form) {
  const fields = [...new FormData(form)].filter(([name]) => !NOT_KEPT.has(name));
  return fields.map(([name, value]) => [name, String(value)]);
}

/**
 * The same without what the form was made from.
 * @param {HTMLFormElement} form
 */
export function chosen(form) {
  return entered(form).filter(([name]) => name !== "version");
}

/**
 * Enters values again, as far as they can be.
 * @param {HTMLElement} place
 * @param {[string, string][]} values
 */
export function fill(place, values) {
  for (const control of place.querySelectorAll("input, textarea, select")) {
    const name = control.getAttribute("name") ?? "";
    const own = values.filter(([field]) => field === name).map(([, value]) => value);
    const [value] = own;
    if (NOT_KEPT.has(name) || control.matches(":disabled")) continue;
    // of choices one stays, where the one that was made can't be made any more
    const canBe = (/** @type {string} */ one) => place.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(one)}"]:enabled`);
    if (control instanceof HTMLInputElement && control.type === "radio" && !own.some(canBe)) continue;
    if (control instanceof HTMLInputElement && ["checkbox", "radio"].includes(control.type)) control.checked = own.includes(control.value);
    else if (value === undefined) continue;
    else if (control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement) control.value = value;
    else if (control instanceof HTMLSelectElement) {
      const option = [...control.options].find((each) => each.value === value && !each.disabled);
      if (option) option.selected = true;
    }
  }
}

/**
 * Where this tab keeps what somebody enters in a form.
 * @param {HTMLFormElement} form
 */
function draftOf(form) {
  const user = form.querySelector("[name=user]");
  return `draft of ${user instanceof HTMLInputElement ? user.value : ""} for ${form.getAttribute("action")}`;
}

/** On the way back, and where the page is loaded again, what was entered is still there. What the server sent back has it already. */
function restore() {
  const [navigation] = performance.getEntriesByType("navigation");
  const isReturn = navigation instanceof PerformanceNavigationTiming && ["back_forward", "reload"].includes(navigation.type);
  for (const form of document.querySelectorAll("form")) {
    const draft = isReturn && form.hasAttribute("data-kept") && keptInTab(draftOf(form));
    if (draft && !form.querySelector("[role=alert]:not([hidden])")) fill(form, JSON.parse(draft));
  }
}

// A double click would write twice, and tell only how the second fared. What a page sends by itself, it has prevented by now.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !(form instanceof HTMLFormElement) || form.method !== "post") return;
  if (isUnderWay(form)) {
    event.preventDefault();
    return;
  }
  sent = { form, since: performance.now() };
  // a browser offers to keep a password only where it sends it itself
  if (!form.hasAttribute("data-kept") || form.querySelector("[type=password]")) return;
  event.preventDefault();
  void send(form);
});

document.addEventListener("input", ({ target }) => {
  const form = target instanceof Element ? target.closest("form") : null;
  if (form?.hasAttribute("data-kept")) keepInTab(draftOf(form), JSON.stringify(entered(form)));
});

// it may be shown again on the way back
window.addEventListener("pageshow", () => {
  sent = null;
});

restore();
