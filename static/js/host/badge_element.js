/**
 * The live badge as a page of the shop has it, in a corner of the window: nothing of the page moves for it.
 * @param {string} signIn where people sign in
 */
export function badgeElement(signIn) {
  const badge = document.createElement("div");
  badge.id = "live-badge";
  badge.className = "oncare-live-badge";
  badge.setAttribute("role", "status");
  const dot = document.createElement("span");
  dot.className = "oncare-live-dot";
  const word = document.createElement("span");
  word.className = "oncare-live-word";
  const retry = document.createElement("button");
  retry.type = "button";
  retry.textContent = "Retry now";
  const login = document.createElement("a");
  login.href = signIn;
  login.textContent = "Sign in";
  badge.append(dot, word, retry, login);
  document.body.append(badge);
  return badge;
}
