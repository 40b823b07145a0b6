import { chosen, fill, sameControl } from "../base/forms.js";

/**
 * Brings a form that somebody is at to where the order stands in another one of its kind: of what is marked as following that, each
 * becomes what it is there, with what was chosen in it as far as that can still be; and nothing else is touched.
 * @param {HTMLFormElement} form
 * @param {HTMLFormElement} newer
 */
export function follow(form, newer) {
  const values = chosen(form);
  const focus = document.activeElement;
  for (const part of form.querySelectorAll("[data-follows]")) {
    const now = newer.querySelector(`[data-follows="${part.getAttribute("data-follows")}"]`);
    if (!now) continue;
    const same = focus && part.contains(focus) ? sameControl(focus) : null;
    const fresh = document.importNode(now, true);
    part.replaceWith(fresh);
    if (fresh instanceof HTMLElement) fill(fresh, values);
    const control = same ? fresh.querySelector(same) : null;
    if (control instanceof HTMLElement) control.focus({ preventScroll: true });
  }
  Object.assign(form.dataset, newer.dataset);
}
