//! What is counted, for whoever wants to read it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::bye::Bye;
use crate::counted::{Label, Labelled};
use crate::order::Scope;
use crate::security::Security;

/// A gauge of what is no whole number.
type Decimal = Gauge<f64, AtomicU64>;

/// Upper bounds of the histograms: of event ages, round trips and durations of reads, in seconds; of events; of streams.
const AGES: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const ROUND_TRIPS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 2.5, 4.0];
const READS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
const EVENTS: [f64; 9] = [0.0, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 1_000.0, 10_000.0];
const STREAMS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// The roles whose streams there are, as the metrics have them.
const SALES_REP: &str = "sales_rep";
const PHARMACIST: &str = "pharmacist";
const ROLES: [&str; 2] = [SALES_REP, PHARMACIST];

/// Why streams are closed, as the metrics have it, where no [`Bye`] says it: their client went, was too slow to be waited for, or
/// their state could not be read.
pub(super) const CLIENT_GONE: &str = "client_gone";
pub(super) const SLOW_READER: &str = "slow_reader";
pub(super) const UNAVAILABLE: &str = "unavailable";
const REASONS: [&str; 6] =
    [CLIENT_GONE, SLOW_READER, UNAVAILABLE, Bye::Draining.reason(), Bye::SignedOut.reason(), Bye::Replaced.reason()];

/// Whose streams tell of these orders. Administrators count as pharmacists: they use the same pages.
pub(super) fn role(scope: Scope) -> &'static str {
    match scope {
        Scope::Rep(_) => SALES_REP,
        Scope::All => PHARMACIST,
    }
}

/// Streams opened, closed and open. All three change together, and are written together.
#[derive(Debug)]
struct Streams {
    opened: Family<[(&'static str, &'static str); 1], Counter>,
    closed: Family<[(&'static str, &'static str); 2], Counter>,
    open: Family<[(&'static str, &'static str); 1], Gauge>,
    together: Mutex<()>,
}

impl Default for Streams {
    /// Each is there from the start, so that an increase from 0 to 1 is one.
    fn default() -> Self {
        let streams = Self {
            opened: Family::default(),
            closed: Family::default(),
            open: Family::default(),
            together: Mutex::default(),
        };
        for role in ROLES {
            drop((streams.opened.get_or_create_owned(&of(role)), streams.open.get_or_create_owned(&of(role))));
            REASONS.iter().for_each(|reason| drop(streams.closed.get_or_create_owned(&because(role, reason))));
        }
        streams
    }
}

fn of(role: &'static str) -> [(&'static str, &'static str); 1] {
    [("role", role)]
}

fn because(role: &'static str, reason: &'static str) -> [(&'static str, &'static str); 2] {
    [("role", role), ("reason", reason)]
}

impl Collector for Streams {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let _together = lock(&self.together);
        let mut write = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        write("streams_open", "Open streams: those opened without those closed.", &self.open)?;
        write("streams_opened", "Streams opened.", &self.opened)?;
        write("streams_closed", "Streams closed, by the reason.", &self.closed)
    }
}

/// Whether the listener reads without being notified, and for how long it has done so before.
#[derive(Debug, Default)]
struct Awake(Mutex<(Option<Instant>, Duration)>);

impl Collector for Awake {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let (since, before) = *lock(&self.0);
        let help = "1 while the listener reads without being notified, as commits are frequent or nobody is there.";
        let awake = encoder.encode_descriptor("listener_awake", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(since.is_some())).encode(awake)?;
        let help = "Time for which the listener was awake.";
        let seconds = encoder.encode_descriptor("listener_awake_seconds", help, None, MetricType::Counter)?;
        let now = since.map(|since| since.elapsed()).unwrap_or_default();
        ConstCounter::new((before + now).as_secs_f64()).encode(seconds)
    }
}

/// Why a stream reads its state anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resync {
    /// Its reader was slow, so that its mailbox overflowed.
    SlowReader,
    /// It was opened while the listener read others' events.
    Newcomer,
    /// What happened to its orders is not told: it was too much at once, could not be read, or has no statistics to go with.
    Untold,
    /// The listener came to a state without reading what happened on the way.
    Jump,
    /// The database began another life, or reading failed the last time.
    Again,
}

impl Label for Resync {
    const KEY: &'static str = "cause";
    const KNOWN: &'static [Self] = &[Self::SlowReader, Self::Newcomer, Self::Untold, Self::Jump, Self::Again];

    fn value(self) -> &'static str {
        match self {
            Self::SlowReader => "slow_reader",
            Self::Newcomer => "newcomer",
            Self::Untold => "untold",
            Self::Jump => "jump",
            Self::Again => "again",
        }
    }
}

