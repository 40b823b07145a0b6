//! Who carries out what a migration consists of: a session; or, where it is only to be seen, a script that psql can run.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::definition::{Kind, MIGRATIONS, Migration, defining};
use super::holders::{self, of_tables};
use crate::store::database::{Attempt, StoreError, settings_of_script};

/// How long a request for a lock on what is written may make writers wait behind it. The triggers are on three tables: nobody waits for
/// more than 300 ms. A long transaction of the host would otherwise queue every writer behind our request.
const LOCK_TIMEOUT: &str = "set local lock_timeout = '100ms';";

/// How often a lock on what is written is asked for.
const LOCK_ATTEMPTS: usize = 60;
const LOCK_PAUSE: Duration = Duration::from_secs(1);

/// The key of the advisory lock under which one process migrates at a time: "oncamigr" in ASCII.
pub(super) const MIGRATION_LOCK: i64 = 0x6f6e_6361_6d69_6772;

/// What a session needs that may take its time.
pub(super) const PREPARATION: &str =
    "set statement_timeout = 0; set enable_seqscan = on; set client_min_messages = warning;
     set search_path = pg_catalog, pg_temp";

/// What a migration would run, in order, as psql runs it.
#[derive(Debug, Default)]
pub struct Script {
    text: String,
    /// What of the numbered files it has, as often as it has it.
    written: Vec<&'static Migration>,
}

impl Script {
    /// Its text; empty where nothing would be changed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn begin(&mut self) {
        if self.text.is_empty() {
            self.text = format!(
                "-- What oncare-live migrate runs on this database as it is now, for psql -X -f. It stops at the first error, as where the orders
-- stay locked for longer than writers may wait: migrate --dry-run then prints what is left.
\\set ON_ERROR_STOP on
set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set statement_timeout = 0;
set search_path = pg_catalog, pg_temp;
set session characteristics as transaction isolation level read committed, read write, not deferrable;
{};
set idle_in_transaction_session_timeout = 0;
{PREPARATION};

-- one process migrates at a time
do $$
begin
    if not pg_try_advisory_lock({MIGRATION_LOCK}) then
        raise exception 'the database is being migrated by another process';
    end if;
end
$$;
",
                settings_of_script()
            );
        }
    }

    fn add(&mut self, statements: &str) {
        self.begin();
        self.text.push_str(statements.trim_end());
        self.text.push_str(if statements.trim_end().ends_with(';') { "\n" } else { ";\n" });
    }

    fn remark(&mut self, words: &str) {
        self.begin();
        self.text.push('\n');
        words.lines().for_each(|line| self.text.extend(["-- ", line, "\n"]));
    }
}

/// Runs statements, or writes them into a script. What the database is asked it is asked in any case.
pub(super) struct Executor<'a> {
    pub(super) client: &'a Client,
    script: Option<&'a mut Script>,
}

impl<'a> Executor<'a> {
    pub(super) fn running(client: &'a Client) -> Self {
        Self { client, script: None }
    }

    pub(super) fn writing(client: &'a Client, script: &'a mut Script) -> Self {
        Self { client, script: Some(script) }
    }

    pub(super) fn is_running(&self) -> bool {
        self.script.is_none()
    }

    /// Says in the script what follows there.
    pub(super) fn remark(&mut self, words: &str) {
        if let Some(script) = &mut self.script {
            script.remark(words);
        }
    }

    pub(super) async fn run(&mut self, statements: &str) -> Result<(), tokio_postgres::Error> {
        match &mut self.script {
            Some(script) => script.add(statements),
            None => self.client.batch_execute(statements).await?,
        }
        Ok(())
    }

    pub(super) async fn run_in_transaction(&mut self, sql: &str, after: &str) -> Result<(), tokio_postgres::Error> {
        match &mut self.script {
            Some(script) => script.add(&transaction("", sql, after)),
            None => in_transaction(self.client, "", sql, after).await?,
        }
        Ok(())
    }

    /// The same in one that gives up soon where it would make writers wait.
    pub(super) async fn run_without_queueing_writers(
        &mut self,
        sql: &str,
        after: &str,
    ) -> Result<(), tokio_postgres::Error> {
        match &mut self.script {
            Some(script) => script.add(&transaction(LOCK_TIMEOUT, sql, after)),
            None => without_queueing_writers(self.client, sql, after).await?,
        }
        Ok(())
    }

    /// Notes what the statements that follow are of.
    pub(super) fn begin(&mut self, migration: &'static Migration) {
        match &mut self.script {
            Some(script) => {
                script.remark(migration.file);
                script.written.push(migration);
            }
            None => tracing::info!(migration = migration.name(), "applying"),
        }
    }

    /// Whether the script has a file of that kind.
    pub(super) fn has_written(&self, kind: &Kind) -> bool {
        self.written().iter().any(|migration| migration.kind == *kind)
    }

    /// Whether the script makes the triggers, all of which one file does.
    pub(super) fn has_written_triggers(&self) -> bool {
        self.written().iter().any(|migration| migration.sql.contains("create trigger"))
    }

    /// Whether the script defines a function: as it is to be (`true`), or as it was once.
    pub(super) fn has_written_function(&self, function: &str) -> Option<bool> {
        let last = defining(function, self.written().iter().copied())?;
        Some(last.file == defining(function, &MIGRATIONS)?.file)
    }

    fn written(&self) -> &[&'static Migration] {
        self.script.as_ref().map_or(&[], |script| &script.written)
    }

    /// Makes the only row of a table, if it is not there.
    pub(super) async fn make_row(&mut self, table: &str, attempted: &'static str) -> Result<(), StoreError> {
        // whoever runs it need not ask
        let is_there = !self.is_running() && self.written().is_empty() && {
            let row = self.client.query_one(&format!("select exists (select from {table})"), &[]).await;
            row.attempt(attempted)?.get(0)
        };
        if !is_there {
            let row = format!("insert into {table} default values on conflict do nothing");
            self.run(&row).await.attempt(attempted)?;
        }
        Ok(())
    }
}

/// Runs statements in a transaction that gives up soon where it would make writers wait, and tries again.
pub(super) async fn without_queueing_writers(
    client: &Client,
    sql: &str,
    after: &str,
) -> Result<(), tokio_postgres::Error> {
    for attempt in 1.. {
        match in_transaction(client, LOCK_TIMEOUT, sql, after).await {
            Err(e) if e.code().is_some_and(is_of_locks) && attempt < LOCK_ATTEMPTS => {
                // who has them meanwhile is usually who had them
                let holders = of_tables(client).await.unwrap_or_default();
                let by = if holders.is_empty() { String::new() } else { format!(" by {}", holders::list(&holders)) };
                tracing::warn!(
                    attempt,
                    "the orders are locked{by}; tried again in 1 s, so that no writer waits for this"
                );
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
    Ok(())
}

/// A lock was not to be had in time, or two asked for each other's.
fn is_of_locks(state: &SqlState) -> bool {
    [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(state)
}

/// Statements and what frames them, as one transaction.
fn transaction(before: &str, sql: &str, after: &str) -> String {
    format!("begin; {before}\n{sql}\n;\n{after}\ncommit;")
}

async fn in_transaction(client: &Client, before: &str, sql: &str, after: &str) -> Result<(), tokio_postgres::Error> {
    let outcome = client.batch_execute(&transaction(before, sql, after)).await;
    if outcome.is_err() {
        client.batch_execute("rollback").await?;
    }
    outcome
}
