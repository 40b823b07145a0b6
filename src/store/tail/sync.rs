//! The whole state of a scope, as streams ask for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};

use super::missed::{Completeness, REACH, RECENT, RECENT_OF_ALL, Reach, Recent};
use crate::cursor::Cursor;
use crate::order::{Change, Scope, Summary};
use crate::store::database::{Attempt, BEGIN, Gather, Store, StoreError, prepare};
use crate::store::people::Sight;
use crate::store::rows::{SUMMARIES, TOTAL_SUMMARY, summaries};

/// The whole state of one scope, in one snapshot: what a stream begins with, and what it sends again when it fell behind.
#[derive(Debug)]
pub struct Sync {
    /// The snapshot.
    pub cursor: Arc<Cursor>,
    /// Cards and breakdown.
    pub summary: Summary,
    /// What the page missed since the cursor it brought; `None` where that can't be told.
    pub missed: Option<Vec<Change>>,
}

/// Reads what streams begin with: one statement for all that begin at the same time.
pub struct Syncs {
    store: Store,
    gather: Gather<SyncRequest, Sync>,
    completeness: Arc<Completeness>,
}

impl Syncs {
    /// Reads from this store.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), gather: Gather::new(store, read_syncs), completeness: Arc::default() }
    }

    /// What a stream of these orders begins with, whose page knows all up to a cursor.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn read(&self, sight: Sight, since: Option<&Cursor>) -> Result<Sync, StoreError> {
        let scope = sight.scope();
        self.store.statistics_read.store(true, Relaxed);
        let completeness = Arc::clone(&self.completeness);
        self.gather.ask(SyncRequest { scope, since: since.cloned(), completeness }).await
    }
}

/// A stream that is to begin: whose orders it tells of, and up to where its page knows.
struct SyncRequest {
    scope: Scope,
    since: Option<Cursor>,
    completeness: Arc<Completeness>,
}

/// What many streams begin with, in one snapshot.
fn read_syncs<'a>(
    client: &'a ClientWrapper,
    requests: &'a [SyncRequest],
) -> BoxFuture<'a, Result<Vec<Sync>, StoreError>> {
    async move {
        let read = syncs(client, requests).await;
        if read.is_err() {
            // it may have failed before its end was sent; where it was, this only warns
            let _ = client.batch_execute("rollback").await;
        }
        read
    }
    .boxed()
}

async fn syncs(client: &ClientWrapper, requests: &[SyncRequest]) -> Result<Vec<Sync>, StoreError> {
    prepare(client, &[&REACH]).await.attempt("prepare to read")?;
    let ((), reach) = tokio::try_join!(
        biased;
        async { client.batch_execute(BEGIN).await.attempt("begin reading") },
        Reach::read(client),
    )?;
    // requests whose cursor is too old are dropped first: one of them would make the shared read as long as its own
    let can_be_told = |request: &SyncRequest, since: &Cursor| {
        reach.has(since) && !request.completeness.is_too_old(request.scope, since)
    };
    let returning: Vec<Option<&Cursor>> =
        requests.iter().map(|request| request.since.as_ref().filter(|since| can_be_told(request, since))).collect();
    let away: HashSet<Scope> = requests
        .iter()
        .zip(&returning)
        .filter(|(_, since)| since.is_some())
        .map(|(request, _)| request.scope)
        .collect();
    let oldest = returning.iter().flatten().map(|since| since.snapshot.xmin()).min();
    let scopes: HashSet<Scope> = requests.iter().map(|request| request.scope).collect();
    let reps: Vec<i64> = away.iter().filter_map(|scope| scope.rep()).map(|rep| rep.0).collect();
    let (of_reps, of_all) = (oldest.filter(|_| !reps.is_empty()), oldest.filter(|_| away.contains(&Scope::All)));
    // what is prepared already is not sent again
    let wanted = [
        scopes.iter().any(|scope| scope.rep().is_some()).then_some(SUMMARIES),
        scopes.contains(&Scope::All).then_some(TOTAL_SUMMARY),
        of_reps.map(|_| RECENT.as_str()),
        of_all.map(|_| RECENT_OF_ALL.as_str()),
    ];
    prepare(client, &wanted.into_iter().flatten().collect::<Vec<_>>()).await.attempt("prepare to read")?;
    let recent: OptionFuture<_> = of_reps.map(|oldest| Recent::read(client, &reps, oldest)).into();
    let recent_of_all: OptionFuture<_> = of_all.map(|oldest| Recent::read_of_all(client, oldest)).into();
    let (summaries, recent, recent_of_all, ()) = tokio::try_join!(
        biased;
        summaries(client, &scopes),
        async { recent.await.transpose().attempt("read the missed events") },
        async { recent_of_all.await.transpose().attempt("read the missed events of all") },
        async { client.batch_execute("commit").await.attempt("end reading") },
    )?;
    let cursor = Arc::new(reach.now);
    let recent = recent.map(|rows| Recent::of(&rows)).transpose()?;
    let recent_of_all = recent_of_all.map(|rows| Recent::of(&rows)).transpose()?;
    if let Some(SyncRequest { completeness, .. }) = requests.first() {
        for (of_all, recent) in [(false, &recent), (true, &recent_of_all)] {
            recent.iter().for_each(|recent| completeness.note(of_all, cursor.epoch, recent));
        }
    }
    let sync = |(SyncRequest { scope, .. }, since): (&SyncRequest, &Option<&Cursor>)| {
        let recent = if *scope == Scope::All { &recent_of_all } else { &recent };
        let missed = since.zip(recent.as_ref());
        Sync {
            cursor: Arc::clone(&cursor),
            summary: summaries.get(scope).cloned().unwrap_or_default(),
            missed: missed.and_then(|(since, recent)| recent.missed(*scope, since)),
        }
    };
    Ok(requests.iter().zip(&returning).map(sync).collect())
}
