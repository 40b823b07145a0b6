//! Since when each rep's orders are unchanged: what answers a poll without reading them.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::cursor::Revision;
use crate::order::RepId;

/// How long a poll waits for the listener to come up to it. Then it reads for itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reps whose last change is kept. Beyond, all are forgotten.
const MOST_REPS: usize = 100_000;

/// What the listener has seen of all reps' changes.
#[derive(Debug)]
pub(super) struct Recency {
    last_changes: Mutex<LastChanges>,
    seen: watch::Sender<Option<Revision>>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct LastChanges {
    /// In or before this state everything may have changed; after it, only what is in `of`.
    since: Option<Revision>,
    /// The state in which a rep's last change was first seen.
    of: HashMap<RepId, Revision>,
}

impl Default for Recency {
    fn default() -> Self {
        Self { last_changes: Mutex::default(), seen: watch::Sender::new(None), asked: Notify::new() }
    }
}

impl Recency {
    /// Whether it is certain that nothing of the rep's changed from one state of the database to another, later one. It
    /// waits a moment for the listener to see the later one.
    pub(super) async fn is_unchanged(&self, rep: RepId, from: Revision, to: Revision) -> bool {
        let mut seen = self.seen.subscribe();
        let is_there =
            |seen: &Option<Revision>| seen.is_some_and(|seen| seen.partial_cmp(&to).is_some_and(Ordering::is_ge));
        if !is_there(&seen.borrow_and_update()) {
            self.asked.notify_one();
            if !matches!(timeout(PATIENCE, seen.wait_for(is_there)).await, Ok(Ok(_))) {
                return false;
            }
        }
        let last_changes = self.lock();
        let last = last_changes.of.get(&rep).copied().or(last_changes.since);
        last.is_some_and(|last| last.partial_cmp(&from).is_some_and(Ordering::is_le))
    }

    /// Returns when somebody waits for the listener to read.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The listener has seen all that was committed up to a state, and in it changes of these reps.
    pub(super) fn saw(&self, changed: impl Iterator<Item = RepId>, state: Revision) {
        let mut last_changes = self.lock();
        last_changes.of.extend(changed.map(|rep| (rep, state)));
        if last_changes.of.len() > MOST_REPS {
            *last_changes = LastChanges { since: Some(state), of: HashMap::new() };
        }
        drop(last_changes);
        self.seen.send_replace(Some(state));
    }

    /// The listener has come to a state without seeing what changed on the way.
    pub(super) fn jumped_to(&self, state: Revision) {
        *self.lock() = LastChanges { since: Some(state), of: HashMap::new() };
        self.seen.send_replace(Some(state));
    }

    fn lock(&self) -> MutexGuard<'_, LastChanges> {
        self.last_changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(xmax: u64) -> Revision {
        format!("00000000000000ff.{xmax}.0").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_is_only_what_was_seen_all_the_way() {
        let recency = Recency::default();
        assert!(!recency.is_unchanged(RepId(1), state(5), state(5)).await, "the listener is not there yet");
        recency.jumped_to(state(10));
        recency.saw([RepId(1)].into_iter(), state(12));
        recency.saw([RepId(2)].into_iter(), state(14));
        for (rep, from, to, unchanged) in [
            (1, 12, 14, true),
            (1, 11, 14, false),
            (2, 12, 14, false),
            (2, 14, 14, true),
            (3, 10, 14, true),
            (3, 9, 14, false),
            (3, 12, 15, false),
        ] {
            assert_eq!(recency.is_unchanged(RepId(rep), state(from), state(to)).await, unchanged, "{rep} {from} {to}");
        }
        let elsewhere = "00000000000000fe.12.0".parse().unwrap();
        assert!(!recency.is_unchanged(RepId(1), elsewhere, state(14)).await);
        assert!(!recency.is_unchanged(RepId(1), state(12), elsewhere).await);
    }
}
