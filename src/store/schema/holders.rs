//! Who holds what a migration waits for: told, as nobody else would say it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio_postgres::{Client, Row};

use crate::store::database::{Attempt, BRIEFLY, Store, StoreError};

/// How often it is looked what a statement waits for.
const WATCH: Duration = Duration::from_secs(3);

/// A session or a prepared transaction that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Holder {
    /// The process of the server; none of a prepared transaction.
    pid: Option<i32>,
    /// By what a prepared transaction is known.
    prepared: Option<String>,
    role: String,
    application: String,
    since: Option<String>,
}

impl Holder {
    fn of(row: &Row) -> Self {
        Self {
            pid: row.get("pid"),
            prepared: row.get("prepared"),
            role: row.get("role"),
            application: row.get("application"),
            since: row.get("since"),
        }
    }

    /// Whether it is a session of the service's, for whatever purpose, which names itself so.
    pub(in crate::store) fn is_of(&self, service: &str) -> bool {
        let rest = self.application.strip_prefix(service);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    /// Whether it is a session of the service's for that.
    pub(in crate::store) fn is_for(&self, purpose: &str) -> bool {
        self.application.strip_suffix(purpose).is_some_and(|rest| rest.ends_with(' '))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, prepared, role, application, since } = self;
        match (pid, prepared) {
            (Some(pid), _) => write!(f, "process {pid} (role {role}, application {application:?}")?,
            (None, prepared) => {
                write!(f, "the prepared transaction {:?} (role {role}", prepared.as_deref().unwrap_or_default())?;
            }
        }
        // of other roles' sessions not every role may see it
        if let Some(since) = since {
            write!(f, ", since {since}")?;
        }
        match (pid, prepared) {
            (Some(pid), _) => write!(f, "), which select pg_terminate_backend({pid}) ends"),
            (None, _) => f.write_str("), which rollback prepared ends"),
        }
    }
}

/// What is said of several.
pub(in crate::store) fn list(holders: &[Holder]) -> String {
    let told: Vec<String> = holders.iter().map(Holder::to_string).collect();
    told.join("; ")
}

/// Columns of a session `a` or of a prepared transaction `x`, of which one is there.
const COLUMNS: &str = "a.pid, x.gid as prepared, coalesce(a.usename::text, x.owner::text, '') as role,
    coalesce(a.application_name, '') as application,
    to_char(coalesce(a.xact_start, x.prepared, a.backend_start) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC') as since";

/// Of a lock `l` that it is the advisory lock of this database whose key is the first parameter.
pub(super) const OF_KEY: &str = "l.locktype = 'advisory' and l.objsubid = 1
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = ($1::bigint >> 32)::oid and l.objid = ($1::bigint & 4294967295)::oid";

/// Who holds an advisory lock of this database.
pub(in crate::store) async fn of_key(client: &Client, key: i64) -> Result<Vec<Holder>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from pg_locks l join pg_stat_activity a on a.pid = l.pid left join pg_prepared_xacts x on false
         where l.granted and {OF_KEY} order by a.pid limit 3"
    );
    let rows = client.query(&sql, &[&key]).await.attempt("look who holds a lock")?;
    Ok(rows.iter().map(Holder::of).collect())
}

/// Who holds locks on the tables that triggers are put on, or on our own, the longest first.
pub(in crate::store) async fn of_tables(client: &Client) -> Result<Vec<Holder>, StoreError> {
    let sql = format!(
        "select {COLUMNS}
         from (
             select distinct l.pid, case when l.pid is null then l.virtualtransaction end as prepared
             from pg_locks l
             join pg_class c on c.oid = l.relation
             where l.granted and l.locktype = 'relation' and l.pid is distinct from pg_backend_pid()
                 and l.database = (select oid from pg_database where datname = current_database())
                 and (c.relnamespace = to_regnamespace('live') or c.relnamespace = to_regnamespace('public')
                     and c.relname in ('orders_order', 'orders_orderitem', 'orders_orderstatushistory'))
         ) l
         left join pg_stat_activity a on a.pid = l.pid
         left join pg_prepared_xacts x on l.prepared = '-1/' || x.transaction
         where a.pid is not null or x.gid is not null
         order by coalesce(a.xact_start, x.prepared) nulls last limit 3"
    );
    let rows = client.query(&sql, &[]).await.attempt("look who holds the tables")?;
    Ok(rows.iter().map(Holder::of).collect())
}

/// Whom a session waits for.
async fn of_waiting(client: &Client, pid: i32) -> Result<Vec<Holder>, StoreError> {
    let sql = format!(
        "select {COLUMNS}
         from (select distinct unnest(pg_blocking_pids($1)) as pid) b
         left join pg_stat_activity a on a.pid = b.pid
         left join pg_prepared_xacts x on b.pid = 0 and x.database = current_database()
         where a.pid is not null or x.gid is not null
         order by a.pid limit 3"
    );
    let rows = client.query(&sql, &[&pid]).await.attempt("look what is waited for")?;
    Ok(rows.iter().map(Holder::of).collect())
}

impl Store {
    /// Does something on a session, and says in the log whom its statements wait for, for more than a few seconds.
    pub(in crate::store) async fn telling_of_waits<T>(&self, session: &Client, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            never = self.tell_of_waits(session) => match never {},
        }
    }

    async fn tell_of_waits(&self, session: &Client) -> std::convert::Infallible {
        let pid = session.query_one("select pg_backend_pid()", &[]).await.map(|row| row.get::<_, i32>(0));
        let (mut before, mut told) = (Vec::new(), Vec::new());
        loop {
            tokio::time::sleep(WATCH).await;
            let Ok(pid) = pid else { continue };
            // what can't be looked at, the work itself will say
            let Ok(client) = self.client_for(BRIEFLY).await else { continue };
            let now = of_waiting(&client, pid).await.unwrap_or_default();
            if !now.is_empty() && now == before && now != told {
                tracing::warn!("waiting for {}; no writer waits for this", list(&now));
                told.clone_from(&now);
            }
            before = now;
        }
    }
}
