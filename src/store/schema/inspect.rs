//! What `doctor` and the health checks ask the database.

use std::time::Duration;

use tokio_postgres::{Client, Row};

use super::definition::{NAMING_FUNCTION, TRIGGERS, defines_body, functions};
use crate::store::database::{Attempt, BRIEFLY, Store, StoreError};

/// How long comparing the statistics with all orders may take.
const LONGEST_COMPARISON: Duration = Duration::from_secs(600);

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// How it was found.
    pub verdict: Verdict,
}

/// How something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and somebody should know this.
    Warning(String),
    /// It does not work: why, and what to do.
    Problem(String),
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn good(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Good }
    }

    /// Something should be known.
    #[must_use]
    pub fn warning(subject: impl Into<String>, warning: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Warning(warning.into()) }
    }

    /// Something is wrong.
    #[must_use]
    pub fn bad(subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Problem(problem.into()) }
    }

    /// What is wrong and what to do, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match &self.verdict {
            Verdict::Problem(problem) => Some(problem),
            Verdict::Good | Verdict::Warning(_) => None,
        }
    }
}

/// What is to be said of one trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerState {
    /// There is none of that name.
    Missing,
    /// It does not fire, or not in every session.
    Disabled,
    /// It calls another function, or only sometimes.
    Changed,
    /// It is one too many, which calls a function of ours.
    Surplus,
    /// All is well.
    Current,
}

impl TriggerState {
    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn fault(self) -> Option<&'static str> {
        match self {
            Self::Current => None,
            Self::Missing => Some("it is missing"),
            Self::Disabled => Some("it does not fire in every session"),
            Self::Changed => Some("it is not the one of this version"),
            Self::Surplus => Some("it is none of this version's, and records changes once more"),
        }
    }
}

impl Store {
    /// The server's version as a number and as text, and whether it is a standby.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn server(&self) -> Result<(i32, String, bool), StoreError> {
        server(&*self.client().await?).await
    }

    /// Answers if the database does.
    ///
    /// # Errors
    /// If it doesn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        client.execute("select 1", &[]).await.attempt("reach the database")?;
        Ok(())
    }

    /// Finds out whether what is written still finds room: sorts some more than the memory holds that it is given, which leaves
    /// nothing behind.
    ///
    /// # Errors
    /// If there is no room, or the database can't be reached.
    pub async fn room_on_disk(&self) -> Result<(), StoreError> {
        let mut client = self.client_for(BRIEFLY).await?;
        let transaction = client.transaction().await.attempt("begin to write")?;
        transaction
            .batch_execute(
                "set local work_mem = '64kB'; set local temp_tablespaces = '';
                 select count(*) from (select n from generate_series(1, 20000) n order by -n offset 1) sorted",
            )
            .await
            .attempt("write to the server's disk")?;
        transaction.rollback().await.attempt("end writing")
    }

    /// Each trigger as `table.name` with its state.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn triggers(&self) -> Result<Vec<(String, TriggerState)>, StoreError> {
        triggers(&*self.client().await?).await
    }

    /// The functions of schema `live` that are missing or are not this version's.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn changed_functions(&self) -> Result<Vec<&'static str>, StoreError> {
        changed_functions(&*self.client().await?).await
    }

    /// Whether the index is there that lists are read from.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn has_list_index(&self) -> Result<bool, StoreError> {
        has_list_index(&*self.client().await?).await
    }

    /// Where the statistics differ from the plain aggregate over the orders, in one snapshot: one line each, at most 20.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn statistics_that_differ(&self) -> Result<Vec<String>, StoreError> {
        let mut client = self.client_for(LONGEST_COMPARISON).await?;
        let transaction = client.transaction().await.attempt("begin comparing")?;
        transaction
            .batch_execute("set local statement_timeout = 0; set local enable_seqscan = on")
            .await
            .attempt("begin comparing")?;
        let rows = transaction
            .query(
                "select coalesce(s.sales_rep_id, a.sales_rep_id), coalesce(s.status, a.status),
                     coalesce(s.payment_status, a.payment_status), coalesce(s.orders, 0), coalesce(a.orders, 0),
                     coalesce(s.amount, 0)::text, coalesce(a.amount, 0)::text
                 from live.all_statistics() s
                 full join live.aggregate() a
                   on coalesce(a.sales_rep_id, -1) = coalesce(s.sales_rep_id, -1)
                  and (a.sales_rep_id is null) = (s.sales_rep_id is null)
                  and a.status = s.status and a.payment_status = s.payment_status
                 where (s.orders, s.amount) is distinct from (a.orders, a.amount)
                 limit 20",
                &[],
            )
            .await
            .attempt("compare the statistics with the orders")?;
        Ok(rows
            .iter()
            .map(|row| {
                let rep: Option<i64> = row.get(0);
                let (status, payment): (String, String) = (row.get(1), row.get(2));
                let (orders, counted): (i64, i64) = (row.get(3), row.get(4));
                let (amount, summed): (String, String) = (row.get(5), row.get(6));
                let rep = rep.map_or_else(|| "no rep".to_owned(), |rep| format!("rep {rep}"));
                format!("{rep}, {status}/{payment}: statistics {orders} ({amount}), orders {counted} ({summed})")
            })
            .collect())
    }
}

