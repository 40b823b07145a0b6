//! Everything that is asked of PostgreSQL: the pool, TLS, migrations, and every SQL statement beside its row mapping.

mod accounts;
mod connect;
mod dashboard;
mod error;
mod events;
mod fold;
mod inspect;
mod migrate;
mod orders;

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::cursor::Cursor;

pub use accounts::{NewUser, Role, SessionHash, SignedIn, UserRecord};
pub use connect::{DatabaseUrl, Link};
pub use dashboard::{Dashboard, Sync};
pub use error::{StoreError, chain};

use error::Attempt;
pub use events::{Batch, BatchLimit, Events, News, is_canary};
pub use fold::Folded;
pub use inspect::{Finding, TriggerState};
pub use migrate::{Applied, oldest_supported_version};
pub use orders::{Edit, Item, OrderDetail, Timeline, WriteOutcome};

/// How long a statement of the service may take before the server ends it.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a request waits for a pooled connection before it is told that the database is unavailable.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// What every connection of the service sets: short statements, no plan that reads a whole table where an index serves,
/// no just-in-time compilation of plans that run for microseconds.
fn session_settings() -> String {
    let timeout = STATEMENT_TIMEOUT.as_millis();
    format!(
        "set statement_timeout = {timeout}; set idle_in_transaction_session_timeout = {timeout}; \
         set enable_seqscan = off; set jit = off; set time zone 'UTC'"
    )
}

/// The door to the database. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    url: DatabaseUrl,
}

impl Store {
    /// Prepares a pool of at most that many connections. Connects to nothing yet.
    ///
    /// # Errors
    /// If the URL names a certificate that can't be read.
    pub fn new(url: DatabaseUrl, connections: usize) -> Result<Self, StoreError> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(url.config(), url.connector()?, ManagerConfig { recycling_method });
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
        Ok(Self { pool, url })
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

/// Begins a transaction that reads, all of it in one snapshot.
async fn one_snapshot(client: &mut Client) -> Result<Transaction<'_>, tokio_postgres::Error> {
    client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await
}

/// The transaction's snapshot as a cursor.
async fn present(transaction: &Transaction<'_>) -> Result<Cursor, StoreError> {
    let read = transaction.query_one("select pg_current_snapshot()::text, live.epoch()", &[]).await;
    let row = match read {
        Err(error) if is_of_a_standby(&error) => return Err(StoreError::Standby),
        read => read.attempt("read the current snapshot")?,
    };
    cursor_of(row.get(0), row.get(1))
}

/// During recovery there is no write-ahead log position to tell the timeline by, and no unlogged table can be read.
fn is_of_a_standby(error: &tokio_postgres::Error) -> bool {
    let of_recovery = [SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, SqlState::FEATURE_NOT_SUPPORTED];
    error.code().is_some_and(|state| of_recovery.contains(state))
}

fn cursor_of(snapshot: &str, epoch: Option<&str>) -> Result<Cursor, StoreError> {
    let epoch = epoch.ok_or(StoreError::NoEpoch)?;
    Ok(Cursor {
        epoch: epoch.parse().map_err(|cause| StoreError::unreadable("the epoch", cause))?,
        snapshot: snapshot.parse().map_err(|cause| StoreError::unreadable("the snapshot", cause))?,
    })
}
