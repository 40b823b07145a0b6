//! Whether a listener sleeps: the lock that tells writers to notify. See `live.listener_sleeps()` in `sql/`.

use super::events::CHANNEL;
use super::{Attempt, Link, StoreError, rows};

/// The key of the lock, as in `live.listener_sleeps()`: "oncawake" in ASCII.
pub(super) const SLEEP_LOCK: i64 = 0x6f6e_6361_7761_6b65;

/// The payload with which an instance says that it no longer sleeps.
pub const RISEN: &str = "risen";

/// Whose sleep it is that makes writers notify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleeper {
    /// Nobody's: what is committed from now on may not be notified.
    Nobody,
    /// This connection's, until it rises or is lost.
    Ourselves,
    /// Another instance's. It says so when it rises, but not when it is lost.
    Another,
}

impl Link {
    /// Tries to fall asleep. If anybody sleeps then, everything that was committed without a notification is visible to
    /// whoever reads after this; what is committed later is notified.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn try_sleep(&self) -> Result<Sleeper, StoreError> {
        // The exclusive lock is refused while another instance sleeps, and while a writer that was not told to notify is
        // still in its transaction. The shared one, given back at once, tells the two apart.
        let sql = "select case when pg_try_advisory_lock($1) then 1 when pg_try_advisory_xact_lock_shared($1) then 0 else 2 end";
        let answer = rows(&self.client, sql, &[&SLEEP_LOCK]).await.attempt("fall asleep")?;
        Ok(match answer.first().map(|row| row.get(0)) {
            Some(1) => Sleeper::Ourselves,
            Some(2) => Sleeper::Another,
            _ => Sleeper::Nobody,
        })
    }

    /// Rises, and says so to the other instances. Both happen in one statement, so that whatever becomes of this process,
    /// no writer goes unheard.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn rise(&self) -> Result<(), StoreError> {
        let sql = "select pg_advisory_unlock($1), pg_notify($2, $3)";
        rows(&self.client, sql, &[&SLEEP_LOCK, &CHANNEL, &RISEN]).await.attempt("rise")?;
        Ok(())
    }
}
