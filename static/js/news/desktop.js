/** @import { Change } from "../base/types.js" */
import { orderName, orderPage, whatHappened } from "../base/words.js";

/** More changes at once than this are one notification. */
const MOST_TOLD = 3;

/** What the browser has answered: `unsupported` also where the page did not come by HTTPS. */
export function permission() {
  return "Notification" in globalThis && isSecureContext ? Notification.permission : "unsupported";
}

/** Tells changes on the desktop while nobody looks at any of the browser's pages. */
export class Desktop {
  #name = `${import.meta.url}`;
  /** @type {(() => void) | null} gives the lock back */
  #release = null;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#turn(document.visibilityState === "visible"));
    // a browser keeps no page for the way back that has a lock
    window.addEventListener("pagehide", () => this.#turn(false));
    window.addEventListener("pageshow", ({ persisted }) => persisted && this.#turn(document.visibilityState === "visible"));
    this.#turn(document.visibilityState === "visible");
  }

  /** @param {Change[]} changes */
  async tell(changes) {
    if (permission() !== "granted" || document.visibilityState === "visible") return;
    // a page in sight holds the lock, and shows what there is to tell
    const { held = [] } = await navigator.locks.query();
    if (held.some(({ name }) => name === this.#name)) return;
    if (changes.length <= MOST_TOLD) changes.forEach((change) => this.#show(change));
    else this.#say(`${changes.length} changes of orders`, "", `until ${changes.at(-1)?.id}`);
  }

  /**
   * Holds the lock for as long as the page is in sight.
   * @param {boolean} inSight
   */
  #turn(inSight) {
    this.#release?.();
    this.#release = null;
    if (!inSight || !("locks" in navigator)) return;
    const held = new Promise((/** @type {(value: void) => void} */ release) => {
      this.#release = release;
    });
    void navigator.locks.request(this.#name, { mode: "shared" }, () => held);
  }

  /** @param {Change} change */
  #show(change) {
    this.#say(orderName(change), whatHappened(change), `change ${change.id}`, orderPage(change));
  }

  /**
   * @param {string} title
   * @param {string} body
   * @param {string} tag one notification for each, whichever page shows it
   * @param {string | null} [page] which a click opens
   */
  #say(title, body, tag, page) {
    try {
      const notification = new Notification(title, { body, tag });
      notification.addEventListener("click", () => {
        window.focus();
        if (page) location.assign(page);
        notification.close();
      });
    } catch (error) {
      // some browsers have the constructor and let no page use it
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
