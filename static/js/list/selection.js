/** @import { Row } from "../base/types.js" */
/** @import { Markup } from "./markup.js" */
import { fill, part } from "../base/dom.js";
import { ask } from "../base/http.js";
import { keepInTab, keptInTab } from "../base/kept.js";
import { counted } from "../base/words.js";
import { ROWS_CHANGED } from "./order_list.js";

/** How long changing the selected orders may take, in milliseconds. */
const PATIENCE = 60_000;

const NO_ANSWER = "No answer. Some of the orders may have been changed: look at the list before you try again.";

/** What is filled in besides the orders. */
const FIELDS = ["status", "payment_status", "note"];

/**
 * @typedef {{ key: string, order_number: string | null, reason: string, brief: string }} Refused
 *
 * @typedef {object} Outcome
 * @property {{ key: string, order_number: string }[]} changed
 * @property {Refused[]} refused
 */

/**
 * The selected orders of a list and the form that changes them, in place: what becomes of each is said under it. Each is changed as
 * the person saw it when they selected it: one that is another by then is refused by the server, which says so.
 */
export class Selection {
  #root;
  #markup;
  #row;
  #form = part(document, "#selection", HTMLFormElement);
  #outcome = part(document, "#selection-outcome", HTMLElement);
  #confirm = part(document, "#selection-confirm", HTMLDialogElement);
  #targets = new Targets(this.#form);
  /** The selected orders, each with where it stood when it was selected. @type {Map<string, string>} */
  #seen = new Map();
  /** A change is under way. */
  #isBusy = false;
  /** Somebody has gone on to select or to fill in since the form was sent. */
  #isTouched = false;
  /** Under what the form is kept for the way back. */
  #kept;

