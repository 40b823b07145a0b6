//! Who else holds the lock by which listeners say that they sleep. Anybody may take an advisory lock.

use std::fmt;
use std::time::Duration;

use super::holders::OF_KEY;
use crate::store::database::{Attempt, Store, StoreError};
use crate::store::tail::SLEEP_LOCK;

/// A writer holds the lock until its transaction ends, and lets go of it a moment later: only who is seen twice is told of.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// A session that holds the lock and is no listener, nor a writer whose transaction is of an ordinary length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The process of the server.
    pub pid: i32,
    role: String,
    application: String,
    holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// For itself alone, as a listener that sleeps does.
    Exclusively,
    /// For as long as its session lasts.
    Shared,
    /// As a writer does, until a long transaction ends.
    InTransaction,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, role, application, holds } = self;
        let how = match holds {
            Holds::Exclusively => "exclusively",
            Holds::Shared => "shared",
            Holds::InTransaction => "shared, in a transaction that is open for over a minute",
        };
        write!(
            f,
            "process {pid} (role {role}, application {application:?}) holds the advisory lock {SLEEP_LOCK} {how}: no \
             listener can sleep, and each reads all the time. Nothing is lost by it, but it costs; end that session, by select pg_terminate_backend({pid}), or have it take \
             another key"
        )
    }
}

impl Store {
    /// The strangers that hold the listeners' lock.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn sleep_lock_strangers(&self) -> Result<Vec<Stranger>, StoreError> {
        let first = self.look_for_strangers().await?;
        if first.is_empty() {
            return Ok(first);
        }
        tokio::time::sleep(SECOND_LOOK).await;
        let mut second = self.look_for_strangers().await?;
        second.retain(|stranger| first.contains(stranger));
        Ok(second)
    }

    /// A listener is known by the name of its application. How old another role's transaction is not every role may see.
    async fn look_for_strangers(&self) -> Result<Vec<Stranger>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                &format!(
                    "with locks as materialized (select * from pg_locks where granted)
                 select a.pid, coalesce(a.usename, '')::text, coalesce(a.application_name, ''), l.mode = 'ExclusiveLock',
                     exists (select from locks x where x.pid = l.pid and x.locktype = 'virtualxid')
                 from locks l join pg_stat_activity a on a.pid = l.pid
                 where {OF_KEY} and a.application_name not like '% listener'
                     and (l.mode = 'ExclusiveLock' or a.xact_start < now() - interval '1 minute'
                         or not exists (select from locks x where x.pid = l.pid and x.locktype = 'virtualxid'))
                 order by a.pid"
                ),
                &[&SLEEP_LOCK],
            )
            .await
            .attempt("look who holds the listeners' lock")?;
        let stranger = |row: &tokio_postgres::Row| Stranger {
            pid: row.get(0),
            role: row.get(1),
            application: row.get(2),
            holds: match (row.get(3), row.get(4)) {
                (true, _) => Holds::Exclusively,
                (false, false) => Holds::Shared,
                (false, true) => Holds::InTransaction,
            },
        };
        Ok(rows.iter().map(stranger).collect())
    }
}
