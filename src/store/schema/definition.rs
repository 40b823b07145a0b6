//! What this version has in the database, as the numbered files of `sql/` and the triggers define it.

/// A file of `sql/`.
#[derive(Debug)]
pub(in crate::store) struct Migration {
    /// Its name without `.sql`: the version and what it is about.
    pub(in crate::store) file: &'static str,
    pub(in crate::store) sql: &'static str,
    pub(in crate::store) kind: Kind,
}

impl Migration {
    pub(in crate::store) fn version(&self) -> i32 {
        self.file.split_once('_').and_then(|(version, _)| version.parse().ok()).unwrap_or_default()
    }

    pub(in crate::store) fn name(&self) -> &'static str {
        self.file.split_once('_').map_or(self.file, |(_, name)| name)
    }
}

macro_rules! migration {
    ($file:literal, $kind:ident) => {
        Migration { file: $file, sql: include_str!(concat!("../../../sql/", $file, ".sql")), kind: Kind::$kind }
    };
}

#[derive(Debug, PartialEq, Eq)]
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
pub(in crate::store) static MIGRATIONS: [Migration; 20] = [
    migration!("0001_oncare_tables", HostTables),
    migration!("0002_live_tables", Plain),
    migration!("0006_leaner_events", LocksWhatIsWritten),
    migration!("0010_order_timeline", LocksWhatIsWritten),
    migration!("0020_positions", LocksWhatIsWritten),
    migration!("0023_fold_database", LocksWhatIsWritten),
    migration!("0025_unreadable", Plain),
    migration!("0028_fold_recording", LocksWhatIsWritten),
    migration!("0030_live_functions", Functions),
    migration!("0037_triggers", LocksWhatIsWritten),
    migration!("0034_no_role", LocksWhatIsWritten),
    migration!("0014_viewing", Plain),
    migration!("0016_saved_view", Plain),
    migration!("0017_accounts", Plain),
    migration!("0018_arrival", Plain),
    migration!("0022_tidied", Plain),
    migration!("0032_sign_in", Plain),
    migration!("0035_instances", Plain),
    migration!("0036_event_version", Functions),
    // last, as it waits for the transactions of others
    migration!("0009_list_index", ConcurrentIndex),
];

/// The triggers: table, name, function.
pub(in crate::store) const TRIGGERS: [(&str, &str, &str); 9] = [
    ("orders_order", "!live_insert", "record_insert"),
    ("orders_order", "!live_update", "record_update"),
    ("orders_order", "live_delete", "record_delete"),
    ("orders_order", "!live_truncate", "record_truncate"),
    ("orders_orderitem", "live_insert", "record_items"),
    ("orders_orderitem", "live_update", "record_items"),
    ("orders_orderitem", "live_delete", "record_items"),
    ("orders_orderitem", "live_truncate", "record_truncate"),
    ("orders_orderstatushistory", "live_insert", NAMING_FUNCTION),
];

/// The trigger without which no change goes unrecorded: nobody is told who made it, if its application names its users only in its
/// history.
pub const NAMING_TRIGGER: &str = "orders_orderstatushistory.live_insert";

/// What that trigger calls.
pub(in crate::store) const NAMING_FUNCTION: &str = "record_history";

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

/// The tables that a migration makes in schema `live`.
pub(in crate::store) fn tables_of(migration: &Migration) -> impl Iterator<Item = &'static str> {
    let made = migration.sql.split("table live.").chain(migration.sql.split("table if not exists live."));
    // what is altered or dropped is followed by no list of columns
    made.filter_map(|rest| rest.split_once(" ("))
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
}

/// What says which migrations were applied. It is made before them.
pub(in crate::store) const NOTES: &str = "migration";

/// What earlier versions had in schema `live`, and this one has not.
const FORMER: &[&str] = &[
    "deltas_since",
    "epoch",
    "is_of_the_transaction",
    "parts",
    "statistics",
    "system_identifier",
    "tell_updates",
    "total_statistics",
];

/// The names of all relations and functions that any version ever made in schema `live`.
pub(in crate::store) fn names() -> Vec<&'static str> {
    let tables = MIGRATIONS.iter().flat_map(tables_of);
    [NOTES].into_iter().chain(tables).chain(functions()).chain(FORMER.iter().copied()).collect()
}

/// The last of some migrations that defines a function.
pub(in crate::store) fn defining<'a>(
    function: &str,
    migrations: impl IntoIterator<Item = &'a Migration, IntoIter: DoubleEndedIterator>,
) -> Option<&'a Migration> {
    let heading = heading(function);
    migrations.into_iter().rfind(|migration| migration.sql.contains(&heading))
}

/// Whether the body is the function's, as the migrations define it last.
pub(in crate::store) fn defines_body(function: &str, body: &str) -> bool {
    let definition = defining(function, &MIGRATIONS).and_then(|migration| migration.sql.split_once(&heading(function)));
    definition.and_then(|(_, definition)| definition.split("$$").nth(1)) == Some(body)
}

fn heading(function: &str) -> String {
    format!("function live.{function}(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_version_made_is_ours() {
        let kept = [
            include_str!("../../../tests/it/schemas/first.sql"),
            include_str!("../../../tests/it/schemas/0018.sql"),
            include_str!("../../../tests/kept/1/schema.sql"),
        ];
        let ours = names();
        for sql in kept.into_iter().chain(MIGRATIONS.iter().map(|migration| migration.sql)) {
            for kind in ["table ", "table if not exists ", "function ", "view ", "sequence ", "type ", "domain "] {
                for made in sql.split(&format!("{kind}live.")).skip(1) {
                    let name = made.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next().unwrap();
                    assert!(ours.contains(&name), "{kind}live.{name}");
                }
            }
        }
        assert!(tables_of(&MIGRATIONS[1]).eq(["order_event", "order_stats", "fold", "incarnation", "session"]));
    }

    #[test]
    fn each_file_has_a_number_of_its_own() {
        let mut versions: Vec<i32> = MIGRATIONS.iter().map(Migration::version).collect();
        versions.sort_unstable();
        versions.dedup();
        assert!(versions.len() == MIGRATIONS.len() && versions[0] > 0, "{versions:?}");
    }
}
