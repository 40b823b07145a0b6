/** @import { Answer, Change, Patch } from "../base/types.js" */
/** @import { Badge } from "../live/badge.js" */
/** @import { ChangeListener } from "../live/connection.js" */
import { Connection } from "../live/connection.js";
import { part } from "../base/dom.js";
import { Renewal } from "./renewal.js";
import { Viewing } from "./viewing.js";

/**
 * What a page of one order does with what is read anew.
 *
 * @typedef {object} WatchListeners
 * @property {(page: Document) => boolean} read whether the page is what was asked for
 * @property {() => void} missing there is no such order any more
 * @property {(page: Document) => boolean} [refused] the page says why it is not given as the order stands; whether that is so
 */

/** One order, for a page of it: whatever tells that it changed, be it the stream, a poll or the heartbeat, has the page read anew. */
export class Watch {
  #root;
  #order;
  /** @type {Renewal} */
  #renewal;
  /** @type {Connection} */
  #connection;
  #viewing;
  #isMissing = false;
  /** When the order was changed last, as it was heard last. */
  #heard = "";
  /** What the last poll said of the order. */
  #polled = "";

  /**
   * @param {HTMLElement} root whose data say which order, where to ask, and for whom
   * @param {Badge} badge
   * @param {ChangeListener | null} news
   * @param {WatchListeners} listeners
   */
  constructor(root, badge, news, { read, missing, refused = () => false }) {
    const { orderId = "", userId = "", pageUrl = "", viewingUrl = "" } = root.dataset;
    this.#root = root;
    this.#order = orderId;
    this.#connection = new Connection(root, badge, news, {
      query: () => "",
      visible: () => [orderId],
      list: () => orderId,
      isTrue: () => !this.#renewal.isBehind,
      state: () => {},
      missed: (missed) => this.#missed(missed),
      told: () => {},
      patched: (patch) => this.#patched(patch),
      answered: (answer) => this.#answered(answer),
      ended: () => {},
    });
    this.#renewal = new Renewal(pageUrl, {
      isOver: () => this.#connection.isOver,
      read: (page) => {
        const isRead = read(page);
        if (isRead) this.#isMissing = false;
        return isRead;
      },
      refused: (page) => {
        const isRefused = refused(page);
        // of this state that is known now, until it is another
        if (isRefused) [this.#isMissing, this.#root.dataset["touched"]] = [false, this.#heard];
        return isRefused;
      },
      missing: () => {
        this.#isMissing = true;
        missing();
      },
      turned: () => this.#connection.reconsider(),
    });
    this.#viewing = new Viewing(viewingUrl, userId, part(root, "#viewing", HTMLElement), {
      isOver: () => this.#connection.isOver,
      touched: (touched) => this.#touched(touched),
      missing: () => this.#touched(""),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#connection.start();
    this.#viewing.start();
  }

  /** Something of the page may have changed. */
  renew() {
    this.#renewal.ask();
  }

  /** @param {Change[] | null} missed */
  #missed(missed) {
    if (missed === null || missed.some(({ order_key }) => order_key === this.#order)) this.renew();
  }

  /** @param {Patch} patch */
  #patched({ orders }) {
    if (orders.some(({ key }) => key === this.#order)) this.renew();
    return false;
  }

  /** @param {Answer} answer */
  #answered({ visible }) {
    const polled = JSON.stringify(visible);
    // of the first it is not known whether the page has it
    if (polled !== this.#polled) this.renew();
    this.#polled = polled;
  }

  /** @param {string} touched empty where there is no order */
  #touched(touched) {
    this.#heard = touched;
    const shown = this.#isMissing ? "" : this.#root.dataset["touched"];
    if (touched !== shown) this.renew();
  }
}
