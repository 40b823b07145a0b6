//! What happened since a snapshot. `batch.rs`: for the listener. `audit.rs`: to be compared with what was told. `sync.rs`: the state of a stream, with what its page missed
//! (`missed.rs`). `fold.rs`: into the statistics and timelines. `recorded.rs`: by what it was recorded. `sleep.rs` and `canary.rs`: whether, and that, notifications come.

mod audit;
mod batch;
mod canary;
mod fold;
mod missed;
mod recorded;
mod sleep;
mod sync;

pub use audit::Held;
pub use batch::{Batch, Changed, News};
pub use canary::is_canary;
pub(super) use fold::{DISTRUST_STATISTICS, FOLD_LOCK, SOUND_SINCE, building};
pub use fold::{Folded, Progress};
pub(super) use recorded::{NUMBER, READ, RECORDING, TIME, was_replaced, was_rewritten};
pub(super) use sleep::SLEEP_LOCK;
pub use sleep::{Lease, RISEN, Sleeper};
pub use sync::{Sync, Syncs};
