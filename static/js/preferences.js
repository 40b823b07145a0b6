import { notify, permission } from "./news/desktop.js";
import { element, part } from "./base/dom.js";
import { Shortcuts } from "./base/shortcuts.js";
import { Siblings } from "./news/siblings.js";
import { Sound } from "./news/sound.js";

const SILENT = "The browser does not let this page play a sound.";

/** What the browser's answer means, by the answer. None says that a notification arrives: only one that is shown does. */
const ANSWERS = new Map([
  ["granted", "This browser has given its permission. Show one now to see whether it arrives."],
  ["denied", "This browser forbids it: allow notifications for this site in its settings."],
  ["default", "This browser has not been asked."],
  ["unsupported", "This browser can't show notifications of a page, or the page did not come by HTTPS."],
]);

/** The page where somebody chooses what they are told of: what this browser makes of it. */
class PreferencesPage {
  #form = element("preferences", HTMLFormElement);
  #askButton = part(this.#form, "#ask", HTMLButtonElement);
  #tryButton = part(this.#form, "#try", HTMLButtonElement);
  #sound = new Sound();

  /** Begins, and goes on for as long as the page lives. */
  start() {
    const { user = "", saved } = this.#form.dataset;
    if (saved !== undefined) new Siblings(user).say({ kind: "account" });
    const play = part(this.#form, "#play", HTMLButtonElement);
    play.hidden = false;
    play.addEventListener("click", () => void this.#play());
    this.#switch("desktop")?.addEventListener("change", () => void this.#ask());
    // the wish is the account's, and may have come from another browser
    this.#askButton.addEventListener("click", () => void this.#ask());
    this.#tryButton.addEventListener("click", () => this.#try());
    this.#sayPermission();
    this.#form.addEventListener("change", () => this.#form.querySelector(".saved")?.remove());
    this.#say("sound-state", "Browsers keep a page silent until something on it is clicked.");
    part(document, "#keys-preference", HTMLElement).hidden = false;
    new Shortcuts(part(this.#form, "[name=user]", HTMLInputElement).value).bind(part(document, "#keys-on", HTMLInputElement));
  }

  /** @param {string} name */
  #switch(name) {
    const field = this.#form.elements.namedItem(name);
    return field instanceof HTMLInputElement ? field : null;
  }

  async #play() {
    this.#say("sound-state", (await this.#sound.play()) ? "Played." : SILENT);
  }

  /** Asks for permission where it is wanted and not answered yet. */
  async #ask() {
    if (this.#switch("desktop")?.checked && permission() === "default") await Notification.requestPermission();
    this.#sayPermission();
  }

  #try() {
    const isShown = notify("OnCare", { body: "A change of an order is shown like this.", tag: "try" });
    this.#sayPermission();
    if (isShown) this.#say("desktop-state", "Shown. If you don't see it, the computer's own settings hold it back.");
  }

  #sayPermission() {
    const desktop = this.#switch("desktop");
    const answer = permission();
    const isOpen = desktop?.checked === true && answer === "default";
    if (!isOpen && document.activeElement === this.#askButton) desktop?.focus();
    this.#askButton.hidden = !isOpen;
    this.#tryButton.hidden = answer !== "granted";
    this.#say("desktop-state", ANSWERS.get(answer) ?? "");
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  #say(id, text) {
    part(this.#form, `#${id}`, HTMLElement).textContent = text;
  }
}

new PreferencesPage().start();
