//! Applying the numbered migrations of `sql/`, each once.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;

use super::applied::{SchemaState, applied, schema_by};
use super::definition::{DROP_LIST_INDEX, Kind, MIGRATIONS, Migration, NOTES, functions, tables_of};
use super::executor::{Executor, MIGRATION_LOCK, PREPARATION, Script};
use super::holders::{self, of_key};
use super::host::{self, HostTables};
use super::inspect::{TriggerState, changed_functions, has_list_index, server, triggers};
use super::recording::faults_of_our_tables;
use super::rights::{as_grants, lacking_to_look, lacking_to_migrate};
use super::trust::{Ours, refuse_if_not_ours, refuse_strangers};
use crate::store::database::{Attempt, BRIEFLY, DatabaseUrl, Link, Store, StoreError, words_of};
use crate::store::tail::{DISTRUST_STATISTICS, FOLD_LOCK, Folded, building};

/// How often the lock is asked for. It is asked, not waited for: a waiting statement holds a snapshot, and building an
/// index concurrently waits for all older snapshots.
pub(super) const LOCK_POLL: Duration = Duration::from_millis(200);

/// How often it is looked who has a lock that is waited for, not before that has passed once, as most are given back at once; and for how
/// long one is waited for that no migration holds: anybody may take an advisory lock.
const HOLDER_LOOK: Duration = Duration::from_secs(1);
const STRANGER_PATIENCE: Duration = Duration::from_secs(5);

/// How often it is said again.
const TOLD_AGAIN: Duration = Duration::from_secs(30);

const POSTGRES_13: i32 = 130_000;

/// What the server shows sessions as that migrate.
const PURPOSE: &str = "migration";

/// What a run of the migrations did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The names of the migrations that were applied now; empty where all were before.
    pub migrations: Vec<&'static str>,
    /// Whether triggers or functions that somebody had changed were put back.
    pub put_back: bool,
    /// Whether the list's index that somebody had dropped was built again.
    pub index_put_back: bool,
    /// What of our own tables still keeps changes from being recorded: migrating does not undo it.
    pub faults: Vec<String>,
}

impl Applied {
    /// What is to be said of the faults, if there are any.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        (!self.faults.is_empty()).then(|| {
            format!(
                "schema live is not what it must be: {}. No write fails by that, but changes are not recorded, and pages are not live. \
                 Undo it; or have oncare-live uninstall and then oncare-live migrate make all of it anew: people's sessions, \
                 preferences and saved views, and what was recorded, go then",
                self.faults.join("; ")
            )
        })
    }
}

/// The oldest PostgreSQL that has what the design needs: `xid8` and `pg_snapshot`.
#[must_use]
pub fn oldest_supported_version() -> i32 {
    POSTGRES_13
}

impl Store {
    /// Applies what is missing, under an advisory lock, and builds the statistics. Triggers that somebody took away or
    /// changed are put back, and the statistics built anew, as changes went unnoticed; so is the list's index.
    ///
    /// # Errors
    /// If the server is too old or a standby, the host's tables are not there, are there in part only or are not what triggers can
    /// watch, the schema is of a newer version, or the role lacks a right. Of all this nothing is changed then. What was applied before stays
    /// applied; running it again goes on.
    pub async fn migrate(&self) -> Result<Applied, StoreError> {
        self.migrate_with(HostTables::MustBeThere).await
    }

    /// The same; where there are none of the host's tables they are made.
    ///
    /// # Errors
    /// Those of [`Store::migrate`], also where Django manages the database, whose own migrations would fail then.
    pub async fn create_tables_and_migrate(&self) -> Result<Applied, StoreError> {
        self.migrate_with(HostTables::MayBeMade).await
    }

    async fn migrate_with(&self, tables: HostTables) -> Result<Applied, StoreError> {
        let link = open(self.url()).await?;
        let applied =
            self.telling_of_waits(&link.client, migrate(&mut Executor::running(&link.client), tables)).await?;
        // between two migrations changes may have been recorded in the manner of neither; who puts back distrusts them by itself
        if !applied.migrations.is_empty() {
            self.discard_fold().await?;
        }
        // from what can't be recorded nothing is built
        if applied.faults.is_empty() {
            self.fold_now().await?;
        }
        Ok(applied)
    }

