//! The canary, which proves that notifications arrive, and the queue that they wait in.

use crate::store::database::{Attempt, Link, StoreError};

/// The channel on which the triggers notify.
pub(in crate::store) const CHANNEL: &str = "live_orders";

/// The channel on which the canary comes back.
pub(in crate::store) const CANARY_CHANNEL: &str = "live_canary";

impl Link {
    /// Listens for what the triggers send, and for the canary. Nobody can on a standby.
    ///
    /// # Errors
    /// If the server is a standby or is lost.
    pub async fn listen_for_orders(&self) -> Result<(), StoreError> {
        refuse_standby(&self.client).await?;
        self.listen(CHANNEL).await?;
        self.listen(CANARY_CHANNEL).await
    }

    /// Sends the canary: a notification that must come back to every listener.
    ///
    /// # Errors
    /// If the connection is lost, or the notification queue is full.
    pub async fn send_canary(&self, nonce: &str) -> Result<(), StoreError> {
        let sent = self.client.execute("select pg_notify($1, $2)", &[&CANARY_CHANNEL, &nonce]).await;
        sent.attempt("send the canary")?;
        Ok(())
    }

    /// How full the server's notification queue is, from 0 to 1. Asking also cleans it up after a laggard is gone: a
    /// full queue makes every notifying commit fail until somebody asks.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn notification_queue_usage(&self) -> Result<f64, StoreError> {
        let usage = self.client.query_one("select pg_notification_queue_usage()", &[]).await;
        Ok(usage.attempt("ask for the queue's usage")?.get(0))
    }
}

async fn refuse_standby(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let row = client.query_one("select pg_is_in_recovery()", &[]).await.attempt("ask whether this is a standby")?;
    if row.get(0) { Err(StoreError::Standby) } else { Ok(()) }
}

/// Whether a notification is the canary's.
#[must_use]
pub fn is_canary(channel: &str) -> bool {
    channel == CANARY_CHANNEL
}