/// Why a page asks for its rows, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// It has no stream.
    NoStream,
    /// It has one, whose server does not hear changes at once.
    Degraded,
    /// It is live, and reads what a stream does not tell.
    Unread,
    /// It does not say. Any client can ask.
    Unsaid,
}

impl Poll {
    /// What a page said.
    #[must_use]
    pub fn said(reason: Option<&str>) -> Self {
        Self::KNOWN.iter().copied().find(|known| reason == Some(known.value())).unwrap_or(Self::Unsaid)
    }
}

impl Label for Poll {
    const KEY: &'static str = "reason";
    const KNOWN: &'static [Self] = &[Self::NoStream, Self::Degraded, Self::Unread, Self::Unsaid];

    fn value(self) -> &'static str {
        match self {
            Self::NoStream => "no_stream",
            Self::Degraded => "degraded",
            Self::Unread => "unread",
            Self::Unsaid => "unsaid",
        }
    }
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
    /// The statistics of some rep are compared with their orders.
    Audit,
}

impl Step {
    /// In the order of their turns.
    pub const ALL: [Self; 6] = [Self::Fold, Self::Timeline, Self::Tidy, Self::Prune, Self::Progress, Self::Audit];
}

impl Label for Step {
    const KEY: &'static str = "step";
    const KNOWN: &'static [Self] = &Self::ALL;

    fn value(self) -> &'static str {
        match self {
            Self::Fold => "fold",
            Self::Timeline => "timeline",
            Self::Tidy => "tidy",
            Self::Prune => "prune",
            Self::Progress => "progress",
            Self::Audit => "audit",
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
    /// Compares what a stream was told with the database.
    Audit,
}

impl Task {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Listener, Self::Fold, Self::Sessions, Self::Strangers, Self::Recording, Self::Audit];
}

impl Label for Task {
    const KEY: &'static str = "task";
    const KNOWN: &'static [Self] = &Self::ALL;

    fn value(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Fold => "fold",
            Self::Sessions => "sessions",
            Self::Strangers => "strangers",
            Self::Recording => "recording",
            Self::Audit => "audit",
        }
    }
}

/// One of the [`Step`]s of which it is known how far behind they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measured {
    Fold,
    Timeline,
    Prune,
}

impl Label for Measured {
    const KEY: &'static str = "step";
    const KNOWN: &'static [Self] = &[Self::Fold, Self::Timeline, Self::Prune];

    fn value(self) -> &'static str {
        match self {
            Self::Fold => Step::Fold.value(),
            Self::Timeline => Step::Timeline.value(),
            Self::Prune => Step::Prune.value(),
        }
    }
}

