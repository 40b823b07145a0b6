/** @import { Change } from "./base/types.js" */
import { tickAges } from "./base/time.js";
import { Announcer } from "./base/announcer.js";
import { leadBack } from "./order/way_back.js";
import { Badge } from "./live/badge.js";
import { ChangeForm } from "./order/change_form.js";
import { element, part } from "./base/dom.js";
import { isForTheSame } from "./base/page.js";
import { MissingOrder } from "./order/missing_order.js";
import { News } from "./news/news.js";
import { Parts } from "./order/parts.js";
import { Revision } from "./base/revision.js";
import { setTitle } from "./news/unread.js";
import { Watch } from "./order/watch.js";
import { counted, whatHappenedTo } from "./base/words.js";

/** One order: whatever tells that it changed, the page reads itself anew and takes over what differs. */
class OrderPage {
  #root;
  #parts;
  #badge;
  #announcer;
  #missing;
  #form;
  /** @type {Watch} */
  #watch;
  #news;
  /** Of the page that is shown; the connection's goes on with every other order. */
  #revision;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    const { orderId = "", pageUrl = "", pollInterval, revision = "" } = root.dataset;
    this.#revision = new Revision(revision);
    // what answered a form that was not taken has no page of its own to come back to
    if (location.pathname.endsWith("/status/")) history.replaceState(history.state, "", pageUrl);
    this.#parts = new Parts(root);
    this.#badge = new Badge(root, part(document, "#live-badge", HTMLElement), Number(pollInterval));
    this.#announcer = new Announcer(part(root, "#live-region", HTMLElement), (count) => `${counted(count)}.`);
    this.#missing = new MissingOrder(root, part(root, "#order-gone", HTMLElement));
    this.#news = News.of(root, { order: orderId, say: () => {}, toasted: (changes) => this.#sayOthers(changes) });
    this.#watch = new Watch(root, this.#badge, this.#news, {
      read: (page) => this.#take(page),
      missing: () => this.#missing.show(true),
    });
    const form = document.getElementById("change");
    this.#form = form instanceof HTMLFormElement ? new ChangeForm(form, () => this.#watch.renew()) : null;
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    leadBack(part(document, "#back", HTMLAnchorElement), this.#root.dataset["userId"] ?? "");
    tickAges(this.#root);
    this.#watch.start();
    this.#news?.start();
  }

  /** @param {Document} page */
  #take(page) {
    const newest = page.getElementById(this.#root.id);
    // instead of a page there is the way to the login; or somebody else is signed in
    if (!newest || !isForTheSame(newest, this.#root)) return false;
    const revision = new Revision(newest.dataset["revision"] ?? "");
    if (revision.isOlderThan(this.#revision)) return false;
    setTitle(page.title);
    this.#missing.show(false);
    const form = newest.querySelector("#change");
    if (form instanceof HTMLFormElement) this.#form?.take(form);
    const lines = this.#parts.take(newest);
    // now it is shown
    this.#revision = revision;
    this.#root.dataset["touched"] = newest.dataset["touched"] ?? "";
    this.#say(lines);
    return true;
  }

  /** @param {Element[]} lines that changed or are new */
  #say(lines) {
    if (lines.length === 0) return;
    this.#badge.changed();
    const entries = lines.filter((line) => line.matches(".timeline li"));
    this.#announcer.say(entries.length > 0 ? entries.map(sentence) : ["Details of this order changed."]);
  }

  /** @param {Change[]} changes of other orders, which toasts show */
  #sayOthers(changes) {
    this.#announcer.say(changes.map((change) => `${whatHappenedTo(change)}.`));
  }
}

/** @param {Element} entry of the timeline */
function sentence(entry) {
  const what = [...entry.querySelectorAll(".what p")].map(({ textContent }) => textContent);
  const by = entry.querySelector("[data-by]");
  return `${[...what, ...(by ? [by.textContent] : [])].join(", ")}.`;
}

new OrderPage(element("order", HTMLElement)).start();
