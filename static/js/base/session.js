/** By this a page that signs out tells all others of the same person in the browser. */
const KEY = `oncare-live signed out ${document.body.dataset["userId"] ?? ""}`;

/** What was told before the page was loaded. */
const known = lastTold();

let isOver = false;

/** What the page shows is taken out of sight with the session. */
let isOurs = true;

/** @type {(() => void)[]} */
const listeners = [];

/** The page is another application's, which shows and hides what it shows. */
export function keepPage() {
  isOurs = false;
}

/**
 * Has something done when the session ends.
 * @param {() => void} listener
 */
export function whenSessionEnds(listener) {
  listeners.push(listener);
}

/**
 * The session has ended: nothing of the person stays in sight, and what is left leads to the login. Other pages are not told: one
 * that was loaded since may have a session of its own.
 */
export function endSession() {
  if (isOver) return;
  isOver = true;
  if (isOurs) hidePage();
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

function lastTold() {
  try {
    return localStorage.getItem(KEY);
  } catch (error) {
    // people may forbid it; the server tells each page all the same
    if (error instanceof DOMException) return null;
    throw error;
  }
}

function tellOthers() {
  try {
    localStorage.setItem(KEY, `${Date.now()} ${Math.random()}`);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

function check() {
  if (lastTold() !== known) endSession();
}

window.addEventListener("storage", check);
// what was kept or frozen meanwhile was not told
window.addEventListener("pageshow", check);
document.addEventListener("resume", check);
document.addEventListener("visibilitychange", check);
document.addEventListener("submit", ({ target }) => {
  if (target instanceof HTMLFormElement && target.hasAttribute("data-signs-out")) tellOthers();
});
