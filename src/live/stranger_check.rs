//! Looks now and then for what nobody would report: strangers that hold the listeners' lock.

use std::time::Duration;

use super::meter::Meter;
use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(10);

/// Looks for ever. What can't be looked at stays as it was; that the database is away others say.
pub(super) async fn run(store: &Store, meter: &Meter) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(strangers) = store.sleep_lock_strangers().await {
            let before = meter.sleep_lock_strangers.set(i64::try_from(strangers.len()).unwrap_or(i64::MAX));
            if before == 0 {
                strangers.iter().for_each(|stranger| tracing::warn!("{stranger}"));
            }
        }
    }
}
