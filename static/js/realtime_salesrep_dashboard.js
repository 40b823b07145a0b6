/** @import { Answer, Change, Patch as PatchEvent, Row, GoneRow, Summary, Sync, Ping, Bye } from "./types.js" */
import { tickAges, showAge } from "./age.js";
import { Away } from "./away.js";
import { Badge } from "./badge.js";
import { Notices } from "./notices.js";
import { Patch } from "./patch.js";
import { Placement } from "./placement.js";
import { Poll } from "./poll.js";
import { Revision } from "./revision.js";
import { Stream } from "./stream.js";

/** How long the first connection may take before polling begins, in milliseconds. */
const CONNECT_PATIENCE = 4_000;

/** How soon a read that a newer state overtook is tried again, in milliseconds. */
const OVERTAKEN_PAUSE = 250;

/** How long reading the list anew may take, in milliseconds. */
const RELOAD_PATIENCE = 10_000;

/** Operations that can bring an order onto a list that it was not on. */
const ARRIVALS = new Set(["insert", "arrived"]);

/**
 * Keeps a sales rep's dashboard true: a stream while there is one, else a poll; and says which.
 *
 * Every state that arrives, by whichever way, goes through one door, which drops what is older than what is shown.
 */
export class RealtimeSalesRepDashboard {
  #root;
  #patch;
  #badge;
  #notices;
  #away;
  #placement;
  #stream;
  #poll;
  #revision;
  /** The stream has told its state and nothing is known to be missing. */
  #streaming = false;
  /** The server's own listener hears changes at once. */
  #listening = true;
  /** The rows must be read before they are known to be right. */
  #behind = false;
  /** The server told this page to use no stream. */
  #streamless = false;
  /** The session is over: this page tells nothing more, whoever signs in next in the same browser. */
  #over = false;
  #reloading = false;

