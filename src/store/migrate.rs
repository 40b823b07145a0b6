//! Applying the numbered migrations of `sql/`, each once.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::inspect::server;
use super::lent::BRIEFLY;
use super::{Attempt, DatabaseUrl, Folded, Link, Store, StoreError, TriggerState};

/// The key of the advisory lock under which one process migrates at a time: "oncamigr" in ASCII.
const MIGRATION_LOCK: i64 = 0x6f6e_6361_6d69_6772;

/// How often the lock is asked for. It is asked, not waited for: a waiting statement holds a snapshot, and building an
/// index concurrently waits for all older snapshots.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// How long creating the triggers may make writers wait behind it, and how often it is tried. A lock on the orders is
/// asked for; a long transaction of the host would otherwise queue every writer behind our request.
const TRIGGER_LOCK_TIMEOUT: &str = "300ms";
const TRIGGER_LOCK_ATTEMPTS: usize = 60;
const TRIGGER_LOCK_PAUSE: Duration = Duration::from_secs(1);

const POSTGRES_13: i32 = 130_000;

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
    kind: Kind,
}

#[derive(PartialEq, Eq)]
enum Kind {
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
const MIGRATIONS: [Migration; 12] = [
    Migration {
        version: 1,
        name: "oncare_tables",
        sql: include_str!("../../sql/0001_oncare_tables.sql"),
        kind: Kind::HostTables,
    },
    Migration {
        version: 2,
        name: "live_tables",
        sql: include_str!("../../sql/0002_live_tables.sql"),
        kind: Kind::Plain,
    },
    Migration {
        version: 6,
        name: "leaner_events",
        sql: include_str!("../../sql/0006_leaner_events.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 10,
        name: "order_timeline",
        sql: include_str!("../../sql/0010_order_timeline.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 20,
        name: "positions",
        sql: include_str!("../../sql/0020_positions.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration {
        version: 21,
        name: "live_functions",
        sql: include_str!("../../sql/0021_live_functions.sql"),
        kind: Kind::Functions,
    },
    Migration {
        version: 19,
        name: "triggers",
        sql: include_str!("../../sql/0019_triggers.sql"),
        kind: Kind::LocksWhatIsWritten,
    },
    Migration { version: 14, name: "viewing", sql: include_str!("../../sql/0014_viewing.sql"), kind: Kind::Plain },
    Migration {
        version: 16,
        name: "saved_view",
        sql: include_str!("../../sql/0016_saved_view.sql"),
        kind: Kind::Plain,
    },
    Migration { version: 17, name: "accounts", sql: include_str!("../../sql/0017_accounts.sql"), kind: Kind::Plain },
    Migration { version: 18, name: "arrival", sql: include_str!("../../sql/0018_arrival.sql"), kind: Kind::Plain },
    // last, as it waits for the transactions of others
    Migration {
        version: 9,
        name: "list_index",
        sql: include_str!("../../sql/0009_list_index.sql"),
        kind: Kind::ConcurrentIndex,
    },
];

/// The tables of the existing system that this service reads.
const HOST_TABLES: [&str; 5] =
    ["accounts_user", "inventory_medicine", "orders_order", "orders_orderitem", "orders_orderstatushistory"];

/// What a run of the migrations did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The names of the migrations that were applied now; empty where all were before.
    pub migrations: Vec<&'static str>,
    /// Whether triggers or functions that somebody had changed were put back.
    pub put_back: bool,
}

/// The oldest PostgreSQL that has what the design needs: `xid8` and `pg_snapshot`.
#[must_use]
pub fn oldest_supported_version() -> i32 {
    POSTGRES_13
}

impl Store {
    /// Applies what is missing, under an advisory lock, and builds the statistics. Triggers that somebody took away or
    /// changed are put back, and the statistics built anew, as changes went unnoticed.
    ///
    /// # Errors
    /// If the server is too old or a standby, the host's tables are there in part only, or the role lacks a right. What
    /// was applied before stays applied; running it again goes on.
    pub async fn migrate(&self) -> Result<Applied, StoreError> {
        let mut applied = migrate(&self.url).await?;
        let triggers = self.triggers().await?;
        let changed = triggers.iter().any(|(_, state)| *state != TriggerState::Current);
        if changed || !self.changed_functions().await?.is_empty() {
            put_back(&self.url).await?;
            applied.put_back = true;
        }
        // between two migrations changes may have been recorded in the manner of neither
        if applied.put_back || !applied.migrations.is_empty() {
            self.discard_fold().await?;
        }
        self.fold_now().await?;
        Ok(applied)
    }

    /// Builds the statistics anew from the orders.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn rebuild_statistics(&self) -> Result<(), StoreError> {
        self.discard_fold().await?;
        self.fold_now().await
    }

    async fn fold_now(&self) -> Result<(), StoreError> {
        while self.fold().await? == Folded::Elsewhere {
            tokio::time::sleep(LOCK_POLL).await;
        }
        Ok(())
    }

    /// The names of the migrations that are not applied.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn pending_migrations(&self) -> Result<Vec<&'static str>, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let row = client
            .query_one("select to_regclass('live.migration') is not null", &[])
            .await
            .attempt("look for applied migrations")?;
        let applied: Vec<i32> = if row.get(0) {
            let rows =
                client.query("select version from live.migration", &[]).await.attempt("read applied migrations")?;
            rows.iter().map(|row| row.get(0)).collect()
        } else {
            Vec::new()
        };
        Ok(MIGRATIONS.iter().filter(|m| !applied.contains(&m.version)).map(|m| m.name).collect())
    }
}

/// The functions that the migrations define in schema `live`.
pub(super) fn functions() -> impl Iterator<Item = &'static str> {
    let defined = MIGRATIONS.iter().flat_map(|m| m.sql.split("function live.").skip(1));
    defined
        .filter_map(|rest| rest.split_once('('))
        .map(|(name, _)| name)
        .filter(|name| !name.contains(char::is_whitespace))
}

