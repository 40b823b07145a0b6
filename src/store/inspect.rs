//! What `doctor` and the health checks ask the database.

use std::time::Duration;

use tokio_postgres::Client;

use super::lent::BRIEFLY;
use super::migrate::{defines_body, functions};
use super::{Attempt, Store, StoreError};

/// How long comparing the statistics with all orders may take.
const LONGEST_COMPARISON: Duration = Duration::from_secs(600);

/// Something that is as it should be, or isn't, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// What is wrong and what to do, if anything is.
    pub problem: Option<String>,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn good(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), problem: None }
    }

    /// Something is wrong.
    #[must_use]
    pub fn bad(subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { subject: subject.into(), problem: Some(problem.into()) }
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
    /// All is well.
    Current,
}

/// The triggers: table, name, function.
const TRIGGERS: [(&str, &str, &str); 8] = [
    ("orders_order", "!live_insert", "record_insert"),
    ("orders_order", "!live_update", "record_update"),
    ("orders_order", "live_delete", "record_delete"),
    ("orders_order", "live_truncate", "record_truncate"),
    ("orders_orderitem", "live_insert", "record_items"),
    ("orders_orderitem", "live_update", "record_items"),
    ("orders_orderitem", "live_delete", "record_items"),
    ("orders_orderitem", "live_truncate", "record_truncate"),
];

/// What the service needs rights for: table, privileges.
const PRIVILEGES: [(&str, &str); 18] = [
    ("public.orders_order", "select update"),
    ("public.orders_orderitem", "select"),
    ("public.orders_orderstatushistory", "select insert"),
    ("public.inventory_medicine", "select"),
    ("public.accounts_user", "select"),
    ("live.order_event", "select update delete"),
    ("live.truncation", "select delete"),
    ("live.order_timeline", "select insert delete"),
    ("live.order_stats", "select insert update delete"),
    ("live.fold", "select insert update"),
    ("live.fold_position", "select insert delete"),
    ("live.timeline_position", "select insert delete"),
    ("live.incarnation", "select insert"),
    ("live.session", "select insert delete"),
    ("live.viewing", "select insert update delete"),
    ("live.saved_view", "select insert update delete"),
    ("live.account", "select insert update"),
    ("live.muted_order", "select insert delete"),
];

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

    /// Each trigger as `table.name` with its state.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn triggers(&self) -> Result<Vec<(String, TriggerState)>, StoreError> {
        let client = self.client().await?;
        let mut states = Vec::with_capacity(TRIGGERS.len());
        for (table, trigger, function) in TRIGGERS {
            let row = client
                .query_opt(
                    "select t.tgenabled::text, n.nspname || '.' || p.proname, t.tgqual is null and t.tgattr::text = ''
                     from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
                     where t.tgrelid = to_regclass('public.' || $1) and t.tgname = $2",
                    &[&table, &trigger],
                )
                .await
                .attempt("look at the triggers")?;
            let state = row.map_or(TriggerState::Missing, |row| {
                let (enabled, called, always): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
                if enabled != "A" {
                    TriggerState::Disabled
                } else if called != format!("live.{function}") || !always {
                    TriggerState::Changed
                } else {
                    TriggerState::Current
                }
            });
            states.push((format!("{table}.{trigger}"), state));
        }
        Ok(states)
    }

    /// The functions of schema `live` that are missing or are not this version's.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn changed_functions(&self) -> Result<Vec<&'static str>, StoreError> {
        let client = self.client().await?;
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

    /// The privileges that the configured role lacks, as `select on public.orders_order`.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn missing_privileges(&self) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let mut missing = Vec::new();
        let usable = client
            .query_one(
                "select has_schema_privilege('live', 'usage') from pg_namespace where nspname = 'live'
                 union all select true limit 1",
                &[],
            )
            .await
            .attempt("look at privileges")?;
        if !usable.get::<_, bool>(0) {
            return Ok(vec!["usage on schema live".to_owned()]);
        }
        let needed = PRIVILEGES.iter().chain(&[("live.migration", "select")]);
        for (table, privilege) in needed.flat_map(|(table, all)| all.split(' ').map(move |one| (table, one))) {
            let row = client
                .query_one("select has_table_privilege(to_regclass($1), $2)", &[&table, &privilege])
                .await
                .attempt("look at privileges")?;
            if row.get::<_, Option<bool>>(0) != Some(true) {
                missing.push(format!("{privilege} on {table}"));
            }
        }
        Ok(missing)
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

    /// Voids the summary, so that the next fold builds it anew. Until then statistics are the plain aggregate.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub(super) async fn discard_fold(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.execute("update live.fold set system_identifier = 0", &[]).await.attempt("discard the fold")?;
        Ok(())
    }
}

/// Version and role of the server at the other end of a connection.
pub(super) async fn server(client: &Client) -> Result<(i32, String, bool), StoreError> {
    let sql =
        "select current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery()";
    let row = client.query_one(sql, &[]).await.attempt("ask for the server's version")?;
    Ok((row.get(0), row.get(1), row.get(2)))
}
