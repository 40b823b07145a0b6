import { element } from "./element.js";
import { OrderList } from "./order_list.js";
import { Selection } from "./selection.js";

const root = element("pharmacist-orders", HTMLElement);
new OrderList(root, true).start();
new Selection(root, element("selection", HTMLFormElement)).start();
