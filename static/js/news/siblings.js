/**
 * What this person's pages in the browser say to each other: that somebody read the changes, with the answer that was read, or
 * that the account is not what it was.
 *
 * @typedef {{ kind: "read", answer: import("../base/types.js").Changes } | { kind: "account" }} SiblingMessage
 */
export class Siblings {
  #name;
  #listener;
  /** @type {BroadcastChannel | null} while the page lives: one that is kept for going back to must have none */
  #channel = null;

  /**
   * @param {string} user
   * @param {(message: SiblingMessage) => void} [listener]
   */
  constructor(user, listener = () => {}) {
    // pages of another version may say other things
    this.#name = `${import.meta.url} ${user}`;
    this.#listener = listener;
    this.#open();
    window.addEventListener("pagehide", () => this.#channel?.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.#open());
  }

  /** @param {SiblingMessage} message */
  say(message) {
    this.#channel?.postMessage(message);
  }

  #open() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener("message", ({ data }) => this.#listener(data));
  }
}
