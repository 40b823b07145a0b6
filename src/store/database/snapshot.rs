//! Transactions, and the present snapshot as a cursor.

use std::sync::LazyLock;

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::error::SqlState;
use tokio_postgres::{IsolationLevel, Row};

use super::error::StoreError;
use super::statement::{Connection, rows};
use super::store::Store;
use crate::cursor::{Cursor, Epoch};

/// Begins a transaction that reads orders, all of it in one snapshot.
pub(in crate::store) async fn one_snapshot(
    client: &mut ClientWrapper,
) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = transaction.start().await?;
    transaction.batch_execute(HOLD_ORDERS).await?;
    Ok(transaction)
}

/// Begins a transaction that writes to the host's tables. Triggers of the host's run in it, which may find what is theirs by the
/// search path that the database or the role has by default. There may be a schema in it in which anybody makes functions and operators:
/// those of our statements here are qualified.
pub(in crate::store) async fn host_transaction(
    client: &mut ClientWrapper,
) -> Result<Transaction<'_>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("set local search_path to default").await?;
    Ok(transaction)
}

pub(in crate::store) const BEGIN: &str = "begin isolation level repeatable read, read only";

pub(in crate::store) static BEGIN_WITH_ORDERS: LazyLock<String> = LazyLock::new(|| format!("{BEGIN}; {HOLD_ORDERS}"));

/// TRUNCATE also empties the table for snapshots that are older than it. Whoever holds the tables before taking a snapshot
/// sees either nothing of a truncation or all of it. Taking this lock takes no snapshot.
pub(in crate::store) const HOLD_ORDERS: &str =
    "lock table public.orders_order, public.orders_orderitem in access share mode";

/// Two columns: the present snapshot, and the life, of which the epoch is a hash. The server's part of the life can't change
/// while the connection and the schema last: it is computed once and kept in a setting of the session, by a name of that
/// schema's.
pub(in crate::store) const PRESENT: &str = "(select pg_current_snapshot()::text) as snapshot, \
    (select coalesce(nullif(current_setting('oncare_live.life_' || 'live.incarnation'::regclass::oid, true), ''), \
                     nullif(set_config('oncare_live.life_' || 'live.incarnation'::regclass::oid, \
                                       live.server_life(), false), '')) \
        || '/' || 'live.order_event'::regclass::oid \
        || '/' || coalesce((select rebuilds from live.fold), 0)) as life";

pub(in crate::store) static SELECT_PRESENT: LazyLock<String> = LazyLock::new(|| format!("select {PRESENT}"));

/// The present snapshot as a cursor: the transaction's, if in one.
pub(in crate::store) async fn present(client: &impl Connection) -> Result<Cursor, StoreError> {
    let read = rows(client, &SELECT_PRESENT, &[]).await;
    cursor_of(read.map_err(unless_standby("read the current snapshot"))?.first())
}

impl Store {
    /// The present snapshot as a cursor.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn present(&self) -> Result<Cursor, StoreError> {
        present(&*self.client().await?).await
    }
}

/// The error of a read, or [`StoreError::Standby`] if it has the state that a server in recovery answers with: it has no
/// write-ahead log position to tell its timeline by, and can't read unlogged tables.
pub(in crate::store) fn unless_standby(attempted: &'static str) -> impl Fn(tokio_postgres::Error) -> StoreError {
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
pub(in crate::store) fn cursor_of(row: Option<&Row>) -> Result<Cursor, StoreError> {
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
