//! What the ops page plots: some numbers every ten seconds, for an hour.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::metrics::Metrics;
use super::scrape::Scrape;

/// How often, and how often at most.
const INTERVAL: Duration = Duration::from_secs(10);
const KEPT: usize = 360;

/// One moment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sample {
    /// In seconds since 1970.
    at: i64,
    streams: f64,
    /// Frames written a second since the last sample.
    frames: f64,
    /// Of changes since the last sample, in seconds; none where there were none.
    event_age: Option<f64>,
    /// Share of the pool that is lent.
    pool: f64,
    /// Share of the notification queue that is in use.
    queue: f64,
}

/// The last hour. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<VecDeque<Sample>>>);

impl History {
    /// Adds a sample every ten seconds, for ever.
    pub async fn keep(&self, metrics: &Metrics) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut earlier = Scrape::default();
        loop {
            ticks.tick().await;
            let Ok(now) = metrics.read() else { continue };
            let sample = Sample {
                at: Utc::now().timestamp(),
                streams: now.sum("streams_open"),
                frames: (now.of("frames_sent_total") - earlier.of("frames_sent_total")) / INTERVAL.as_secs_f64(),
                event_age: now.quantile_since(&earlier, "event_age_seconds", 0.99),
                pool: now.of("pool_connections_lent") / now.of("pool_connections_limit").max(1.0),
                queue: now.of("notification_queue_usage_ratio"),
            };
            let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push_back(sample);
            if samples.len() > KEPT {
                samples.pop_front();
            }
            drop(samples);
            earlier = now;
        }
    }

    /// The oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
