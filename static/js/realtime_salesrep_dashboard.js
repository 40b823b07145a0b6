import { Markup } from "./list/markup.js";
import { OrderList } from "./list/order_list.js";

/** A sales rep's dashboard: `new RealtimeSalesRepDashboard(root, markup).start()` keeps it true, whatever markup shows it. */
export class RealtimeSalesRepDashboard extends OrderList {}

const root = document.getElementById("sales-rep-orders-dashboard");
if (root) new RealtimeSalesRepDashboard(root, new Markup(root)).start();
