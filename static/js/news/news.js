/** @import { Change, Changes, Patch } from "../base/types.js" */
/** @import { Entry } from "./bell.js" */
/** @import { Said } from "./siblings.js" */
import { ask } from "../base/http.js";
import { Bell } from "./bell.js";
import { Desktop } from "./desktop.js";
import { element } from "../base/dom.js";
import { isNews } from "./is_news.js";
import { enhanceMuteForms, mute, showMuted } from "./mute.js";
import { Revision } from "../base/revision.js";
import { Siblings } from "./siblings.js";
import { Sound } from "./sound.js";
import { Toasts } from "./toasts.js";
import { Unread } from "./unread.js";

/** So many changes are remembered as told. */
const MOST_REMEMBERED = 10_000;

/** After this pause it is asked again where the page has no answer yet, in milliseconds. */
const RETRY = 5_000;

/** Where the panel is open, what arrives is noted as read after this pause, in milliseconds. */
const GATHERING = 1_000;

/**
 * What the page is that has the news.
 *
 * @typedef {object} Page
 * @property {number | null} order the order that it shows whole, with all that happens to it, so that no toast need say it
 * @property {(changes: Change[]) => void} say says to a screen reader what was found while no stream told anything
 */

/**
 * What arrives, and who is told: the stream tells its changes at once, and after a poll or a lost stream the server is asked
 * what there was. A change has a key, so that whichever way it comes, it is told once.
 */
export class News {
  #bell;
  #toasts;
  #sound = new Sound();
  #desktop = new Desktop();
  #unread = new Unread();
  #siblings;
  #url;
  #scope;
  #login;
  #muteUrl;
  /** The bell lists so many changes. */
  #mostListed;
  /** More unread ones are only said to be more. */
  #mostUnread;
  #userId;
  /** Everything up to here is in the last answer, or was on the page when it was made. */
  #since;
  /** @type {{ answer: Changes, tag: string, revision: Revision } | null} */
  #known = null;
  /** @type {Set<number>} */
  #muted = new Set();
  /** @type {{ change: Change, revision: Revision }[]} what the stream told since the last answer, the oldest first */
  #later = [];
  /** What is marked as new in the panel until that is opened again. @type {Set<number>} */
  #marked = new Set();
  /** The keys of what was told. @type {Set<number>} */
  #told = new Set();
  /** @type {Promise<void> | null} */
  #reading = null;
  #again = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #gathering;
  #over = false;
  /** Nothing but the answer tells what happened. */
  #isAlone = false;
  #page;

  /**
   * The news of a page that has a bell.
   * @param {HTMLElement} root whose data say for whom and from which state on
   * @param {Page} page
   */
  static of(root, page) {
    const bell = document.getElementById("bell");
    return bell ? new News(bell, root, page) : null;
  }

