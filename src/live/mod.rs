//! From a committed change to the streams that it concerns. Knows no HTTP. In the order in which a change passes:
//!
//! * `listener.rs` reads what changed: when notified (`heard.rs`) or by itself (`pace.rs`, tried out in `pace_simulation.rs`),
//!   for those who have streams or poll (`watched.rs`). `canary.rs` proves that notifications come, `lateness.rs` counts
//!   changes that came without one.
//! * `frame.rs` encodes each scope's change, with statistics from `baseline.rs`. `hub.rs` puts it into each stream's `mailbox.rs`.
//! * `stream.rs` is one browser's stream: its first state, frames, pings (`pulse.rs`), and the reason why it ends (`bye.rs`).
//!
//! Beside that way: `recency.rs` answers polls when nothing changed; `fold_task.rs` folds and prunes; `session_check.rs` ends
//! streams of ended sessions; `stranger_check.rs` finds other sessions that hold the sleep lock; `recording_check.rs` finds out
//! that changes go unrecorded, as the host altered what the triggers read, and makes up for it once they are; `audit.rs` compares what a stream
//! was told with the database. `start.rs` starts these
//! tasks, `supervise.rs` restarts them, `within.rs` gives up what takes too long, `outage.rs` keeps the log short, `state.rs` holds what they share, `meter.rs` counts.

mod audit;
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
mod outage;
mod pace;
#[cfg(test)]
mod pace_simulation;
mod pulse;
mod recency;
mod recording_check;
mod session_check;
mod start;
mod state;
mod stranger_check;
mod stream;
mod subscriber;
mod supervise;
mod watched;
mod within;

pub use bye::Bye;
pub use frame::{Frame, WIRE};
pub use heard::Payload;
pub use hub::{Full, Hub, ListenerState, StreamCaps, Subscription};
pub use meter::{Meter, Poll, Resync, Step, Task};
pub use state::Live;
pub use stream::{EventStream, NoStream, Outgoing};
pub use subscriber::Subscriber;
