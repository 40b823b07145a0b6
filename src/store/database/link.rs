//! A dedicated connection: one that receives notifications, or must not wait for the pool.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::future::poll_fn;
use tokio_postgres::AsyncMessage;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::error::{Attempt, StoreError};
use super::settings::{self, Purpose};
use super::statement::cancel;
use super::url::DatabaseUrl;

/// How long connect, start-up and first statements may take in all. A server that accepts and then says nothing is
/// not covered by the connect time-out.
const LINK_TIMEOUT: Duration = Duration::from_secs(10);

/// A dedicated connection, never pooled: a pool discards notifications. Dropping it ends the connection.
pub struct Link {
    pub(in crate::store) client: ClientWrapper,
    closed: CancellationToken,
    tls: MakeRustlsConnect,
}

impl Link {
    /// Connects and makes the session ready, all within ten seconds. The server shows it as being for that purpose.
    /// `on_notice` gets the channel and payload of each notification as it comes; it runs on the connection's task and
    /// must neither block nor trust what it gets, as any database role can send anything at any rate. A notification that is not
    /// UTF-8, which a database in SQL_ASCII passes on, ends the connection.
    ///
    /// # Errors
    /// If the server can't be reached in time, or refuses.
    pub async fn open(
        url: &DatabaseUrl,
        purpose: &str,
        mut on_notice: impl FnMut(&str, &str) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let opening = async {
            let mut config = url.config();
            let name = format!("{} {purpose}", config.get_application_name().unwrap_or_default());
            config.application_name(name.trim());
            let tls = url.connector()?;
            let (client, mut connection) = config.connect(tls.clone()).await.attempt("connect")?;
            let closed = CancellationToken::new();
            let closing = closed.clone().drop_guard();
            let driver = tokio::spawn(async move {
                let _closing = closing;
                while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                    if let AsyncMessage::Notification(notice) = message {
                        on_notice(notice.channel(), notice.payload());
                    }
                }
            });
            let link = Self { client: ClientWrapper::new(client, driver), closed, tls };
            settings::prepare(&link.client, Purpose::Link).await.attempt("prepare the session")?;
            Ok(link)
        };
        tokio::time::timeout(LINK_TIMEOUT, opening).await.unwrap_or_else(|elapsed| {
            Err(StoreError::Unavailable { attempted: "connect within 10 s", cause: elapsed.into() })
        })
    }

    /// Listens on a channel. It is in force, committed and acknowledged, on return.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn listen(&self, channel: &'static str) -> Result<(), StoreError> {
        self.client.batch_execute(&format!("listen {channel}")).await.attempt("listen for notifications")
    }

    /// Ends the connection, and has the server end what may be under way on it: a commit that waits for a standby would
    /// outlast the connection, and whoever connects again and again would take every connection that the server has.
    pub fn give_up(self) {
        cancel(&self.client, &self.tls);
    }

    /// Returns when the connection is lost.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}
