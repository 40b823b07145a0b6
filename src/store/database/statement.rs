//! Statements: those that each connection prepares once, and the end of one that is not wanted any more.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long the server may take to hear that a statement is not wanted any more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

pub(in crate::store) type Parameters<'a> = &'a [&'a (dyn ToSql + std::marker::Sync)];

/// A connection, or a transaction on one, that remembers what it has prepared.
pub(in crate::store) trait Connection: std::marker::Sync {
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
pub(in crate::store) async fn rows(
    connection: &impl Connection,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let statement = connection.prepared(sql).await?;
    connection.client().query(&statement, parameters).await
}

/// Statements that are then sent without waiting for one another must be prepared before, each once for a connection. They
/// are sent in the order of a `biased` join, which also gives the first error and not one that follows from it.
pub(in crate::store) async fn prepare(
    client: &ClientWrapper,
    statements: &[&str],
) -> Result<(), tokio_postgres::Error> {
    for statement in statements {
        client.prepare_cached(statement).await?;
    }
    Ok(())
}

/// Has the server end what is under way on a connection. Where that fails, the statement's own time-out ends it.
pub(in crate::store) fn cancel(client: &Client, tls: &MakeRustlsConnect) {
    let Ok(runtime) = Handle::try_current() else { return };
    let (statement, tls) = (client.cancel_token(), tls.clone());
    runtime.spawn(async move { timeout(CANCEL_TIMEOUT, statement.cancel_query(tls)).await });
}
