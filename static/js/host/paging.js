import { seen } from "./words.js";

/** @typedef {"first" | "previous" | "next" | "last"} Way */

/** What a link of the pagination is called. @type {[RegExp, Way][]} */
const WORDS = [
  [/first/i, "first"],
  [/prev/i, "previous"],
  [/next/i, "next"],
  [/last/i, "last"],
];

/** What the shop's filter asks for, and which page of it. */
const ASKED = ["status", "date_from", "date_to", "page"];

/** The element that says on which page the list is. */
export function activePage() {
  return document.querySelector(".pagination .page-item.active .page-link") ?? document.querySelector(".pagination .page-item.active");
}

/**
 * Has the pagination say on which of how many pages the list is, and lead to the others of the same list.
 * @param {number} page
 * @param {number} pages
 * @param {string} query which orders are listed
 * @param {Element | null} table after which it is, where the shop has made none, as there was one page
 */
export function showPaging(page, pages, query, table) {
  if (pages > 1 && !document.querySelector(".pagination")) table?.after(made());
  const place = activePage();
  const list = place?.closest(".pagination");
  if (!place || !list) return;
  const text = `Page ${page} of ${pages}`;
  if (/^Page \d+ of \d+$/.test(seen(place)) && seen(place) !== text) place.textContent = text;
  /** @type {Record<Way, number>} */
  const targets = { first: 1, previous: page - 1, next: page + 1, last: pages };
  const items = itemsOf(list);
  const numbers = [...list.querySelectorAll(".page-item")].filter((item) => /^\d+$/.test(seen(item)));
  // on the first page, the last or the only one the shop leaves out what would lead nowhere
  if (page > 1 && !items.has("previous") && !numbers.some((item) => Number(seen(item)) < page)) items.set("previous", added(place, "Previous"));
  if (page < pages && !items.has("next") && !numbers.some((item) => Number(seen(item)) > page)) items.set("next", added(place, "Next"));
  for (const [way, item] of items) {
    const isThere = way === "first" || way === "previous" ? page > 1 : page < pages;
    lead(item, isThere ? targets[way] : null, query);
  }
  for (const item of numbers) {
    const number = Number(seen(item));
    item.classList.toggle("active", number === page);
    if (number !== page || item.querySelector("a")) lead(item, number <= pages ? number : null, query);
  }
}

/**
 * The items that lead on, as far as it can be told which way.
 * @param {Element} list
 * @returns {Map<Way, Element>}
 */
function itemsOf(list) {
  const items = [...list.querySelectorAll(".page-item")].map((item) => /** @type {const} */ ([wordsOf(item), item]));
  const texts = items.map(([words]) => words);
  /** @type {Map<string, Way>} */
  const signs = new Map([
    ["‹", "previous"],
    ["›", "next"],
    ["«", texts.includes("‹") ? "first" : "previous"],
    ["»", texts.includes("›") ? "last" : "next"],
  ]);
  /** @type {Map<Way, Element>} */
  const ways = new Map();
  for (const [words, item] of items) {
    const way = item.classList.contains("active") ? undefined : (signs.get(words) ?? WORDS.find(([word]) => word.test(words))?.[1]);
    if (way) ways.set(way, item);
  }
  return ways;
}

/** @param {Element} item */
function wordsOf(item) {
  return item.querySelector("[aria-label]")?.getAttribute("aria-label") ?? seen(item);
}

/**
 * Has an item lead to a page of the list. One that leads to none is out of sight, unless the shop shows it as one that does not.
 * @param {Element} item
 * @param {number | null} page
 * @param {string} query
 */
function lead(item, page, query) {
  item.toggleAttribute("hidden", page === null && !item.classList.contains("disabled"));
  if (page === null) return;
  item.classList.remove("disabled");
  const link = item.querySelector("a") ?? linkIn(item);
  const href = link.getAttribute("href") ?? "";
  const isMade = href === "" || href.startsWith("#");
  const address = new URL(isMade ? "" : href, location.href);
  const before = address.search;
  ask(address.searchParams, page, query);
  if (isMade || address.search !== before) link.setAttribute("href", href.startsWith("/") ? address.pathname + address.search : address.search);
}

/**
 * A link in place of words that lead nowhere.
 * @param {Element} item
 */
function linkIn(item) {
  const link = document.createElement("a");
  link.className = "page-link";
  const words = item.querySelector(".page-link");
  link.append(...(words ?? item).childNodes);
  if (words) words.replaceWith(link);
  else item.append(link);
  return link;
}

/**
 * @param {URLSearchParams} asked
 * @param {number} page
 * @param {string} query
 */
function ask(asked, page, query) {
  const wanted = new URLSearchParams(query);
  wanted.set("page", String(page));
  for (const name of ASKED) {
    const value = wanted.get(name) ?? "";
    if ((asked.get(name) ?? "") === value) continue;
    if (value === "") asked.delete(name);
    else asked.set(name, value);
  }
}

/**
 * An item beside that of the page that is shown.
 * @param {Element} place
 * @param {"Previous" | "Next"} words
 */
function added(place, words) {
  const item = itemOf(words);
  const active = place.closest(".page-item") ?? place;
  if (words === "Previous") active.before(item);
  else active.after(item);
  return item;
}

/** A pagination as the shop has it. */
function made() {
  const nav = document.createElement("nav");
  nav.setAttribute("aria-label", "Orders pagination");
  const list = document.createElement("ul");
  list.className = "pagination";
  const item = itemOf("Page 1 of 1");
  item.classList.add("active");
  list.append(item);
  nav.append(list);
  return nav;
}

/** @param {string} words */
function itemOf(words) {
  const item = document.createElement("li");
  item.className = "page-item";
  const text = document.createElement("span");
  text.className = "page-link";
  text.textContent = words;
  item.append(text);
  return item;
}
