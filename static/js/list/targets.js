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
      option.text = name + counted(able.length, paid.length, selected.length, needs);
    }
  }
}

/**
 * @param {number} able by their status
 * @param {number} paid of these, those that have what it needs besides
 * @param {number} selected
 * @param {string} needs
 */
function counted(able, paid, selected, needs) {
  if (able === 0) return selected > 1 ? ": none of them can" : ": it can't";
  if (paid < able) return `: ${paid} of ${selected}, the rest must be ${needs}`;
  return able < selected ? `: ${able} of ${selected}` : "";
}
