//! From a committed change to the streams that it concerns: listener, hub, mailboxes, frames, fold and canary. Knows no
//! HTTP.

mod folder;
mod frame;
mod hub;
mod listener;
mod mailbox;
mod meter;
mod sentinel;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::Store;

pub use frame::Frame;
pub use hub::{Hub, ListenerState, Subscriber, Subscription};
pub use mailbox::Bye;
pub use meter::{AgeBuckets, Meter, StreamCounts};

/// How many streams read their state at the same time. Thousands may come back at once; the pool is not theirs alone.
const CONCURRENT_SYNCS: usize = 6;

/// What the live side is made of.
pub struct Live {
    /// Who listens to what.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub meter: Arc<Meter>,
    store: Store,
    zone: Tz,
    syncs: Semaphore,
}

impl Live {
    /// Prepares the live side; [`Live::start`] makes it move.
    #[must_use]
    pub fn new(store: Store, zone: Tz) -> Arc<Self> {
        let meter = Arc::new(Meter::default());
        let hub = Arc::new(Hub::new(Arc::clone(&meter)));
        Arc::new(Self { hub, meter, store, zone, syncs: Semaphore::new(CONCURRENT_SYNCS) })
    }

    /// Starts the listener, the fold and the sessions' sentinel. They end when `stop` is cancelled.
    pub fn start(self: &Arc<Self>, retention: Duration, tasks: &TaskTracker, stop: &CancellationToken) {
        let until = |stop: &CancellationToken| stop.clone().cancelled_owned();
        let live = Arc::clone(self);
        let stopped = until(stop);
        tasks.spawn(async move {
            tokio::select! { () = stopped => {}, () = listener::run(&live) => {} }
        });
        let (store, meter) = (self.store.clone(), Arc::clone(&self.meter));
        let stopped = until(stop);
        tasks.spawn(async move {
            tokio::select! { () = stopped => {}, () = folder::run(&store, &meter, retention) => {} }
        });
        let live = Arc::clone(self);
        let stopped = until(stop);
        tasks.spawn(async move {
            tokio::select! { () = stopped => {}, () = sentinel::run(&live.store, &live.hub) => {} }
        });
    }
}
