//! When the listener sleeps and when it is awake, and how often it reads then.
//!
//! A notification wakes a sleeping listener at once, but costs every writer a lock on the whole cluster until its commit is
//! on disk. An awake one reads every millisecond and costs the writers nothing. So it sleeps while commits are rare, and is
//! awake while they are frequent. See `live.listener_sleeps()` in `sql/` for how no change goes unheard in between.

use std::time::Duration;

use tokio::time::Instant;

/// Over what time commits are counted.
const WINDOW: Duration = Duration::from_millis(50);

/// Notifications within a window that make a sleeping listener rise: 1,000 a second.
const RISE_AT: u32 = 50;

/// Transactions within a window below which an awake listener tries to sleep: 400 a second.
const SLEEP_BELOW: u32 = 20;

/// How often an awake listener reads while there is something to read.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Transactions in one read that leave the next a little more time, as writers then need the machine themselves.
const CROWD: u32 = 8;
const CROWDED_PAUSE: Duration = Duration::from_millis(2);

/// How rarely it reads while there is nothing, as while a transaction that was not told to notify stays open for hours.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// The pause grows to this part of the time for which nothing was read.
const PART_OF_QUIET: u32 = 16;

/// Counts commits, and says when there are many or few.
pub(super) struct Pace {
    window_ends: Instant,
    counted: u32,
    quiet_since: Instant,
    is_crowded: bool,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { window_ends: now + WINDOW, counted: 0, quiet_since: now, is_crowded: false }
    }

    /// A sleeping listener was notified so often. Whether to rise.
    pub(super) fn is_frequent(&mut self, notifications: u32, now: Instant) -> bool {
        if now >= self.window_ends {
            *self = Self::new(now);
        }
        self.counted = self.counted.saturating_add(notifications);
        self.counted >= RISE_AT
    }

    /// An awake listener read so many transactions. Whether to try to sleep.
    pub(super) fn is_rare(&mut self, transactions: u32, now: Instant) -> bool {
        self.counted = self.counted.saturating_add(transactions);
        self.is_crowded = transactions > CROWD;
        if transactions > 0 {
            self.quiet_since = now;
        }
        if now < self.window_ends {
            return false;
        }
        let is_rare = self.counted < SLEEP_BELOW;
        (self.window_ends, self.counted) = (now + WINDOW, 0);
        is_rare
    }

    /// When an awake listener reads next, having planned a read for `planned` and read now. Never later than a whole pause
    /// from now, however often it was made to read in between.
    pub(super) fn next_read(&self, planned: Instant, now: Instant) -> Instant {
        let pause = self.pause(now);
        (planned + pause).clamp(now, now + pause)
    }

    fn pause(&self, now: Instant) -> Duration {
        if self.is_crowded {
            return CROWDED_PAUSE;
        }
        (now.saturating_duration_since(self.quiet_since) / PART_OF_QUIET).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_notifications_make_it_rise_and_few_transactions_let_it_sleep() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(start);
        assert!(!pace.is_frequent(RISE_AT - 1, at(1)));
        assert!(!pace.is_frequent(RISE_AT - 1, at(51)), "a window later it counts anew");
        assert!(pace.is_frequent(1, at(60)));

        let mut pace = Pace::new(start);
        assert!(!pace.is_rare(0, at(1)), "a window is not over");
        assert!(!pace.is_rare(SLEEP_BELOW, at(51)));
        assert!(pace.is_rare(SLEEP_BELOW - 1, at(102)));
    }

    #[test]
    fn the_longer_nothing_happens_the_rarer_it_reads() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.is_rare(1, start);
        assert_eq!(pace.pause(start), SHORTEST_PAUSE);
        assert_eq!(pace.pause(start + Duration::from_millis(160)), Duration::from_millis(10));
        assert_eq!(pace.pause(start + Duration::from_secs(60)), LONGEST_PAUSE);
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
        assert_eq!(planned, start + SHORTEST_PAUSE);
        let late = start + Duration::from_millis(8);
        assert_eq!(pace.next_read(planned, late), late, "what was missed is not made up for");
    }
}
