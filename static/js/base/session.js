import { forget, isStillTheirs, signOut } from "./kept.js";

let isOver = false;

/** What the page shows is taken out of sight with the session. */
let isOurs = true;

/** Somebody is at work on the page. */
let isWorkKept = false;

let isHidden = false;

/** @type {(() => void)[]} */
const listeners = [];

/** The page is another application's, which shows and hides what it shows. */
export function keepPage() {
  isOurs = false;
}

/**
 * What somebody is writing stays in sight where their session ends elsewhere, as where it lapses: they sign in again and send it. Where
 * they sign out in this browser, or somebody else signs in, it goes.
 */
export function keepWork() {
  isWorkKept = true;
}

/**
 * Has something done when the session ends.
 * @param {() => void} listener
 */
export function whenSessionEnds(listener) {
  listeners.push(listener);
}

/**
 * The session has ended: nothing of the person stays in sight but what they are writing, and what is left leads to the login. Other pages are not told: one
 * that was loaded since may have a session of its own.
 */
export function endSession() {
  end(!isWorkKept);
}

/** @param {boolean} hides whether what a page of ours shows is taken out of sight */
function end(hides) {
  if (isOurs && hides && !isHidden) {
    isHidden = true;
    hidePage();
  }
  if (isOver) return;
  isOver = true;
  for (const listener of listeners) listener();
}

function hidePage() {
  // one that is open, or is opened later, would keep everything else from being clicked
  for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
  hideAllBut(document.getElementById("live-badge"), document.body);
  document.title = "Signed out";
  document.body.append(wayBack());
}

/**
 * @param {HTMLElement | null} kept
 * @param {HTMLElement} parent
 */
function hideAllBut(kept, parent) {
  for (const child of parent.children) {
    if (!(child instanceof HTMLElement) || child === kept) continue;
    if (kept && child.contains(kept)) hideAllBut(kept, child);
    else child.hidden = true;
  }
}

function wayBack() {
  const main = document.createElement("main");
  main.className = "content";
  const link = document.createElement("a");
  link.className = "button primary";
  const login = document.documentElement.dataset["login"] ?? "/accounts/login/";
  link.href = `${login}?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = "Sign in";
  const words = document.createElement("p");
  words.textContent = "You are signed out.";
  main.append(words, link);
  return main;
}

/** Somebody may have signed out in another tab, or another person in: then nothing of the page's person stays in it, seen or not. */
function check() {
  if (isStillTheirs()) return;
  forget();
  end(true);
  for (const hidden of document.querySelectorAll("body [hidden]:not(#live-badge *)")) hidden.remove();
}

window.addEventListener("storage", check);
// what was kept or frozen meanwhile was not told
window.addEventListener("pageshow", check);
document.addEventListener("resume", check);
document.addEventListener("visibilitychange", check);
document.addEventListener("submit", ({ target }) => {
  if (target instanceof HTMLFormElement && target.hasAttribute("data-signs-out")) signOut();
});
