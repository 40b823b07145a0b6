/**
 * Where this installation has what a page of the shop leads to, with `{id}` for an order's id: `HostPaths` of the server.
 * @typedef {object} Paths
 * @property {string} login where people sign in
 * @property {string} order where an order has its page
 * @property {string} edit
 * @property {string} cancel
 * @property {string} status where pharmacists change nothing but where it stands
 * @property {string} pharmacist_order where it has its page for pharmacists
 */

/** The server, which makes the script, says it with that. @type {Paths} */
export const PATHS = /** @type {{ installation: { paths: Paths } }} */ (/** @type {unknown} */ (import.meta)).installation.paths;
