//! For ops, on a listener of their own: whether the process lives (`routes.rs`), whether it can serve (`readiness.rs`), and what it
//! counts (`metrics.rs`, with what the system says of it, `process.rs`). `parts.rs`: what these look at. `systemd.rs`: what the
//! service manager is told.

mod metrics;
mod parts;
#[cfg(target_os = "linux")]
mod process;
mod readiness;
mod routes;
mod systemd;

pub use metrics::Metrics;
pub use parts::Ops;
pub use routes::router;
pub use systemd::{keep_alive, say_serving, say_stopping};
