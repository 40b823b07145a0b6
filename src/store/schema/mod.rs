//! What is defined in the database: attaching, looking after it, taking it away.

mod applied;
mod cost;
mod definition;
mod executor;
mod forms;
mod holders;
mod host;
mod inspect;
mod making_up;
mod migrate;
mod recording;
mod rights;
mod strangers;
mod trust;
mod uninstall;

pub use applied::SchemaState;
pub use cost::Cost;
pub use definition::NAMING_TRIGGER;
pub use executor::Script;
pub use forms::BYPASSED;
pub use inspect::{Finding, TriggerState, Verdict};
pub use making_up::{MadeUp, Moment, Owed};
pub use migrate::{Applied, oldest_supported_version};
pub use recording::{Doubt, Recording};
pub use rights::{rights, session_grant};
pub use strangers::Stranger;
pub use uninstall::{Attached, Detached, Removed};
