import { HostDashboard, rootOf, whenComplete } from "./host/dashboard.js";
import { salesRep } from "./host/kinds.js";
import { PATHS } from "./host/paths.js";

const KIND = salesRep(PATHS);

/** The shop's own page of a sales rep's orders: `new RealtimeSalesRepDashboard().start()` keeps it true. */
export class RealtimeSalesRepDashboard extends HostDashboard {
  constructor(root = rootOf(KIND)) {
    super(KIND, root);
  }
}

Object.assign(window, { RealtimeSalesRepDashboard });
whenComplete(() => new RealtimeSalesRepDashboard().start());
