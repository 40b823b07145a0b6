//! Writers, PostgreSQL's flushes and its lock of notifications, and a listener that keeps the [`Pace`], in time that is made
//! up: what the pace costs the writers, and how soon their changes are read, on every disk.
//!
//! A flush takes all commits along that wait when it begins. Who notifies takes the lock of notifications before, and gives
//! it back when its commit is flushed. Processors are never short of here: that is what the benchmark measures.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::pace::Pace;

const MS: u64 = 1_000_000;

/// From a client's statement to its trigger, from there to the commit, and from the answer to the next statement, in ns.
const TO_TRIGGER: u64 = MS / 10;
const TO_COMMIT: u64 = MS / 20;
const TO_NEXT: u64 = MS / 10;

/// From the commit to the listener that is notified, in ns.
const TO_LISTENER: u64 = MS / 10;

/// A read, in ns.
const READ: u64 = MS / 4;

/// Connections of clients that write at a rate.
const CONNECTIONS: usize = 256;

/// How clients write.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// So many clients, each as fast as it is answered.
    Clients(usize),
    /// So many commits a second, at random times.
    Rate(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Begin(usize),
    Ask(usize),
    Commit(usize),
    Flushed,
    Heard { crowded: bool },
    Read,
}

#[derive(Debug, Clone, Copy, Default)]
struct Client {
    began: u64,
    notifies: bool,
    crowded: bool,
}

/// What came out.
#[derive(Debug)]
struct Outcome {
    commits: u64,
    /// Mean time of a client's transaction, in ms.
    transaction: f64,
    /// Median time from the commit to the end of the read that found it, in ms.
    told: f64,
    awake: f64,
    rises: u64,
    reads: u64,
}

struct Simulation {
    now: u64,
    start: Instant,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    random: StdRng,
    load: Load,
    flush: u64,
    clients: Vec<Client>,
    idle: Vec<usize>,
    /// Whether writers are ever told to notify.
    may_sleep: bool,
    /// Whether the listener is told of transactions that overlap.
    is_told: bool,
    /// Who found no other that had notified.
    first_notifier: Option<usize>,
    lock: Option<usize>,
    queued: VecDeque<usize>,
    flushing: Vec<usize>,
    waiting: Vec<usize>,
    unnotified: usize,
    pace: Pace,
    awake_since: Option<u64>,
    planned: u64,
    unread: VecDeque<u64>,
    told: Vec<u64>,
    outcome: Outcome,
    spent: u64,
    awake: u64,
}

impl Simulation {
    fn run(load: Load, flush: Duration, may_sleep: bool, time: Duration) -> Outcome {
        Self::new(load, flush, may_sleep).until(u64::try_from(time.as_nanos()).unwrap())
    }

    fn new(load: Load, flush: Duration, may_sleep: bool) -> Self {
        let start = Instant::now();
        let (clients, idle) = match load {
            Load::Clients(clients) => (clients, Vec::new()),
            Load::Rate(_) => (CONNECTIONS, (0..CONNECTIONS).collect()),
        };
        Self {
            now: 0,
            start,
            queue: BinaryHeap::new(),
            sequence: 0,
            random: StdRng::seed_from_u64(7),
            load,
            flush: u64::try_from(flush.as_nanos()).unwrap() + MS / 10,
            clients: vec![Client::default(); clients],
            idle,
            may_sleep,
            is_told: true,
            first_notifier: None,
            lock: None,
            queued: VecDeque::new(),
            flushing: Vec::new(),
            waiting: Vec::new(),
            unnotified: 0,
            pace: Pace::new(start),
            awake_since: Some(0),
            planned: 0,
            unread: VecDeque::new(),
            told: Vec::new(),
            outcome: Outcome { commits: 0, transaction: 0.0, told: 0.0, awake: 0.0, rises: 0, reads: 0 },
            spent: 0,
            awake: 0,
        }
    }