/// Version and role of the server at the other end of a connection.
pub(in crate::store) async fn server(client: &Client) -> Result<(i32, String, bool), StoreError> {
    let sql =
        "select current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery()";
    let row = client.query_one(sql, &[]).await.attempt("ask for the server's version")?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

/// Each trigger as `table.name` with its state.
pub(in crate::store) async fn triggers(client: &Client) -> Result<Vec<(String, TriggerState)>, StoreError> {
    let rows = client
        .query(
            "select c.relname::text, t.tgname::text, t.tgenabled::text, n.nspname || '.' || p.proname,
                 t.tgqual is null and t.tgattr::text = ''
             from pg_trigger t
             join pg_class c on c.oid = t.tgrelid and c.relnamespace = to_regnamespace('public')
             join pg_proc p on p.oid = t.tgfoid
             join pg_namespace n on n.oid = p.pronamespace
             where not t.tgisinternal and t.tgparentid = 0",
            &[],
        )
        .await
        .attempt("look at the triggers")?;
    let state = |(table, trigger, function): (&str, &str, &str)| {
        let found = rows.iter().find(|row| row.get::<_, &str>(0) == table && row.get::<_, &str>(1) == trigger);
        found.map_or(TriggerState::Missing, |row| {
            let (enabled, called, always): (&str, &str, bool) = (row.get(2), row.get(3), row.get(4));
            if enabled != "A" {
                TriggerState::Disabled
            } else if called != format!("live.{function}") || !always {
                TriggerState::Changed
            } else {
                TriggerState::Current
            }
        })
    };
    let ours = TRIGGERS.iter().map(|one| (format!("{}.{}", one.0, one.1), state(*one)));
    // of another version, or of a dump that was restored in part: each would record a change once more. That of a history which the
    // host has put aside would record none.
    let is_ours = |row: &&Row| {
        let function: &str = row.get(3);
        function.strip_prefix("live.").is_some_and(|name| name != NAMING_FUNCTION)
    };
    let surplus = rows.iter().filter(is_ours).filter_map(|row| {
        let (table, trigger): (&str, &str) = (row.get(0), row.get(1));
        let is_known = TRIGGERS.iter().any(|one| (one.0, one.1) == (table, trigger));
        (!is_known).then(|| (format!("{table}.{trigger}"), TriggerState::Surplus))
    });
    Ok(ours.chain(surplus).collect())
}

/// The functions of schema `live` that are missing or are not this version's.
pub(in crate::store) async fn changed_functions(client: &Client) -> Result<Vec<&'static str>, StoreError> {
    let rows = client
        .query(
            "select proname::text, prosrc, prosecdef, coalesce(array_to_string(proconfig, ' '), '')
             from pg_proc where pronamespace = to_regnamespace('live')",
            &[],
        )
        .await
        .attempt("look at the functions")?;
    let is_right = |name: &str| {
        rows.iter().any(|row| {
            let (found, body, definer, settings): (&str, &str, bool, &str) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            // what triggers call runs as its owner, whoever writes, and finds nothing of the writer's
            let safe = definer && settings.contains("search_path=pg_catalog, pg_temp");
            found == name
                && defines_body(name, body)
                && (safe || !TRIGGERS.iter().any(|(_, _, called)| *called == name))
        })
    };
    Ok(functions().filter(|name| !is_right(name)).collect())
}

/// Those of them that say what happened. How the listener is woken matters less: it looks by itself.
pub(in crate::store) async fn changed_recorders(client: &Client) -> Result<Vec<&'static str>, StoreError> {
    let says = |name: &str| {
        let called = TRIGGERS.iter().any(|(_, _, called)| *called == name);
        name == "note_unreadable" || called && name != NAMING_FUNCTION
    };
    Ok(changed_functions(client).await?.into_iter().filter(|name| says(name)).collect())
}

/// Whether a valid, complete index with the list's leading columns exists, ours or the host's own.
pub(in crate::store) async fn has_list_index(client: &Client) -> Result<bool, StoreError> {
    let row = client
        .query_one(
            "select exists (
                 select from pg_index i
                 where i.indrelid = to_regclass('public.orders_order') and i.indisvalid and i.indpred is null
                   and array(select pg_get_indexdef(i.indexrelid, k, false) from generate_series(1, 4) k)
                       = array['sales_rep_id', 'status', 'created_at', 'id']
                   and (i.indoption::int2[])[2:3] = array[3, 3]::int2[]
             )",
            &[],
        )
        .await
        .attempt("look for the list's index")?;
    Ok(row.get(0))
}
