//! What this version has in the database, as the numbered files of `sql/` and the triggers define it.

pub(in crate::store) struct Migration {
    pub(in crate::store) version: i32,
    pub(in crate::store) name: &'static str,
    pub(in crate::store) sql: &'static str,
    pub(in crate::store) kind: Kind,
}

#[derive(PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// Only on a database without the tables of the existing system.
    HostTables,
    /// In one transaction.
    Plain,
    /// The same; can be run again to put back what somebody changed.
    Functions,
    /// The same again, in a transaction that gives up soon where it would make writers wait, and is tried again.
    LocksWhatIsWritten,
    /// One statement that can't run in a transaction.
    ConcurrentIndex,
}

/// In the order of their application. A file of functions or triggers gets a new number when it changes, so that there is
/// one definition of each; on an older database it replaces those that the number before had made.
pub(in crate::store) const MIGRATIONS: [Migration; 14] = [
    Migration {
        version: 1,
        name: "oncare_tables",
        sql: include_str!("../../../sql/0001_oncare_tables.sql"),
        kind: Kind::HostTables,
    },
    Migration {
        version: 2,
        name: "live_tables",
        sql: include_str!("../../../sql/0002_live_tables.sql"),
        kind: Kind::Plain,
    },
    Migration {
        version: 6,
        name: "leaner_events",
        sql: include_str!("../../../sql/0006_leaner_events.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 10,
        name: "order_timeline",
        sql: include_str!("../../../sql/0010_order_timeline.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 20,
        name: "positions",
        sql: include_str!("../../../sql/0020_positions.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 23,
        name: "fold_database",
        sql: include_str!("../../../sql/0023_fold_database.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 24,
        name: "live_functions",
        sql: include_str!("../../../sql/0024_live_functions.sql"),
        kind: Kind::Functions,
    },
    Migration {
        version: 19,
        name: "triggers",
        sql: include_str!("../../../sql/0019_triggers.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration { version: 14, name: "viewing", sql: include_str!("../../../sql/0014_viewing.sql"), kind: Kind::Plain },
    Migration {
        version: 16,
        name: "saved_view",
        sql: include_str!("../../../sql/0016_saved_view.sql"),
        kind: Kind::Plain,
    },
    Migration { version: 17, name: "accounts", sql: include_str!("../../../sql/0017_accounts.sql"), kind: Kind::Plain },
    Migration { version: 18, name: "arrival", sql: include_str!("../../../sql/0018_arrival.sql"), kind: Kind::Plain },
    Migration { version: 22, name: "tidied", sql: include_str!("../../../sql/0022_tidied.sql"), kind: Kind::Plain },
    // last, as it waits for the transactions of others
    Migration {
        version: 9,
        name: "list_index",
        sql: include_str!("../../../sql/0009_list_index.sql"),
        kind: Kind::ConcurrentIndex,
    },
];

/// The triggers: table, name, function.
pub(in crate::store) const TRIGGERS: [(&str, &str, &str); 8] = [
    ("orders_order", "!live_insert", "record_insert"),
    ("orders_order", "!live_update", "record_update"),
    ("orders_order", "live_delete", "record_delete"),
    ("orders_order", "!live_truncate", "record_truncate"),
    ("orders_orderitem", "live_insert", "record_items"),
    ("orders_orderitem", "live_update", "record_items"),
    ("orders_orderitem", "live_delete", "record_items"),
    ("orders_orderitem", "live_truncate", "record_truncate"),
];

/// The index that is ours where the host has none like it.
pub(in crate::store) const LIST_INDEX: &str = "public.orders_order_live_list_idx";

/// Waits for the transactions of others, and makes nobody wait.
pub(in crate::store) const DROP_LIST_INDEX: &str =
    "drop index concurrently if exists public.orders_order_live_list_idx";

/// The functions that the migrations define in schema `live`.
pub(in crate::store) fn functions() -> impl Iterator<Item = &'static str> {
    let defined = MIGRATIONS.iter().flat_map(|m| m.sql.split("function live.").skip(1));
    defined
        .filter_map(|rest| rest.split_once('('))
        .map(|(name, _)| name)
        .filter(|name| !name.contains(char::is_whitespace))
}

/// Whether the body is the function's, as the migrations define it last.
pub(in crate::store) fn defines_body(function: &str, body: &str) -> bool {
    let heading = format!("function live.{function}(");
    let definitions = MIGRATIONS.iter().rev().filter_map(|migration| migration.sql.split_once(&heading));
    let bodies = definitions.filter_map(|(_, definition)| definition.split("$$").nth(1));
    bodies.take(1).any(|defined| defined == body)
}
