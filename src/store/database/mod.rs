//! Connections, transactions and statements. Knows nothing of orders but the names of their tables.

mod error;
mod gather;
mod link;
mod pool;
mod remedy;
mod remembered;
mod said;
mod settings;
mod snapshot;
mod statement;
mod store;
mod tls;
mod url;
mod value;

pub(super) use error::{Attempt, unless_against_rule, words_of};
pub use error::{StoreError, chain};
pub(super) use gather::Gather;
pub use link::Link;
pub(super) use pool::{BRIEFLY, Lease, Lent, lend};
pub(super) use settings::settings_of_script;
pub(super) use snapshot::{
    BEGIN, BEGIN_WITH_ORDERS, PRESENT, SELECT_PRESENT, cursor_of, host_transaction, one_snapshot, present,
    unless_standby,
};
pub(super) use statement::{Connection, Parameters, prepare, rows};
pub use store::Store;
pub use url::DatabaseUrl;
pub(super) use value::{json, optional_text, text, value};
