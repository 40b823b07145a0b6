//! Everything that is asked of PostgreSQL, every statement beside its row mapping.
//!
//! | room | what lives there | knows in the store |
//! |---|---|---|
//! | `database/` | the URL, TLS, the pool and its lending, transactions, snapshots, statements, errors | nothing |
//! | `instances/` | which instances there are, and the scripts and styles of each version that serves | database |
//! | `rows/` | columns of orders, statistics and events, and their mapping; whom an event concerns | database |
//! | `people/` | users, sessions of ours and the host's, preferences, the bell, saved views; whose orders somebody may see | rows, database |
//! | `tail/` | what happened since a snapshot: batch, missed changes, sync, fold, sleep, canary | people, rows, database |
//! | `orders/` | dashboard, list, one order, who looks at it, edit, change of status | people, rows, database |
//! | `schema/` | what is defined in the database: migrate, inspect, grants, detach, uninstall, what forms need; the doctor's measurements | tail, database |
//!
//! Orders are read for a person by a [`Sight`], or for a [`SignedIn`]: both come from a session that was looked up, and from nothing else.
//!
//! All but `schema/` also know the orders' types or the cursor; `people/` knows what Django writes of who is signed in.

mod database;
mod instances;
mod orders;
mod people;
mod rows;
mod schema;
mod tail;

pub use database::{DatabaseUrl, Link, Store, StoreError, chain};
pub use instances::{Instance, InstanceState};
pub use orders::{
    Dashboard, Edit, Item, OrderDetail, Prescription, Shown, StatusChange, StatusOutcome, StatusSince, Viewed,
    WriteOutcome,
};
pub use people::{
    Account, Attempted, HostSessionTable, HostSessionsSeen, ListedChange, ListedSession, MOST_MUTED, MOST_UNREAD, Mark,
    MuteOutcome, MutedOrder, NEWEST_CHANGES, NewSession, NewUser, Newest, Person, Preferences, ReadUpto, Role,
    SavedView, SessionKey, Sessions, Sight, SignOn, SignedIn, Swept, UserRecord, Whom,
};
pub use rows::Listed;
pub use schema::{
    Applied, Attached, BYPASSED, Cost, Detached, Doubt, Finding, MadeUp, Moment, NAMING_TRIGGER, Owed, Recording,
    Removed, SchemaState, Script, Stranger, TriggerState, Verdict, oldest_supported_version, rights, session_grant,
};
pub use tail::{Batch, Changed, Folded, Held, Lease, News, Progress, RISEN, Sleeper, Sync, Syncs, is_canary};
