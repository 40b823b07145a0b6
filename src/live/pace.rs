//! When the listener sleeps and when it is awake, and how often it reads then.
//!
//! Awake means: writers need not notify. Then the listener reads by itself, or, while nobody has a page open, only moves its
//! cursor to the present every three seconds. Asleep means: writers notify.
//!
//! A notification wakes a sleeping listener at once, but a transaction that notifies holds a lock on the whole cluster until its
//! commit is flushed. Alone it waits for nobody. Two that overlap flush one after the other, where PostgreSQL would have
//! flushed both at once; on a disk that takes milliseconds for it many writers come to a fraction of their rate. An awake listener
//! reads every few milliseconds and costs the writers nothing. So it sleeps while commits are apart, and rises when two
//! overlap, which the triggers tell, or when they are so many that reading is the cheaper way. See `live.listener_sleeps()` in
//! `sql/` for how no change goes unheard in between.

use std::time::Duration;

use tokio::time::Instant;

/// Over what time commits are counted.
const WINDOW: Duration = Duration::from_millis(50);

/// Notifications within a window that make a sleeping listener rise: 1,000 a second.
const RISE_AT: u32 = 50;

/// Transactions within a window below which an awake listener tries to sleep: 400 a second.
const SLEEP_BELOW: u32 = 20;

/// How long a listener that rose because commits overlapped stays awake, at the least and at the most. Each time it had hardly
/// slept it stays twice as long.
const SHORTEST_HOLD: Duration = Duration::from_millis(200);
const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// Less than this is hardly slept.
const NAP: Duration = Duration::from_secs(5);

/// After so long without a commit it sleeps in any case: nobody is in anybody's way.
const QUIET: Duration = Duration::from_millis(500);

/// How often it tries to sleep after it was refused, at the most: while somebody's transaction stays open it always is.
const LONGEST_REFUSAL: Duration = Duration::from_secs(1);

/// How often an awake listener reads at the rates of a shop.
const USUAL_PAUSE: Duration = Duration::from_millis(4);

/// At this many transactions a second and more it reads more often, as each read has much to tell.
const MANY: f64 = 700.0;
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// At this many, the writers need the machine themselves.
const VERY_MANY: f64 = 2_000.0;
const CROWDED_PAUSE: Duration = Duration::from_millis(3);

/// How rarely it reads while there is nothing, as while a transaction that was not told to notify stays open for hours.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The pause grows to this part of the time for which nothing was read.
const PART_OF_QUIET: u32 = 16;

/// The weight of the newest window in the rate.
const NEWEST: f64 = 0.4;

/// After so many reads in a row that something was heard before, and that found nothing, it is not believed any more that there is
/// something to read: any role of the database may send any number of notifications. What is true among them waits for the
/// longest pause at most, and nobody rises for them, until a read finds something again.
const MOST_BARREN: u32 = 20;

