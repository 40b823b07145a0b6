//! Keeps the summary close behind the events and the orders' timelines complete, and the events from growing for ever.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::Meter;
use crate::store::{Folded, Store, StoreError};

/// How often is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(250);

/// How long events wait to be folded while nobody reads statistics from the database. What is not folded yet every such
/// reader adds up; but the longer it waits the more changes of one sum become one.
const FOLD_LATEST: Duration = Duration::from_secs(2);

/// While more events than this come in a second, writers have the machine for themselves and timelines wait.
const BUSY: f64 = 400.0;

/// Events that may wait for a timeline at most. Whoever opens an order's page reads through them.
const MOST_WAITING: u64 = 100_000;

/// How often old events are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);

/// Pause between two batches of a prune, so that it never crowds out the host's own work.
const PRUNE_PAUSE: Duration = Duration::from_millis(100);

/// Folds, and prunes events older than `retention`, for ever.
pub(super) async fn run(store: &Store, meter: &Meter, retention: Duration) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Instant::now();
    let mut folder =
        Folder { store, meter, folded_at: None, waiting: 0, is_complete: false, is_busy: false, next_prune: now };
    let mut failing = false;
    loop {
        ticks.tick().await;
        let outcome = folder.turn(retention).await;
        match outcome {
            Ok(()) if failing => tracing::info!("folding again"),
            Err(ref error) if !failing => tracing::warn!(error = error.chain(), "could not fold; trying on"),
            _ => {}
        }
        failing = outcome.is_err();
    }
}

struct Folder<'a> {
    store: &'a Store,
    meter: &'a Meter,
    folded_at: Option<Instant>,
    /// Events folded here that are not in the timelines yet.
    waiting: u64,
    /// Whether there was nothing to enter in the timelines when this was last tried. Then it is tried at the next fold alone, as a
    /// transaction that made some events wait may have ended.
    is_complete: bool,
    /// Whether events were many when they were last folded.
    is_busy: bool,
    next_prune: Instant,
}

impl Folder<'_> {
    async fn turn(&mut self, retention: Duration) -> Result<(), StoreError> {
        let waited = self.folded_at.map_or(FOLD_LATEST, |at| at.elapsed());
        let was_read = self.store.were_statistics_read();
        if was_read || waited >= FOLD_LATEST {
            self.is_busy = self.fold().await? as f64 / waited.as_secs_f64() > BUSY;
            self.folded_at = Some(Instant::now());
        } else if self.is_complete {
            return Ok(());
        }
        if !self.is_busy || self.waiting > MOST_WAITING {
            let entered = self.store.extend_timeline().await?;
            self.waiting = self.waiting.saturating_sub(entered);
            self.is_complete = entered == 0;
        }
        if Instant::now() >= self.next_prune {
            self.prune(retention).await?;
        }
        Ok(())
    }

    /// Folds, and gives the number of events.
    async fn fold(&mut self) -> Result<u64, StoreError> {
        match self.store.fold().await? {
            Folded::Events(events) => {
                self.meter.folds.fetch_add(1, Relaxed);
                self.waiting += events;
                self.is_complete = false;
                return Ok(events);
            }
            Folded::Rebuilt => {
                tracing::info!("built the statistics anew from the orders");
                self.meter.rebuilds.fetch_add(1, Relaxed);
                self.is_complete = false;
            }
            Folded::Nothing | Folded::Elsewhere => {}
        }
        Ok(0)
    }

    async fn prune(&mut self, retention: Duration) -> Result<(), StoreError> {
        self.store.tidy_statistics().await?;
        loop {
            let pruned = self.store.prune(retention).await?;
            self.meter.pruned.fetch_add(pruned, Relaxed);
            if pruned == 0 {
                self.next_prune = Instant::now() + PRUNE_INTERVAL;
                return Ok(());
            }
            tokio::time::sleep(PRUNE_PAUSE).await;
        }
    }
}
