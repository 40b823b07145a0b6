//! From a committed change to the streams that it concerns. Knows no HTTP. In call order:
//!
//! * `start.rs` starts the background tasks, which `supervise.rs` begins anew where one fails; what they share is in `state.rs`.
//! * `listener.rs` hears (`heard.rs`) or asks (`pace.rs`) that something changed and reads what, of those who are `watched.rs`.
//!   `canary.rs` proves that it hears, `lateness.rs` counts what came without a notification.
//! * From the statistics in `baseline.rs` it makes each scope's `frame.rs`, and `hub.rs` delivers it to the `mailbox.rs` of each
//!   of the scope's streams.
//! * `stream.rs` is what a browser gets: its first state, frames, pings as often as `pulse.rs` says, and a `bye.rs`.
//! * `recency.rs` answers polls for which nothing changed from what the listener has read.
//! * `fold_task.rs` folds and prunes, `session_check.rs` ends streams of sessions that are over, `stranger_check.rs` looks for
//!   strangers that hold the listeners' lock. `meter.rs` counts.

mod baseline;
mod bye;
mod canary;
mod fold_task;
mod frame;
mod heard;
mod hub;
mod lateness;
mod listener;
mod mailbox;
mod meter;
mod pace;
#[cfg(test)]
mod pace_simulation;
mod pulse;
mod recency;
mod session_check;
mod start;
mod state;
mod stranger_check;
mod stream;
mod supervise;
mod watched;

pub use bye::Bye;
pub use frame::Frame;
pub use hub::{Hub, ListenerState, Subscriber, Subscription};
pub use meter::{AgeBuckets, Meter, Step, StreamCounts, Task};
pub use state::Live;
pub use stream::{EventStream, Told};
