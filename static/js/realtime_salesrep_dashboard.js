import { element } from "./element.js";
import { OrderList } from "./order_list.js";

new OrderList(element("sales-rep-orders-dashboard", HTMLElement)).start();
