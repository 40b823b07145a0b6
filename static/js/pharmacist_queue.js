import { element } from "./base/dom.js";
import { OrderList } from "./list/order_list.js";
import { Selection } from "./list/selection.js";

const root = element("pharmacist-orders", HTMLElement);
new OrderList(root, true).start();
new Selection(root, element("selection", HTMLFormElement)).start();
