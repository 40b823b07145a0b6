//! What pages show of orders, and the changes that people make to them.

mod dashboard;
mod detail;
mod edit;
mod list;
mod status;
mod status_since;
mod viewing;

pub use dashboard::{Dashboard, Shown};
pub use detail::{Item, OrderDetail, Prescription};
pub use edit::{Edit, WriteOutcome};
pub use status::{StatusChange, StatusOutcome};
pub use status_since::StatusSince;
pub use viewing::Viewed;
