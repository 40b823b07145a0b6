/** @import { Change, Changes, Patch } from "../base/types.js" */
/** @import { Entry } from "./bell.js" */
/** @import { SiblingMessage } from "./siblings.js" */
import { ask } from "../base/http.js";
import { Bell } from "./bell.js";
import { part } from "../base/dom.js";
import { isNews } from "./is_news.js";
import { Later } from "./later.js";
import { Once, withoutParts } from "../base/words.js";
import { enhanceMuteForms, mute, showMuted } from "./mute.js";
import { Revision } from "../base/revision.js";
import { Siblings } from "./siblings.js";
import { Toasts } from "./toasts.js";
import { Unread } from "./unread.js";

/** After this pause it is asked again where the page has no answer yet, in milliseconds. */
const RETRY = 5_000;

/** Where the panel is open, what arrives is noted as read after this pause, in milliseconds. */
const GATHERING = 1_000;

/**
 * What the page is that has the news.
 *
 * @typedef {object} NewsPage
 * @property {string | null} order the order that it shows whole, with all that happens to it, so that no toast need say it
 * @property {(changes: Change[], wasOld: boolean, isAll: boolean) => void} say says to a screen reader what happened, unless the stream's
 *   telling of it was said; to everybody, where the page showed something old until now; and whether that is all
 * @property {(changes: Change[]) => void} [toasted] says to a screen reader what toasts show, where nothing else does
 */

/**
 * What arrives, and who is told: the stream tells its changes at once, and after a poll or a lost stream the server is asked
 * what there was. A change has a key, so that whichever way it comes, it is told once.
 */
export class News {
  #bell;
  #toasts;
  /** @type {import("./sound.js").Sound | null} */
  #sound = null;
  /** @type {import("./desktop.js").Desktop | null} */
  #desktop = null;
  #unread = new Unread();
  #siblings;
  /** Where what is asked for, and for whom. */
  #asked;
  /** The bell lists so many changes, and counts so many unread ones; of more it is only said that there are. */
  #mostListed;
  #mostUnread;
  #userId;
  /** Everything up to here is in the last answer, or was on the page when it was made. */
  #since;
  /** The last answer. @type {{ answer: Changes, tag: string, revision: Revision } | null} */
  #last = null;
  /** The orders that are muted. @type {Set<string>} */
  #muted = new Set();
  /** What the stream told since the last answer. */
  #later = new Later((change) => this.#isNews(change));
  /** The changes that are marked as new in the panel until that is opened again. @type {Set<number>} */
  #marked = new Set();
  #handled = new Once();
  /** @type {Promise<void> | null} */
  #reading = null;
  #again = false;
  /** The next answer has what happened while the page showed something old. */
  #wasOld = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #gathering;
  #isOver = false;
  #page;

  /**
   * The news of a page that has a bell.
   * @param {HTMLElement} root whose data say for whom and from which state on
   * @param {NewsPage} page
   */
  static of(root, page) {
    const bell = document.getElementById("bell");
    return bell ? new News(bell, root, page) : null;
  }

