//! The door to the database.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use prometheus_client::registry::Registry;

use super::error::StoreError;
use super::pool::{Connections, Lent, lend};
use super::remembered::Remembered;
use super::url::DatabaseUrl;

/// For how long a connection is lent: some more than the server gives one statement.
const LENT_FOR: Duration = Duration::from_secs(20);

/// The door to the database. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pub(in crate::store) connections: Connections,
    url: DatabaseUrl,
    /// Whether statistics were read since somebody last asked this.
    pub(in crate::store) statistics_read: Arc<AtomicBool>,
    /// What is wrong with the OnCare tables.
    pub(in crate::store) table_faults: Remembered<Vec<String>>,
    /// What keeps forms of the service's own from working.
    pub(in crate::store) form_obstacles: Remembered<Vec<String>>,
}

impl Store {
    /// Prepares a pool of at most that many connections. Connects to nothing yet.
    ///
    /// # Errors
    /// If the URL names a certificate that can't be read.
    pub fn new(url: DatabaseUrl, connections: usize) -> Result<Self, StoreError> {
        let connections = Connections::new(&url, connections)?;
        Ok(Self {
            connections,
            url,
            statistics_read: Arc::default(),
            table_faults: Remembered::default(),
            form_obstacles: Remembered::default(),
        })
    }

    /// Has the pool in the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.connections.register(registry);
    }

    /// What to say where all connections of the pool are lent and somebody waits for one.
    #[must_use]
    pub fn exhaustion(&self) -> Option<String> {
        self.connections.exhaustion()
    }

    /// The URL of the database, for a message.
    #[must_use]
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// A connection for a few statements.
    pub(in crate::store) async fn client(&self) -> Result<Lent, StoreError> {
        self.client_for(LENT_FOR).await
    }

    /// A connection for so long.
    pub(in crate::store) async fn client_for(&self, time: Duration) -> Result<Lent, StoreError> {
        self.connections.borrow_to_prove(time).await
    }

    /// Does something on a connection of the pool. Where that is given up half-way, because its asker has left, the server ends
    /// the statement.
    ///
    /// # Errors
    /// If there is no connection, and those of what is done.
    pub(in crate::store) async fn lend<T>(
        &self,
        work: impl AsyncFnOnce(&mut ClientWrapper) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        lend(self.client().await?, work).await
    }

    /// The same for a read that grows with the number of orders. Such reads get no more than a part of the pool.
    ///
    /// # Errors
    /// Those of [`Store::lend`].
    pub(in crate::store) async fn lend_to_search<T>(
        &self,
        work: impl AsyncFnOnce(&mut ClientWrapper) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        lend(self.connections.borrow_to_search(LENT_FOR).await?, work).await
    }
}
