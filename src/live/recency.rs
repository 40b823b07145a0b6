//! Since when the orders that pages poll for are unchanged: what answers a poll without reading them.

use std::cmp::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::watched::Watched;
use crate::cursor::Revision;
use crate::order::{RepId, Scope};

/// How long a poll waits for the listener to come up to it. Then it reads for itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// For how long after the last poll a scope is watched.
const INTEREST: Duration = Duration::from_secs(60);

/// How often those who no longer poll are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Scopes that are watched at most. Others' polls are answered in full.
const MOST_SCOPES: usize = 100_000;

/// What the listener has seen of the changes of orders for which pages poll.
#[derive(Debug)]
pub(super) struct Recency {
    polled: Mutex<Polled>,
    seen: watch::Sender<Option<Revision>>,
    asked: Notify,
}

/// There may be very many, and the listener may read a thousand times a second.
#[derive(Debug)]
struct Polled {
    watched: Watched<Watch>,
    swept_at: Instant,
}

#[derive(Debug)]
struct Watch {
    /// Nothing changed after this state. `None` until the listener begins to look.
    unchanged_since: Option<Revision>,
    polled_at: Instant,
}

impl Default for Recency {
    fn default() -> Self {
        let polled = Polled { watched: Watched::default(), swept_at: Instant::now() };
        Self { polled: Mutex::new(polled), seen: watch::Sender::new(None), asked: Notify::new() }
    }
}

impl Recency {
    /// A page polls for these orders: from the listener's next read on their changes are noted.
    pub(super) fn watch(&self, scope: Scope) {
        let (mut polled, polled_at) = (self.lock(), Instant::now());
        let is_welcome = polled.watched.get(scope).is_some() || polled.watched.len() < MOST_SCOPES;
        if is_welcome {
            let new = || Watch { unchanged_since: None, polled_at };
            polled.watched.get_or_insert_with(scope, new).polled_at = polled_at;
        }
    }

    /// Whether it is certain that nothing of these orders changed from one state of the database to another, later one. It
    /// waits a moment for the listener to see the later one.
    pub(super) async fn is_unchanged(&self, scope: Scope, from: Revision, to: Revision) -> bool {
        if !self.has_come_to(to, Duration::ZERO).await {
            self.asked.notify_one();
            if !self.has_come_to(to, PATIENCE).await {
                return false;
            }
        }
        let since = self.lock().watched.get(scope).and_then(|watch| watch.unchanged_since);
        since.is_some_and(|since| since.partial_cmp(&from).is_some_and(Ordering::is_le))
    }

    /// Whether the listener comes to a state or a later one within a time. What it read up to there has been delivered then.
    pub(super) async fn has_come_to(&self, state: Revision, patience: Duration) -> bool {
        let is_there =
            |seen: &Option<Revision>| seen.is_some_and(|seen| seen.partial_cmp(&state).is_some_and(Ordering::is_ge));
        matches!(timeout(patience, self.seen.subscribe().wait_for(is_there)).await, Ok(Ok(_)))
    }

    /// Returns when somebody waits for the listener to read.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The listener begins to read what happened after a state: see [`Watched::begin_read`].
    pub(super) fn begin_read(&self, from: Revision, most: usize) -> Option<Vec<RepId>> {
        let mut polled = self.lock();
        if polled.swept_at.elapsed() >= SWEEP_INTERVAL {
            polled.swept_at = Instant::now();
            polled.watched.retain(|watch| watch.polled_at.elapsed() < INTEREST);
        }
        polled.watched.each_newcomer(|watch| {
            watch.unchanged_since.get_or_insert(from);
        });
        polled.watched.begin_read(most).0
    }

    /// The listener has seen all that was committed up to a state, and in it changes of these.
    pub(super) fn saw(&self, changed: impl Iterator<Item = Scope>, state: Revision) {
        let mut polled = self.lock();
        for scope in changed {
            if let Some(watch) = polled.watched.get_mut(scope) {
                watch.unchanged_since = Some(state);
            }
        }
        drop(polled);
        self.seen.send_replace(Some(state));
    }

    /// The listener has come to a state without seeing what changed on the way.
    pub(super) fn jumped_to(&self, state: Revision) {
        self.lock().watched.values_mut().for_each(|watch| watch.unchanged_since = Some(state));
        self.seen.send_replace(Some(state));
    }

    fn lock(&self) -> MutexGuard<'_, Polled> {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(xmax: u64) -> Revision {
        format!("00000000000000ff.{xmax}.0").parse().unwrap()
    }

    fn rep(id: i64) -> Scope {
        Scope::Rep(RepId(id))
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_is_only_what_was_seen_all_the_way() {
        let recency = Recency::default();
        for id in 1..=3 {
            recency.watch(rep(id));
        }
        assert!(!recency.is_unchanged(rep(1), state(5), state(5)).await, "the listener is not there yet");
        recency.jumped_to(state(10));
        recency.saw([rep(1), rep(9)].into_iter(), state(12));
        recency.saw([rep(2)].into_iter(), state(14));
        for (id, from, to, unchanged) in [
            (1, 12, 14, true),
            (1, 11, 14, false),
            (2, 12, 14, false),
            (2, 14, 14, true),
            (3, 10, 14, true),
            (3, 9, 14, false),
            (3, 12, 15, false),
            (9, 14, 14, false),
        ] {
            assert_eq!(recency.is_unchanged(rep(id), state(from), state(to)).await, unchanged, "{id} {from} {to}");
        }
        let elsewhere = "00000000000000fe.12.0".parse().unwrap();
        assert!(!recency.is_unchanged(rep(1), elsewhere, state(14)).await);
        assert!(!recency.is_unchanged(rep(1), state(12), elsewhere).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_while_the_listener_reads_is_watched_from_its_next_read_on() {
        let recency = Recency::default();
        recency.jumped_to(state(10));
        assert!(recency.begin_read(state(10), 9).is_some_and(|reps| reps.is_empty()));
        recency.watch(rep(1));
        // of the read that was under way nothing is known of the rep
        recency.saw([].into_iter(), state(12));
        assert!(!recency.is_unchanged(rep(1), state(11), state(12)).await);
        assert_eq!(recency.begin_read(state(12), 9), Some(vec![RepId(1)]));
        assert_eq!(recency.begin_read(state(12), 0), None, "too many to name");
        recency.saw([].into_iter(), state(14));
        assert!(!recency.is_unchanged(rep(1), state(11), state(14)).await);
        assert!(recency.is_unchanged(rep(1), state(12), state(14)).await);
        tokio::time::advance(INTEREST).await;
        assert!(recency.begin_read(state(14), 9).is_some_and(|reps| reps.is_empty()), "nobody polls any more");
    }
}
