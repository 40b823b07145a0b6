import { fill } from "../base/dom.js";
import { SENT_BACK, become, isUnderWay } from "../base/forms.js";
import { follow } from "./follow.js";

/**
 * The form that changes where the order stands, while others change it too: one that nobody has touched becomes the new one;
 * one that somebody fills in keeps what was entered, says what happened meanwhile, and changes what the order is now. So nobody is
 * asked twice: who sends it has been told.
 */
export class ChangeForm {
  #form;
  /** Where the order stood when it was begun to fill it in, where that is no more so. */
  #began = "";

  /**
   * @param {HTMLFormElement} form
   * @param {() => void} renew asks for the form as the server has it now
   */
  constructor(form, renew) {
    this.#form = form;
    form.addEventListener(SENT_BACK, () => {
      this.#began = "";
      renew();
    });
  }

  /** @param {HTMLFormElement} newest as the server has it now */
  take(newest) {
    if (isUnderWay(this.#form) || newest.dataset["standing"] === this.#form.dataset["standing"]) return;
    if (!this.#isTouched) {
      this.#began = "";
      become(this.#form, newest);
      return;
    }
    this.#began ||= this.#form.dataset["label"] ?? "";
    const wanted = this.#wanted;
    follow(this.#form, newest);
    this.#say(wanted);
  }

  /** Whether somebody has entered something, now or in what the server sent back. */
  get #isTouched() {
    return this.#form.hasAttribute("data-refilled") || [...this.#form.elements].some(isChanged);
  }

  /**
   * Says what overtook the form, with both versions.
   * @param {string} wanted
   */
  #say(wanted) {
    const conflict = this.#form.querySelector("#change-overtaken");
    if (!(conflict instanceof HTMLElement)) return;
    const { label = "", by } = this.#form.dataset;
    // what the server said of an earlier one
    this.#form.querySelector(".conflict:not(#change-overtaken)")?.remove();
    fill(conflict, "what", `${by || "Somebody"} changed this order to ${label} while you were filling this in.`);
    fill(conflict, "was", this.#began);
    fill(conflict, "wanted", wanted);
    fill(conflict, "now", label);
    conflict.hidden = false;
  }

  /** What is chosen, in the words of the server's own conflict. */
  get #wanted() {
    const status = this.#form.querySelector("input[name=status]:checked:not([value=''])");
    const payment = this.#form.querySelector("select[name=payment_status] option:checked:not([value=''])");
    const words = [status?.parentElement?.querySelector("span")?.textContent, payment && `payment ${payment.textContent}`];
    return words.filter((word) => word).join(", ") || "a note";
  }
}

/** @param {Element} control */
function isChanged(control) {
  if (control instanceof HTMLInputElement) return control.checked !== control.defaultChecked;
  if (control instanceof HTMLTextAreaElement) return control.value !== control.defaultValue;
  // the first is as it is, and chosen unless the server sent back another
  return control instanceof HTMLSelectElement && control.selectedIndex > 0;
}
