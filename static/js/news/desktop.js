/** @import { Change } from "../base/types.js" */
import { keep, kept } from "../base/kept.js";
import { counted, orderName, orderPage, whatHappened } from "../base/words.js";

/** More changes at once than this are one notification. */
const MOST_SEPARATE = 3;

/** By this a browser is known in which a page asked for a notification and could not show it. */
const UNABLE = "no notifications";

/** What this page shows. @type {Set<Notification>} */
const shown = new Set();

/**
 * What the browser has answered: `unsupported` also where the page did not come by HTTPS, or where browsers let only service
 * workers show notifications, whatever somebody answered them.
 */
export function permission() {
  if (!("Notification" in globalThis) || !isSecureContext || isUnable()) return "unsupported";
  return Notification.permission;
}

/**
 * Shows a notification.
 * @param {string} title
 * @param {NotificationOptions} options
 * @param {string | null} [page] which a click opens
 * @returns {boolean} whether the browser lets a page do so
 */
export function notify(title, options, page) {
  try {
    const notification = new Notification(title, options);
    shown.add(notification);
    notification.addEventListener("close", () => shown.delete(notification));
    notification.addEventListener("click", () => {
      window.focus();
      if (page) location.assign(page);
      notification.close();
    });
    keep(UNABLE, null);
    return true;
  } catch (error) {
    // some browsers have the constructor and let no page use it
    if (!(error instanceof TypeError)) throw error;
    keep(UNABLE, "1");
    return false;
  }
}

/** Takes back what the page shows. */
function takeBack() {
  for (const notification of shown) notification.close();
}

// a click on one would do nothing any more, and nobody could take it back when its person signs out
window.addEventListener("pagehide", takeBack);

/** Those of Android have the constructor and refuse it; whoever else does is known by having done so. */
function isUnable() {
  const { userAgentData } = /** @type {{ userAgentData?: { platform: string } }} */ (navigator);
  return userAgentData?.platform === "Android" || kept(UNABLE) !== null;
}

/** Tells changes on the desktop while nobody looks at any of the person's pages in the browser. */
export class Desktop {
  #name;
  /** @type {(() => void) | null} gives the lock back */
  #release = null;
  #isOver = false;

  /** @param {string} user */
  constructor(user) {
    this.#name = `${import.meta.url} ${user}`;
    const turn = () => this.#turn(document.visibilityState === "visible");
    document.addEventListener("visibilitychange", turn);
    // a browser keeps no page for the way back that has a lock
    window.addEventListener("pagehide", () => this.#turn(false));
    window.addEventListener("pageshow", ({ persisted }) => persisted && turn());
    turn();
  }

  /** @param {Change[]} changes */
  async tell(changes) {
    if (this.#isOver || permission() !== "granted" || document.visibilityState === "visible") return;
    // a page in sight holds the lock, and shows what there is to tell
    const { held = [] } = await navigator.locks.query();
    if (this.#isOver || held.some(({ name }) => name === this.#name)) return;
    // one notification for each tag, whichever page shows it
    if (changes.length > MOST_SEPARATE) {
      notify(`${counted(changes.length)} to orders`, { body: "", tag: `until ${changes.at(-1)?.id}` });
      return;
    }
    for (const change of changes) {
      notify(orderName(change), { body: whatHappened(change), tag: `change ${change.id}` }, orderPage(change));
    }
  }

  /** The session is over: this page shows nothing more to anybody. */
  end() {
    this.#isOver = true;
    takeBack();
    this.#turn(false);
  }

  /**
   * Holds the lock for as long as the page is in sight.
   * @param {boolean} inSight
   */
  #turn(inSight) {
    this.#release?.();
    this.#release = null;
    if (!inSight || this.#isOver || !("locks" in navigator)) return;
    const held = new Promise((/** @type {(value: void) => void} */ release) => {
      this.#release = release;
    });
    void navigator.locks.request(this.#name, { mode: "shared" }, () => held);
  }
}
