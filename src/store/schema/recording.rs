//! Whether every change of the orders is recorded: what the triggers are, what they read, and where they write to, as it is now.

use tokio_postgres::Client;

use super::applied::{SchemaState, schema_by};
use super::definition::NAMING_TRIGGER;
use super::host::hidden;
use super::inspect::{changed_recorders, triggers};
use crate::store::database::{Attempt, Store, StoreError};
use crate::store::rows::EVENT_VERSION;
use crate::store::tail::{NUMBER, READ, RECORDING, SOUND_SINCE, TIME, was_replaced, was_rewritten};

/// What helps where something of this program's is missing or was changed.
const MIGRATE: &str = "run oncare-live migrate, as the tables' owner";

/// How a person calls a type of that kind.
fn called(kind: char) -> &'static str {
    match kind {
        NUMBER => "a number",
        TIME => "a time",
        _ => "a text",
    }
}

/// How well changes are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What keeps changes from being recorded; nothing where all of them are.
    pub faults: Vec<String>,
    /// What somebody can do about them, where they don't say it themselves.
    pub remedy: Option<&'static str>,
    /// Whether the schema has yet to become this version's, or this program the schema's, so that no more is known.
    pub is_behind: bool,
    /// What a trigger ran into that could not read a change, where statistics were not built anew since.
    pub unreadable: Option<String>,
    /// Whether anything may have gone unrecorded since the statistics were built, though nothing says so.
    pub doubt: Doubt,
}

impl Recording {
    /// Whether all is recorded, and was since the statistics were built.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.faults.is_empty() && !self.is_behind && self.unreadable.is_none() && self.doubt == Doubt::None
    }
}

/// What tells that something may have gone unrecorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing does, or the statistics are to be built anew in any case.
    None,
    /// A table was written anew by a change of a column's type, which may have changed what is in it; or somebody changed what is
    /// allowed in our own schema.
    Slight,
    /// Triggers were made or switched anew, or columns took the place of others.
    Grave,
}

impl Store {
    /// How well changes are recorded; `None` where the schema is of a newer version, whose triggers are not known here, but which write
    /// events that are.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn recording(&self) -> Result<Option<Recording>, StoreError> {
        recording_by(&*self.client().await?).await
    }

    /// Keeps with the statistics what records changes now, where that gives no doubt: of what is known to have lost nothing, the
    /// next look must not ask again.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn keep_recording(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = format!(
            "with now as materialized (select {} as recording)
             update live.fold f set recording = f.recording || now.recording from now
             where f.recording - '{SOUND_SINCE}' <> now.recording and not ({}) and not ({})",
            *RECORDING,
            was_replaced("f.recording", "now.recording"),
            was_rewritten("f.recording", "now.recording"),
        );
        client.execute(&sql, &[]).await.attempt("keep what records changes")?;
        Ok(())
    }

    /// Has statistics counted from the orders until somebody builds them anew, as changes may go unrecorded.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn distrust_statistics(&self) -> Result<(), StoreError> {
        self.discard_fold().await
    }
}

/// The same as [`Store::recording`], asked on that connection.
pub(super) async fn recording_by(client: &Client) -> Result<Option<Recording>, StoreError> {
    match schema_by(client).await? {
        SchemaState::Current => {}
        SchemaState::Newer(_) => {
            let fault = fault_of_newer_triggers(client).await?;
            let faults = fault.map(|fault| vec![fault]);
            return Ok(faults.map(|faults| Recording {
                faults,
                remedy: None,
                is_behind: true,
                unreadable: None,
                doubt: Doubt::None,
            }));
        }
        SchemaState::Behind(pending) => {
            let fault = format!("schema live lacks {}: run oncare-live migrate", pending.join(", "));
            return Ok(Some(Recording {
                faults: vec![fault],
                remedy: None,
                is_behind: true,
                unreadable: None,
                doubt: Doubt::None,
            }));
        }
    }
    let mut faults = faults_of_triggers(client).await?;
    let hidden = hidden(client).await?;
    if !hidden.is_empty() {
        faults.push(format!("row-level security may hide rows of {} from this role", hidden.join(", ")));
    }
    let of_columns = faults_of_columns(client).await?;
    let of_ours = faults_of_our_tables(client).await?;
    let remedy = if !of_ours.is_empty() {
        Some("undo what was done to schema live, which migrating does not: oncare-live doctor names it")
    } else if !of_columns.is_empty() {
        Some("the owner of the host's tables must put those columns right: migrating again does not")
    } else if !hidden.is_empty() {
        Some("give the service's role a policy that shows it all rows, or bypassrls")
    } else {
        Some(MIGRATE)
    };
    faults.extend(of_columns);
    faults.extend(of_ours);
    // the statistics are not of here, or to be built anew, where there is no fold
    let row = client
        .query_one(
            &format!(
                "with now as materialized (select {} as recording)
                 select (select u.reason from live.unreadable u order by u.xid desc limit 1),
                     coalesce({}, false), coalesce({}, false)
                 from now left join live.fold f on live.folded() is not null",
                *RECORDING,
                format_args!("f.singleton and ({})", was_replaced("f.recording", "now.recording")),
                format_args!("f.singleton and ({})", was_rewritten("f.recording", "now.recording")),
            ),
            &[],
        )
        .await
        .attempt("look for what could not be read")?;
    let doubt = match (row.get(1), row.get(2)) {
        (true, _) => Doubt::Grave,
        (false, true) => Doubt::Slight,
        (false, false) => Doubt::None,
    };
    Ok(Some(Recording { faults, remedy, is_behind: false, unreadable: row.get(0), doubt }))
}

