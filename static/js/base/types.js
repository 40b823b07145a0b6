/**
 * What the server says, for the type checker.
 *
 * @typedef {object} Row
 * @property {number} id inexact beyond 2^53: orders are told apart by their keys
 * @property {string} key
 * @property {string} order_number
 * @property {string} status
 * @property {string} status_display
 * @property {string} payment_status
 * @property {string} payment_status_display
 * @property {number} items_count
 * @property {number | null} total_amount
 * @property {string | null} created_at
 * @property {string | null} created_at_display
 * @property {string} [customer_name] a list's rows in an answer to a rep do not have it
 * @property {string | null} [status_since]
 * @property {number | null} [sales_rep_id]
 * @property {string} [sales_rep]
 * @property {boolean} [fits]
 * @property {undefined} [removed]
 *
 * @typedef {{ id: number, key: string, removed: true }} GoneRow
 *
 * @typedef {object} Field
 * @property {string} field
 * @property {string | null} from
 * @property {string | null} to
 * @property {string | null} from_display
 * @property {string | null} to_display
 *
 * @typedef {object} Change
 * @property {number} id tells it from all others
 * @property {number} order_id inexact beyond 2^53
 * @property {string} order_key
 * @property {string | null} order_number
 * @property {"insert" | "update" | "delete" | "items" | "arrived" | "left"} operation
 * @property {string | null} status after it
 * @property {string} at
 * @property {string} by as shown to a person; empty where nobody is known, or not yet
 * @property {string | null} user the login of the user who did it
 * @property {string} [application] from which it came, where nobody is known
 * @property {true} [part] of the entering of its order
 * @property {Field[]} changed
 *
 * @typedef {{ id: number, by: string, user: string }} NamedChange who made a change that was told before
 *
 * @typedef {object} Summary
 * @property {string} revision
 * @property {Record<string, number>} statistics
 * @property {Record<string, { name: string, count: number }>} orders_by_status
 *
 * @typedef {Summary & { missed: Change[] | null, wire?: number }} Sync
 * @typedef {Summary & { orders: (Row | GoneRow)[], named?: NamedChange[], changes: Change[] }} Patch
 * @typedef {{ time: string, listener: "live" | "degraded", next_ms: number }} Ping
 * @typedef {{ reason: "draining" | "signed_out" | "replaced" | "leader_signed_out" | "outdated" }} Bye the last two are what a page says
 *   to others, and of itself
 * @typedef {Summary & { orders: Row[], visible: (Row | GoneRow)[], total: number, pagination: { has_next: boolean } }} Answer
 *
 * @typedef {Change & { unread: boolean, muted: boolean, new: boolean | null }} ListedChange
 * @typedef {{ toasts: boolean, sound: boolean, desktop: boolean, untold: string[] }} Preferences
 *
 * @typedef {object} Changes
 * @property {string} revision
 * @property {string} cursor
 * @property {ListedChange[]} changes the newest first
 * @property {number} unread
 * @property {boolean} more_unread
 * @property {Preferences} preferences
 * @property {number[]} muted inexact beyond 2^53
 * @property {string[]} muted_keys
 */
export {};
