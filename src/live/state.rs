//! What the tasks of the live side share.

use std::sync::Arc;

use chrono_tz::Tz;
use tokio::time::Instant;

use super::hub::{Hub, StreamCaps};
use super::meter::Meter;
use super::recency::Recency;
use crate::cursor::Revision;
use crate::order::Scope;
use crate::store::{Sessions, Store, Syncs};

/// What the live side is made of.
pub struct Live {
    /// Which streams are open.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub meter: Arc<Meter>,
    pub(super) recency: Recency,
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    pub(super) syncs: Syncs,
    pub(super) zone: Tz,
    pub(super) started: Instant,
}

impl Live {
    /// Prepares the live side; `Live::start` makes it move.
    #[must_use]
    pub fn new(store: Store, sessions: Sessions, zone: Tz, caps: StreamCaps) -> Arc<Self> {
        let meter = Arc::new(Meter::default());
        let hub = Arc::new(Hub::new(Arc::clone(&meter), caps));
        Arc::new(Self {
            hub,
            meter,
            recency: Recency::default(),
            syncs: Syncs::new(&store),
            store,
            sessions,
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
    /// it will read more. Of changes that are not recorded it proves nothing.
    pub async fn is_unchanged(&self, scope: Scope, from: Revision, to: Revision) -> bool {
        let unchanged = self.hub.records_all() && self.recency.is_unchanged(scope, from, to).await;
        let counter = if unchanged { &self.meter.polls_unchanged } else { &self.meter.polls_changed };
        counter.inc();
        unchanged
    }
}