/// What is to be said of the triggers of a newer version, if they write events that this one does not read.
async fn fault_of_newer_triggers(client: &Client) -> Result<Option<String>, StoreError> {
    const ASK: &str = "ask which version of events is written";
    let says = client.query_one("select to_regprocedure('live.event_version()') is not null", &[]).await;
    if !says.attempt(ASK)?.get::<_, bool>(0) {
        return Ok(None);
    }
    let version: i32 = client.query_one("select live.event_version()", &[]).await.attempt(ASK)?.get(0);
    Ok((version > EVENT_VERSION).then(|| {
        format!(
            "the triggers write events of version {version}, and this program reads those up to {EVENT_VERSION}: update \
             this instance"
        )
    }))
}

async fn faults_of_triggers(client: &Client) -> Result<Vec<String>, StoreError> {
    let triggers = triggers(client).await?;
    let recording = triggers.iter().filter(|(name, _)| name != NAMING_TRIGGER);
    let faulty = recording.filter_map(|(name, state)| Some(format!("trigger {name}: {}", state.fault()?)));
    let changed = changed_recorders(client).await?.into_iter();
    Ok(faulty.chain(changed.map(|name| format!("function live.{name} is not the one of this version"))).collect())
}

async fn faults_of_columns(client: &Client) -> Result<Vec<String>, StoreError> {
    let relations: Vec<&str> = READ.iter().map(|(relation, ..)| *relation).collect();
    let columns: Vec<&str> = READ.iter().map(|(_, column, _)| *column).collect();
    // a domain is of the kind of what it is made of
    let rows = client
        .query(
            "select to_regclass('public.' || n.relation) is not null, format_type(a.atttypid, a.atttypmod),
                 t.typcategory::text, coalesce(a.attgenerated = 'v', false)
             from unnest($1::text[], $2::text[]) with ordinality n (relation, name, place)
             left join pg_attribute a on a.attrelid = to_regclass('public.' || n.relation) and a.attname = n.name
                 and a.attnum > 0 and not a.attisdropped
             left join pg_type t on t.oid = a.atttypid
             order by n.place",
            &[&relations, &columns],
        )
        .await
        .attempt("look at what the triggers read")?;
    let mut faults = Vec::new();
    for ((relation, column, kind), row) in READ.iter().zip(&rows) {
        let (is_there, found): (bool, Option<&str>) = (row.get(0), row.get(1));
        let (category, is_virtual): (Option<&str>, bool) = (row.get(2), row.get(3));
        match found {
            _ if !is_there => {
                let missing = format!("public.{relation} is missing");
                if !faults.contains(&missing) {
                    faults.push(missing);
                }
            }
            None => faults.push(format!("public.{relation} lacks the column {column}")),
            Some(_) if is_virtual => faults.push(format!(
                "public.{relation}.{column} is computed when it is read, which triggers can't see: it must be stored"
            )),
            Some(_) if category.is_some_and(|category| category.starts_with(*kind)) => {}
            Some(found) => {
                faults.push(format!("public.{relation}.{column} is {found}, and must be {}", called(*kind)));
            }
        }
    }
    Ok(faults)
}

/// The classes of errors that are an answer, and not a server's that can't answer now: what `live.must_take_events` says, and what
/// is said where it or a table of ours is missing, or may not be used.
const REFUSALS: [&str; 3] = ["P0001", "42", "3F"];

/// What keeps the triggers from writing to our own tables.
pub(super) async fn faults_of_our_tables(client: &Client) -> Result<Vec<String>, StoreError> {
    let mut faults = Vec::new();
    // it fails where an event can't be written
    if let Err(error) =
        client.query_one("select live.must_take_events('live.order_event', 'live.order_event_id_seq')", &[]).await
    {
        match error.as_db_error() {
            Some(refusal) if REFUSALS.iter().any(|class| refusal.code().code().starts_with(class)) => {
                faults.push(refusal.message().to_owned());
            }
            _ => return Err(StoreError::of(error, "look whether events can be written")),
        }
    }
    let rows = client
        .query(
            "select n.name from unnest(array['live.truncation', 'live.unreadable']) n (name)
             join pg_proc p on p.oid = to_regprocedure('live.record_update()')
             where not coalesce(has_table_privilege(p.proowner, to_regclass(n.name), 'insert'), false)",
            &[],
        )
        .await
        .attempt("look whether notes can be written")?;
    faults.extend(rows.iter().map(|row| format!("nothing can be written to {}", row.get::<_, &str>(0))));
    Ok(faults)
}
