import { HostDashboard, rootOf, whenComplete } from "./host/dashboard.js";
import { pharmacist } from "./host/kinds.js";
import { PATHS } from "./host/paths.js";

const KIND = pharmacist(PATHS);

/** The shop's own first page of the pharmacists: `new RealtimeDashboard().start()` keeps it true. */
export class RealtimeDashboard extends HostDashboard {
  constructor(root = rootOf(KIND)) {
    super(KIND, root);
  }
}

Object.assign(window, { RealtimeDashboard });
whenComplete(() => new RealtimeDashboard().start());