    /// Writes into a script what [`Store::migrate`] would run, or [`Store::create_tables_and_migrate`], and then perhaps
    /// [`Store::rebuild_statistics`]. The database is only read, without a lock that others could wait for.
    ///
    /// # Errors
    /// Those for which they would refuse; but a right that the role lacks is said in the script, which another role may run. What they
    /// would run before they refuse is in the script then.
    pub async fn write_migration(
        &self,
        create_tables: bool,
        rebuild_statistics: bool,
        script: &mut Script,
    ) -> Result<(), StoreError> {
        let link = open(self.url()).await?;
        link.client.batch_execute("set default_transaction_read_only = on").await.attempt("prepare the session")?;
        let tables = if create_tables { HostTables::MayBeMade } else { HostTables::MustBeThere };
        let mut executor = Executor::writing(&link.client, script);
        let applied = migrate(&mut executor, tables).await?;
        if let Some(fault) = applied.fault() {
            return Err(StoreError::Unsuitable(fault));
        }
        let is_current = applied.migrations.is_empty() && !applied.put_back;
        if is_current && !rebuild_statistics && is_folded(&link.client).await? {
            return Ok(());
        }
        executor.remark("the statistics, from all orders");
        for statements in [DISTRUST_STATISTICS, &building()] {
            executor.run(statements).await.attempt("build the statistics anew")?;
        }
        Ok(())
    }

    /// Builds the statistics anew from the orders.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn rebuild_statistics(&self) -> Result<(), StoreError> {
        self.discard_fold().await?;
        self.fold_now().await
    }

    async fn fold_now(&self) -> Result<(), StoreError> {
        let mut waiting = Waiting::new();
        while self.fold().await? == Folded::Elsewhere {
            self.wait_for_fold(&mut waiting).await?;
        }
        Ok(())
    }

    /// Waits a moment for whoever has the lock of the fold, and tells who that is where it takes long. A service that is at it gives the
    /// lock back by itself: this one, or another instance.
    pub(super) async fn wait_for_fold(&self, waiting: &mut Waiting) -> Result<(), StoreError> {
        if waiting.is_look_due() {
            let mut holders = of_key(&*self.client().await?, FOLD_LOCK).await?;
            holders.retain(|holder| !holder.is_of(self.url().config().get_application_name().unwrap_or_default()));
            waiting.tell("the lock under which one process builds statistics at a time is held by", &holders);
        }
        tokio::time::sleep(LOCK_POLL).await;
        Ok(())
    }

    /// How the database's schema compares with this program's.
    ///
    /// # Errors
    /// If the database can't be reached, or what was applied can't be read.
    pub async fn schema(&self) -> Result<SchemaState, StoreError> {
        schema_by(&*self.client_for(BRIEFLY).await?).await
    }
}

/// Whether there are statistics, to which only what is new is to be added.
async fn is_folded(client: &Client) -> Result<bool, StoreError> {
    let row = client.query_one("select live.folded() is not null", &[]).await.attempt("look for the statistics")?;
    Ok(row.get(0))
}

/// A session that may take its time, in which nothing depends on the role's search path, as all names are qualified.
pub(in crate::store) async fn open(url: &DatabaseUrl) -> Result<Link, StoreError> {
    let link = Link::open(url, PURPOSE, |_, _| {}).await?;
    link.client.batch_execute(PREPARATION).await.attempt("prepare the session")?;
    Ok(link)
}

/// In one transaction: an earlier file defines some functions as they were, and a later one as they are. No writer meets those.
async fn put_back(executor: &mut Executor<'_>) -> Result<(), StoreError> {
    let again = [Kind::Functions, Kind::LocksWhatIsWritten];
    let files = MIGRATIONS.iter().filter(|migration| again.contains(&migration.kind));
    let sql: Vec<&str> = files.map(|migration| migration.sql).collect();
    let failed = |error: tokio_postgres::Error| {
        StoreError::Unsuitable(format!("could not put functions and triggers back: {}", words_of(&error)))
    };
    executor.remark("functions and triggers that were changed or taken away are put back");
    executor.run_without_queueing_writers(&sql.join("\n;\n"), DISTRUST_STATISTICS).await.map_err(failed)
}

