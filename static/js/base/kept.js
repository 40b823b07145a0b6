/**
 * What the scripts keep in a browser, all of it under names that begin with ours, as another application may be at the same host. A
 * tab keeps what somebody entered, selected and looked at, until they sign out there or in another tab, or somebody else signs in. The
 * browser keeps who that was last, and what is of the machine and no work of anybody's.
 */
const OURS = "oncare-live ";

/** Under this the browser keeps whose pages it has, and a tab whose work it keeps. */
const PERSON = "person";

/** For whom the page was made; for nobody, where nobody is signed in or it is the shop's. */
const person = document.body.dataset["userId"];

/** @param {string} key */
export function kept(key) {
  return allowed(() => localStorage.getItem(OURS + key));
}

/**
 * @param {string} key
 * @param {string | null} value null to keep nothing
 */
export function keep(key, value) {
  write(() => localStorage, key, value);
}

/** @param {string} key */
export function keptInTab(key) {
  return allowed(() => sessionStorage.getItem(OURS + key));
}

/**
 * @param {string} key
 * @param {string | null} value null to keep nothing
 */
export function keepInTab(key, value) {
  if (!isForgotten) write(() => sessionStorage, key, value);
}

/** Whether nobody has signed out since the page was loaded, nor anybody else in. */
export function isStillTheirs() {
  return person === undefined || kept(PERSON) === known;
}

/** The person signs out: this tab keeps nothing of theirs, nor does another one that learns of it. */
export function signOut() {
  keep(PERSON, null);
  forget();
}

/** What the page was loaded for is over: nothing of it is kept in this tab any more. */
export function forget() {
  isForgotten = true;
  allowed(() => {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(OURS)) sessionStorage.removeItem(key);
  });
}

/**
 * @param {() => Storage} storage
 * @param {string} key
 * @param {string | null} value
 */
function write(storage, key, value) {
  allowed(() => (value === null ? storage().removeItem(OURS + key) : storage().setItem(OURS + key, value)));
}

/**
 * @template T
 * @param {() => T} use
 */
function allowed(use) {
  try {
    return use();
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

let isForgotten = false;
if (person !== undefined) keep(PERSON, person);
const known = kept(PERSON);
// where this browser lets pages keep nothing for all of its tabs, a page itself says whose it is
const whose = person ?? known;
if (keptInTab(PERSON) !== whose) {
  forget();
  isForgotten = false;
  keepInTab(PERSON, whose);
}
