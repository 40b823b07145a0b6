//! Looks now and then whether every change is recorded. The host may alter at any time what the triggers read, drop its tables or
//! switch triggers off. Then pages are not live, and statistics are counted from the orders. Once all is recorded again, statistics
//! are built anew: that begins another epoch, in which every listener and stream reads anew.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::hub::Hub;
use crate::store::{Recording, Store, StoreError};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(10);

/// How soon again where that failed, or an unrecorded change was met. Not twice in a row: all orders may be read each time.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long the listener may take to come to the new epoch until pages are told that they are live, and how often that is
/// looked at.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(10);
const ARRIVAL_POLL: Duration = Duration::from_millis(100);

/// Looks for ever.
pub(super) async fn run(store: &Store, hub: &Hub) {
    let mut check = Check { store, hub, fingerprint: None, is_owed: false };
    let mut was_failing = false;
    loop {
        match check.look().await {
            Ok(Look::MadeUp) => sleep(INTERVAL).await,
            Ok(Look::Behind) => sleep(RETRY_PAUSE).await,
            Ok(Look::Nothing) => tokio::select! {
                () = sleep(INTERVAL) => {}
                () = hub.unrecorded() => sleep(RETRY_PAUSE).await,
            },
            Err(error) => {
                if !std::mem::replace(&mut was_failing, true) {
                    tracing::warn!(error = error.chain(), "could not look whether changes are recorded; trying on");
                }
                sleep(RETRY_PAUSE).await;
                continue;
            }
        }
        was_failing = false;
    }
}

/// What came of a look.
enum Look {
    /// All orders were read, as some changes had not been recorded.
    MadeUp,
    /// Somebody is to migrate first.
    Behind,
    /// There was nothing to be made up for, or it can't be yet.
    Nothing,
}

struct Check<'a> {
    store: &'a Store,
    hub: &'a Hub,
    /// What told one state of the triggers, and of what they read, from another at the last look.
    fingerprint: Option<String>,
    /// Whether changes may have gone unrecorded that are not made up for.
    is_owed: bool,
}

impl Check<'_> {
    async fn look(&mut self) -> Result<Look, StoreError> {
        let Some(Recording { faults, unreadable, fingerprint }) = self.store.recording().await? else {
            self.hub.set_faults(Vec::new());
            return Ok(Look::Nothing);
        };
        let is_behind = fingerprint.is_none();
        let before = std::mem::replace(&mut self.fingerprint, fingerprint);
        let were_replaced = before.is_some() && self.fingerprint.is_some() && before != self.fingerprint;
        self.is_owed |= were_replaced || unreadable.is_some() || !faults.is_empty();
        if !faults.is_empty() {
            self.say(faults);
            if is_behind {
                // whoever migrates builds the statistics anew
                return Ok(Look::Behind);
            }
            self.store.distrust_statistics().await?;
            return Ok(Look::Nothing);
        }
        let is_owed = self.is_owed;
        if is_owed {
            let what = unreadable.map_or_else(String::new, |reason| format!(" ({reason})"));
            self.say(vec![format!("changes went unrecorded{what}; everything is read anew")]);
            self.store.rebuild_statistics().await?;
            if self.store.recording().await?.is_some_and(|recording| recording.unreadable.is_some()) {
                // another one was met meanwhile
                return Ok(Look::MadeUp);
            }
            self.is_owed = false;
            let present = self.store.present().await?;
            let arrival = async {
                while self.hub.is_elsewhere(&present) {
                    sleep(ARRIVAL_POLL).await;
                }
            };
            // a listener that has lost the database is not live anyway
            let _ = timeout(ARRIVAL_PATIENCE, arrival).await;
            tracing::info!("every change is recorded again, and those that were not are made up for");
        }
        self.hub.set_faults(Vec::new());
        Ok(if is_owed { Look::MadeUp } else { Look::Nothing })
    }

    fn say(&self, faults: Vec<String>) {
        if self.hub.faults() != faults {
            tracing::error!(faults = faults.join("; "), "changes may go unrecorded; pages are not live");
        }
        self.hub.set_faults(faults);
    }
}
