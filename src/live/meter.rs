//! What is counted, for whoever wants to read it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bye::Bye;
use crate::order::Scope;
use crate::security::Security;

/// Upper bounds of the histogram of event ages, in seconds.
const AGE_BOUNDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The roles whose streams there are, as the metrics have them.
const SALES_REP: &str = "sales_rep";
const PHARMACIST: &str = "pharmacist";
const ROLES: [&str; 2] = [SALES_REP, PHARMACIST];

/// Why streams are closed, as the metrics have it, where no [`Bye`] says it: their client went, or their state could not be read.
pub(super) const CLIENT_GONE: &str = "client_gone";
pub(super) const UNAVAILABLE: &str = "unavailable";
const REASONS: [&str; 5] =
    [CLIENT_GONE, UNAVAILABLE, Bye::Draining.reason(), Bye::SignedOut.reason(), Bye::Replaced.reason()];

/// Whose streams tell of these orders. Administrators count as pharmacists: they use the same pages.
pub(super) fn role(scope: Scope) -> &'static str {
    match scope {
        Scope::Rep(_) => SALES_REP,
        Scope::All => PHARMACIST,
    }
}

/// Streams opened and closed so far. The open ones are the difference, so that the three always agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCounts {
    /// By role.
    pub opened: BTreeMap<&'static str, u64>,
    /// By role and reason.
    pub closed: BTreeMap<(&'static str, &'static str), u64>,
}

impl Default for StreamCounts {
    /// Counts that are there from the start, so that nobody waits for a metric that comes only with the first stream, and
    /// an increase from 0 to 1 is one.
    fn default() -> Self {
        let closed = |role| REASONS.map(|reason| ((role, reason), 0));
        Self { opened: ROLES.map(|role| (role, 0)).into(), closed: ROLES.into_iter().flat_map(closed).collect() }
    }
}

impl StreamCounts {
    /// The open streams by role.
    #[must_use]
    pub fn open(&self) -> BTreeMap<&'static str, u64> {
        let closed = |role| self.closed.iter().filter(|((of, _), _)| *of == role).map(|(_, count)| count).sum::<u64>();
        self.opened.iter().map(|(role, opened)| (*role, opened - closed(*role))).collect()
    }
}

/// A histogram's content: counts up to each bound in seconds, the sum in seconds.
#[derive(Debug, Clone, Default)]
pub struct AgeBuckets {
    /// How many were at most that old, for each bound; not cumulative. The last is beyond all bounds.
    pub counts: Vec<(f64, u64)>,
    /// The sum of all ages, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}

/// Whether the listener reads without being notified, and for how long it has done so before.
#[derive(Debug, Default)]
struct Awake {
    since: Option<Instant>,
    before: Duration,
}

/// One of the things that are done in the background, apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Events are folded into the statistics.
    Fold,
    /// Events are entered in the orders' timelines.
    Timeline,
    /// Sums of what no longer exists are deleted.
    Tidy,
    /// Old events are deleted.
    Prune,
    /// It is looked how far behind the others are.
    Progress,
}

impl Step {
    /// In the order of their turns.
    pub const ALL: [Self; 5] = [Self::Fold, Self::Timeline, Self::Tidy, Self::Prune, Self::Progress];

    /// Those of which it is known how far behind they are.
    pub const MEASURED: [Self; 3] = [Self::Fold, Self::Timeline, Self::Prune];

    /// As the metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fold => "fold",
            Self::Timeline => "timeline",
            Self::Tidy => "tidy",
            Self::Prune => "prune",
            Self::Progress => "progress",
        }
    }
}

/// A background task, which should never end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Hears of changes, reads and delivers them.
    Listener,
    /// Folds events, and what else is done in the background: see [`Step`].
    Fold,
    /// Ends the streams of sessions that no longer hold.
    Sessions,
    /// Looks for strangers that hold the listeners' lock.
    Strangers,
    /// Looks whether every change is recorded, and makes up for those that were not.
    Recording,
}

impl Task {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Listener, Self::Fold, Self::Sessions, Self::Strangers, Self::Recording];

    /// As the metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Fold => "fold",
            Self::Sessions => "sessions",
            Self::Strangers => "strangers",
            Self::Recording => "recording",
        }
    }
}

