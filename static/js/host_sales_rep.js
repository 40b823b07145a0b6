import { HostDashboard, rootOf, whenComplete } from "./host/dashboard.js";
import { SALES_REP } from "./host/kinds.js";

/** The shop's own page of a sales rep's orders: `new RealtimeSalesRepDashboard().start()` keeps it true. */
export class RealtimeSalesRepDashboard extends HostDashboard {
  constructor(root = rootOf(SALES_REP)) {
    super(SALES_REP, root);
  }
}

Object.assign(window, { RealtimeSalesRepDashboard });
whenComplete(() => new RealtimeSalesRepDashboard().start());
