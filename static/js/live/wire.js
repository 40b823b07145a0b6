/** The version of the stream's events and of the API's answers that this page reads: docs/PROTOCOL.md. */
export const WIRE = 1;

/** The header in which an answer says its version. */
export const WIRE_HEADER = "oncare-live-wire";

/** How old a page is at least that is loaded anew, in milliseconds: while instances of both versions serve, each load may lead to either. */
const APART = 60_000;

/** How often is looked whether somebody is in the midst of something, and over what time pages spread, in milliseconds. */
const LOOK = 5_000;
const SPREAD = 5_000;

/**
 * Whether something is told in a later version than this page reads. What says none is of the first.
 * @param {unknown} version
 */
export const isLater = (version) => Number(version ?? 1) > WIRE;

/**
 * Loads the page anew, as it is older than what it is told: once nobody is in the midst of something, and not again and again.
 * @param {{ age: number, isBusy: () => boolean, reload: () => void }} page the age in milliseconds
 */
export function reloadWhenIdle({ age, isBusy, reload }) {
  const look = () => {
    if (isBusy()) setTimeout(look, LOOK);
    else reload();
  };
  setTimeout(look, Math.max(0, APART - age) + Math.random() * SPREAD);
}

/** Whether somebody has written something here, or has a dialog open, that would be lost. */
export function isBusy() {
  const fields = /** @type {NodeListOf<HTMLInputElement | HTMLTextAreaElement>} */ (document.querySelectorAll("input, textarea"));
  const isWritten = [...fields].some((field) => field.value !== field.defaultValue);
  const focused = document.activeElement;
  return isWritten || document.querySelector("dialog[open]") !== null || (focused?.matches("input, textarea, select") ?? false);
}
