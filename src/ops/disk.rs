//! What is said in the log of a server's disk that is full.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::store::StoreError;

/// Since when the server's disk takes nothing. Nothing else says so while nothing is to be written, and nobody is sent here any more.
#[derive(Debug, Default)]
pub struct Disk(Mutex<Option<Instant>>);

impl Disk {
    /// Something was written to find out, or could not be.
    pub(super) fn found(&self, room: &Result<(), StoreError>) {
        let mut full = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match room {
            Err(error) if full.is_none() => {
                // of a database that is away meanwhile the listener tells
                let Some(remedy) = error.remedy() else { return };
                *full = Some(Instant::now());
                let error = error.chain();
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
