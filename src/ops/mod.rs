//! For ops, on a listener of their own: whether the process lives (`routes.rs`), whether it can serve (`readiness.rs`, and `disk.rs` of what it says in the log), and what it
//! counts (`metrics.rs`, with what the system says of it, `process.rs`); a page (`page.rs`) that shows how things are (`status.rs`:
//! the metrics, read by `scrape.rs`, those of the last hour in `history.rs`, what went wrong, of `log.rs`, and how the other instances are, of `instances.rs`, with `seen.rs`) and by which something
//! can be done about it. Administrators who are signed in have the page as well (`routes.rs`). `parts.rs`: what all these look at. `systemd.rs`: what the service manager is told.

mod disk;
mod history;
mod instances;
mod log;
mod metrics;
mod page;
mod parts;
#[cfg(target_os = "linux")]
mod process;
mod readiness;
mod routes;
mod scrape;
mod seen;
mod status;
mod systemd;

pub use disk::Disk;
pub use history::History;
pub use instances::Instances;
pub use log::{Levels, Recent};
pub use metrics::Metrics;
pub use parts::Ops;
pub use routes::{for_administrators, router, routes};
pub use systemd::{keep_alive, say_serving, say_stopping};