/// Whether the body is the function's, as the migrations define it last.
pub(super) fn defines_body(function: &str, body: &str) -> bool {
    let heading = format!("function live.{function}(");
    let definitions = MIGRATIONS.iter().rev().filter_map(|migration| migration.sql.split_once(&heading));
    let bodies = definitions.filter_map(|(_, definition)| definition.split("$$").nth(1));
    bodies.take(1).any(|defined| defined == body)
}

async fn open(url: &DatabaseUrl) -> Result<Link, StoreError> {
    let link = Link::open(url, "migration", |_, _| {}).await?;
    link.client
        .batch_execute("set statement_timeout = 0; set enable_seqscan = on; set client_min_messages = warning")
        .await
        .attempt("prepare the session")?;
    Ok(link)
}

async fn put_back(url: &DatabaseUrl) -> Result<(), StoreError> {
    let link = open(url).await?;
    lock(&link.client).await?;
    let again = [Kind::Functions, Kind::LocksWhatIsWritten];
    for migration in MIGRATIONS.iter().filter(|migration| again.contains(&migration.kind)) {
        without_queueing_writers(&link.client, migration, "").await?;
    }
    Ok(())
}

async fn migrate(url: &DatabaseUrl) -> Result<Applied, StoreError> {
    let link = open(url).await?;
    let client = &link.client;
    let (number, version, standby) = server(client).await?;
    if number < POSTGRES_13 {
        return Err(StoreError::Unsuitable(format!("PostgreSQL 13 or newer is needed; the server is {version}")));
    }
    if standby {
        return Err(StoreError::Standby);
    }
    lock(client).await?;
    // names in the migrations are qualified; nothing may depend on the role's search path
    client
        .batch_execute(
            "set search_path = pg_catalog, pg_temp;
             create schema if not exists live;
             create table if not exists live.migration (
                 version integer constraint migration_pkey primary key,
                 name text not null,
                 applied_at timestamptz not null default now()
             )",
        )
        .await
        .attempt("create schema live")?;
    let rows = client.query("select version from live.migration", &[]).await.attempt("read applied migrations")?;
    let done: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let mut migrations = Vec::new();
    for migration in MIGRATIONS.iter().filter(|migration| !done.contains(&migration.version)) {
        apply(client, migration).await?;
        migrations.push(migration.name);
    }
    client
        .execute("insert into live.incarnation default values on conflict do nothing", &[])
        .await
        .attempt("name the server's incarnation")?;
    Ok(Applied { migrations, put_back: false })
}

