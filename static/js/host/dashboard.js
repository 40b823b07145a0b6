/** @import { Kind } from "./kinds.js" */
/** @import { HostAnswer } from "./host_list.js" */
import { now, since } from "../base/clock.js";
import { ask } from "../base/http.js";
import { keepPage } from "../base/session.js";
import { Badge } from "../live/badge.js";
import { badgeElement } from "./badge_element.js";
import { HostFilter } from "./filter.js";
import { HostList } from "./host_list.js";
import { HostMarkup } from "./markup.js";
import { HostNews } from "./news.js";
import { HostNotices } from "./notices.js";
import { addStyle } from "./style.js";

/** How often it is tried to begin, in milliseconds. */
const PAUSE = 5_000;

/** So long what the shop wrote is trusted before anything is known, in milliseconds. */
const TRUST = 15_000;

/** The server's answer to somebody who is not signed in, and to one whose page this is not. */
const SIGNED_OUT = 401;
const NOT_THEIRS = 403;

/** What a page of ours has in its markup. @typedef {HostAnswer & { user: string, login: string, cursor: string, poll_interval: number, most_listed: number, time_zone: string }} FirstAnswer */

/**
 * Keeps a page of the shop's own true. It brings its badge and its notices; whom it is for, and from which state on it is told what
 * changes, it asks the API first.
 */
export class HostDashboard {
  #kind;
  #root;

  /**
   * @param {Kind} kind
   * @param {HTMLElement | null} root what is kept true
   */
  constructor(kind, root) {
    this.#kind = kind;
    this.#root = root;
  }

  /** Begins, and goes on for as long as the page lives. Once in a page, however often the page asks for it. */
  start() {
    if (!this.#root || "oncareLive" in this.#root.dataset) return;
    this.#root.dataset["oncareLive"] = "";
    keepPage();
    addStyle();
    void this.#begin(this.#root);
  }

  /** @param {HTMLElement} root */
  async #begin(root) {
    const filter = this.#kind.hasFilter ? new HostFilter() : null;
    const markup = new HostMarkup(this.#kind);
    const element = badgeElement(this.#kind.login);
    const badge = new Badge(root, element, PAUSE);
    const first = await this.#first(filter, badge, element);
    if (!first) return;
    const { user, login, cursor, revision, poll_interval, most_listed, time_zone } = first;
    const { dataset } = document.documentElement;
    dataset["timeZone"] ??= time_zone;
    dataset["currency"] ??= "₱";
    const ours = document.createElement("div");
    const { api, changes, events, order } = this.#kind;
    Object.assign(ours.dataset, { apiUrl: api, eventsUrl: events, userId: user, cursor, revision, pollInterval: poll_interval });
    const notices = new HostNotices(order);
    const news = new HostNews({ url: changes, user, login, since: cursor, mostListed: most_listed }, notices);
    const page = { markup, filter, news, notices };
    new HostList(ours, new Badge(root, element, poll_interval), page, first).start();
  }

  /**
   * The first answer, however long it takes; nothing where there is none for this person.
   * @param {HostFilter | null} filter
   * @param {Badge} badge
   * @param {HTMLElement} element the badge's
   * @returns {Promise<FirstAnswer | null>}
   */
  async #first(filter, badge, element) {
    const loaded = now();
    /** @param {"connecting" | "stale" | "signed_out"} state */
    const show = (state) => badge.show({ badge: state, isOld: state !== "connecting", reads: "nothing", next: null }, loaded);
    show("connecting");
    for (;;) {
      const query = filter?.query ?? "";
      const answer = await ask(`${this.#kind.api}?${query}&visible=`, {});
      // somebody has asked for other orders meanwhile
      if (answer?.ok && query !== (filter?.query ?? "")) continue;
      // one that says less is that of the shop's own API, which a proxy leads to
      if (answer?.ok && answer.json?.cursor) return answer.json;
      if (answer?.status === NOT_THEIRS) element.remove();
      if (answer?.status === SIGNED_OUT) show("signed_out");
      if (answer?.status === NOT_THEIRS || answer?.status === SIGNED_OUT) return null;
      if (since(loaded) > TRUST) show("stale");
      await pause(element);
    }
  }
}

/**
 * The part of the page that is kept true; the whole page, where it has only the rows.
 * @param {Kind} kind
 */
export function rootOf({ root, table }) {
  return document.getElementById(root) ?? (document.getElementById(table) ? document.body : null);
}

/**
 * Does something when the page is complete.
 * @param {() => void} what
 */
export function whenComplete(what) {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", what);
  else what();
}

/**
 * Waits until it is time to try again, or somebody wants it to be tried.
 * @param {HTMLElement} badge
 * @returns {Promise<unknown>}
 */
function pause(badge) {
  return new Promise((over) => {
    setTimeout(over, PAUSE);
    badge.querySelector("button")?.addEventListener("click", over, { once: true });
  });
}
