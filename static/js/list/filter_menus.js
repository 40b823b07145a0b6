/**
 * Has filters behind a button behave as such: one is open at a time, a click elsewhere or Escape closes it, and what is chosen
 * in it is told on the button at once.
 * @param {HTMLElement} root
 */
export function enhancePicks(root) {
  /** @type {HTMLDetailsElement[]} */
  const picks = [...root.querySelectorAll("details")].filter((pick) => pick.hasAttribute("data-pick"));
  document.addEventListener("click", ({ target }) => {
    for (const pick of picks) if (!(target instanceof Node && pick.contains(target))) pick.open = false;
  });
  for (const pick of picks) {
    pick.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !pick.open) return;
      pick.open = false;
      event.stopPropagation();
      pick.querySelector("summary")?.focus();
    });
    pick.addEventListener("change", () => tell(pick));
  }
}

/** @param {HTMLDetailsElement} pick */
function tell(pick) {
  const told = pick.querySelector("[data-told]");
  if (!told) return;
  const chosen = [...pick.querySelectorAll("input:checked")];
  const all = pick.querySelectorAll("input").length;
  told.textContent =
    chosen.length === 0
      ? "All"
      : chosen.length === 1
        ? (chosen[0]?.parentElement?.textContent.trim() ?? "")
        : `${chosen.length} of ${all}`;
}
