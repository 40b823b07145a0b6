//! Keeps the summary close behind the events, and the events from growing for ever.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::Meter;
use crate::store::{Folded, Store, StoreError};

/// How often events are folded. What is not folded yet every reader of statistics adds up.
const FOLD_INTERVAL: Duration = Duration::from_millis(250);

/// How often old events are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);

/// Pause between two batches of a prune, so that it never crowds out the host's own work.
const PRUNE_PAUSE: Duration = Duration::from_millis(100);

/// Folds, and prunes events older than `retention`, for ever.
pub(super) async fn run(store: &Store, meter: &Meter, retention: Duration) {
    let mut ticks = tokio::time::interval(FOLD_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_prune = Instant::now();
    let mut failing = false;
    loop {
        ticks.tick().await;
        let outcome = turn(store, meter, retention, &mut next_prune).await;
        match outcome {
            Ok(()) if failing => tracing::info!("folding again"),
            Err(ref error) if !failing => tracing::warn!(error = error.chain(), "could not fold; trying on"),
            _ => {}
        }
        failing = outcome.is_err();
    }
}

async fn turn(store: &Store, meter: &Meter, retention: Duration, next_prune: &mut Instant) -> Result<(), StoreError> {
    match store.fold().await? {
        Folded::Events => meter.folds.fetch_add(1, Relaxed),
        Folded::Rebuilt => {
            tracing::info!("built the statistics anew from the orders");
            meter.rebuilds.fetch_add(1, Relaxed)
        }
        Folded::Nothing | Folded::Elsewhere => 0,
    };
    if Instant::now() < *next_prune {
        return Ok(());
    }
    store.tidy_statistics().await?;
    loop {
        let pruned = store.prune(retention).await?;
        meter.pruned.fetch_add(pruned, Relaxed);
        if pruned == 0 {
            *next_prune = Instant::now() + PRUNE_INTERVAL;
            return Ok(());
        }
        tokio::time::sleep(PRUNE_PAUSE).await;
    }
}