async fn migrate(executor: &mut Executor<'_>, tables: HostTables) -> Result<Applied, StoreError> {
    let client = executor.client;
    let (number, version, standby) = server(client).await?;
    if number < POSTGRES_13 {
        return Err(StoreError::Unsuitable(format!("PostgreSQL 13 or newer is needed; the server is {version}")));
    }
    if standby {
        return Err(StoreError::Standby);
    }
    if executor.is_running() {
        lock(client).await?;
    }
    // before anything is read there: a table may be somebody's view
    let has_schema = refuse_strangers(client).await?;
    let ours = refuse_if_not_ours(client).await?;
    // everything that can be told beforehand is refused before anything is changed
    refuse_if_lacking(client, &lacking_to_look(client).await?).await?;
    let done = applied(client).await?;
    if let SchemaState::Newer(unknown) = SchemaState::of(&done) {
        return Err(StoreError::Unsuitable(format!(
            "this database's schema live is of a newer version of oncare-live: this one does not know {}. Nothing was \
             changed; run the version of oncare-live that made it, or a newer one",
            unknown.join(", ")
        )));
    }
    refuse_if_incomplete(client, ours, &done).await?;
    let has_tables = match host::check(client, tables).await {
        Ok(has_tables) => has_tables,
        Err(refusal) if done.is_empty() => {
            return Err(StoreError::Unsuitable(format!("{}; nothing was changed", refusal.chain())));
        }
        Err(refusal) => {
            let harmless = match make_harmless(executor, &done).await {
                Ok(()) if !executor.is_running() => {
                    "the script renews the triggers, so that they fail no write".to_owned()
                }
                Ok(()) => "the triggers fail no write, and pages are not live until that is mended".to_owned(),
                Err(error) => format!("the triggers could not be renewed: {}", error.chain()),
            };
            return Err(StoreError::Unsuitable(format!("{}; {harmless}", refusal.chain())));
        }
    };
    // who finds all as it should be need own nothing
    if SchemaState::of(&done) != SchemaState::Current || !is_attached(executor).await? || !has_index(executor).await? {
        let lacking = lacking_to_migrate(client).await?;
        if executor.is_running() {
            refuse_if_lacking(client, &lacking).await?;
        } else {
            remark_rights(executor, &lacking).await?;
        }
    }
    if done.is_empty() {
        // who was given the schema may have no right to create one
        let create_schema = if has_schema { "" } else { "create schema live;" };
        executor.remark("what says which files were applied");
        executor
            .run(&format!(
                "{create_schema}
                 create table if not exists live.migration (
                     version integer constraint migration_pkey primary key,
                     name text not null,
                     applied_at timestamptz not null default now()
                 )"
            ))
            .await
            .attempt("create schema live")?;
    }
    let mut migrations = Vec::new();
    for migration in MIGRATIONS.iter().filter(|migration| !done.iter().any(|(done, _)| *done == migration.version())) {
        apply(executor, migration, has_tables).await?;
        // of the host's own tables nothing is made
        if migration.kind != Kind::HostTables || !has_tables {
            migrations.push(migration.name());
        }
    }
    executor.make_row("live.incarnation", "name the server's incarnation").await?;
    executor.make_row("live.sign_in_key", "make the sign-in key").await?;
    if !migrations.is_empty() {
        // default privileges may have let everybody in: who may write sessions signs in as anybody
        let revoked = executor.run("revoke all on all tables in schema live from public").await;
        revoked.attempt("keep schema live from everybody")?;
    }
    let changed = !is_attached(executor).await?;
    if changed {
        put_back(executor).await?;
    }
    let mut index_put_back = false;
    for migration in MIGRATIONS.iter().filter(|migration| migration.kind == Kind::ConcurrentIndex) {
        if !has_index(executor).await? {
            executor.begin(migration);
            build_index(executor, migration).await?;
            index_put_back = true;
        }
    }
    // what is only written down is not there yet
    let is_there = executor.is_running() || migrations.is_empty() && !changed;
    let faults = if is_there { faults_of_our_tables(client).await? } else { Vec::new() };
    Ok(Applied { migrations, put_back: changed, index_put_back, faults })
}