/// The lock belongs to the session and goes with it.
async fn lock(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let mut waiting = false;
    loop {
        let row = client
            .query_one("select pg_try_advisory_lock($1)", &[&MIGRATION_LOCK])
            .await
            .attempt("lock the migrations")?;
        if row.get(0) {
            return Ok(());
        }
        if !std::mem::replace(&mut waiting, true) {
            tracing::info!("another process is migrating; waiting until it is done");
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

async fn apply(client: &tokio_postgres::Client, migration: &Migration) -> Result<(), StoreError> {
    tracing::info!(migration = migration.name, "applying");
    match migration.kind {
        Kind::HostTables if has_host_tables(client).await? => note(client, migration).await,
        Kind::HostTables | Kind::Plain | Kind::Functions => {
            in_transaction(client, migration, "", &noting(migration)).await.map_err(|e| told(migration, e))
        }
        Kind::LocksWhatIsWritten => without_queueing_writers(client, migration, &noting(migration)).await,
        Kind::ConcurrentIndex => {
            if !has_list_index(client).await? {
                client
                    .batch_execute("drop index concurrently if exists public.orders_order_live_list_idx")
                    .await
                    .map_err(|e| told(migration, e))?;
                client.batch_execute(migration.sql).await.map_err(|e| told(migration, e))?;
            }
            note(client, migration).await
        }
    }
}

async fn without_queueing_writers(
    client: &tokio_postgres::Client,
    migration: &Migration,
    after: &str,
) -> Result<(), StoreError> {
    let timeout = format!("set local lock_timeout = '{TRIGGER_LOCK_TIMEOUT}';");
    for attempt in 1.. {
        match in_transaction(client, migration, &timeout, after).await {
            Err(e) if e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) && attempt < TRIGGER_LOCK_ATTEMPTS => {
                tracing::warn!(attempt, "the orders are locked by another transaction; trying again in 1 s");
                tokio::time::sleep(TRIGGER_LOCK_PAUSE).await;
            }
            outcome => return outcome.map_err(|e| told(migration, e)),
        }
    }
    Ok(())
}

/// The statement that notes a migration as applied.
fn noting(Migration { version, name, .. }: &Migration) -> String {
    format!("insert into live.migration (version, name) values ({version}, '{name}');")
}

async fn in_transaction(
    client: &tokio_postgres::Client,
    migration: &Migration,
    before: &str,
    after: &str,
) -> Result<(), tokio_postgres::Error> {
    let outcome = client.batch_execute(&format!("begin; {before}\n{}\n{after} commit", migration.sql)).await;
    if outcome.is_err() {
        client.batch_execute("rollback").await?;
    }
    outcome
}

async fn note(client: &tokio_postgres::Client, migration: &Migration) -> Result<(), StoreError> {
    client.batch_execute(&noting(migration)).await.attempt("note the migration")
}

fn told(migration: &Migration, error: tokio_postgres::Error) -> StoreError {
    let cause = error.as_db_error().map_or_else(|| super::error::chain(&error), ToString::to_string);
    StoreError::Unsuitable(format!(
        "could not apply the migration {:04}_{}: {cause}",
        migration.version, migration.name
    ))
}

/// All of the host's tables are there, or none.
async fn has_host_tables(client: &tokio_postgres::Client) -> Result<bool, StoreError> {
    let names: Vec<&str> = HOST_TABLES.to_vec();
    let rows = client
        .query("select t from unnest($1::text[]) t where to_regclass('public.' || t) is null", &[&names])
        .await
        .attempt("look for the OnCare tables")?;
    let missing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if missing.is_empty() || missing.len() == HOST_TABLES.len() {
        return Ok(missing.is_empty());
    }
    Err(StoreError::Unsuitable(format!(
        "this database has only a part of the OnCare tables: public.{} is missing. Use a complete OnCare database, or an \
         empty one",
        missing.join(", public.")
    )))
}

/// Whether a valid, complete index with the list's leading columns exists, ours or the host's own.
async fn has_list_index(client: &tokio_postgres::Client) -> Result<bool, StoreError> {
    let row = client
        .query_one(
            "select exists (
                 select from pg_index i
                 where i.indrelid = 'public.orders_order'::regclass and i.indisvalid and i.indpred is null
                   and array(select pg_get_indexdef(i.indexrelid, k, false) from generate_series(1, 4) k)
                       = array['sales_rep_id', 'status', 'created_at', 'id']
                   and (i.indoption::int2[])[2:3] = array[3, 3]::int2[]
             )",
            &[],
        )
        .await
        .attempt("look for the list's index")?;
    Ok(row.get(0))
}