/// Counts commits, and says when to rise, when to sleep, and when to read.
pub(super) struct Pace {
    window_ends: Instant,
    counted: u32,
    /// Transactions a second, smoothed.
    rate: f64,
    quiet_since: Instant,
    /// When it last rose or fell asleep.
    turned: Instant,
    hold: Duration,
    /// When it may try to sleep again, and how long it waits if it is refused once more.
    next_try: Instant,
    refusal: Duration,
    /// Reads in a row that something was heard before, and that found nothing.
    barren: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window_ends: now + WINDOW,
            counted: 0,
            rate: 0.0,
            quiet_since: now,
            turned: now,
            hold: Duration::ZERO,
            next_try: now,
            refusal: WINDOW,
            barren: 0,
        }
    }

    /// A sleeping listener was notified so often, and whether by transactions that overlapped. Whether to rise.
    pub(super) fn rises(&mut self, notifications: u32, is_crowded: bool, now: Instant) -> bool {
        if now >= self.window_ends {
            (self.window_ends, self.counted) = (now + WINDOW, 0);
        }
        self.counted = self.counted.saturating_add(notifications);
        let rises = (is_crowded || self.counted >= RISE_AT) && self.barren < MOST_BARREN;
        if rises {
            let slept = now.saturating_duration_since(self.turned);
            let before = if slept < NAP { self.hold } else { Duration::ZERO };
            self.hold = if is_crowded { (before * 2).clamp(SHORTEST_HOLD, LONGEST_HOLD) } else { before };
        }
        rises
    }

    /// It begins to read by itself.
    pub(super) fn rose(&mut self, now: Instant) {
        self.turn(now);
        // what it was notified of is as good as read
        self.rate = f64::from(self.counted) / WINDOW.as_secs_f64();
        (self.window_ends, self.counted) = (now + WINDOW, 0);
        self.quiet_since = now;
    }

    /// It fell asleep.
    pub(super) fn slept(&mut self, now: Instant) {
        self.turn(now);
        (self.window_ends, self.counted) = (now + WINDOW, 0);
    }

    fn turn(&mut self, now: Instant) {
        (self.turned, self.next_try, self.refusal) = (now, now, WINDOW);
    }

    /// An awake listener read so many transactions. Whether to try to sleep.
    pub(super) fn is_rare(&mut self, transactions: u32, now: Instant) -> bool {
        self.counted = self.counted.saturating_add(transactions);
        if transactions > 0 {
            self.quiet_since = now;
        }
        if now < self.window_ends {
            return false;
        }
        let elapsed = WINDOW + now.duration_since(self.window_ends);
        self.rate += NEWEST * (f64::from(self.counted) / elapsed.as_secs_f64() - self.rate);
        let is_rare = self.counted < SLEEP_BELOW;
        (self.window_ends, self.counted) = (now + WINDOW, 0);
        let is_over = now.saturating_duration_since(self.turned) >= self.hold;
        let is_quiet = now.saturating_duration_since(self.quiet_since) >= QUIET;
        is_rare && (is_over || is_quiet) && now >= self.next_try
    }

    /// A read found so many transactions, which something was heard before, or not.
    pub(super) fn found(&mut self, transactions: u32, was_heard: bool) {
        self.barren = match (transactions, was_heard) {
            (0, true) => self.barren.saturating_add(1),
            (0, false) => self.barren,
            _ => 0,
        };
    }

    /// How long after one read the next one may begin because something was heard.
    pub(super) fn heard_pause(&self) -> Duration {
        if self.barren < MOST_BARREN { SHORTEST_PAUSE } else { LONGEST_PAUSE }
    }

    /// It tried to sleep and could not.
    pub(super) fn refused(&mut self, now: Instant) {
        self.next_try = now + self.refusal;
        self.refusal = (self.refusal * 2).min(LONGEST_REFUSAL);
    }

    /// When an awake listener reads next, having planned a read for `planned` and read now. Never later than a whole pause
    /// from now, however often it was made to read in between.
    pub(super) fn next_read(&self, planned: Instant, now: Instant) -> Instant {
        let pause = self.pause(now);
        (planned + pause).clamp(now, now + pause)
    }

    fn pause(&self, now: Instant) -> Duration {
        let pause = match self.rate {
            rate if rate >= VERY_MANY => CROWDED_PAUSE,
            rate if rate >= MANY => SHORTEST_PAUSE,
            _ => USUAL_PAUSE,
        };
        (now.saturating_duration_since(self.quiet_since) / PART_OF_QUIET).clamp(pause, LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn many_notifications_make_it_rise_and_few_transactions_let_it_sleep() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(!pace.rises(RISE_AT - 1, false, at(start, 1)));
        assert!(!pace.rises(RISE_AT - 1, false, at(start, 51)), "a window later it counts anew");
        assert!(pace.rises(1, false, at(start, 60)));

        let mut pace = Pace::new(start);
        assert!(!pace.is_rare(0, at(start, 1)), "a window is not over");
        assert!(!pace.is_rare(SLEEP_BELOW, at(start, 51)));
        assert!(pace.is_rare(SLEEP_BELOW - 1, at(start, 102)));
    }

    /// For how long it stays awake after it rose then, while ten transactions come in each window.
    fn awake_after(pace: &mut Pace, rose: Instant) -> Duration {
        pace.rose(rose);
        let mut now = rose;
        while !pace.is_rare(1, now) {
            now += Duration::from_millis(5);
        }
        pace.slept(now);
        now - rose
    }

    #[test]
    fn overlapping_transactions_keep_it_awake_the_longer_the_sooner_they_come_again() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut now = at(start, 60_000);
        let mut before = Duration::ZERO;
        for _ in 0..8 {
            assert!(pace.rises(1, true, now));
            let awake = awake_after(&mut pace, now);
            let least = (before * 2).saturating_sub(WINDOW * 4).clamp(SHORTEST_HOLD, LONGEST_HOLD);
            assert!((least..=LONGEST_HOLD + WINDOW * 2).contains(&awake), "{awake:?} after {before:?}");
            before = awake;
            now += awake + Duration::from_millis(20);
        }
        now += NAP * 2;
        assert!(pace.rises(1, true, now));
        let awake = awake_after(&mut pace, now);
        assert!(awake < SHORTEST_HOLD + WINDOW * 2, "it had slept: {awake:?}");
    }

    #[test]
    fn when_nothing_is_written_it_sleeps_in_any_case() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..10 {
            pace.rises(1, true, start);
        }
        pace.rose(start);
        assert!(!pace.is_rare(0, at(start, 400)));
        assert!(pace.is_rare(0, at(start, 600)));
    }

    #[test]
    fn whoever_is_refused_asks_more_and_more_rarely() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let tries = (0..60_000).step_by(10).map(|ms| at(start, ms)).filter(|now| {
            let tries = pace.is_rare(0, *now);
            if tries {
                pace.refused(*now);
            }
            tries
        });
        let tries = tries.count();
        assert!((50..80).contains(&tries), "{tries} in a minute");
    }

    #[test]
    fn it_reads_at_the_pace_of_the_writers() {
        let start = Instant::now();
        for (a_window, pause) in [(5, USUAL_PAUSE), (50, SHORTEST_PAUSE), (200, CROWDED_PAUSE)] {
            let mut pace = Pace::new(start);
            let mut now = start;
            for _ in 0..40 {
                now += WINDOW;
                pace.is_rare(a_window, now);
            }
            assert_eq!(pace.pause(now), pause, "{a_window} in each window");
        }
    }

    #[test]
    fn the_longer_nothing_happens_the_rarer_it_reads() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.is_rare(1, start);
        assert_eq!(pace.pause(start), USUAL_PAUSE);
        assert_eq!(pace.pause(at(start, 160)), Duration::from_millis(10));
        assert_eq!(pace.pause(at(start, 60_000)), LONGEST_PAUSE);
    }

    #[test]
    fn however_many_are_heard_for_nothing_it_reads_rarely_and_what_is_found_is_believed_again() {
        let mut pace = Pace::new(Instant::now());
        for _ in 0..MOST_BARREN {
            assert_eq!(pace.heard_pause(), SHORTEST_PAUSE);
            pace.found(0, true);
            pace.found(0, false);
        }
        let now = Instant::now();
        assert_eq!((pace.heard_pause(), pace.rises(RISE_AT, true, now)), (LONGEST_PAUSE, false));
        pace.found(1, true);
        assert_eq!((pace.heard_pause(), pace.rises(1, true, now)), (SHORTEST_PAUSE, true));
    }

    #[test]
    fn reads_in_between_do_not_put_the_next_off() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.is_rare(1, start);
        let mut planned = start;
        for _ in 0..1_000 {
            planned = pace.next_read(planned, start);
        }
        assert_eq!(planned, start + USUAL_PAUSE);
        let late = at(start, 8);
        assert_eq!(pace.next_read(planned, late), late, "what was missed is not made up for");
    }
}
