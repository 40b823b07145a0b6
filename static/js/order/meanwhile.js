import { fill } from "../base/dom.js";
import { SENT_BACK, isUnderWay } from "../base/forms.js";
import { follow } from "./follow.js";

const KEPT = "What you entered is still here, and nothing is saved yet. Where the order says something else now, that stands below it.";
const LOST = "What you entered is still here, but it can't be saved.";

/** @typedef {HTMLInputElement | HTMLTextAreaElement} Field */

/**
 * A form that edits or cancels an order, while others change that: it says so at once and keeps what was entered. What nobody touched
 * becomes what it is now, so that whoever sends it changes only what they entered, and has been told of the rest.
 */
export class Meanwhile {
  #form;
  /** What the server said last of each field; null where the form has what it sent back, which is what was entered. @type {Map<string, string> | null} */
  #told;
  /** Where the order was brought since the form is filled in, and what else of it was changed. */
  #moved = "";
  /** @type {Set<string>} */
  #changed = new Set();
  /** The last thing said is that nothing can be sent. */
  #isRefused = false;

  /**
   * @param {HTMLFormElement} form
   * @param {() => void} renew asks for the form as the server has it now
   */
  constructor(form, renew) {
    this.#form = form;
    this.#told = form.hasAttribute("data-refilled") ? null : contents(form, asTold);
    form.addEventListener(SENT_BACK, () => {
      [this.#told, this.#moved, this.#changed] = [null, "", new Set()];
      renew();
    });
  }

  /** @param {HTMLFormElement} newest as the server has it now */
  take(newest) {
    const { standing, version, label, by } = newest.dataset;
    const sent = this.#form.querySelector("[name=version]");
    // a draft of an earlier form was not told what happened since: the server tells it when it is sent
    const isEarlier = sent instanceof HTMLInputElement && sent.value !== this.#form.dataset["version"];
    if (isUnderWay(this.#form)) return;
    this.#allow(true);
    if (this.#isRefused) this.#hide();
    if (isEarlier) return;
    const [before, now, entered] = [this.#told, contents(newest, asTold), contents(this.#form, asEntered)];
    this.#told = now;
    const hasMoved = standing !== this.#form.dataset["standing"];
    if (!hasMoved && version === this.#form.dataset["version"]) return;
    const isTouched = [...entered].some(([name, value]) => value !== (before ?? now).get(name));
    const changed = [...now].filter(([name, value]) => value !== before?.get(name));
    for (const [name, value] of changed) this.#renew(name, value, entered.get(name) !== (before ?? now).get(name));
    follow(this.#form, newest);
    if (hasMoved) this.#moved = `${by || "Somebody"} changed this order to ${label}`;
    if (before) for (const [name] of changed) this.#changed.add(this.#title(name));
    const what = this.#moved || "Somebody changed this order";
    const also = this.#changed.size > 0 ? ` Other now: ${[...this.#changed].join(", ")}.` : "";
    this.#say(`${what}${isTouched ? " while you were typing" : ""}.${also}`, isTouched ? KEPT : "");
  }

  /**
   * As the order stands now, or where it is gone, nothing can be sent.
   * @param {string} why
   */
  refuse(why) {
    if (isUnderWay(this.#form)) return;
    this.#allow(false);
    this.#isRefused = true;
    const isTouched = [...contents(this.#form, asEntered)].some(([name, value]) => value !== this.#told?.get(name));
    this.#say(why, isTouched ? LOST : "");
  }

  /** @param {boolean} isAllowed */
  #allow(isAllowed) {
    for (const button of this.#form.querySelectorAll("[type=submit]")) button.toggleAttribute("disabled", !isAllowed);
  }

  /**
   * A field of which the server says something else now.
   * @param {string} name
   * @param {string} value
   * @param {boolean} isKept whether it keeps what was entered; then what is there now stands below it
   */
  #renew(name, value, isKept) {
    const own = fields(this.#form).filter((field) => field.name === name);
    if (!isKept) own.forEach((field) => enter(field, value));
    const place = own[0]?.closest(".field");
    // what the server said of an entry that it sent back stays
    place?.querySelector("[data-now]")?.remove();
    if (!place || value === "" || contents(this.#form, asEntered).get(name) === value) return;
    const now = document.createElement("span");
    now.className = "problem";
    now.dataset["now"] = "";
    now.textContent = `Now there: “${value}”`;
    place.append(now);
  }

  /** @param {string} name of a field */
  #title(name) {
    const place = fields(this.#form).find((field) => field.name === name)?.closest(".field");
    return (place?.querySelector("legend") ?? place)?.firstChild?.textContent?.trim() ?? "";
  }

  #hide() {
    this.#isRefused = false;
    this.#form.querySelector("#meanwhile")?.toggleAttribute("hidden", true);
  }

  /**
   * @param {string} what
   * @param {string} then
   */
  #say(what, then) {
    const place = this.#form.querySelector("#meanwhile");
    if (!(place instanceof HTMLElement)) return;
    fill(place, "what", what);
    fill(place, "then", then);
    place.hidden = false;
  }
}

/**
 * What people fill in.
 * @param {HTMLFormElement} form
 */
function fields(form) {
  return /** @type {Field[]} */ ([...form.querySelectorAll("input:not([type=hidden]), textarea")]);
}

/**
 * @param {HTMLFormElement} form
 * @param {(field: Field) => string | null} value of a field; null where another one of its name has it
 */
function contents(form, value) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const field of fields(form)) found.set(field.name, value(field) ?? found.get(field.name) ?? "");
  return found;
}

/** @param {Field} field */
function asTold(field) {
  if (!isChoice(field)) return field.defaultValue;
  return field.defaultChecked ? field.value : null;
}

/** @param {Field} field */
function asEntered(field) {
  if (!isChoice(field)) return field.value;
  return field.checked ? field.value : null;
}

/**
 * @param {Field} field
 * @param {string} value
 */
function enter(field, value) {
  if (isChoice(field)) field.checked = field.value === value;
  else field.value = value;
}

/**
 * @param {Field} field
 * @returns {field is HTMLInputElement}
 */
function isChoice(field) {
  return field.type === "radio";
}
