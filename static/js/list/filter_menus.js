/**
 * Tells what is chosen in a menu on its button at once.
 * @param {HTMLElement} root
 */
export function enhanceMenus(root) {
  root.addEventListener("change", ({ target }) => {
    const menu = target instanceof Element ? target.closest("[data-told]") : null;
    const told = document.getElementById(menu?.getAttribute("data-told") ?? "");
    if (menu && told) told.textContent = chosen(menu);
  });
}

/** @param {Element} menu */
function chosen(menu) {
  const [first, ...others] = menu.querySelectorAll("input:checked");
  if (!first) return "All";
  if (others.length === 0) return first.parentElement?.textContent.trim() ?? "";
  return `${others.length + 1} of ${menu.querySelectorAll("input").length}`;
}