  /** @param {HTMLElement} root `#sales-rep-orders-dashboard` */
  constructor(root) {
    this.#root = root;
    const { apiUrl = "", eventsUrl = "", rep = "", cursor = "", revision = "", pollInterval = "5000" } = root.dataset;
    const interval = Number(pollInterval);
    this.#revision = new Revision(revision);
    this.#patch = new Patch(root);
    this.#placement = new Placement(root, this.#patch.lines());
    this.#badge = new Badge(root, element("live-badge", HTMLElement), interval, () => this.retry());
    this.#notices = new Notices(
      element("list-notice", HTMLButtonElement),
      element("live-region", HTMLElement),
      () => void this.#reloadList(),
    );
    this.#away = new Away(
      element("away", HTMLElement),
      element("away-line", HTMLButtonElement),
      element("away-list", HTMLElement),
      element("away-change", HTMLTemplateElement),
      () => element("orders-list", HTMLElement).focus({ preventScroll: true }),
    );
    this.#poll = new Poll(interval, {
      url: () => this.#apiUrl(apiUrl),
      begun: () => ({ epoch: this.#revision.epoch, placement: this.#placement }),
      answer: (answer, begun) => this.#answered(answer, begun),
      failure: (status) => this.#failed(status),
    });
    this.#stream = new Stream(`${eventsUrl}?rep=${rep}`, cursor, {
      sync: (sync, wasAway) => this.#synced(sync, wasAway),
      patch: (patch) => this.#patched(patch),
      ping: (ping) => this.#pinged(ping),
      bye: (bye) => this.#dismissed(bye),
      down: () => this.#streamDown(),
    });
  }

  /** Begins, and goes on for as long as the page lives. */
  start() {
    tickAges(this.#root);
    this.#stream.open();
    setTimeout(() => {
      if (this.#badge.state === "connecting") this.#poll.start();
    }, CONNECT_PATIENCE);
    document.addEventListener("visibilitychange", () => this.#returned());
    // before what arrived while the page was frozen, which would count as a sign of life from now
    document.addEventListener("resume", () => this.#stream.check());
    window.addEventListener("online", () => this.retry());
    // tried again all the same, as not every browser that says so is right
    window.addEventListener("offline", () => this.#stream.giveUp());
    window.addEventListener("pagehide", () => {
      this.#streaming = false;
      this.#stream.close();
      this.#poll.abort();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.retry();
    });
  }

  /** Tries everything again now. */
  retry() {
    if (this.#over) return;
    this.#streaming = false;
    this.#streamless = false;
    this.#badge.show("connecting");
    this.#stream.open();
    this.#poll.restart();
  }

  /** Whether what is shown is what the database says, and stays so by itself. */
  get #isLive() {
    return this.#streaming && this.#listening && !this.#behind;
  }

  /**
   * @param {Sync} sync
   * @param {boolean} wasAway
   */
  #synced(sync, wasAway) {
    const wasPolling = this.#poll.isRunning;
    this.#streaming = true;
    if (this.#accept(sync, true)) this.#customers(sync.missed ?? []);
    // also of a state that a poll overtook: nobody else says what led to it
    this.#tellMissed(sync.missed, wasAway);
    // the state of the rows is known only if the server says that nothing of them changed since the page's last
    if (wasPolling || sync.missed === null || sync.missed.length > 0) this.#fallBehind();
    this.#settle();
  }

  /**
   * @param {Change[] | null} missed
   * @param {boolean} wasAway
   */
  #tellMissed(missed, wasAway) {
    if (missed?.length === 0) return;
    if (wasAway) {
      this.#away.add(missed);
      this.#notices.sayMissed(missed);
    } else if (missed) {
      this.#notices.say(missed);
    }
  }

  /** @param {PatchEvent} patch */
  #patched(patch) {
    if (!this.#accept(patch, false)) return;
    for (const row of patch.orders) {
      const changes = patch.changes.filter((change) => change.order_id === row.id);
      this.#patch.row(row);
      this.#placement.note(row, changes.some(canMove));
      // the customer of an order that comes back may have changed while it was away
      if (this.#patch.line(row.id) && changes.some(({ operation }) => ARRIVALS.has(operation))) this.#fallBehind();
    }
    this.#customers(patch.changes);
    this.#notices.offer(this.#placement.words);
    this.#notices.say(patch.changes);
    this.#badge.changed();
    this.#settle();
  }

  /** @param {Ping} ping */
  #pinged(ping) {
    this.#listening = ping.listener === "live";
    this.#settle();
  }

  /** @param {Bye} bye */
  #dismissed(bye) {
    if (bye.reason === "signed_out") {
      this.#end();
      return;
    }
    this.#streamless = bye.reason === "replaced";
    this.#streamDown();
  }

  #streamDown() {
    if (this.#over) return;
    this.#streaming = false;
    if (this.#badge.state === "live") this.#badge.show("connecting");
    this.#poll.start();
  }

  /**
   * @param {Answer} answer
   * @param {{ epoch: string, placement: Placement }} begun the page's epoch and list when the read began
   */
  #answered(answer, { epoch, placement }) {
    if (this.#over || placement !== this.#placement) return;
    const revision = new Revision(answer.revision);
    const overtaken = epoch !== this.#revision.epoch && revision.epoch !== this.#revision.epoch;
    if (overtaken || !this.#accept(answer, true)) {
      if (!this.#isLive) setTimeout(() => this.#poll.isRunning && this.#poll.now(), OVERTAKEN_PAUSE);
      return;
    }
    answer.visible.forEach((row) => this.#patch.row(row));
    this.#placement.read(answer.orders, answer.visible);
    this.#notices.offer(this.#placement.words);
    this.#behind = false;
    this.#badge.confirm();
    if (!this.#isLive) this.#badge.show("polling");
    this.#settle();
  }

  /** @param {number} status */
  #failed(status) {
    if (this.#over) return;
    if (status === 401) this.#end();
    else if (!this.#isLive) this.#badge.show("stale");
  }

  /** The session is over. */
  #end() {
    this.#over = true;
    this.#streaming = false;
    this.#stream.close();
    this.#poll.abort();
    this.#badge.show("signed_out");
  }

  /** The rows must be read: what the stream told does not say all of them. */
  #fallBehind() {
    this.#behind = true;
    this.#poll.restart();
  }

  /** Live only with a stream, a listening server, and rows that are known to be right; else it polls until so. */
  #settle() {
    if (!this.#streaming || this.#over) return;
    if (this.#isLive) {
      this.#poll.stop();
      this.#badge.confirm();
      this.#badge.show("live");
      return;
    }
    if (this.#badge.state === "live") this.#badge.show("connecting");
    this.#poll.start();
  }

  /** Somebody looks at the page again. */
  #returned() {
    if (document.visibilityState !== "visible" || this.#over) return;
    this.#stream.check();
    if (this.#badge.state === "live") return;
    this.#badge.show("connecting");
    if (this.#streamless || !this.#streaming) this.retry();
    else this.#poll.now();
  }

  /**
   * The one door: takes a state unless it is older than what is shown.
   * @param {Summary} summary
   * @param {boolean} complete whether it may begin a new epoch
   */
  #accept(summary, complete) {
    const revision = new Revision(summary.revision);
    const anotherEpoch = revision.epoch !== this.#revision.epoch;
    if (anotherEpoch ? !complete : revision.isOlderThan(this.#revision)) return false;
    this.#revision = revision;
    this.#root.dataset["revision"] = summary.revision;
    this.#patch.summary(summary);
    return true;
  }

  /** @param {Change[]} changes */
  #customers(changes) {
    for (const { order_id, changed } of changes) {
      const name = changed.find(({ field }) => field === "customer_name")?.to;
      if (typeof name === "string") this.#patch.customer(order_id, name);
    }
  }

  /** @param {string} url */
  #apiUrl(url) {
    const query = new URLSearchParams(this.#root.dataset["query"] ?? "");
    query.set("rep", this.#root.dataset["rep"] ?? "");
    query.set("visible", this.#patch.lines().map((line) => line.dataset["orderId"]).join(","));
    return `${url}?${query}`;
  }

  /** Reads the list anew, as the person asked for, in place of the one shown. */
  async #reloadList() {
    if (this.#reloading) return;
    this.#reloading = true;
    try {
      const fresh = await this.#freshPage();
      const list = fresh?.getElementById("orders-list");
      const root = fresh?.getElementById(this.#root.id);
      if (!list || !root) {
        this.retry();
        return;
      }
      const imported = document.importNode(list, true);
      element("orders-list", HTMLElement).replaceWith(imported);
      for (const name of ["page", "totalPages", "query"]) this.#root.dataset[name] = root.dataset[name] ?? "";
      this.#placement = new Placement(this.#root, this.#patch.lines());
      showAge(this.#root);
      this.#notices.offer("");
      imported.focus({ preventScroll: true });
      // what was patched while the list was on its way is not in it
      this.#poll.abort();
      this.#fallBehind();
      this.#settle();
    } finally {
      this.#reloading = false;
    }
  }

  /** This page, as it would be loaded now; nothing if that can't be had. */
  async #freshPage() {
    const url = location.pathname + (this.#root.dataset["query"] ?? "");
    try {
      const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(RELOAD_PATIENCE) });
      return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
    } catch (error) {
      if (error instanceof TypeError || error instanceof DOMException) return null;
      throw error;
    }
  }
}

/** @param {Change} change */
function canMove({ operation, changed }) {
  return ARRIVALS.has(operation) || changed.some(({ field }) => field === "status" || field === "created_at");
}

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function element(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no #${id}`);
}

const root = document.getElementById("sales-rep-orders-dashboard");
if (root) new RealtimeSalesRepDashboard(root).start();
