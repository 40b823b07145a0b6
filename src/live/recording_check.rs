//! Looks now and then whether every change is recorded. The host may alter at any time what the triggers read, drop its tables or
//! switch triggers off. Then pages are not live, and statistics are counted from the orders. Once all is recorded again, statistics
//! are built anew, by one of the instances: that begins another epoch, in which every listener and stream reads anew. With the
//! statistics is kept what recorded changes when they were built, so that what was altered and put back between two looks is found
//! as well, also where no service ran meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::hub::Hub;
use super::outage::Outage;
use crate::store::{Doubt, MadeUp, Owed, Recording, Store, StoreError};

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(10);

/// How soon again, at the earliest, where that failed, or an unrecorded change was met.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The pause after all orders were read is so many times as long as that took, up to the interval.
const REST: u32 = 9;

/// How long the listener may take to come to the new epoch until pages are told that they are live, and how often that is
/// looked at.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(10);
const ARRIVAL_POLL: Duration = Duration::from_millis(100);

/// Looks for ever.
pub(super) async fn run(store: &Store, hub: &Hub) {
    let mut check = Check { store, hub, owed: None, told_at: None, rested: Instant::now() };
    let mut outage = Outage::default();
    loop {
        let looked = check.look().await;
        if looked.is_ok()
            && let Some((time, failures)) = outage.is_over()
        {
            tracing::info!(failures, "it is looked again whether changes are recorded, after {} s", time.as_secs());
        }
        match looked {
            Ok(Look::Done) => tokio::select! {
                () = sleep(INTERVAL) => {}
                () = hub.unrecorded() => sleep_until(check.rested).await,
            },
            Ok(Look::Unfinished) => sleep_until(check.rested).await,
            Err(error) => {
                if outage.fails_beside(hub, &error) {
                    let (remedy, error) = (error.remedy(), error.chain());
                    tracing::warn!(
                        error,
                        remedy,
                        "could not look whether changes are recorded; it is tried again each second"
                    );
                }
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// What came of a look.
enum Look {
    /// There is nothing more to do, or it can't be done yet.
    Done,
    /// Somebody is to migrate first, or another change went unrecorded while all orders were read.
    Unfinished,
}

struct Check<'a> {
    store: &'a Store,
    hub: &'a Hub,
    /// What is known of changes that went unrecorded, or were about to, and are not made up for.
    owed: Option<Owed>,
    /// Since when changes go unrecorded, where that was told.
    told_at: Option<Instant>,
    /// Not before this is looked again, where all orders may be read.
    rested: Instant,
}

impl Check<'_> {
    async fn look(&mut self) -> Result<Look, StoreError> {
        self.rested = Instant::now() + RETRY_PAUSE;
        let met = self.hub.unrecorded_met();
        let Some(Recording { faults, remedy, is_behind, unreadable, doubt }) = self.store.recording().await? else {
            if let Some(at) = self.told_at.take() {
                let seconds = at.elapsed().as_secs();
                tracing::info!("a newer version records changes, and pages may be live again, after {seconds} s");
            }
            self.hub.clear_faults(met);
            return Ok(Look::Done);
        };
        if !faults.is_empty() {
            // also where this look fails half-way
            self.owed = Some(Owed::Faults(None));
            self.say(faults, remedy);
            if !is_behind {
                self.store.distrust_statistics().await?;
            }
            self.faults_are_seen_until_now().await;
            // whoever migrates builds the statistics anew
            return Ok(if is_behind { Look::Unfinished } else { Look::Done });
        }
        if self.owed.is_none() && (doubt == Doubt::Grave || unreadable.is_some()) {
            self.owed = Some(Owed::Doubt);
        }
        if let Some(owed) = self.owed.clone() {
            // why, PostgreSQL says with the value that it could not read
            let told = vec!["changes went unrecorded; everything is read anew".to_owned()];
            if self.told_at.is_some() {
                // what was the fault is mended, and that was an error
                self.hub.set_faults(told);
            } else {
                self.say(told, Some("none is needed: everything is read anew, by itself"));
            }
            if self.make_up(&owed).await? == MadeUp::Not {
                return Ok(Look::Unfinished);
            }
            let present = self.store.present().await?;
            let arrival = async {
                while self.hub.is_elsewhere(&present) {
                    sleep(ARRIVAL_POLL).await;
                }
            };
            // a listener that has lost the database is not live anyway
            let _ = timeout(ARRIVAL_PATIENCE, arrival).await;
            // the listener told nobody of another one on its way there; what comes now it meets
            if !self.store.recording().await?.is_some_and(|recording| recording.is_complete()) {
                self.faults_are_seen_until_now().await;
                return Ok(Look::Unfinished);
            }
            self.owed = None;
            let seconds = self.told_at.take().map_or(0, |at| at.elapsed().as_secs());
            tracing::info!(
                "every change is recorded again, and those that were not are made up for, after {seconds} s"
            );
        } else if doubt == Doubt::Slight {
            // most probably nobody has missed anything: no page need say that it may have
            tracing::info!(
                "a table of orders was written anew, or rights in schema live changed: everything is read anew"
            );
            if self.make_up(&Owed::Doubt).await? == MadeUp::Not {
                return Ok(Look::Unfinished);
            }
        } else {
            self.store.keep_recording().await?;
        }
        self.hub.clear_faults(met);
        Ok(Look::Done)
    }

    async fn make_up(&mut self, owed: &Owed) -> Result<MadeUp, StoreError> {
        let begun_at = Instant::now();
        let made_up = self.store.make_up(owed).await?;
        if made_up == MadeUp::Not {
            self.faults_are_seen_until_now().await;
        } else {
            self.hub.wake_listener();
        }
        self.rested = Instant::now() + (begun_at.elapsed() * REST).clamp(RETRY_PAUSE, INTERVAL);
        Ok(made_up)
    }

    /// What anybody made up for until now is not enough.
    async fn faults_are_seen_until_now(&mut self) {
        self.owed = Some(Owed::Faults(self.store.moment().await.ok()));
    }

    fn say(&mut self, faults: Vec<String>, remedy: Option<&str>) {
        if self.hub.faults() != faults {
            self.told_at.get_or_insert_with(Instant::now);
            tracing::error!(faults = faults.join("; "), remedy, "changes may go unrecorded; pages are not live");
        }
        self.hub.set_faults(faults);
    }
}
