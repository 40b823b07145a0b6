/** @import { Moment } from "../base/clock.js" */
/** @import { Revision } from "../base/revision.js" */
import { now } from "../base/clock.js";
/** @import { Change, Patch } from "../base/types.js" */

/**
 * So long a patch waits to be shown at most, in milliseconds, in whatever way the browser slows the page down; and the telling of a
 * change for who made it, which an application writes down a moment later.
 */
const LONGEST_WAIT = 250;

/** So many are gathered at most, and so many changes may be named later. */
const MOST_GATHERED = 200;

/** Gathers patches until the page is painted next, as nobody sees what is shown in between. */
export class Patches {
  #show;
  /** @type {Patch[]} */
  #gathered = [];
  #frame = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {(patches: Patch[]) => void} show */
  constructor(show) {
    this.#show = show;
  }

  /** @param {Patch} patch */
  add(patch) {
    this.#gathered.push(patch);
    if (this.#gathered.length >= MOST_GATHERED) this.show();
    if (this.#gathered.length !== 1) return;
    // one that is not in sight is not painted
    if (document.visibilityState === "visible") this.#frame = requestAnimationFrame(() => this.show());
    this.#timer = setTimeout(() => this.show(), LONGEST_WAIT);
  }

  /** Shows what was gathered, before anything else is done. */
  show() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    const gathered = this.#gathered;
    this.#gathered = [];
    if (gathered.length > 0) this.#show(gathered);
  }
}

/**
 * What hands on what patches tell. A change of which it may yet be said who made it waits a moment for that, as one's own is no
 * news; if it is said later, the change has the name wherever it is kept.
 * @param {(patch: Patch) => void} tell
 */
export function naming(tell) {
  /** @type {Change[]} */
  let nameless = [];
  return (/** @type {Patch} */ patch) => {
    for (const change of nameless) Object.assign(change, patch.named?.find(({ id }) => id === change.id));
    const waits = (/** @type {Change} */ { by, changed }) => !by && changed.some(({ field }) => /status$/.test(field));
    const changes = patch.changes.filter(waits);
    tell({ ...patch, changes: patch.changes.filter((change) => !waits(change)) });
    if (!changes[0]) return;
    nameless = [...nameless, ...changes].slice(-MOST_GATHERED);
    setTimeout(() => tell({ ...patch, changes }), LONGEST_WAIT);
  };
}

/**
 * What several patches say together.
 * @param {Patch[]} patches the oldest first, at least one
 * @returns {Patch}
 */
export function merged(patches) {
  const newest = /** @type {Patch} */ (patches.at(-1));
  const rows = new Map(patches.flatMap(({ orders }) => orders.map((row) => [row.key, row])));
  return { ...newest, orders: [...rows.values()], changes: patches.flatMap(({ changes }) => changes) };
}

/**
 * What only a read can bring: states up to which the page must have read. It is paid by an answer that is as new. However many are
 * added, two are kept: those that the read under way will pay, and those that came since, the newest for all of them.
 */
export class Debt {
  /** @type {{ revision: Revision, since: Moment }[]} */
  #parts = [];

  /** Since when something is owed. @returns {Moment | null} */
  get since() {
    return this.#parts[0]?.since ?? null;
  }

  /** @param {Revision} revision */
  add(revision) {
    const last = this.#parts[1];
    if (last) last.revision = revision;
    else this.#parts.push({ revision, since: now() });
  }

  /**
   * An answer of that state was taken. One of another life of the database has all that there is.
   * @param {Revision} read
   */
  pay(read) {
    this.#parts = this.#parts.filter(({ revision }) => read.isOlderThan(revision));
  }
}
