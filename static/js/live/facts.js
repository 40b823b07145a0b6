/** @import { Moment } from "../base/clock.js" */
import { between } from "../base/clock.js";

/** How long the first stream may take before the rows are read without it, in milliseconds. */
const OPENING = 4_000;

/** So long the page goes on saying that it is live while something is put right, in milliseconds. */
const KEPT_WORD = 1_000;

/** So long what is shown is trusted after it was last known to be true, in milliseconds. */
const TRUST = 15_000;

/** How long a read may take, in milliseconds: so much later than its turn an answer of the poll may come. */
export const READ_PATIENCE = 10_000;

/**
 * What is known of a page's connection.
 *
 * @typedef {object} Facts
 * @property {"opening" | "up" | "apart" | "down" | "refused"} stream `opening`: the page's first; `apart`: it tells of another
 *   life of the database than the one whose state is shown; `refused`: the server wants this page to try no more by itself
 * @property {"live" | "degraded"} listener whether the server itself hears changes at once
 * @property {"exact" | "owed" | "failed"} rows `owed`: something happened to them that can only be read; `failed`: what was told
 *   could not be shown
 * @property {"known" | "due"} list `due`: it must be read what the list lacks; what it shows is no less true until then
 * @property {"none" | "answered" | "failed"} poll what became of the last read since the page was live, or was tried anew
 * @property {boolean} isRight false where the page itself knows that what it shows is old
 * @property {boolean} isOnline false where the browser has said that there is no network
 * @property {boolean} isSeen whether somebody can see the page
 * @property {boolean} isOver the session has ended
 * @property {number} interval between two reads of the poll, in milliseconds
 * @property {Moment} openedAt when the page began
 * @property {Moment} triedAt when all was last tried anew
 * @property {Moment} trueAt when what is shown was last known to be true
 * @property {Moment | null} liveUntil up to when the page was live, if it ever was
 */

/**
 * What follows from the facts.
 *
 * @typedef {object} Verdict
 * @property {"connecting" | "live" | "polling" | "stale" | "signed_out"} badge
 * @property {boolean} isOld whether nobody may take what is shown for new
 * @property {"nothing" | "news" | "rows"} reads what is read again and again, now first
 * @property {number | null} next in how many milliseconds another verdict may follow from the same facts
 */

/**
 * The facts of a page that was just loaded.
 * @param {Moment} now
 * @param {number} interval
 * @param {boolean} isSeen
 * @returns {Facts}
 */
export function firstFacts(now, interval, isSeen) {
  return {
    stream: "opening",
    listener: "live",
    rows: "exact",
    list: "known",
    poll: "none",
    isRight: true,
    isOnline: true,
    isSeen,
    isOver: false,
    interval,
    openedAt: now,
    triedAt: now,
    trueAt: now,
    liveUntil: null,
  };
}

/**
 * Whether what is shown is what the database says, and stays so by itself.
 * @param {Facts} facts
 */
export function isLive({ stream, listener, rows, isRight, isOver }) {
  return stream === "up" && listener === "live" && rows === "exact" && isRight && !isOver;
}

/**
 * Why the rows are read, as the server counts it.
 * @param {Facts} facts
 */
export function needOfReading({ stream, listener }) {
  if (stream !== "up") return "no_stream";
  return listener === "live" ? "unread" : "degraded";
}

/**
 * What the badge says, and what is read: `tests/cases/connection.json`.
 * @param {Facts} facts
 * @param {Moment} now
 * @returns {Verdict}
 */
export function judge(facts, now) {
  if (facts.isOver) return { badge: "signed_out", isOld: true, reads: "nothing", next: null };
  const reads = whatToRead(facts, now);
  if (isLive(facts)) return { badge: "live", isOld: false, reads, next: null };
  const lives = limits(facts).map(([moment, limit]) => limit - between(moment, now)).filter((left) => left > 0);
  const isOld = between(facts.trueAt, now) >= trust(facts);
  return { badge: word(facts, now, isOld), isOld, reads, next: lives.length > 0 ? Math.ceil(Math.min(...lives)) : null };
}

/**
 * @param {Facts} facts
 * @param {Moment} now
 * @param {boolean} isOld
 */
function word(facts, now, isOld) {
  const { rows, poll, isRight, isOnline, liveUntil, triedAt } = facts;
  const isKnownToBeWrong = rows === "failed" || !isRight;
  if (isOld) return poll === "failed" || between(triedAt, now) >= READ_PATIENCE ? "stale" : "connecting";
  const wasJustLive = liveUntil !== null && between(liveUntil, now) < KEPT_WORD;
  if (wasJustLive && isOnline && !isKnownToBeWrong) return "live";
  return poll === "answered" && !isKnownToBeWrong ? "polling" : "connecting";
}

/**
 * @param {Facts} facts
 * @param {Moment} now
 */
function whatToRead(facts, now) {
  const { stream, listener, rows, list, isSeen, openedAt } = facts;
  const isOpening = stream === "opening" && between(openedAt, now) < OPENING;
  const isPatient = isOpening && rows === "exact" && list === "known";
  if (isPatient || (isLive(facts) && list === "known")) return "nothing";
  if (isSeen) return "rows";
  // rows that nobody sees are read when somebody does; what happened may be told all the same
  return isOpening || (stream === "up" && listener === "live") ? "nothing" : "news";
}

/**
 * A poll that is answered is trusted until the next answer had to be there.
 * @param {Facts} facts
 */
function trust({ poll, interval }) {
  return poll === "answered" ? Math.max(TRUST, interval + READ_PATIENCE) : TRUST;
}

/**
 * From which moment on each limit runs.
 * @param {Facts} facts
 * @returns {[Moment, number][]}
 */
function limits(facts) {
  const { openedAt, triedAt, trueAt, liveUntil } = facts;
  return [[openedAt, OPENING], [triedAt, READ_PATIENCE], [trueAt, trust(facts)], [liveUntil ?? openedAt, KEPT_WORD]];
}
