import { element } from "./base/dom.js";
import { OrderList } from "./list/order_list.js";

new OrderList(element("sales-rep-orders-dashboard", HTMLElement)).start();
