import { HostDashboard, rootOf, whenComplete } from "./host/dashboard.js";
import { PHARMACIST } from "./host/kinds.js";

/** The shop's own first page of the pharmacists: `new RealtimeDashboard().start()` keeps it true. */
export class RealtimeDashboard extends HostDashboard {
  constructor(root = rootOf(PHARMACIST)) {
    super(PHARMACIST, root);
  }
}

Object.assign(window, { RealtimeDashboard });
whenComplete(() => new RealtimeDashboard().start());
