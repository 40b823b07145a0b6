/** What stands in a pattern for the order's id. */
const PLACE = "{id}";

/** Where every order has a page of its own: a path of this site, or a URL of another one, with a place for the order's id. */
export class OrderLink {
  #pattern;
  #expression;

  /** @param {string} pattern */
  constructor(pattern) {
    this.#pattern = pattern;
    const [first = "", ...rest] = pattern.split(PLACE).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    this.#expression = new RegExp(`${[`${first}(\\d+)${rest[0] ?? ""}`, ...rest.slice(1)].join("\\1")}(?=[?#&]|$)`);
  }

  /**
   * Where it is for one order.
   * @param {string} key
   */
  of(key) {
    return this.#pattern.replaceAll(PLACE, key);
  }

  /**
   * The order to whose page that leads; empty where it leads elsewhere. The site may have something before its paths.
   * @param {Element} element a link or a form
   */
  keyIn(element) {
    const address = addressOf(element) ?? "";
    const known = this.#expression.exec(address) ?? (URL.canParse(address, document.baseURI) && this.#expression.exec(new URL(address, document.baseURI).href));
    return (known && known[1]) || "";
  }

  /**
   * Has a link or a form lead to the page of another order, with whatever else its address says.
   * @param {Element} element
   * @param {string} key
   */
  lead(element, key) {
    const address = addressOf(element) ?? "";
    const own = this.#expression.test(address) ? address.replace(this.#expression, () => this.of(key)) : this.of(key);
    element.setAttribute(element.hasAttribute("href") ? "href" : "action", own);
  }

  /**
   * What leads there from an element, for whichever order.
   * @param {ParentNode} parent
   */
  leadingFrom(parent) {
    return [...parent.querySelectorAll("[href], [action]")].find((element) => this.keyIn(element) !== "") ?? null;
  }
}

/** @param {Element} element */
function addressOf(element) {
  return element.getAttribute("href") ?? element.getAttribute("action");
}
