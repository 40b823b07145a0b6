/** @import { Row, Summary } from "../base/types.js" */

/** @typedef {[rank: number, created: string, id: bigint]} Place */

/** Where the server has what was placed at no time that can be shown: after all others. It is after any digit. */
const NO_TIME = "~";

/**
 * What is asked of a list, as far as a page can tell it of an order: whether it is on the list, and where. The server's own
 * reading of it is in the store's list; `tests/cases/lists.json` has the cases that hold for both. Times are compared as the
 * texts that the server writes, all alike and in UTC, as a Date knows no microseconds.
 *
 * @typedef {object} Asked
 * @property {string} query
 * @property {string} sort the column of the order, with a minus for descending; empty for ranks
 * @property {string} ranks the unfinished statuses in their order in an unsorted list; all others come last
 * @property {string} createdFrom
 * @property {string} createdBefore
 */
export class Listing {
  #statuses;
  #payments;
  #from;
  #before;
  #least;
  #most;
  #ranks;
  #isOfWholeStatuses;
  #isRanked;
  #isOldestFirst;

  /** @param {Asked} asked */
  constructor({ query, sort, ranks, createdFrom, createdBefore }) {
    const asked = new URLSearchParams(query);
    this.#statuses = new Set(asked.getAll("status"));
    this.#payments = new Set(asked.getAll("payment_status"));
    this.#least = Number(asked.get("total_min") ?? -Infinity);
    this.#most = Number(asked.get("total_max") ?? Infinity);
    this.#from = createdFrom;
    // what is shown has no year beyond 9999
    this.#before = createdBefore.startsWith("+") ? NO_TIME : createdBefore;
    this.#ranks = ranks.split(" ");
    const isNarrower = this.#payments.size > 0 || this.#from !== "" || this.#before !== "" || asked.has("q");
    this.#isOfWholeStatuses = !isNarrower && this.#least === -Infinity && this.#most === Infinity;
    this.#isRanked = this.#statuses.size !== 1 && sort === "";
    this.#isOldestFirst = sort === "created_at";
  }

  /**
   * Whether the order is on the list, unless that is searched for.
   * @param {Row} row
   */
  has({ status, payment_status, created_at, total_amount }) {
    const total = total_amount ?? NaN;
    const hasDay = created_at !== null || (this.#from === "" && this.#before === "");
    return (
      (this.#statuses.size === 0 || this.#statuses.has(status)) &&
      (this.#payments.size === 0 || this.#payments.has(payment_status)) &&
      hasDay &&
      (this.#from === "" || (created_at ?? "") >= this.#from) &&
      (this.#before === "" || (created_at ?? "") < this.#before) &&
      (this.#least === -Infinity || total >= this.#least) &&
      (this.#most === Infinity || total <= this.#most)
    );
  }

  /**
   * How many orders are on the list, where the statistics tell.
   * @param {Summary} summary
   */
  count({ statistics, orders_by_status }) {
    if (!this.#isOfWholeStatuses) return null;
    if (this.#statuses.size === 0) return statistics["total_orders"] ?? null;
    return [...this.#statuses].reduce((sum, status) => sum + (orders_by_status[status]?.count ?? 0), 0);
  }

  /**
   * The rank of a status in an unsorted list.
   * @param {string} status
   */
  rank(status) {
    const rank = this.#ranks.indexOf(status);
    return rank === -1 ? this.#ranks.length : rank;
  }

  /**
   * Where an order stands in a list by rank or time.
   * @param {string} status
   * @param {string} created empty where there is no time to show
   * @param {string} id
   * @returns {Place}
   */
  place(status, created, id) {
    return [this.#isRanked ? this.rank(status) : 0, created === "" ? NO_TIME : created, BigInt(id)];
  }

  /**
   * Less than zero where the one is before the other, and zero where both are the same place.
   * @param {Place} one
   * @param {Place} other
   */
  compare(one, other) {
    const [time, id] = [order(one[1], other[1]), order(one[2], other[2])];
    return one[0] - other[0] || (this.#isOldestFirst ? time || id : -time || -id);
  }
}

/**
 * @template {string | bigint} T
 * @param {T} one
 * @param {T} other
 */
function order(one, other) {
  return one === other ? 0 : one > other ? 1 : -1;
}