/// The counters of the live side.
#[derive(Debug, Default)]
pub struct Meter {
    streams: Mutex<StreamCounts>,
    ages: [AtomicU64; AGE_BOUNDS.len() + 1],
    age_micros: AtomicU64,
    /// Frames handed to streams.
    pub frames_sent: AtomicU64,
    /// Mailboxes that were full, so that their stream had to read its state anew.
    pub mailboxes_overrun: AtomicU64,
    /// Connections that the listener made after its first.
    pub reconnects: AtomicU64,
    /// Batches that the listener read.
    pub batches: AtomicU64,
    /// Batches that it could not read: everybody read their state anew instead.
    pub batches_skipped: AtomicU64,
    /// Events of which something could not be read: whom they concern read their state anew instead.
    pub events_unreadable: AtomicU64,
    restarts: [AtomicU64; Task::ALL.len()],
    /// Events that the listener read.
    pub events: AtomicU64,
    /// Events that only the periodic read found: notifications that did not come.
    pub events_found_late: AtomicU64,
    awake: Mutex<Awake>,
    /// Notifications of changes that were received.
    pub notifications: AtomicU64,
    /// Polls by pages that knew a state, for which nothing had changed since.
    pub polls_unchanged: AtomicU64,
    /// Such polls for which something had changed, or might have.
    pub polls_changed: AtomicU64,
    /// Requests that were refused, as too many of their user's were under way.
    pub requests_refused: AtomicU64,
    /// Folds that moved the summary on.
    pub folds: AtomicU64,
    /// Summaries built anew.
    pub rebuilds: AtomicU64,
    /// Events pruned.
    pub pruned: AtomicU64,
    background_failures: [AtomicU64; Step::ALL.len()],
    background_behind_millis: [AtomicU64; Step::ALL.len()],
    /// Events that are not in the orders' timelines yet.
    pub timeline_waiting: AtomicU64,
    /// How full the server's notification queue is, in millionths.
    pub queue_usage_ppm: AtomicU64,
    /// How many strangers hold the lock by which listeners say that they sleep.
    pub sleep_lock_strangers: AtomicUsize,
    /// Logins, and ends of sessions.
    pub security: Security,
}

impl Meter {
    pub(super) fn opened(&self, role: &'static str) {
        *self.lock().opened.entry(role).or_default() += 1;
    }

    pub(super) fn closed(&self, role: &'static str, reason: &'static str) {
        *self.lock().closed.entry((role, reason)).or_default() += 1;
    }

    /// The streams opened and closed, in one moment.
    #[must_use]
    pub fn streams(&self) -> StreamCounts {
        self.lock().clone()
    }

    /// The listener reads without being notified from now on, or does not.
    pub(super) fn set_awake(&self, awake: bool) {
        let mut state = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        let awake_so_far = state.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        state.before += awake_so_far;
        state.since = awake.then(Instant::now);
    }

    /// Whether the listener reads without being notified, and for how long it has done so in all.
    #[must_use]
    pub fn awake(&self) -> (bool, Duration) {
        let state = self.awake.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.since.map(|since| since.elapsed());
        (now.is_some(), state.before + now.unwrap_or_default())
    }

    pub(super) fn delivered(&self, age: Duration) {
        let seconds = age.as_secs_f64();
        let bucket = AGE_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(AGE_BOUNDS.len());
        self.ages[bucket].fetch_add(1, Relaxed);
        self.age_micros.fetch_add(u64::try_from(age.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn restarts(&self, task: Task) {
        self.restarts[task as usize].fetch_add(1, Relaxed);
    }

    /// How often a background task failed and began anew.
    #[must_use]
    pub fn restarted(&self, task: Task) -> u64 {
        self.restarts[task as usize].load(Relaxed)
    }

    pub(super) fn background_failed(&self, step: Step) {
        self.background_failures[step as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn is_behind(&self, step: Step, age: Duration) {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.background_behind_millis[step as usize].store(millis, Relaxed);
    }

    /// How often a step of the background work failed.
    #[must_use]
    pub fn background_failures(&self, step: Step) -> u64 {
        self.background_failures[step as usize].load(Relaxed)
    }

    /// The age of what a step should have dealt with and has not, when it was last looked.
    #[must_use]
    pub fn background_behind(&self, step: Step) -> Duration {
        Duration::from_millis(self.background_behind_millis[step as usize].load(Relaxed))
    }

    /// How old changes were when they were handed to their stream, from the trigger on.
    #[must_use]
    pub fn ages(&self) -> AgeBuckets {
        let bounds = AGE_BOUNDS.into_iter().chain([f64::INFINITY]);
        let counts: Vec<(f64, u64)> = bounds.zip(self.ages.iter().map(|count| count.load(Relaxed))).collect();
        let count = counts.iter().map(|(_, count)| count).sum();
        AgeBuckets { counts, sum: self.age_micros.load(Relaxed) as f64 / 1e6, count }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StreamCounts> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
