/** How the shop colours badges, in the words of Bootstrap 5. What is not listed is grey. */
const STATUSES = new Map([
  ["pending", "warning"],
  ["confirmed", "info"],
  ["processing", "info"],
  ["ready_for_pickup", "success"],
  ["shipped", "info"],
  ["delivered", "dark"],
  ["cancelled", "danger"],
  ["returned", "warning"],
]);

const PAYMENTS = new Map([
  ["paid", "success"],
  ["pending", "warning"],
  ["failed", "danger"],
  ["refunded", "secondary"],
  ["partially_refunded", "info"],
]);

const GREY = "secondary";

/** @param {string} status */
export const statusColour = (status) => STATUSES.get(status) ?? GREY;

/** @param {string} status */
export const paymentColour = (status) => PAYMENTS.get(status) ?? GREY;