  /**
   * @param {HTMLElement} bell
   * @param {HTMLElement} root
   * @param {Page} page
   */
  constructor(bell, root, page) {
    const { changesUrl = "", muteUrl = "", scope = "", user = "" } = bell.dataset;
    this.#muteUrl = muteUrl;
    this.#mostListed = Number(bell.dataset["mostListed"]);
    this.#mostUnread = Number(bell.dataset["mostUnread"]);
    this.#url = changesUrl;
    this.#scope = scope;
    this.#login = user;
    this.#userId = root.dataset["userId"] ?? "";
    this.#since = root.dataset["cursor"] ?? "";
    this.#page = page;
    this.#siblings = new Siblings(user, (said) => this.#hear(said));
    this.#bell = new Bell(bell, {
      opened: () => this.#opened(),
      closed: () => this.#gathering !== undefined && void this.#markRead(),
      left: () => void this.#markRead(),
      mute: (order, muted) => void this.#mute(order, muted),
    });
    const template = (/** @type {string} */ id) => element(id, HTMLTemplateElement);
    this.#toasts = new Toasts(element("toasts", HTMLElement), template("toast"), template("toast-more"), {
      mute: (order) => void this.#mute(order, true),
      open: () => this.#bell.open(),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#bell.start();
    enhanceMuteForms((order, muted) => this.#mute(order, muted));
    // somebody may have read it on another machine
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#read());
    void this.#read();
  }

  /**
   * The stream told this.
   * @param {Patch} patch
   */
  tell({ changes, revision }) {
    const state = new Revision(revision);
    if (!this.#known?.revision.covers(state)) {
      const later = changes.slice(-MOST_REMEMBERED).map((change) => ({ change, revision: state }));
      this.#later = [...this.#later, ...later].slice(-MOST_REMEMBERED);
    }
    this.#tell(changes, true);
    this.#show();
    if (this.#isListed) this.#gathering ??= setTimeout(() => void this.#markRead(), GATHERING);
  }

  /**
   * Something may have happened that no stream told. Where nobody looks it matters only to whom it can be told all the same.
   * @param {boolean} isAlone whether there is no stream that will tell it
   */
  polled(isAlone) {
    this.#isAlone = isAlone;
    const wanted = this.#known?.answer.preferences;
    if (document.visibilityState === "visible" || !wanted || wanted.sound || wanted.desktop) void this.#read();
  }

  /** The session is over: nothing more is told, nor done for whoever signs in next in the same browser. */
  end() {
    this.#over = true;
    clearTimeout(this.#gathering);
  }

  /** @param {Said} said */
  #hear(said) {
    if (this.#over) return;
    const isNewer = said.kind === "read" && this.#known && new Revision(said.answer.revision).covers(this.#known.revision);
    if (isNewer) this.#take(said.answer, "");
    else void this.#read();
  }

  /** Asks for the newest changes; after the question under way, if there is one, as that may have come too early. */
  async #read() {
    if (this.#over) return;
    if (this.#reading) {
      this.#again = true;
      return this.#reading;
    }
    this.#reading = this.#ask();
    await this.#reading;
  }

  async #ask() {
    do {
      this.#again = false;
      await this.#fetch();
    } while (this.#again && !this.#over);
    this.#reading = null;
    if (!this.#known && !this.#over) setTimeout(() => void this.#read(), RETRY);
  }

  async #fetch() {
    const query = new URLSearchParams({ rep: this.#scope, user: this.#userId, since: this.#since });
    /** @type {Record<string, string>} */
    const headers = { accept: "application/json" };
    if (this.#known?.tag) headers["if-none-match"] = this.#known.tag;
    const answer = await ask(`${this.#url}?${query}`, { headers });
    if (answer?.status === 401) this.end();
    if (answer?.ok) this.#take(answer.json, answer.tag);
  }

  /**
   * @param {Changes} answer
   * @param {string} tag
   */
  #take(answer, tag) {
    const revision = new Revision(answer.revision);
    this.#known = { answer, tag, revision };
    if (tag !== "") this.#since = answer.cursor;
    this.#muted = new Set(answer.muted);
    showMuted(this.#muted);
    // only what is newer than the answer is kept; what is of another epoch can't be compared, and the answer has it
    this.#later = this.#later.filter((told) => revision.isOlderThan(told.revision));
    const missed = answer.changes.filter((change) => change.new).reverse();
    const isAll = missed.length < this.#mostListed;
    const found = missed.filter(({ id }) => !this.#told.has(id));
    if (this.#isAlone && found.length > 0) this.#page.say(found);
    // also what came before the first answer, when the preferences were not known yet
    this.#tell([...missed, ...this.#later.map(({ change }) => change)], isAll);
    this.#show();
  }

  /**
   * @param {Change[]} changes the oldest first
   * @param {boolean} isAll whether these are all that happened
   */
  #tell(changes, isAll) {
    if (!this.#known) return;
    const fresh = changes.filter(({ id }) => !this.#told.has(id) && this.#told.add(id));
    for (const id of this.#told) {
      if (this.#told.size <= MOST_REMEMBERED) break;
      this.#told.delete(id);
    }
    // a new order comes with its items
    const entered = new Set(fresh.filter(({ operation }) => operation === "insert").map(({ order_id }) => order_id));
    const isAlone = (/** @type {Change} */ change) => change.operation !== "items" || !entered.has(change.order_id);
    const news = fresh.filter((change) => this.#isNews(change) && isAlone(change));
    const wanted = this.#known.answer.preferences;
    if (news.length === 0) return;
    const unseen = news.filter(({ order_id }) => order_id !== this.#page.order);
    // the open panel lists them already
    const isPlace = document.visibilityState === "visible" && !this.#bell.isOpen;
    if (wanted.toasts && isPlace && unseen.length > 0) this.#toasts.show(unseen, isAll);
    if (wanted.sound) void this.#sound.tell();
    if (wanted.desktop) void this.#desktop.tell(news);
  }

  /** @param {Change} change */
  #isNews(change) {
    const untold = this.#known?.answer.preferences.untold ?? [];
    return isNews(change, { login: this.#login, muted: this.#muted, untold });
  }

  /** Whether the panel lists what there is. */
  get #isListed() {
    return this.#bell.isOpen && !this.#bell.isBehind;
  }

  #show() {
    if (!this.#known) return;
    if (this.#bell.isOpen) this.#bell.list(this.#entries(this.#known.answer));
    const later = this.#isListed ? 0 : this.#later.filter(({ change }) => this.#isNews(change)).length;
    const { unread, more_unread } = this.#known.answer;
    const count = unread + later;
    const text = more_unread || count > this.#mostUnread ? `${this.#mostUnread}+` : String(count);
    this.#bell.count(count, text);
    this.#unread.show(count, text);
  }

  /**
   * @param {Changes} answer
   * @returns {Entry[]} the newest first
   */
  #entries({ changes }) {
    const muted = (/** @type {Change} */ change) => this.#muted.has(change.order_id);
    const later = this.#later.slice(-this.#mostListed).map(({ change }) => {
      return { change, unread: this.#isNews(change), muted: muted(change) };
    });
    const known = changes.map((change) => {
      return { change, unread: change.unread || this.#marked.has(change.id), muted: muted(change) };
    });
    const newest = (/** @type {Entry} */ a, /** @type {Entry} */ b) =>
      a.change.at === b.change.at ? b.change.id - a.change.id : a.change.at < b.change.at ? 1 : -1;
    return [...later, ...known].sort(newest).slice(0, this.#mostListed);
  }

  #opened() {
    this.#marked.clear();
    void this.#markRead();
  }

  /** What the panel shows is read: here, in the browser's other pages, and in the account. */
  async #markRead() {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#show();
    await this.#read();
    if (!this.#known || this.#over || this.#bell.isBehind) return;
    const { answer } = this.#known;
    for (const { unread, id } of answer.changes) if (unread) this.#marked.add(id);
    if (answer.unread === 0) return;
    const body = new URLSearchParams({ user: this.#userId, cursor: answer.cursor });
    const marked = await ask(`${this.#url}read/`, { method: "POST", body });
    if (!marked?.ok) return;
    // what was asked meanwhile may have been answered before it was marked
    if (this.#known.answer !== answer) {
      this.#siblings.say({ kind: "account" });
      await this.#read();
      return;
    }
    const changes = answer.changes.map((change) => ({ ...change, unread: false, new: false }));
    this.#known.answer = { ...answer, unread: 0, more_unread: false, changes };
    this.#siblings.say({ kind: "read", answer: this.#known.answer });
    this.#show();
  }

  /**
   * @param {number} order
   * @param {boolean} muted
   */
  async #mute(order, muted) {
    const problem = this.#over ? "You are signed out." : await mute(this.#muteUrl.replace("{order}", String(order)), muted);
    this.#bell.say(problem);
    if (problem !== "") return;
    if (muted) {
      this.#muted.add(order);
      this.#toasts.forget(order);
    }
    this.#siblings.say({ kind: "account" });
    await this.#read();
  }
}
