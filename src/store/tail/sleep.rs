//! Whether a listener sleeps: the locks that tell writers to notify. See `live.listener_sleeps()` in `sql/`.

use super::canary::CHANNEL;
use crate::store::database::{Attempt, Link, Parameters, StoreError, rows};

/// The key of the lock, as in `live.listener_sleeps()`: "oncawake" in ASCII.
pub(in crate::store) const SLEEP_LOCK: i64 = 0x6f6e_6361_7761_6b65;

/// The first half of a lease's key: "onca" in ASCII. The second is the lease's period.
const LEASE_LOCK: i32 = 0x6f6e_6361;

/// The present period, of five seconds by the server's clock, as in `live.listener_sleeps()`.
const PERIOD: &str = "floor(date_part('epoch', clock_timestamp()) / 5)::integer";

/// The payload with which an instance says that it no longer sleeps.
pub const RISEN: &str = "risen";

/// The later of the two periods in which writers believe that this connection sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(i32);

/// Whose sleep it is that makes writers notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleeper {
    /// Nobody's: transactions that commit from now on possibly do not notify.
    Nobody,
    /// This connection's, until it rises, is lost, or lets its lease end.
    Ourselves(Lease),
    /// Another instance's. It says so when it rises, but not when it is lost.
    Another,
}

impl Link {
    /// Whether transactions of this server can be prepared for a two-phase commit, which PostgreSQL refuses to those that
    /// notify.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn may_prepare(&self) -> Result<bool, StoreError> {
        let sql = "select current_setting('max_prepared_transactions')::integer > 0";
        let row = self.client.query_one(sql, &[]).await.attempt("ask whether transactions can be prepared")?;
        Ok(row.get(0))
    }

    /// Tries to fall asleep. If anybody sleeps then, everything that was committed without a notification is visible to
    /// whoever reads after this; what is committed later is notified.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn try_sleep(&self) -> Result<Sleeper, StoreError> {
        // Whoever finds the sleep lock taken from now on looks for the lease of this period or a later one.
        let period = self.period().await?;
        if !self.is_granted("select pg_try_advisory_lock($1)", &[&SLEEP_LOCK]).await? {
            // by a writer that was not told to notify, by another listener, who has the lease as well, or by a stranger
            let sql = "select pg_try_advisory_xact_lock_shared($1, $2)";
            let is_free = self.is_granted(sql, &[&LEASE_LOCK, &period]).await?;
            return Ok(if is_free { Sleeper::Nobody } else { Sleeper::Another });
        }
        let lease = Lease(period + 1);
        let is_ours =
            self.take(period).await? && self.take(lease.0).await? && (period..=lease.0).contains(&self.period().await?);
        if !is_ours {
            self.rise().await?;
            return Ok(Sleeper::Nobody);
        }
        Ok(Sleeper::Ourselves(lease))
    }

    /// Takes the lease of a sleeper for the next period as well. `None` if it had already ended: writers
    /// possibly did not notify since then.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn renew(&self, lease: Lease) -> Result<Option<Lease>, StoreError> {
        let period = self.period().await?;
        // the server's clock may have been set back
        if period == lease.0 - 1 {
            return Ok(Some(lease));
        }
        if period != lease.0 || !self.take(period + 1).await? {
            return Ok(None);
        }
        self.is_granted("select pg_advisory_unlock($1, $2)", &[&LEASE_LOCK, &(period - 1)]).await?;
        Ok(Some(Lease(period + 1)))
    }

    /// Rises: writers are no longer told to notify. Other instances that sleep along must be told: see [`Link::tell_risen`].
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn rise(&self) -> Result<(), StoreError> {
        // this connection has no other advisory locks
        rows(&self.client, "select pg_advisory_unlock_all()", &[]).await.attempt("rise")?;
        Ok(())
    }

    /// Says to the other instances that this one no longer sleeps.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn tell_risen(&self) -> Result<(), StoreError> {
        let told = self.client.execute("select pg_notify($1, $2)", &[&CHANNEL, &RISEN]).await;
        told.attempt("say that the listener rose")?;
        Ok(())
    }

    async fn period(&self) -> Result<i32, StoreError> {
        let answer = rows(&self.client, &format!("select {PERIOD}"), &[]).await.attempt("read the server's clock")?;
        answer.first().map(|row| row.get(0)).ok_or_else(|| StoreError::unreadable("the server's clock", "no row"))
    }

    async fn take(&self, period: i32) -> Result<bool, StoreError> {
        self.is_granted("select pg_try_advisory_lock($1, $2)", &[&LEASE_LOCK, &period]).await
    }

    async fn is_granted(&self, sql: &str, key: Parameters<'_>) -> Result<bool, StoreError> {
        let answer = rows(&self.client, sql, key).await.attempt("take a lock of the listener's sleep")?;
        Ok(answer.first().is_some_and(|row| row.get(0)))
    }
}
