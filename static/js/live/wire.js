/** The version of the stream's events and of the API's answers that this page reads: docs/PROTOCOL.md. */
export const WIRE = 1;

/** The header in which an answer says its version. */
export const WIRE_HEADER = "oncare-live-wire";

/** How soon after one reload another may follow, in milliseconds: while instances of both versions serve, each may lead to either. */
const APART = 60_000;

/** How often is looked whether somebody is in the midst of something, and over what time pages spread, in milliseconds. */
const LOOK = 5_000;
const SPREAD = 5_000;

/** Where it is kept when this tab's page was last loaded anew. */
const KEPT = "oncare-live-reloaded-at";

/**
 * Whether something is told in a later version than this page reads. What says none is of the first.
 * @param {unknown} version
 */
export const isLater = (version) => Number(version ?? 1) > WIRE;

/**
 * Loads the page anew, as it is older than what it is told: once nobody is in the midst of something, and not again and again.
 * @param {{ storage: Pick<Storage, "getItem" | "setItem">, isBusy: () => boolean, reload: () => void, now: () => number }} page
 */
export function reloadWhenIdle(page) {
  const { storage, isBusy, reload, now } = page;
  const wait = Math.max(0, Number(storage.getItem(KEPT)) + APART - now()) + Math.random() * SPREAD;
  const look = () => {
    if (isBusy()) {
      setTimeout(look, LOOK);
      return;
    }
    storage.setItem(KEPT, String(now()));
    reload();
  };
  setTimeout(look, wait);
}

/** Whether somebody has written something here, or has a dialog open, that would be lost. */
export function isBusy() {
  const fields = /** @type {NodeListOf<HTMLInputElement | HTMLTextAreaElement>} */ (document.querySelectorAll("input, textarea"));
  const isWritten = [...fields].some((field) => field.value !== field.defaultValue);
  const focused = document.activeElement;
  return isWritten || document.querySelector("dialog[open]") !== null || (focused?.matches("input, textarea, select") ?? false);
}