/// The counters of the live side.
#[derive(Debug)]
pub struct Meter {
    streams: Arc<Streams>,
    awake: Arc<Awake>,
    streams_of_user: Histogram,
    event_age: Histogram,
    /// Events with changes written to streams.
    frames_sent: Counter,
    /// Bytes of all that was written to streams, without what HTTP adds.
    bytes_sent: Counter,
    /// Streams that began to read their state anew.
    pub(super) resyncs: Labelled<Resync>,
    /// Mailboxes that were full, so that their stream had to read its state anew.
    pub(super) mailboxes_overrun: Counter,
    /// Connections that the listener made after its first.
    pub(super) reconnects: Counter,
    /// Batches that the listener read.
    pub(super) batches: Counter,
    /// How many events were in each, and how long reading it took.
    pub(super) batch_events: Histogram,
    pub(super) batch_seconds: Histogram,
    /// Batches that it could not read: everybody read their state anew instead.
    pub(super) batches_skipped: Counter,
    /// Events of which something could not be read: whom they concern read their state anew instead.
    pub(super) events_unreadable: Counter,
    pub(super) restarts: Labelled<Task>,
    /// Events that the listener read.
    pub(super) events: Counter,
    /// Events that only the periodic read found: notifications that did not come.
    pub(super) events_found_late: Counter,
    /// Notifications of changes that were received.
    pub(super) notifications: Counter,
    /// Those of them that no trigger sends.
    pub(super) notifications_malformed: Counter,
    /// How long the canary took to come back.
    pub(super) canary_round_trip: Histogram,
    canary_at: Decimal,
    /// The same by a clock that nobody sets.
    canary_heard: Mutex<Option<Instant>>,
    epoch_since: Decimal,
    polls: Labelled<Poll>,
    /// Polls by pages that knew a state, for which nothing had changed since.
    pub(super) polls_unchanged: Counter,
    /// Such polls for which something had changed, or might have.
    pub(super) polls_changed: Counter,
    /// Folds that moved the summary on.
    pub(super) folds: Counter,
    /// Summaries built anew.
    pub(super) rebuilds: Counter,
    /// Events pruned.
    pub(super) pruned: Counter,
    /// Reps whose statistics were compared with their orders, and sums that differed.
    pub(super) audits: Counter,
    pub(super) differences: Counter,
    /// States of a stream that were compared with the database, and what of them differed.
    pub(super) audited_states: Counter,
    pub(super) audit_differences: Counter,
    pub(super) background_failures: Labelled<Step>,
    pub(super) background_behind: Labelled<Measured, Decimal>,
    /// Events that are not in the orders' timelines yet.
    pub(super) timeline_waiting: Gauge,
    /// How full the server's notification queue is.
    pub(super) queue_usage: Decimal,
    /// How many strangers hold the lock by which listeners say that they sleep.
    pub(super) sleep_lock_strangers: Gauge,
    /// Sessions that have streams open, when they were last checked.
    pub(super) streaming_sessions: Gauge,
    /// Logins, and ends of sessions.
    pub security: Security,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            streams: Arc::default(),
            awake: Arc::default(),
            streams_of_user: Histogram::new(STREAMS),
            event_age: Histogram::new(AGES),
            frames_sent: Counter::default(),
            bytes_sent: Counter::default(),
            resyncs: Labelled::default(),
            mailboxes_overrun: Counter::default(),
            reconnects: Counter::default(),
            batches: Counter::default(),
            batch_events: Histogram::new(EVENTS),
            batch_seconds: Histogram::new(READS),
            batches_skipped: Counter::default(),
            events_unreadable: Counter::default(),
            restarts: Labelled::default(),
            events: Counter::default(),
            events_found_late: Counter::default(),
            notifications: Counter::default(),
            notifications_malformed: Counter::default(),
            canary_round_trip: Histogram::new(ROUND_TRIPS),
            canary_at: Decimal::default(),
            canary_heard: Mutex::default(),
            epoch_since: Decimal::default(),
            polls: Labelled::default(),
            polls_unchanged: Counter::default(),
            polls_changed: Counter::default(),
            folds: Counter::default(),
            rebuilds: Counter::default(),
            pruned: Counter::default(),
            audits: Counter::default(),
            differences: Counter::default(),
            audited_states: Counter::default(),
            audit_differences: Counter::default(),
            background_failures: Labelled::default(),
            background_behind: Labelled::default(),
            timeline_waiting: Gauge::default(),
            queue_usage: Decimal::default(),
            sleep_lock_strangers: Gauge::default(),
            streaming_sessions: Gauge::default(),
            security: Security::default(),
        }
    }
}

impl Meter {
    /// Has all of it in the metrics.
    pub fn register(&self, to: &mut Registry) {
        to.register_collector(Box::new(Arc::clone(&self.streams)));
        to.register_collector(Box::new(Arc::clone(&self.awake)));
        let help = "Streams that a user had open each time one was opened, that one included";
        to.register("streams_per_user", help, self.streams_of_user.clone());
        let help = "Age of a change, from the trigger to its stream's socket";
        to.register("event_age_seconds", help, self.event_age.clone());
        let help = "Time until the canary came back: a notification of our own";
        to.register("canary_round_trip_seconds", help, self.canary_round_trip.clone());
        let help = "Events of open streams in each batch that was read";
        to.register("listener_batch_events", help, self.batch_events.clone());
        let help = "Time that reading a batch took";
        to.register("listener_batch_duration_seconds", help, self.batch_seconds.clone());
        for (name, help, counter) in [
            ("frames_sent", "Frames with changes written to streams", &self.frames_sent),
            ("stream_sent_bytes", "Bytes written to streams, without what HTTP adds", &self.bytes_sent),
            ("mailboxes_overrun", "Full mailboxes, whose stream read its state anew", &self.mailboxes_overrun),
            ("listener_reconnects", "Connections the listener made after its first", &self.reconnects),
            ("listener_batches", "Batches of events read", &self.batches),
            (
                "listener_batches_skipped",
                "Batches that could not be read: all streams read their state anew instead",
                &self.batches_skipped,
            ),
            ("listener_events", "Events read for open streams", &self.events),
            (
                "listener_events_unreadable",
                "Events with an order that could not be read: the streams they concern read their state anew instead",
                &self.events_unreadable,
            ),
            (
                "listener_events_found_late",
                "Events that only the periodic read found: their notification did not come",
                &self.events_found_late,
            ),
            ("listener_notifications", "Notifications of changes that were received", &self.notifications),
            (
                "listener_notifications_malformed",
                "Notifications of changes that no trigger sends",
                &self.notifications_malformed,
            ),
            ("polls_unchanged", "Polls answered with 304, without a look at the orders", &self.polls_unchanged),
            ("polls_changed", "Polls by pages that knew a state, answered in full", &self.polls_changed),
            ("folds", "Folds of events into the statistics", &self.folds),
            ("rebuilds", "Statistics built anew from the orders", &self.rebuilds),
            ("events_pruned", "Old events deleted", &self.pruned),
            ("statistics_audits", "Reps whose statistics were compared with their orders", &self.audits),
            ("statistics_differences", "Sums of statistics that differed from the orders", &self.differences),
            (
                "audit_states_compared",
                "States that a stream of the audit's own held, each compared with the database in the same snapshot",
                &self.audited_states,
            ),
            (
                "audit_differences",
                "Figures and fields of orders that a stream told other than the database held them: must stay 0",
                &self.audit_differences,
            ),
        ] {
            to.register(name, help, counter.clone());
        }
        self.resyncs.register(to, "resyncs", "Streams that read their state anew, by the cause");
        self.polls.register(to, "polls", "Reads of rows by pages, by why there is need of them");
        self.restarts.register(to, "task_restarts", "Background tasks that panicked or ended, and began anew");
        let help = "Steps of the background work that failed. Each is tried again after a second";
        self.background_failures.register(to, "background_failures", help);
        let help = "Age of the oldest event that a step should have dealt with and has not";
        self.background_behind.register(to, "background_behind_seconds", help);
        let help = "Events that are not in the orders' timelines yet; 100001 if there are more than 100000";
        to.register("timeline_events_waiting", help, self.timeline_waiting.clone());
        let help = "Sessions of others that hold the lock by which listeners say that they sleep: doctor names them";
        to.register("sleep_lock_strangers", help, self.sleep_lock_strangers.clone());
        to.register("sessions_streaming", "Sessions that have streams open", self.streaming_sessions.clone());
        let help = "Share of the server's notification queue that is in use. At 1, orders' commits fail";
        to.register("notification_queue_usage_ratio", help, self.queue_usage.clone());
        let help = "When the canary last came back";
        to.register("canary_last_return_timestamp_seconds", help, self.canary_at.clone());
        let help = "Since when the listener reads in the present life of the database; 0 until it does";
        to.register("epoch_start_timestamp_seconds", help, self.epoch_since.clone());
        self.security.register(to);
    }