/// Tables of ours that are gone are not made anew, as what was in them would be missed without a word.
async fn refuse_if_incomplete(client: &Client, ours: Ours, done: &[(i32, String)]) -> Result<(), StoreError> {
    let made = MIGRATIONS.iter().filter(|migration| done.iter().any(|(done, _)| *done == migration.version()));
    let mut needed: Vec<&str> = made.flat_map(tables_of).collect();
    if ours == Ours::WithoutNotes {
        needed.push(NOTES);
    }
    let sql = "select n.name from unnest($1::text[]) n (name)
               where not exists (select from pg_class c where c.relnamespace = to_regnamespace('live') and c.relname = n.name)
               order by 1";
    let rows = client.query(sql, &[&needed]).await.attempt("look for our tables")?;
    if rows.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = rows.iter().map(|row| format!("live.{}", row.get::<_, &str>(0))).collect();
    Err(StoreError::Unsuitable(format!(
        "schema live lacks {}, which somebody dropped. Nothing was changed; restore that from a backup, or have oncare-live uninstall and \
         then oncare-live migrate make all of it anew: people's sessions, preferences and saved views, and what was recorded, go then",
        missing.join(", ")
    )))
}

async fn refuse_if_lacking(client: &Client, rights: &[String]) -> Result<(), StoreError> {
    if rights.is_empty() {
        return Ok(());
    }
    let grants = as_grants(client, rights).await?;
    Err(StoreError::Unsuitable(format!(
        "this role lacks rights that migrating needs, and nothing was changed. Run it as the tables' owner, or have a superuser run: {}",
        grants.join(" ")
    )))
}

/// Says in a script what whoever runs it must be allowed to do.
async fn remark_rights(executor: &mut Executor<'_>, lacking: &[String]) -> Result<(), StoreError> {
    let words = if lacking.is_empty() {
        "this role has the rights that are needed: to create a schema and in schema public, and those of the tables' owner".to_owned()
    } else {
        let grants = as_grants(executor.client, lacking).await?;
        format!(
            "this role lacks rights that are needed: run this as the tables' owner, or have a superuser run before:\n{}",
            grants.join("\n")
        )
    };
    executor.remark(&words);
    Ok(())
}

/// Puts this version's functions and triggers in the place of others, which may fail the host's writes where columns are not what
/// they were. What can be applied without those columns is applied.
async fn make_harmless(executor: &mut Executor<'_>, done: &[(i32, String)]) -> Result<(), StoreError> {
    executor.remark("the tables are not what they must be: all that is done is to have the triggers fail no write");
    // a function may name what is not there
    executor.run("set check_function_bodies = off").await.attempt("prepare the session")?;
    let pending = MIGRATIONS.iter().filter(|migration| !done.iter().any(|(done, _)| *done == migration.version()));
    for migration in pending.filter(|m| ![Kind::HostTables, Kind::ConcurrentIndex].contains(&m.kind)) {
        apply(executor, migration, true).await?;
    }
    if is_attached(executor).await? { Ok(()) } else { put_back(executor).await }
}

/// Whether triggers and functions are this version's, or are after what is written.
async fn is_attached(executor: &Executor<'_>) -> Result<bool, StoreError> {
    let are_current =
        |triggers: Vec<(_, TriggerState)>| triggers.iter().all(|(_, state)| *state == TriggerState::Current);
    if !executor.has_written_triggers() && !are_current(triggers(executor.client).await?) {
        return Ok(false);
    }
    let changed = changed_functions(executor.client).await?;
    let is_current = |name| executor.has_written_function(name).unwrap_or_else(|| !changed.contains(&name));
    Ok(functions().all(is_current))
}

