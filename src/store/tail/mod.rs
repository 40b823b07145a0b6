//! All that reads events since a snapshot, and what tells the listener that there are some.

mod batch;
mod canary;
mod fold;
mod missed;
mod sleep;
mod sync;

pub use batch::{Batch, Changed, News};
pub use canary::is_canary;
pub use fold::{Folded, Progress};
pub(super) use sleep::SLEEP_LOCK;
pub use sleep::{Lease, RISEN, Sleeper};
pub use sync::{Sync, Syncs};
