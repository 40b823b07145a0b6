//! Everything that is asked of PostgreSQL: the pool, TLS, migrations, and every SQL statement beside its row mapping.

mod account;
mod accounts;
mod connect;
mod cost;
mod dashboard;
mod detail;
mod error;
mod events;
mod fold;
mod gather;
mod host;
mod inspect;
mod lent;
mod list;
mod migrate;
mod newest;
mod orders;
mod rights;
mod saved_views;
mod session;
mod sleep;
mod status;
mod status_since;
mod strangers;
mod uninstall;
mod viewing;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Statement};

use crate::cursor::{Cursor, Epoch};

use dashboard::SyncRequest;
use events::TooMuch;
use gather::Gather;
use lent::Connections;

pub use account::{Account, MuteOutcome, MutedOrder, Preferences, ReadUpto};
pub use accounts::{NewUser, Role, SessionHash, SignedIn, UserRecord};
pub use connect::{DatabaseUrl, Link};
pub use cost::Cost;
pub use dashboard::{Dashboard, Listed, Shown, Sync};
pub use detail::{Item, OrderDetail, Prescription};
pub use error::{StoreError, chain};

use error::Attempt;
pub use events::{Batch, Changed, News, is_canary};
pub use fold::{Folded, Progress};
pub use inspect::{Finding, TriggerState, Verdict};
pub use migrate::{Applied, SchemaState, oldest_supported_version};
pub use newest::{ListedChange, MOST_UNREAD, Mark, NEWEST_CHANGES, Newest};
pub use orders::{Edit, WriteOutcome};
pub use rights::{grants, rights};
pub use saved_views::SavedView;
pub use sleep::{Lease, RISEN, Sleeper};
pub use status::{StatusChange, StatusOutcome};
pub use status_since::StatusSince;
pub use strangers::Stranger;
pub use uninstall::Removed;
pub use viewing::Viewed;

/// The door to the database. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    connections: Connections,
    url: DatabaseUrl,
    gathered: Arc<Gathered>,
    statistics_read: Arc<AtomicBool>,
}

/// The reads that many ask for at the same time, so that one statement answers all who wait.
struct Gathered {
    sessions: Gather<SessionHash, Option<SignedIn>>,
    syncs: Gather<SyncRequest, Sync>,
    too_much: Arc<TooMuch>,
}

impl Store {
    /// Prepares a pool of at most that many connections. Connects to nothing yet.
    ///
    /// # Errors
    /// If the URL names a certificate that can't be read.
    pub fn new(url: DatabaseUrl, connections: usize) -> Result<Self, StoreError> {
        let connections = Connections::new(&url, connections)?;
        let gathered = Gathered {
            sessions: Gather::new(connections.clone(), accounts::check_sessions),
            syncs: Gather::new(connections.clone(), dashboard::read_syncs),
            too_much: Arc::default(),
        };
        Ok(Self { connections, url, gathered: Arc::new(gathered), statistics_read: Arc::default() })
    }

    /// The URL of the database, for a message.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }
}

type Parameters<'a> = &'a [&'a (dyn ToSql + std::marker::Sync)];

/// A connection, or a transaction on one, that remembers what it has prepared.
trait Connection: std::marker::Sync {
    fn client(&self) -> &tokio_postgres::Client;
    fn prepared(&self, sql: &str) -> impl Future<Output = Result<Statement, tokio_postgres::Error>> + Send;
}

impl Connection for ClientWrapper {
    fn client(&self) -> &tokio_postgres::Client {
        self
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.prepare_cached(sql).await
    }
}

impl Connection for Transaction<'_> {
    fn client(&self) -> &tokio_postgres::Client {
        (**self).client()
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.prepare_cached(sql).await
    }
}

/// Runs a statement that each connection prepares once. Its result's types must be cast, so that an altered column of
/// the host does not change them.
async fn rows(
    connection: &impl Connection,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = connection.prepared(sql).await?;
    connection.client().query(&statement, parameters).await
}

/// Statements that are then sent without waiting for one another must be prepared before, each once for a connection. They
/// are sent in the order of a `biased` join, which also gives the first error and not one that follows from it.
async fn prepare(client: &ClientWrapper, statements: &[&str]) -> Result<(), tokio_postgres::Error> {
    for statement in statements {
        client.prepare_cached(statement).await?;
    }
    Ok(())
}

/// Begins a transaction that reads orders, all of it in one snapshot.
async fn one_snapshot(client: &mut ClientWrapper) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = transaction.start().await?;
    transaction.batch_execute(HOLD_ORDERS).await?;
    Ok(transaction)
}

/// Begins a transaction that writes to the host's tables. Triggers of the host's run in it, which may find what is theirs by the
/// search path that the database or the role has by default.
async fn host_transaction(client: &mut ClientWrapper) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local search_path to default").await?;
    Ok(transaction)
}

/// TRUNCATE also empties the table for snapshots that are older than it. Whoever holds the tables before taking a snapshot
/// sees either nothing of a truncation or all of it. Taking this lock takes no snapshot.
const HOLD_ORDERS: &str = "lock table public.orders_order, public.orders_orderitem in access share mode";

/// The present snapshot and what the epoch is told by, as two columns. What can't change while the connection lasts is asked
/// once.
const PRESENT: &str = "(select pg_current_snapshot()::text) as snapshot, \
    (select coalesce(nullif(current_setting('oncare_live.server_life', true), ''), \
                     nullif(set_config('oncare_live.server_life', live.server_life(), false), '')) \
        || '/' || 'live.order_event'::regclass::oid \
        || '/' || coalesce((select rebuilds from live.fold), 0)) as life";

static SELECT_PRESENT: LazyLock<String> = LazyLock::new(|| format!("select {PRESENT}"));

/// The present snapshot as a cursor: the transaction's, if in one.
async fn present(client: &impl Connection) -> Result<Cursor, StoreError> {
    let read = rows(client, &SELECT_PRESENT, &[]).await;
    cursor_of(read.map_err(unless_standby("read the current snapshot"))?.first())
}

/// Says what was attempted, or that the server is a standby: during recovery there is no write-ahead log position to tell
/// the timeline by, and no unlogged table can be read.
fn unless_standby(attempted: &'static str) -> impl Fn(tokio_postgres::Error) -> StoreError {
    let of_recovery = [SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, SqlState::FEATURE_NOT_SUPPORTED];
    move |error| {
        if error.code().is_some_and(|state| of_recovery.contains(state)) {
            StoreError::Standby
        } else {
            StoreError::of(error, attempted)
        }
    }
}

/// The cursor in the columns of [`PRESENT`].
fn cursor_of(row: Option<&Row>) -> Result<Cursor, StoreError> {
    let row = row.ok_or_else(|| StoreError::unreadable("the snapshot", "no row"))?;
    let life: Option<&str> = row.get("life");
    Ok(Cursor {
        epoch: Epoch::of(life.ok_or(StoreError::NoEpoch)?),
        snapshot: row
            .get::<_, &str>("snapshot")
            .parse()
            .map_err(|cause| StoreError::unreadable("the snapshot", cause))?,
    })
}
