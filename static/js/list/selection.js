import { ask } from "../base/http.js";
import { element } from "../base/dom.js";
import { ROWS_CHANGED } from "./patch.js";
import { Targets } from "./targets.js";

/** How long changing the selected orders may take, in milliseconds. */
const PATIENCE = 60_000;

const NO_ANSWER = "No answer. Some of the orders may have been changed: look at the list before you try again.";

/**
 * @typedef {object} Outcome
 * @property {{ id: number, order_number: string }[]} changed
 * @property {{ id: number, order_number: string | null, reason: string }[]} refused
 */

/** The selected orders of a list and the form that changes them, in place: what becomes of each is said under it. */
export class Selection {
  #root;
  #form;
  #outcome;
  #refused;
  #targets;
  /** A change is under way. */
  #isBusy = false;
  /** Somebody has gone on to select or to fill in since the form was sent. */
  #isTouched = false;

  /**
   * @param {HTMLElement} root
   * @param {HTMLFormElement} form
   */
  constructor(root, form) {
    this.#root = root;
    this.#form = form;
    this.#outcome = element("selection-outcome", HTMLElement);
    this.#refused = element("selection-refused", HTMLTemplateElement);
    this.#targets = new Targets(form);
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#root.addEventListener("change", ({ target }) => {
      if (!(target instanceof HTMLInputElement) || target.form !== this.#form) return;
      if (target.id === "select-all") this.#boxes().forEach((box) => (box.checked = target.checked));
      this.#show();
      if (this.#root.hasAttribute("data-selecting")) this.#outcome.replaceChildren();
    });
    this.#root.addEventListener("input", ({ target }) => {
      if (target instanceof Element && "form" in target && target.form === this.#form) this.#isTouched = true;
    });
    this.#root.addEventListener(ROWS_CHANGED, () => this.#show());
    // the selected orders may have changed since they were selected
    this.#form.addEventListener("focusin", () => this.#offer());
    this.#form.addEventListener("change", () => this.#offer());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.#show();
  }

  /** Of all orders that can be selected. */
  #boxes() {
    const boxes = this.#root.querySelectorAll("input[name=order]:enabled");
    return [...boxes].filter((box) => box instanceof HTMLInputElement);
  }

  #show() {
    const boxes = this.#boxes();
    const selected = boxes.filter((box) => box.checked).length;
    const all = document.getElementById("select-all");
    if (all instanceof HTMLInputElement) {
      all.hidden = boxes.length === 0;
      all.checked = selected > 0 && selected === boxes.length;
      all.indeterminate = selected > 0 && selected < boxes.length;
    }
    const count = this.#form.querySelector('[data-text="count"]');
    const words = `${selected} ${selected === 1 ? "order" : "orders"} selected`;
    // a screen reader is told only where it is another
    if (count && count.textContent !== words) count.textContent = words;
    this.#root.toggleAttribute("data-selecting", selected > 0);
    this.#offer();
  }

  /** Which of the selected orders can be given which status. */
  #offer() {
    const selected = this.#boxes().filter((box) => box.checked);
    this.#targets.show(
      selected.map((box) => {
        const [, status = "", payment = ""] = box.value.split(":");
        return { status, payment };
      }),
    );
  }

  async #submit() {
    if (this.#isBusy) return;
    const body = new URLSearchParams();
    new FormData(this.#form).forEach((value, name) => body.append(name, String(value)));
    this.#isTouched = false;
    this.#turn(true);
    const headers = { accept: "application/json" };
    const answer = await ask(this.#form.action, { method: "POST", body, headers }, PATIENCE);
    this.#turn(false);
    if (answer?.ok) this.#tell(answer.json);
    else this.#say([answer?.json?.error ?? NO_ANSWER]);
  }

  /**
   * The button keeps the focus meanwhile, which one that is disabled loses.
   * @param {boolean} isBusy
   */
  #turn(isBusy) {
    this.#isBusy = isBusy;
    this.#form.querySelector("button")?.setAttribute("aria-disabled", String(isBusy));
  }

  /** @param {Outcome} outcome */
  #tell({ changed, refused }) {
    const done = new Set(changed.map(({ id }) => String(id)));
    for (const box of this.#boxes()) box.checked &&= !done.has(box.value.split(":")[0] ?? "");
    this.#show();
    this.#say([
      ...(changed.length > 0 ? [`${changed.length} ${changed.length === 1 ? "order" : "orders"} changed.`] : []),
      // a reason names its order, where that has a number
      ...refused.map(({ id, order_number, reason }) => (order_number === null ? `Order ${id}: ${reason}` : reason)),
    ]);
    if (refused.length === 0 && !this.#isTouched) this.#form.reset();
  }

  /** @param {string[]} lines */
  #say(lines) {
    const told = lines.map((line) => {
      const said = document.importNode(this.#refused.content, true);
      const place = said.querySelector('[data-text="reason"]');
      if (place) place.textContent = line;
      return said;
    });
    this.#outcome.replaceChildren(...told);
  }
}
