//! What every session of the service sets for itself, whatever its database or role has by default.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::Client;

/// How long a statement of the service may take before the server ends it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// It is lent now and then.
    Pool,
    /// It is a task's own, which says something every few seconds.
    Link,
}

impl Purpose {
    /// For how long it may be silent. The server ends it then, and with it every lock of one whose client is gone: also of one
    /// that something between goes on acknowledging for. The pool drops its own long before that.
    const fn silence(self) -> Duration {
        match self {
            Self::Pool => Duration::from_secs(120),
            Self::Link => Duration::from_secs(20),
        }
    }
}

/// By name and value. What a version of the server lacks is left out.
const SETTINGS: &[(&str, &str)] = &[
    // Reads that were serializable would make the host's writers fail; a session that can't write could not fold.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    // Every name in the statements is qualified.
    ("search_path", "pg_catalog, pg_temp"),
    // A statement has one limit, which is told by `StoreError::TooSlow`, and whoever must not wait for a lock says so itself.
    ("lock_timeout", "0"),
    ("transaction_timeout", "0"),
    // A session of a client that vanished is ended within seconds, as it may hold locks: also while it executes something.
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
    // How values are read and written as text, also by what compares definitions with those that it knows.
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("standard_conforming_strings", "on"),
    ("array_nulls", "on"),
    ("transform_null_equals", "off"),
    ("quote_all_identifiers", "off"),
    // No error where a policy lets the role see all rows. That one hides some is found by the doctor.
    ("row_security", "on"),
    // No plan that reads a whole table where an index serves; one plan for each statement, of which no way is barred; no
    // workers and no just-in-time compilation for what runs for microseconds.
    ("enable_seqscan", "off"),
    ("enable_indexscan", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_bitmapscan", "on"),
    ("enable_nestloop", "on"),
    ("enable_hashjoin", "on"),
    ("enable_mergejoin", "on"),
    ("enable_hashagg", "on"),
    ("enable_sort", "on"),
    ("enable_material", "on"),
    ("plan_cache_mode", "force_generic_plan"),
    ("max_parallel_workers_per_gather", "0"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
];

/// What sets the same in a session of psql's, whose connection and transactions are whoever's runs it.
pub(in crate::store) fn settings_of_script() -> String {
    let own =
        SETTINGS.iter().filter(|(name, _)| !name.starts_with("tcp_") && !name.starts_with("default_transaction_"));
    let values: Vec<String> = own.map(|(name, value)| format!("('{name}', '{value}')")).collect();
    format!(
        "do $$ begin perform set_config(s.name, v.value, false)
from (values {}) v (name, value) join pg_settings s on s.name = v.name; end $$",
        values.join(", ")
    )
}

static OF_POOL: LazyLock<String> = LazyLock::new(|| preparation(Purpose::Pool));
static OF_LINK: LazyLock<String> = LazyLock::new(|| preparation(Purpose::Link));

/// Makes a new session independent of its database's and role's defaults, in one round trip.
pub(in crate::store) async fn prepare(client: &Client, purpose: Purpose) -> Result<(), tokio_postgres::Error> {
    client
        .batch_execute(match purpose {
            Purpose::Pool => &OF_POOL,
            Purpose::Link => &OF_LINK,
        })
        .await
}

/// The defaults may make every statement too slow, serializable, or resolve operators in a stranger's schema: those are set
/// first, and the rest in a transaction that has none of them. It may be one that only reads: on a standby there is no other.
///
/// A server that executes a statement notices that its client is gone only where it looks, which it can on Linux.
fn preparation(purpose: Purpose) -> String {
    let (statement, silence) = (STATEMENT_TIMEOUT.as_millis().to_string(), purpose.silence().as_millis().to_string());
    let settings = SETTINGS.iter().map(|(name, value)| (*name, *value));
    let limits = [
        ("statement_timeout", statement.as_str()),
        ("idle_in_transaction_session_timeout", &statement),
        ("idle_session_timeout", &silence),
    ];
    let mut values = String::new();
    for (name, value) in settings.chain(limits) {
        // infallible
        let _ = write!(values, "('{name}', '{value}'), ");
    }
    format!(
        "set statement_timeout = 0;
         begin isolation level read committed, not deferrable;
         set local search_path = pg_catalog, pg_temp;
         select set_config(s.name, v.value, false)
         from (values {values}
             -- a database in SQL_ASCII has texts that are none in UTF-8, which the server would refuse to give out as such
             ('client_encoding',
              case when current_setting('server_encoding') = 'SQL_ASCII' then 'SQL_ASCII' else 'UTF8' end),
             ('client_connection_check_interval', case when version() like '%linux%' then '5s' else '0' end)
         ) v (name, value)
         join pg_settings s on s.name = v.name;
         commit"
    )
}
