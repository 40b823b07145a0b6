//! A pooled connection for a read that may take long, and may be given up.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::runtime::Handle;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Store, StoreError};

/// How long the server may take to hear that a statement is not wanted any more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// Reads on a connection of the pool. Of a read that is given up half-way, because its asker has left, the server ends the
    /// statement.
    ///
    /// # Errors
    /// If there is no connection, and those of the read.
    pub(super) async fn lend<T>(
        &self,
        read: impl AsyncFnOnce(&mut ClientWrapper) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        lend(self.client().await?, &self.tls, read).await
    }
}

/// The same on a connection that is at hand already.
pub(super) async fn lend<T>(
    connection: Object,
    tls: &MakeRustlsConnect,
    read: impl AsyncFnOnce(&mut ClientWrapper) -> T,
) -> T {
    let mut lent = Lent { connection: None, tls };
    let answer = read(lent.connection.insert(connection)).await;
    lent.connection = None;
    answer
}

/// A connection that goes back to the pool only after its answer: until then it is busy, whoever else needs it.
struct Lent<'a> {
    connection: Option<Object>,
    tls: &'a MakeRustlsConnect,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let (Some(connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) else { return };
        let (connection, tls) = (Object::take(connection), self.tls.clone());
        runtime.spawn(async move {
            // where that fails, the statement's own time-out ends it
            let _ = tokio::time::timeout(CANCEL_TIMEOUT, connection.cancel_token().cancel_query(tls)).await;
        });
    }
}
