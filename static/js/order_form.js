import { Badge } from "./live/badge.js";
import { element, part } from "./base/dom.js";
import { isForTheSame } from "./base/page.js";
import { keepWork } from "./base/session.js";
import { Meanwhile } from "./order/meanwhile.js";
import { Watch } from "./order/watch.js";

/** The page that edits or cancels an order: it is told what others do with that meanwhile. */
class OrderFormPage {
  #root = element("order", HTMLElement);
  #form = part(this.#root, "form", HTMLFormElement);
  #watch;
  #meanwhile;

  constructor() {
    const badge = new Badge(this.#root, part(document, "#live-badge", HTMLElement), Number(this.#root.dataset["pollInterval"]));
    this.#watch = new Watch(this.#root, badge, null, {
      read: (page) => this.#take(page),
      refused: (page) => this.#refuse(page),
      missing: () => this.#meanwhile.refuse("This order is deleted, or no longer yours."),
    });
    this.#meanwhile = new Meanwhile(this.#form, () => this.#watch.renew());
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    keepWork();
    this.#watch.start();
  }

  /** @param {Document} page */
  #take(page) {
    const newest = page.getElementById(this.#root.id);
    const form = newest?.querySelector("form");
    if (!newest || !form || !isForTheSame(newest, this.#root)) return false;
    this.#meanwhile.take(form);
    this.#root.dataset["touched"] = newest.dataset["touched"] ?? "";
    return true;
  }

  /** @param {Document} page that says why this can't be done with the order as it stands */
  #refuse(page) {
    const why = page.querySelector("main p")?.textContent;
    if (why) this.#meanwhile.refuse(why);
    return Boolean(why);
  }
}

new OrderFormPage().start();