  /**
   * @param {HTMLElement} bell
   * @param {HTMLElement} root
   * @param {NewsPage} page
   */
  constructor(bell, root, page) {
    const { changesUrl = "", muteUrl = "", scope = "", user = "", mostListed, mostUnread } = bell.dataset;
    this.#asked = { url: changesUrl, muteUrl, scope, login: user };
    this.#mostListed = Number(mostListed);
    this.#mostUnread = Number(mostUnread);
    this.#userId = root.dataset["userId"] ?? "";
    this.#since = root.dataset["cursor"] ?? "";
    this.#page = page;
    this.#siblings = new Siblings(user, (message) => this.#hear(message));
    this.#bell = new Bell(bell, {
      opened: () => this.#opened(),
      closed: () => this.#gathering !== undefined && void this.#markRead(),
      left: () => void this.#markRead(),
      mute: (order, muted) => void this.#mute(order, muted),
    });
    const template = (/** @type {string} */ css) => part(document, css, HTMLTemplateElement);
    this.#toasts = new Toasts(part(document, "#toasts", HTMLElement), template("#toast"), template("#toast-more"), {
      mute: (order, muted) => this.#mute(order, muted),
      open: () => this.#bell.open(),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    this.#bell.start();
    void tellElsewhere();
    enhanceMuteForms(async (order, muted) => {
      await this.#mute(order, muted);
    });
    // somebody may have read it on another machine
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#read());
    void this.#read();
  }

  /**
   * The stream told this.
   * @param {Patch} patch
   */
  tell({ changes, named, revision }) {
    if (this.#isOver) return;
    if (named) {
      this.#toasts.renew((change) => this.#isNews(change));
      if (this.#bell.isOpen) void this.#read();
    }
    const whole = withoutParts(changes);
    const state = new Revision(revision);
    if (!this.#last?.revision.covers(state)) this.#later.add(whole, state);
    this.#notify(whole, true);
    this.#show();
    if (this.#isListed) this.#gathering ??= setTimeout(() => void this.#markRead(), GATHERING);
  }

  /**
   * Something may have happened that no stream told. Where nobody looks it matters only to whom it can be told all the same.
   * @param {boolean} wasOld whether the page showed something old until now, so that what happened is told as missed
   */
  polled(wasOld) {
    this.#wasOld ||= wasOld;
    const wanted = this.#last?.answer.preferences;
    if (document.visibilityState === "visible" || !wanted || wanted.sound || wanted.desktop) void this.#read();
  }

  /** The session is over: nothing more is told, nor done for whoever signs in next in the same browser. */
  end() {
    this.#isOver = true;
    this.#desktop?.end();
    clearTimeout(this.#gathering);
  }

  /** @param {SiblingMessage} message */
  #hear(message) {
    if (this.#isOver) return;
    const isNewer = message.kind === "read" && this.#last && new Revision(message.answer.revision).covers(this.#last.revision);
    if (isNewer) this.#take(message.answer, "", false);
    else void this.#read();
  }

  /** Asks for the newest changes; after the question under way, if there is one, as that may have come too early. */
  async #read() {
    if (this.#isOver) return;
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
    } while (this.#again && !this.#isOver);
    this.#reading = null;
    clearTimeout(this.#retry);
    if (!this.#last && !this.#isOver) this.#retry = setTimeout(() => void this.#read(), RETRY);
  }

  async #fetch() {
    const query = new URLSearchParams({ rep: this.#asked.scope, user: this.#userId, since: this.#since });
    const known = this.#last?.tag;
    // what is said of it meanwhile is of the next question
    const wasOld = this.#wasOld;
    this.#wasOld = false;
    const answer = await ask(`${this.#asked.url}?${query}`, known ? { headers: { "if-none-match": known } } : {});
    if (answer?.status === 401) this.end();
    if (answer?.ok && !this.#isOver) this.#take(answer.json, answer.headers.get("etag") ?? "", wasOld);
    else if (answer?.status !== 304) this.#wasOld ||= wasOld;
  }

  /**
   * @param {Changes} answer
   * @param {string} tag
   * @param {boolean} wasOld whether the page showed something old until the question
   */
  #take(answer, tag, wasOld) {
    const revision = new Revision(answer.revision);
    this.#last = { answer, tag, revision };
    if (tag !== "") this.#since = answer.cursor;
    this.#muted = new Set(answer.muted_keys);
    // a page in sight keeps the others of its browser from telling what it shows
    if (answer.preferences.desktop) void this.#tellDesktop([]);
    showMuted(this.#muted);
    this.#later.keepAfter(revision);
    const missed = answer.changes.filter((change) => change.new).reverse();
    const isAll = missed.length < this.#mostListed;
    this.#page.say(missed, wasOld, isAll);
    // also what came before the first answer, when the preferences were not known yet
    this.#notify([...missed, ...this.#later.changes], isAll);
    this.#show();
  }

  /**
   * @param {Change[]} changes the oldest first
   * @param {boolean} isAll whether these are all that happened
   */
  #notify(changes, isAll) {
    if (!this.#last) return;
    const news = this.#handled.pass(changes).filter((change) => this.#isNews(change));
    const wanted = this.#last.answer.preferences;
    if (news.length === 0) return;
    const unseen = news.filter(({ order_key }) => order_key !== this.#page.order);
    // the open panel lists them already
    const isPlace = document.visibilityState === "visible" && !this.#bell.isOpen;
    if (wanted.toasts && isPlace && unseen.length > 0) {
      this.#toasts.show(unseen, isAll);
      this.#page.toasted?.(unseen);
    }
    if (wanted.sound) void this.#play();
    if (wanted.desktop) void this.#tellDesktop(news);
  }

  /** @param {Change} change */
  #isNews(change) {
    const untold = this.#last?.answer.preferences.untold ?? [];
    return isNews(change, { login: this.#asked.login, muted: this.#muted, untold });
  }

  /** Whether the panel lists what there is. */
  get #isListed() {
    return this.#bell.isOpen && !this.#bell.isBehind;
  }

  #show() {
    if (!this.#last) return;
    if (this.#bell.isOpen) this.#bell.list(this.#entries(this.#last.answer));
    const later = this.#isListed ? 0 : this.#later.news;
    const { unread, more_unread } = this.#last.answer;
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
    const muted = (/** @type {Change} */ change) => this.#muted.has(change.order_key);
    const later = this.#later.changes.slice(-this.#mostListed).map((change) => {
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
    if (!this.#last || this.#isOver || this.#bell.isBehind) return;
    const { answer } = this.#last;
    for (const { unread, id } of answer.changes) if (unread) this.#marked.add(id);
    if (answer.unread === 0) return;
    const body = new URLSearchParams({ user: this.#userId, cursor: answer.cursor });
    const marked = await ask(`${this.#asked.url}read/`, { method: "POST", body });
    if (!marked?.ok) return;
    // what was asked meanwhile may have been answered before it was marked
    if (this.#last.answer !== answer) {
      this.#siblings.say({ kind: "account" });
      await this.#read();
      return;
    }
    const changes = answer.changes.map((change) => ({ ...change, unread: false, new: false }));
    this.#last.answer = { ...answer, unread: 0, more_unread: false, changes };
    this.#siblings.say({ kind: "read", answer: this.#last.answer });
    this.#show();
  }

  /**
   * @param {string} order
   * @param {boolean} muted
   * @returns {Promise<string>} what went wrong; empty if nothing
   */
  async #mute(order, muted) {
    const url = this.#asked.muteUrl.replace("{order}", order);
    const problem = this.#isOver ? "You are signed out." : await mute(url, this.#userId, muted);
    this.#bell.say(problem);
    if (problem !== "") return problem;
    if (muted) {
      this.#muted.add(order);
      this.#toasts.forget(order);
    }
    this.#siblings.say({ kind: "account" });
    void this.#read();
    return "";
  }

  /**
   * Few want notifications: what shows them is not read before.
   * @param {Change[]} news
   */
  async #tellDesktop(news) {
    const { Desktop } = await import("./desktop.js");
    if (this.#isOver) return;
    this.#desktop ??= new Desktop(this.#userId);
    if (news.length > 0) await this.#desktop.tell(news);
  }

  /** Few want to hear anything: what plays is not read before. */
  async #play() {
    const { Sound } = await import("./sound.js");
    this.#sound ??= new Sound();
    await this.#sound.tell();
  }
}

/** Whoever has their own clock in another zone than the page is told. Most do not: what tells it is not read before. */
async function tellElsewhere() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own !== document.documentElement.dataset["timeZone"]) (await import("../base/own_clock.js")).tellOwnClock();
}
