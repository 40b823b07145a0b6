import { permission } from "./news/desktop.js";
import { element } from "./base/dom.js";
import { Siblings } from "./news/siblings.js";
import { Sound } from "./news/sound.js";

const SILENT = "The browser does not let this page play a sound.";

/** What the browser's answer means, by the answer. */
const ANSWERS = new Map([
  ["granted", "This browser allows it."],
  ["denied", "This browser forbids it: allow notifications for this site in its settings."],
  ["default", "This browser has not been asked."],
  ["unsupported", "This browser can't, or the page did not come by HTTPS."],
]);

/** The page where somebody chooses what they are told of: what this browser makes of it. */
class PreferencesPage {
  #form = element("preferences", HTMLFormElement);
  #askButton = element("ask", HTMLButtonElement);
  #sound = new Sound();

  /** Begins, and goes on for as long as the page lives. */
  start() {
    const { user = "", saved } = this.#form.dataset;
    if (saved !== undefined) new Siblings(user).say({ kind: "account" });
    const play = element("play", HTMLButtonElement);
    play.hidden = false;
    play.addEventListener("click", () => void this.#play());
    this.#switch("desktop")?.addEventListener("change", () => void this.#ask());
    // the wish is the account's, and may have come from another browser
    this.#askButton.addEventListener("click", () => void this.#ask());
    this.#sayPermission();
    this.#form.addEventListener("change", () => this.#form.querySelector(".saved")?.remove());
    this.#say("sound-state", "Browsers keep a page silent until something on it is clicked.");
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

  #sayPermission() {
    const desktop = this.#switch("desktop");
    const isOpen = desktop?.checked === true && permission() === "default";
    if (!isOpen && document.activeElement === this.#askButton) desktop?.focus();
    this.#askButton.hidden = !isOpen;
    this.#say("desktop-state", ANSWERS.get(permission()) ?? "");
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  #say(id, text) {
    element(id, HTMLElement).textContent = text;
  }
}

new PreferencesPage().start();