  /**
   * @param {HTMLElement} root
   * @param {Markup} markup
   * @param {(key: string) => Row | undefined} row an order as it is known to be
   */
  constructor(root, markup, row) {
    this.#root = root;
    this.#markup = markup;
    this.#row = row;
    this.#kept = `selection ${root.dataset["userId"]} ${location.pathname}${location.search}`;
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#root.addEventListener("change", ({ target }) => {
      if (!(target instanceof HTMLInputElement) || target.form !== this.#form) return;
      if (target.id === "select-all") this.#markup.boxes.forEach((box) => (box.checked = target.checked));
      this.#note();
      if (this.#seen.size > 0) this.#outcome.replaceChildren();
    });
    this.#root.addEventListener("input", ({ target }) => {
      if (target instanceof Element && "form" in target && target.form === this.#form) this.#isTouched = true;
    });
    this.#root.addEventListener(ROWS_CHANGED, () => this.#restore());
    // the selected orders may have changed since they were selected
    this.#form.addEventListener("focusin", () => this.#offer());
    this.#form.addEventListener("change", () => this.#offer());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    window.addEventListener("pagehide", () => this.#keep());
    this.#comeBack();
  }

  /** Takes note of what is selected now, and as what. */
  #note() {
    for (const box of this.#markup.boxes) {
      const key = this.#markup.keyOf(box);
      if (!box.checked) this.#seen.delete(key);
      else if (!this.#seen.has(key)) this.#seen.set(key, this.#standing(key));
    }
    this.#show();
  }

  /** Selects in the rows that there are now what was selected, as far as it can be. */
  #restore() {
    const boxes = new Map(this.#markup.boxes.map((box) => [this.#markup.keyOf(box), box]));
    for (const key of this.#seen.keys()) if (!boxes.has(key)) this.#seen.delete(key);
    for (const [key, box] of boxes) box.checked = this.#seen.has(key);
    this.#show();
  }

  /**
   * Where an order stands, as the server reads it: `pending:paid`.
   * @param {string} key
   */
  #standing(key) {
    const row = this.#row(key);
    return row ? `${row.status}:${row.payment_status}` : "";
  }

  #show() {
    const [selected, all] = [this.#seen.size, this.#markup.boxes.length];
    const box = part(document, "#select-all", HTMLInputElement);
    box.hidden = all === 0;
    box.checked = selected > 0 && selected === all;
    box.indeterminate = selected > 0 && selected < all;
    fill(this.#form, "count", `${counted(selected, "order", "orders")} selected`);
    this.#offer();
  }

  /** Which of the selected orders can be given which status. */
  #offer() {
    const rows = [...this.#seen.keys()].map((key) => this.#row(key)).filter((row) => row !== undefined);
    this.#targets.show(rows.map(({ status, payment_status }) => ({ status, payment: payment_status })));
  }

  async #submit() {
    if (this.#isBusy || !(await this.#isMeant())) return;
    const body = new URLSearchParams();
    new FormData(this.#form).forEach((value, name) => name !== "order" && body.append(name, String(value)));
    for (const [key, standing] of this.#seen) body.append("order", `${key}:${standing}`);
    this.#isTouched = false;
    this.#turn(true);
    const answer = await ask(this.#form.action, { method: "POST", body }, PATIENCE);
    this.#turn(false);
    if (answer?.ok) this.#tell(answer.json);
    else this.#outcome.replaceChildren(this.#said("selection-problem", answer?.json?.error ?? NO_ANSWER));
  }

  /** Whether it is meant: of what can't be taken back it is asked. */
  async #isMeant() {
    if (this.#field("status")?.value !== "cancelled" || !this.#confirm.isConnected) return true;
    const orders = counted(this.#seen.size, "order", "orders");
    fill(this.#confirm, "question", `Cancel ${orders}?`);
    fill(this.#confirm, "deed", `Cancel ${orders}`);
    this.#confirm.returnValue = "";
    this.#confirm.showModal();
    await new Promise((closed) => this.#confirm.addEventListener("close", closed, { once: true }));
    return this.#confirm.returnValue === "cancel";
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
    for (const { key } of changed) this.#seen.delete(key);
    // what is said of those that were refused, the person has seen
    for (const { key } of refused) if (this.#seen.has(key)) this.#seen.set(key, this.#standing(key));
    this.#restore();
    const done = changed.length > 0 ? [this.#said("selection-done", `${counted(changed.length, "order", "orders")} changed.`)] : [];
    const briefs = [...new Set(refused.map(({ brief }) => brief))];
    const groups = briefs.map((brief) => this.#group(brief, refused.filter((one) => one.brief === brief)));
    this.#outcome.replaceChildren(...done, ...groups);
    if (refused.length === 0 && !this.#isTouched) this.#form.reset();
  }

  /**
   * What was refused for the same reason: one order with its reason, several counted, with theirs behind it.
   * @param {string} brief
   * @param {Refused[]} refused
   */
  #group(brief, refused) {
    // a reason names its order, where that has a number
    const reasons = refused.map(({ key, order_number, reason }) => (order_number === null ? `Order ${key}: ${reason}` : reason));
    if (reasons.length === 1) return this.#said("selection-problem", reasons[0] ?? "");
    const group = this.#said("selection-group", `${refused.length} ${brief}`);
    const items = reasons.map((reason) => {
      const item = document.createElement("li");
      item.textContent = reason;
      return item;
    });
    group.querySelector("ul")?.append(...items);
    return group;
  }

  /**
   * @param {string} template
   * @param {string} words
   */
  #said(template, words) {
    const said = document.importNode(part(document, `#${template}`, HTMLTemplateElement).content, true);
    fill(said, "words", words);
    return said;
  }

  /** @param {string} name */
  #field(name) {
    const field = this.#form.elements.namedItem(name);
    return field instanceof HTMLInputElement || field instanceof HTMLSelectElement ? field : null;
  }

  /** Keeps what is selected and filled in for the way back to this list. */
  #keep() {
    const fields = FIELDS.map((name) => this.#field(name)?.value ?? "");
    const isEmpty = this.#seen.size === 0 && fields.join("") === "";
    keepInTab(this.#kept, isEmpty ? null : JSON.stringify({ seen: [...this.#seen], fields }));
  }

  /** Takes up what was kept, where somebody came back or read the page anew. */
  #comeBack() {
    const kept = keptInTab(this.#kept);
    keepInTab(this.#kept, null);
    const [navigation] = performance.getEntriesByType("navigation");
    const isBack = navigation instanceof PerformanceNavigationTiming && navigation.type !== "navigate";
    if (kept === null || !isBack) {
      this.#note();
      return;
    }
    const { seen, fields } = JSON.parse(kept);
    this.#seen = new Map(seen);
    FIELDS.forEach((name, at) => {
      const field = this.#field(name);
      if (field) field.value = fields[at];
    });
    this.#restore();
  }
}

/**
 * Says of each status that a form offers how many of the selected orders can be given it, and does not offer what none can. Only
 * a help: the server decides, of orders as they are then.
 */
export class Targets {
  #form;
  /** @type {Map<HTMLOptionElement, string>} what each is called */
  #names = new Map();
  /** Statuses of which it is known what they lead to. @type {Set<string>} */
  #listed = new Set();

  /** @param {HTMLFormElement} form with a `status` and a `payment_status` */
  constructor(form) {
    this.#form = form;
    for (const option of form.querySelectorAll("option")) {
      const { from } = option.dataset;
      if (from === undefined) continue;
      this.#names.set(option, option.text);
      [option.value, ...from.split(" ")].forEach((status) => this.#listed.add(status));
    }
  }

  /** @param {{ status: string, payment: string }[]} selected where each of the selected orders stands */
  show(selected) {
    const paying = new FormData(this.#form).get("payment_status");
    for (const [option, name] of this.#names) {
      const { from = "", needs = "" } = option.dataset;
      const leading = from.split(" ");
      const able = selected.filter(({ status }) => leading.includes(status) || !this.#listed.has(status));
      const paid = able.filter(({ payment }) => needs === "" || (paying || payment) === needs);
      // what lacks its payment can still be given it in the same form
      option.disabled = able.length === 0;
      option.text = name + ableText(able.length, paid.length, selected.length, needs);
    }
  }
}

/**
 * @param {number} able by their status
 * @param {number} paid of these, those that have what it needs besides
 * @param {number} selected
 * @param {string} needs
 */
function ableText(able, paid, selected, needs) {
  if (able === 0) return selected > 1 ? ": none of them can" : ": it can't";
  if (paid === 0) return `: must be ${needs} first`;
  if (paid < able) return `: ${paid} of ${selected}, the rest must be ${needs}`;
  return able < selected ? `: ${able} of ${selected}` : "";
}
