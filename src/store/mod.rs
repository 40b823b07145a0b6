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
mod sleep;
mod status;
mod status_since;
mod strangers;
mod uninstall;
mod viewing;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction,
};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::cursor::{Cursor, Epoch};

use dashboard::SyncRequest;
use gather::Gather;

pub use account::{Account, MuteOutcome, MutedOrder, Preferences, ReadUpto};
pub use accounts::{NewUser, Role, SessionHash, SignedIn, UserRecord};
pub use connect::{DatabaseUrl, Link};
pub use cost::Cost;
pub use dashboard::{Dashboard, Listed, Shown, Sync};
pub use detail::{Item, OrderDetail, Prescription};
pub use error::{StoreError, chain};

use error::Attempt;
pub use events::{Batch, Changed, News, is_canary};
pub use fold::Folded;
pub use inspect::{Finding, TriggerState, Verdict};
pub use migrate::{Applied, SchemaState, oldest_supported_version};
pub use newest::{ListedChange, MOST_UNREAD, Mark, NEWEST_CHANGES, Newest};
pub use orders::{Edit, WriteOutcome};
pub use rights::{grants, rights};
pub use saved_views::SavedView;
pub use sleep::{RISEN, Sleeper};
pub use status::{StatusChange, StatusOutcome};
pub use status_since::StatusSince;
pub use strangers::Stranger;
pub use uninstall::Removed;
pub use viewing::Viewed;

/// How long a statement of the service may take before the server ends it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request waits for a pooled connection before it is told that the database is unavailable.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// What every connection of the service sets: short statements, no plan that reads a whole table where an index serves,
/// one plan for each statement, no just-in-time compilation of plans that run for microseconds.
fn session_settings() -> String {
    let timeout = STATEMENT_TIMEOUT.as_millis();
    format!(
        "set statement_timeout = {timeout}; set idle_in_transaction_session_timeout = {timeout}; \
         set enable_seqscan = off; set plan_cache_mode = force_generic_plan; set jit = off; set time zone 'UTC'"
    )
}

/// The door to the database. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    url: DatabaseUrl,
    tls: MakeRustlsConnect,
    gathered: Arc<Gathered>,
    statistics_read: Arc<AtomicBool>,
}

/// The reads that many ask for at the same time, so that one statement answers all who wait.
struct Gathered {
    sessions: Gather<SessionHash, Option<SignedIn>>,
    syncs: Gather<SyncRequest, Sync>,
}

impl Store {
    /// Prepares a pool of at most that many connections. Connects to nothing yet.
    ///
    /// # Errors
    /// If the URL names a certificate that can't be read.
    pub fn new(url: DatabaseUrl, connections: usize) -> Result<Self, StoreError> {
        let recycling_method = RecyclingMethod::Fast;
        let tls = url.connector()?;
        let manager = Manager::from_config(url.config(), tls.clone(), ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(POOL_WAIT))
            .recycle_timeout(Some(POOL_WAIT))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(&session_settings()).await.map_err(HookError::Backend) })
            }))
            .build()
            .attempt("prepare the connection pool")?;
        let gathered = Gathered {
            sessions: Gather::new(pool.clone(), tls.clone(), accounts::check_sessions),
            syncs: Gather::new(pool.clone(), tls.clone(), dashboard::read_syncs),
        };
        Ok(Self { pool, url, tls, gathered: Arc::new(gathered), statistics_read: Arc::default() })
    }

    /// The URL of the database, for a message.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    async fn client(&self) -> Result<Object, StoreError> {
        self.pool.get().await.attempt("get a database connection")
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
