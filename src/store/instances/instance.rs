//! What instances say of themselves.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::store::database::{Attempt, BRIEFLY, Store, StoreError};

/// An instance that has said nothing for so long is forgotten, in seconds. Until then ops see that it vanished.
const REMEMBERED: f64 = 600.0;

/// How many of those one look clears away.
const MOST_SWEPT: i64 = 100;

/// One process of the service.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Tells it from all others, also from itself after a restart.
    pub id: String,
    /// Where it runs, for a person.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Where its ops listener is.
    pub ops_address: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// How an instance is.
#[derive(Debug, Clone)]
pub struct InstanceState {
    /// Which.
    pub instance: Instance,
    /// How many streams it has open.
    pub streams: i32,
    /// Below which age, in seconds, nearly all changes were that it wrote of late; nothing where it wrote none.
    pub event_age: Option<f64>,
    /// Whether its pages are live.
    pub is_live: bool,
    /// Whether it is stopping.
    pub is_draining: bool,
    /// For how long it has said nothing.
    pub silent: Duration,
}

impl Store {
    /// Notes how an instance is, and gives how all others were when they last did.
    ///
    /// # Errors
    /// If the database can't be reached, or nothing can be written there.
    pub async fn note_instance(&self, state: &InstanceState) -> Result<Vec<InstanceState>, StoreError> {
        let Instance { id, name, version, ops_address, started_at } = &state.instance;
        let client = self.client_for(BRIEFLY).await?;
        let rows = client
            .query(
                NOTE,
                &[
                    id,
                    name,
                    version,
                    ops_address,
                    started_at,
                    &state.streams,
                    &state.event_age,
                    &state.is_live,
                    &state.is_draining,
                    &REMEMBERED,
                    &MOST_SWEPT,
                ],
            )
            .await
            .attempt("note how this instance is")?;
        let other = |row: &tokio_postgres::Row| InstanceState {
            instance: Instance {
                id: row.get("id"),
                name: row.get("name"),
                version: row.get("version"),
                ops_address: row.get("ops_address"),
                started_at: row.get("started_at"),
            },
            streams: row.get("streams"),
            event_age: row.get("event_age"),
            is_live: row.get("is_live"),
            is_draining: row.get("is_draining"),
            silent: Duration::try_from_secs_f64(row.get("silent")).unwrap_or_default(),
        };
        Ok(rows.iter().map(other).collect())
    }

    /// Forgets an instance that ends.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn forget_instance(&self, id: &str) -> Result<(), StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let gone = client.execute("delete from live.instance where id = $1", &[&id]).await;
        gone.attempt("note that this instance ends")?;
        Ok(())
    }
}

/// Rows that another statement holds are skipped, so that no two wait for each other.
const NOTE: &str = "
    with gone as (
        select i.id from live.instance i
        where i.seen_at < now() - make_interval(secs => $10) and i.id <> $1
        limit $11 for update skip locked
    ), swept as (
        delete from live.instance i using gone g where i.id = g.id
    ), noted as (
        insert into live.instance (id, name, version, ops_address, started_at, streams, event_age, is_live, is_draining)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (id) do update set seen_at = now(), streams = excluded.streams, event_age = excluded.event_age,
            is_live = excluded.is_live, is_draining = excluded.is_draining
    )
    select i.*, date_part('epoch', now() - i.seen_at) as silent
    from live.instance i
    where i.id <> $1 and i.seen_at >= now() - make_interval(secs => $10)
    order by i.started_at, i.id";
