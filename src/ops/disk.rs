//! What is said in the log of a server's disk that is full.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::store::{Store, StoreError};

/// Since when the server's disk takes nothing. Nothing else says so while nothing is to be written, and nobody is sent here any more.
#[derive(Debug, Default)]
pub struct Disk(Mutex<Option<Instant>>);

/// How often it is looked though nobody asks.
const INTERVAL: Duration = Duration::from_secs(15);

impl Disk {
    /// Looks for ever.
    pub async fn watch(&self, store: &Store) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.found(&store.room_on_disk().await);
        }
    }

    /// Whether the server's disk took what was written when that was last tried.
    pub(super) fn has_room(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Something was written to find out, or could not be.
    pub(super) fn found(&self, room: &Result<(), StoreError>) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match room {
            Err(error) if full.is_none() => {
                // of a database that is away meanwhile the listener tells
                if !error.is_lack_of_room() {
                    return;
                }
                *full = Some(Instant::now());
                let (error, remedy) = (error.chain(), error.remedy());
                tracing::error!(error, remedy, "not ready: the database server's disk takes nothing that is written");
            }
            Ok(()) => {
                if let Some(since) = full.take() {
                    let seconds = since.elapsed().as_secs();
                    tracing::info!("the database server's disk takes what is written again after {seconds} s");
                }
            }
            Err(_) => {}
        }
    }
}