    fn until(mut self, end: u64) -> Outcome {
        match self.load {
            Load::Clients(_) => (0..self.clients.len()).for_each(|client| self.at(0, Event::Begin(client))),
            Load::Rate(_) => self.next_arrival(),
        }
        self.at(0, Event::Read);
        while let Some(Reverse((time, _, event))) = self.queue.pop().filter(|Reverse((time, ..))| *time < end) {
            self.now = time;
            self.happen(event);
        }
        self.awake += self.awake_since.map_or(0, |since| end - since);
        self.told.sort_unstable();
        let millis = |ns: f64| ns / MS as f64;
        self.outcome.transaction = millis(self.spent as f64 / self.outcome.commits as f64);
        self.outcome.told = self.told.get(self.told.len() / 2).map_or(f64::NAN, |ns| millis(*ns as f64));
        self.outcome.awake = self.awake as f64 / end as f64;
        self.outcome
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((time, self.sequence, event)));
    }

    fn after(&mut self, time: u64, event: Event) {
        self.at(self.now + time, event);
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_nanos(self.now)
    }

    fn next_arrival(&mut self) {
        let Load::Rate(rate) = self.load else { return };
        let gap = -self.random.random_range(f64::EPSILON..1.0).ln() * 1e9 / f64::from(rate);
        let client = self.idle.pop().expect("a connection is free");
        self.after(gap as u64, Event::Begin(client));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Begin(client) => {
                self.clients[client].began = self.now;
                self.next_arrival();
                self.after(TO_TRIGGER, Event::Ask(client));
            }
            Event::Ask(client) => {
                let notifies = self.awake_since.is_none();
                let crowded = notifies && self.first_notifier.is_some();
                if notifies {
                    self.first_notifier.get_or_insert(client);
                } else {
                    self.unnotified += 1;
                }
                let began = self.clients[client].began;
                self.clients[client] = Client { began, notifies, crowded };
                self.after(TO_COMMIT, Event::Commit(client));
            }
            Event::Commit(client) if self.clients[client].notifies && self.lock.is_some() => {
                self.queued.push_back(client);
            }
            Event::Commit(client) => self.commit(client),
            Event::Flushed => self.flushed(),
            Event::Heard { crowded } => self.hear(crowded),
            // another one was planned meanwhile
            Event::Read if self.now != self.planned || self.awake_since.is_none() => {}
            Event::Read => self.read_awake(),
        }
    }

    fn commit(&mut self, client: usize) {
        if self.clients[client].notifies {
            self.lock = Some(client);
        }
        self.waiting.push(client);
        self.begin_flush();
    }

    fn begin_flush(&mut self) {
        if self.flushing.is_empty() && !self.waiting.is_empty() {
            self.flushing = std::mem::take(&mut self.waiting);
            self.after(self.flush, Event::Flushed);
        }
    }

    fn flushed(&mut self) {
        for client in std::mem::take(&mut self.flushing) {
            let Client { began, notifies, crowded } = self.clients[client];
            self.outcome.commits += 1;
            self.spent += self.now - began;
            self.unread.push_back(self.now);
            if notifies {
                self.first_notifier = self.first_notifier.filter(|first| *first != client);
                self.lock = None;
                self.after(TO_LISTENER, Event::Heard { crowded });
                if let Some(next) = self.queued.pop_front() {
                    self.commit(next);
                }
            } else {
                self.unnotified -= 1;
            }
            match self.load {
                Load::Clients(_) => self.after(TO_NEXT, Event::Begin(client)),
                Load::Rate(_) => self.idle.push(client),
            }
        }
        self.begin_flush();
    }

    fn hear(&mut self, crowded: bool) {
        if self.awake_since.is_some() {
            return;
        }
        let now = self.instant();
        if self.pace.rises(1, crowded && self.is_told, now) {
            self.outcome.rises += 1;
            self.awake_since = Some(self.now);
            self.pace.rose(now);
            self.planned = self.now;
            self.read_awake();
        } else {
            self.read();
        }
    }

    fn read(&mut self) -> u32 {
        self.outcome.reads += 1;
        let transactions = u32::try_from(self.unread.len()).unwrap();
        let done = self.now + READ;
        self.told.extend(self.unread.drain(..).map(|visible| done - visible));
        transactions
    }

    fn read_awake(&mut self) {
        let transactions = self.read();
        let now = self.instant();
        if self.pace.is_rare(transactions, now) && self.may_sleep {
            if self.unnotified == 0 {
                self.awake += self.now - self.awake_since.take().unwrap();
                self.pace.slept(now);
                return;
            }
            self.pace.refused(now);
        }
        let planned = self.pace.next_read(self.start + Duration::from_nanos(self.planned), now);
        self.planned = u64::try_from(planned.duration_since(self.start).as_nanos()).unwrap().max(self.now + READ);
        self.at(self.planned, Event::Read);
    }
}

const FLUSHES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
];

#[test]
fn saturated_writers_flush_together_on_every_disk() {
    for flush in FLUSHES {
        for clients in [1, 2, 4, 16, 64] {
            let load = Load::Clients(clients);
            let alone = Simulation::run(load, flush, false, Duration::from_secs(3));
            let watched = Simulation::run(load, flush, true, Duration::from_secs(3));
            let ratio = watched.commits as f64 / alone.commits as f64;
            assert!(ratio > 0.97, "{flush:?}, {clients} clients: {ratio} of {alone:?}: {watched:?}");
            assert!(watched.told < 3.5, "{flush:?}, {clients} clients: {watched:?}");
        }
    }
}

#[test]
fn at_a_shops_rates_nobody_waits_and_nothing_comes_late() {
    for flush in FLUSHES {
        for rate in [5, 20, 50, 100, 200, 500] {
            let load = Load::Rate(rate);
            let alone = Simulation::run(load, flush, false, Duration::from_secs(120));
            let watched = Simulation::run(load, flush, true, Duration::from_secs(120));
            let what = format!("{flush:?}, {rate}/s: {alone:?}: {watched:?}");
            assert!(watched.transaction < 1.10 * alone.transaction, "{what}");
            assert!(watched.told < 3.0, "{what}");
            assert!(watched.rises < 120, "it goes to and fro: {what}");
            assert!(watched.reads < 120 * 330, "{what}");
        }
    }
}

#[test]
fn lone_updates_are_notified_and_read_at_once() {
    for flush in FLUSHES {
        let watched = Simulation::run(Load::Rate(1), flush, true, Duration::from_secs(600));
        assert!(watched.told < 0.5, "{flush:?}: {watched:?}");
        assert!(watched.awake < 0.02, "{flush:?}: {watched:?}");
    }
}

/// Were it to rise only by their number, as notifications come one a flush they would never be many.
#[test]
fn without_the_word_of_overlapping_ones_writers_would_queue() {
    let (load, flush, time) = (Load::Clients(16), Duration::from_millis(2), Duration::from_secs(2));
    let alone = Simulation::run(load, flush, false, time);
    let mut deaf = Simulation::new(load, flush, true);
    (deaf.is_told, deaf.awake_since) = (false, None);
    let watched = deaf.until(u64::try_from(time.as_nanos()).unwrap());
    assert!((watched.commits as f64) < 0.3 * alone.commits as f64, "{watched:?} of {alone:?}");
}
