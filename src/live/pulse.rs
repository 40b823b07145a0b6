//! How often streams ping. Few ping often, so that their pages soon notice a connection on which nothing arrives any more;
//! many ping more rarely, so that all of them together cost no more than they may.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

/// Between two pings of a stream, while there are few, and while there are many.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
const LONGEST_INTERVAL: Duration = Duration::from_secs(15);

/// So many streams ping at the longest interval. Fewer ping no more often all together.
const MANY: f64 = 10_000.0;

/// Each interval is longer or shorter by up to a fifth, so that thousands do not ping at once.
const JITTER: std::ops::Range<f64> = 0.8..1.2;

/// Pings that are due within this time go out together: waking up for each costs more than sending it.
const TICK: Duration = Duration::from_millis(100);

/// When a stream pings next, where ticks are counted from `started`.
pub(super) fn next_ping(open_streams: usize, started: Instant) -> Instant {
    let due = started.elapsed() + interval(open_streams).mul_f64(rand::rng().random_range(JITTER));
    let ticks = due.as_millis().div_ceil(TICK.as_millis());
    started + TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// In how many milliseconds a ping that is due then will have been sent.
pub(super) fn latest(due: Instant) -> u64 {
    let wait = due.saturating_duration_since(Instant::now()) + TICK;
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

fn interval(open_streams: usize) -> Duration {
    LONGEST_INTERVAL.mul_f64(open_streams as f64 / MANY).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_streams_ping_often_and_many_no_more_often_than_they_may() {
        for (open, seconds) in [(0, 5), (1, 5), (3_333, 5), (4_000, 6), (8_000, 12), (10_000, 15), (1_000_000, 15)] {
            assert_eq!(interval(open), Duration::from_secs(seconds), "{open}");
        }
        let most = MANY / LONGEST_INTERVAL.as_secs_f64();
        for open in (0..=10_000).step_by(7) {
            let rate = open as f64 / interval(open).as_secs_f64();
            assert!(rate <= most * 1.000_001, "{open}: {rate} a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_says_by_when_the_next_ping_comes() {
        let started = Instant::now();
        tokio::time::advance(Duration::from_millis(12_345)).await;
        for _ in 0..1_000 {
            let due = next_ping(1, started);
            assert_eq!((due - started).as_millis() % TICK.as_millis(), 0, "on a tick");
            assert!((4_100..=6_200).contains(&latest(due)), "{}", latest(due));
        }
    }
}
