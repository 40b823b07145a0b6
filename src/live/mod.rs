//! From a committed change to the streams that it concerns: listener, hub, mailboxes, frames, fold and canary. Knows no
//! HTTP.

mod baseline;
mod canary;
mod folder;
mod frame;
mod heard;
mod hub;
mod lateness;
mod listener;
mod mailbox;
mod meter;
mod pace;
#[cfg(test)]
mod pace_simulation;
mod pulse;
mod recency;
mod sentinel;
mod stream;
mod supervise;
mod watch;
mod watched;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chrono_tz::Tz;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cursor::Revision;
use crate::order::Scope;
use crate::store::{Store, Syncs};

pub use frame::Frame;
pub use hub::{Hub, ListenerState, Subscriber, Subscription};
pub use mailbox::Bye;
pub use meter::{AgeBuckets, Meter, Step, StreamCounts, Task};
use recency::Recency;
use supervise::supervise;

pub use stream::{EventStream, Told};

/// What the live side is made of.
pub struct Live {
    /// Who listens to what.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub meter: Arc<Meter>,
    recency: Recency,
    store: Store,
    syncs: Syncs,
    zone: Tz,
    started: Instant,
}

impl Live {
    /// Prepares the live side; [`Live::start`] makes it move.
    #[must_use]
    pub fn new(store: Store, zone: Tz) -> Arc<Self> {
        let meter = Arc::new(Meter::default());
        let hub = Arc::new(Hub::new(Arc::clone(&meter)));
        Arc::new(Self {
            hub,
            meter,
            recency: Recency::default(),
            syncs: Syncs::new(&store),
            store,
            zone,
            started: Instant::now(),
        })
    }

    /// A page polls for these orders and will want to know whether anything changed since this answer.
    pub fn polls(&self, scope: Scope) {
        self.recency.watch(scope);
    }

    /// Whether it is certain that nothing of these orders changed from one state of the database to another, later one. What
    /// the listener has read proves that, also while nobody knows whether it still hears what is new: that only says how soon
    /// it will read more.
    pub async fn is_unchanged(&self, scope: Scope, from: Revision, to: Revision) -> bool {
        let unchanged = self.recency.is_unchanged(scope, from, to).await;
        let counter = if unchanged { &self.meter.polls_unchanged } else { &self.meter.polls_changed };
        counter.fetch_add(1, Relaxed);
        unchanged
    }

    /// Starts the background tasks, each supervised. They end when `stop` is cancelled.
    pub fn start(self: &Arc<Self>, retention: Duration, tasks: &TaskTracker, stop: &CancellationToken) {
        for task in Task::ALL {
            let (live, stopped) = (Arc::clone(self), stop.clone().cancelled_owned());
            tasks.spawn(async move {
                let run = || live.run(task, retention);
                tokio::select! {
                    () = stopped => {}
                    () = supervise(task, &live.meter, || live.failed(task), run) => {}
                }
            });
        }
    }

    async fn run(&self, task: Task, retention: Duration) {
        match task {
            Task::Listener => listener::run(self).await,
            Task::Fold => folder::run(&self.store, &self.meter, retention).await,
            Task::Sessions => sentinel::run(&self.store, &self.hub).await,
            Task::Watch => watch::run(&self.store, &self.meter).await,
        }
    }

    fn failed(&self, task: Task) {
        if task == Task::Listener {
            let why = "the listener failed and begins anew".to_owned();
            self.hub.set_listener_state(ListenerState::Degraded(why));
            self.meter.set_awake(false);
        }
    }
}