    /// A user has so many streams, now that one more was opened.
    pub(super) fn opened(&self, role: &'static str, of_user: usize) {
        let together = lock(&self.streams.together);
        self.streams.opened.get_or_create(&of(role)).inc();
        self.streams.open.get_or_create(&of(role)).inc();
        drop(together);
        self.streams_of_user.observe(of_user as f64);
    }

    pub(super) fn closed(&self, role: &'static str, reason: &'static str) {
        let _together = lock(&self.streams.together);
        self.streams.closed.get_or_create(&because(role, reason)).inc();
        self.streams.open.get_or_create(&of(role)).dec();
    }

    /// The listener reads without being notified from now on, or does not.
    pub(super) fn set_awake(&self, awake: bool) {
        let mut state = lock(&self.awake.0);
        let (since, before) = &mut *state;
        *before += since.take().map_or(Duration::ZERO, |since| since.elapsed());
        *since = awake.then(Instant::now);
    }

    /// The canary came back after that time.
    pub(super) fn canary_returned(&self, time: Duration) {
        self.canary_round_trip.observe(time.as_secs_f64());
        self.canary_at.set(unix_time());
        *self.canary_heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago the canary last came back, however the clock was set meanwhile; nothing where it never did.
    #[must_use]
    pub fn canary_age(&self) -> Option<Duration> {
        self.canary_heard.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    /// The listener reads in another life of the database than before.
    pub(super) fn epoch_began(&self) {
        self.epoch_since.set(unix_time());
    }

    /// So many bytes were written to a stream, with a change of that age if with any.
    pub fn written(&self, bytes: usize, age: Option<Duration>) {
        self.bytes_sent.inc_by(bytes as u64);
        if let Some(age) = age {
            self.frames_sent.inc();
            self.event_age.observe(age.as_secs_f64());
        }
    }

    /// A page asks for its rows, for that reason.
    pub fn polled(&self, reason: Poll) {
        self.polls.of(reason).inc();
    }
}

fn unix_time() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn streams_opened_closed_and_open_agree_while_they_come_and_go() {
        let meter = Meter::default();
        let mut registry = Registry::default();
        meter.register(&mut registry);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    while !is_over.load(Relaxed) {
                        meter.opened(SALES_REP, 1);
                        meter.closed(SALES_REP, CLIENT_GONE);
                    }
                });
            }
            let agreements = (0..300).map(|_| {
                let mut text = String::new();
                encode(&mut text, &registry).unwrap();
                let sum = |name: &str| -> i64 {
                    let lines = text.lines().filter(|line| line.starts_with(name));
                    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap()).sum()
                };
                (sum("streams_opened_total") - sum("streams_closed_total"), sum("streams_open{"))
            });
            let differing: Vec<_> = agreements.filter(|(difference, open)| difference != open).collect();
            is_over.store(true, Relaxed);
            assert_eq!(differing, []);
        });
    }
}
