import { Markup } from "./list/markup.js";
import { OrderList } from "./list/order_list.js";
import { Selection } from "./list/selection.js";

const root = document.getElementById("pharmacist-orders");
if (root) {
  const markup = new Markup(root);
  const list = new OrderList(root, markup, true);
  list.start();
  // where orders are changed on other pages, none are selected
  if (document.getElementById("selection")) new Selection(root, markup, (key) => list.row(key)).start();
}