/// Whether the list's index is there, or is after what is written.
async fn has_index(executor: &Executor<'_>) -> Result<bool, StoreError> {
    Ok(executor.has_written(&Kind::ConcurrentIndex) || has_list_index(executor.client).await?)
}

/// The lock belongs to the session and goes with it.
pub(in crate::store) async fn lock(client: &Client) -> Result<(), StoreError> {
    let mut waiting = Waiting::new();
    loop {
        let row = client
            .query_one("select pg_try_advisory_lock($1)", &[&MIGRATION_LOCK])
            .await
            .attempt("lock the migrations")?;
        if row.get(0) {
            return Ok(());
        }
        if waiting.is_look_due() {
            let holders = of_key(client, MIGRATION_LOCK).await?;
            waiting.tell("waiting for the lock under which one process migrates at a time, held by", &holders);
            let strangers: Vec<_> = holders.into_iter().filter(|holder| !holder.is_for(PURPOSE)).collect();
            if !strangers.is_empty() && waiting.since.elapsed() >= STRANGER_PATIENCE {
                return Err(StoreError::Unsuitable(format!(
                    "the advisory lock {MIGRATION_LOCK}, under which one process migrates at a time, is held by another than a \
                     migration, and nothing was changed: {}",
                    holders::list(&strangers)
                )));
            }
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// A lock that others hold is waited for.
pub(super) struct Waiting {
    since: Instant,
    looked_at: Option<Instant>,
    told_at: Option<Instant>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), looked_at: None, told_at: None }
    }

    pub(super) fn is_look_due(&mut self) -> bool {
        let is_due = self.looked_at.unwrap_or(self.since).elapsed() >= HOLDER_LOOK;
        if is_due {
            self.looked_at = Some(Instant::now());
        }
        is_due
    }

    /// Says who holds it, once in a while.
    pub(super) fn tell(&mut self, what: &str, holders: &[holders::Holder]) {
        if !holders.is_empty() && self.told_at.is_none_or(|at| at.elapsed() >= TOLD_AGAIN) {
            self.told_at = Some(Instant::now());
            tracing::warn!("{what} {}", holders::list(holders));
        }
    }
}

async fn apply(
    executor: &mut Executor<'_>,
    migration: &'static Migration,
    has_host_tables: bool,
) -> Result<(), StoreError> {
    if migration.kind == Kind::HostTables && has_host_tables {
        executor.remark("the existing system's tables are there");
        return note(executor, migration).await;
    }
    executor.begin(migration);
    match migration.kind {
        Kind::HostTables | Kind::Plain | Kind::Functions => {
            let outcome = executor.run_in_transaction(migration.sql, &noting(migration)).await;
            outcome.map_err(|e| failed(migration, &e))
        }
        Kind::LocksWhatIsWritten => {
            let outcome = executor.run_without_queueing_writers(migration.sql, &noting(migration)).await;
            outcome.map_err(|e| failed(migration, &e))
        }
        Kind::ConcurrentIndex => {
            if !has_list_index(executor.client).await? {
                build_index(executor, migration).await?;
            }
            note(executor, migration).await
        }
    }
}

async fn build_index(executor: &mut Executor<'_>, migration: &Migration) -> Result<(), StoreError> {
    // one of that name is incomplete, as a build that was broken off leaves it, or is another
    executor.run(DROP_LIST_INDEX).await.map_err(|e| failed(migration, &e))?;
    executor.run(migration.sql).await.map_err(|e| failed(migration, &e))
}

/// The statement that notes a migration as applied.
fn noting(migration: &Migration) -> String {
    let (version, name) = (migration.version(), migration.name());
    format!("insert into live.migration (version, name) values ({version}, '{name}');")
}

async fn note(executor: &mut Executor<'_>, migration: &Migration) -> Result<(), StoreError> {
    executor.run(&noting(migration)).await.attempt("note the migration")
}

fn failed(migration: &Migration, error: &tokio_postgres::Error) -> StoreError {
    StoreError::Unsuitable(format!("could not apply the migration {}: {}", migration.file, words_of(error)))
}
