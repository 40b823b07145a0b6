/** @import { Change, Changes, Patch } from "../base/types.js" */
/** @import { HostNotices } from "./notices.js" */
import { ask } from "../base/http.js";
import { Once, withoutParts } from "../base/words.js";
import { isNews } from "../news/is_news.js";
import { Siblings } from "../news/siblings.js";
import { Sound } from "../news/sound.js";

/** After this pause it is asked again where there is no answer yet, in milliseconds. */
const RETRY = 5_000;

/** So many changes wait at most until it is known what the person wants to be told. */
const MOST_WAITING = 100;

/**
 * What the person is told on a page of the shop: what others did, as far as the preferences and the muted orders of the account let it
 * be told, each change once, whether the stream told it or an answer.
 */
export class HostNews {
  #asked;
  #notices;
  #sound = new Sound();
  /** Everything up to here is in the last answer, or was there before the page. */
  #since;
  /** The last answer, and its tag. @type {{ answer: Changes, tag: string } | null} */
  #last = null;
  /** What was told before there was one. @type {Change[]} */
  #waiting = [];
  #told = new Once();
  /** @type {Promise<void> | null} */
  #reading = null;
  #isAsked = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  #isOver = false;

  /**
   * @param {{ url: string, user: string, login: string, since: string, mostListed: number }} asked where, for whom, from which state
   *   on, and how many changes are listed there
   * @param {HostNotices} notices
   */
  constructor({ since, ...asked }, notices) {
    this.#asked = asked;
    this.#since = since;
    this.#notices = notices;
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    new Siblings(this.#asked.login, () => void this.#read());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#read());
    void this.#read();
  }

  /**
   * The stream told this.
   * @param {Patch} patch
   */
  tell({ changes, named }) {
    if (named) this.#notices.renew((change) => this.#isNews(change));
    const whole = withoutParts(changes);
    if (this.#last) this.#tell(whole, true);
    else this.#waiting = [...this.#waiting, ...whole].slice(-MOST_WAITING);
  }

  /** Something may have happened that no stream told. */
  polled() {
    if (document.visibilityState === "visible" || this.#last?.answer.preferences.sound) void this.#read();
  }

  /** The session is over. */
  end() {
    this.#isOver = true;
    this.#notices.end();
  }

  /** Asks what happened; once more after the question under way, as that may have come too early. */
  async #read() {
    this.#isAsked = true;
    this.#reading ??= this.#ask();
    await this.#reading;
  }

  async #ask() {
    while (this.#isAsked && !this.#isOver) {
      this.#isAsked = false;
      await this.#fetch();
    }
    this.#reading = null;
    clearTimeout(this.#retry);
    if (!this.#last && !this.#isOver) this.#retry = setTimeout(() => void this.#read(), RETRY);
  }

  async #fetch() {
    const { url, user } = this.#asked;
    const query = new URLSearchParams({ user, since: this.#since });
    const answer = await ask(`${url}?${query}`, this.#last ? { headers: { "if-none-match": this.#last.tag } } : {});
    if (answer?.ok && !this.#isOver) this.#take(answer.json, answer.headers.get("etag") ?? "");
  }

  /**
   * @param {Changes} answer
   * @param {string} tag
   */
  #take(answer, tag) {
    this.#last = { answer, tag };
    this.#since = answer.cursor;
    const missed = answer.changes.filter((change) => change.new).reverse();
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#tell([...missed, ...waiting], missed.length < this.#asked.mostListed);
  }

  /**
   * @param {Change[]} changes the oldest first
   * @param {boolean} isAll whether these are all that happened
   */
  #tell(changes, isAll) {
    if (!this.#last || this.#isOver) return;
    const { preferences } = this.#last.answer;
    const news = this.#told.pass(changes).filter((change) => this.#isNews(change));
    if (news.length === 0) return;
    if (preferences.toasts && document.visibilityState === "visible") this.#notices.tell(news, isAll);
    if (preferences.sound) void this.#sound.tell();
  }

  /** @param {Change} change */
  #isNews(change) {
    if (!this.#last) return true;
    const { preferences, muted_keys } = this.#last.answer;
    return isNews(change, { login: this.#asked.login, muted: new Set(muted_keys), untold: preferences.untold });
  }
}
