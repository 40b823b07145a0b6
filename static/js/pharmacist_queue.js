import { RealtimeSalesRepDashboard } from "./realtime_salesrep_dashboard.js";
import { Selection } from "./selection.js";

const root = document.getElementById("pharmacist-orders");
const form = document.getElementById("selection");
if (root) new RealtimeSalesRepDashboard(root, true).start();
if (root && form instanceof HTMLFormElement) new Selection(root, form).start();
