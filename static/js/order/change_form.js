import { fill } from "../base/dom.js";
import { SENT_BACK, become, isUnderWay } from "../base/forms.js";

/**
 * The form that changes where the order stands, while others change it too: one that nobody has touched becomes the new one;
 * one that somebody fills in is kept, and says what happened meanwhile.
 */
export class ChangeForm {
  #form;
  /** @type {HTMLFormElement | null} as the server has it now, where that is another one */
  #newer = null;

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.#form = form;
    form.addEventListener("input", () => this.#show());
    form.addEventListener(SENT_BACK, () => this.take(this.#newer ?? form));
    form.addEventListener("click", ({ target }) => {
      if (target instanceof Element && target.closest("#change-overtaken button")) this.#takeOver();
    });
  }

  /** @param {HTMLFormElement} newest as the server has it now */
  take(newest) {
    if (isUnderWay(this.#form)) return;
    this.#newer = newest.dataset["standing"] === this.#form.dataset["standing"] ? null : newest;
    if (this.#newer && !this.#isTouched) this.#become(this.#newer);
    this.#show();
  }

  /** Whether somebody has entered something, now or in what the server sent back. */
  get #isTouched() {
    return this.#form.hasAttribute("data-refilled") || [...this.#form.elements].some(isChanged);
  }

  #takeOver() {
    if (!this.#newer) return;
    const note = this.#note?.value ?? "";
    this.#become(this.#newer);
    if (this.#note) this.#note.value = note;
    this.#show();
    const status = this.#form.querySelector("input[name=status]:checked");
    if (status instanceof HTMLElement) status.focus({ preventScroll: true });
  }

  /** @param {HTMLFormElement} newer */
  #become(newer) {
    become(this.#form, newer);
    this.#newer = null;
  }

  /** Says what overtook the form, if anything did, with both versions. */
  #show() {
    const conflict = this.#form.querySelector("#change-overtaken");
    if (!(conflict instanceof HTMLElement)) return;
    const { label = "", by } = this.#newer?.dataset ?? {};
    if (this.#newer) {
      fill(conflict, "what", `${by || "Somebody"} changed this order to ${label} while you were filling this in.`);
      fill(conflict, "was", this.#form.dataset["label"] ?? "");
      fill(conflict, "wanted", this.#wanted);
      fill(conflict, "now", label);
    }
    conflict.hidden = this.#newer === null;
  }

  /** What is chosen, in the words of the server's own conflict. */
  get #wanted() {
    const status = this.#form.querySelector("input[name=status]:checked:not([value=''])");
    const payment = this.#form.querySelector("select[name=payment_status] option:checked:not([value=''])");
    const words = [status?.parentElement?.querySelector("span")?.textContent, payment && `payment ${payment.textContent}`];
    return words.filter((word) => word).join(", ") || "a note";
  }

  get #note() {
    return this.#form.querySelector("textarea");
  }
}

/** @param {Element} control */
function isChanged(control) {
  if (control instanceof HTMLInputElement) return control.checked !== control.defaultChecked;
  if (control instanceof HTMLTextAreaElement) return control.value !== control.defaultValue;
  // the first is as it is, and chosen unless the server sent back another
  return control instanceof HTMLSelectElement && control.selectedIndex > 0;
}
