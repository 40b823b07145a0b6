//! Which of the numbered migrations a database has.

use tokio_postgres::Client;

use super::definition::{MIGRATIONS, Migration};
use crate::store::database::{Attempt, StoreError};

/// How the schema that a database has compares with this program's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// It is this program's.
    Current,
    /// These migrations are not applied.
    Behind(Vec<&'static str>),
    /// These migrations are of a newer version of the program. What this one would put back is older than what is there: it
    /// must change nothing. It may serve, so that a service in several instances can be updated one by one: a newer
    /// version leaves what an older one reads.
    Newer(Vec<String>),
}

impl SchemaState {
    pub(super) fn of(applied: &[(i32, String)]) -> Self {
        let newest = MIGRATIONS.iter().map(|migration| migration.version()).max().unwrap_or_default();
        // older numbers that are not here were replaced by newer ones
        let unknown = applied.iter().filter(|(version, _)| *version > newest);
        let unknown: Vec<String> = unknown.map(|(version, name)| format!("{version:04}_{name}")).collect();
        if !unknown.is_empty() {
            return Self::Newer(unknown);
        }
        let is_applied = |migration: &Migration| applied.iter().any(|(version, _)| *version == migration.version());
        let pending: Vec<&str> = MIGRATIONS.iter().filter(|m| !is_applied(m)).map(|m| m.name()).collect();
        if pending.is_empty() { Self::Current } else { Self::Behind(pending) }
    }
}

/// How the schema of the database of that connection compares with this program's.
pub(super) async fn schema_by(client: &Client) -> Result<SchemaState, StoreError> {
    Ok(SchemaState::of(&applied(client).await?))
}

/// The migrations that are applied, by number and name.
pub(super) async fn applied(client: &Client) -> Result<Vec<(i32, String)>, StoreError> {
    let row = client
        .query_one("select to_regclass('live.migration') is not null", &[])
        .await
        .attempt("look for applied migrations")?;
    if !row.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "select version, name from live.migration order by version";
    let rows = client.query(sql, &[]).await.attempt("read applied migrations")?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
