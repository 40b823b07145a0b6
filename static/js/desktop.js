/** @import { Change } from "./types.js" */
import { orderName, orderPage, whatHappened } from "./words.js";

/** More changes at once than this are one notification. */
const MOST_TOLD = 3;

/** What the browser has answered: `unsupported` also where the page did not come by HTTPS. */
export function permission() {
  return "Notification" in globalThis && isSecureContext ? Notification.permission : "unsupported";
}

/** Tells changes on the desktop while nobody looks at any of the browser's pages. */
export class Desktop {
  #name = `${import.meta.url}`;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#hold());
    this.#hold();
  }

  /** @param {Change[]} changes */
  async tell(changes) {
    if (permission() !== "granted" || document.visibilityState === "visible") return;
    // a page in sight holds the lock, and shows what there is to tell
    await navigator.locks.request(this.#name, { ifAvailable: true }, (lock) => {
      if (!lock) return;
      if (changes.length <= MOST_TOLD) changes.forEach((change) => this.#show(change));
      else this.#say(`${changes.length} changes of orders`, "", `until ${changes.at(-1)?.id}`);
    });
  }

  /** Holds the lock for as long as the page is in sight. */
  #hold() {
    if (document.visibilityState !== "visible" || !("locks" in navigator)) return;
    void navigator.locks.request(this.#name, { mode: "shared" }, () => {
      if (document.visibilityState !== "visible") return undefined;
      return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    });
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
