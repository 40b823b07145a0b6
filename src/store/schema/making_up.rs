//! Making up for changes that went unrecorded. One instance at a time builds the statistics anew, and whoever waited for it looks
//! again: each time begins another epoch, in which every page reads its state anew.

use tokio_postgres::Client;

use super::migrate::Waiting;
use super::recording::{Doubt, Recording, recording_by};
use crate::store::database::{Attempt, Store, StoreError};
use crate::store::tail::{Folded, SOUND_SINCE};

/// A moment in the life of a database: every snapshot that is taken later has this transaction behind it.
#[derive(Debug, Clone)]
pub struct Moment(String);

/// What an instance knows of changes that are not made up for.
#[derive(Debug, Clone)]
pub enum Owed {
    /// The database itself shows it, until the statistics are built anew.
    Doubt,
    /// It saw faults, for the last time before this moment, if that is known. They are over, and nothing shows any more that they
    /// were.
    Faults(Option<Moment>),
}

/// What came of making up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeUp {
    /// It was done now.
    Now,
    /// Another instance had done it.
    Before,
    /// Changes may go unrecorded again.
    Not,
}

impl Store {
    /// The present one.
    ///
    /// # Errors
    /// If the database can't be reached, or nothing can be written there.
    pub async fn moment(&self) -> Result<Moment, StoreError> {
        let client = self.client().await?;
        let row = client.query_one("select pg_current_xact_id()::text", &[]).await.attempt("tell a moment")?;
        Ok(Moment(row.get(0)))
    }

    /// Builds the statistics anew from the orders, unless another instance did so late enough: after a look that found no fault and
    /// itself came after the moment at which this one last saw any. Nothing that went unrecorded until then is missing from what it
    /// built; and what records changes has been the same since then.
    ///
    /// # Errors
    /// If the database can't be reached. Until the statistics are built, they are the plain aggregate.
    pub async fn make_up(&self, owed: &Owed) -> Result<MadeUp, StoreError> {
        let mut waiting = Waiting::new();
        loop {
            let mut otherwise = MadeUp::Before;
            let built = self.build_anew_if(async |client| {
                let recording = recording_by(client).await?;
                if recording.as_ref().is_none_or(|recording| !recording.faults.is_empty()) {
                    otherwise = MadeUp::Not;
                    return Ok(false);
                }
                Ok(!recording.is_some_and(|recording| shows_nothing(&recording)) || !is_made_up(client, owed).await?)
            });
            match built.await? {
                Folded::Elsewhere => self.wait_for_fold(&mut waiting).await?,
                Folded::Rebuilt => return Ok(MadeUp::Now),
                Folded::Nothing | Folded::Events(_) => return Ok(otherwise),
            }
        }
    }
}

/// Whether nothing in the database says that changes went unrecorded since the statistics were built.
fn shows_nothing(recording: &Recording) -> bool {
    recording.unreadable.is_none() && recording.doubt == Doubt::None
}

/// Whether there are statistics, and they were built late enough for what is owed, where nothing else shows that anything is.
async fn is_made_up(client: &Client, owed: &Owed) -> Result<bool, StoreError> {
    let last_seen = match owed {
        Owed::Doubt => None,
        Owed::Faults(None) => return Ok(false),
        Owed::Faults(Some(Moment(transaction))) => Some(transaction),
    };
    let sql = "select $1::text is null
                   or coalesce(pg_visible_in_snapshot($1::text::xid8, (f.recording ->> $2::text)::pg_snapshot), false)
               from live.fold f where live.folded() is not null";
    let row = client.query_opt(sql, &[&last_seen, &SOUND_SINCE]).await;
    let row = row.attempt("look whether another instance made up for what went unrecorded")?;
    Ok(row.is_some_and(|row| row.get(0)))
}
