//! How much of everything is measured.

use std::time::Duration;

/// The sizes of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Streams that are open in most scenarios.
    pub streams: usize,
    /// Streams of the second memory measurement of the service.
    pub many_streams: usize,
    /// How often short measurements are repeated.
    pub rounds: usize,
    /// How long nothing happens before memory is read.
    pub quiet: Duration,
    /// How long processor time of idle streams is taken.
    pub idle: Duration,
    /// How long events come at the usual rate.
    pub events: Duration,
    /// How long they come at the high rate.
    pub fast_events: Duration,
    /// Updates of the fan-out.
    pub fan_outs: usize,
    /// Length of one round of the writers.
    pub writing: Duration,
    /// By how much flushes are delayed.
    pub flushes: Vec<Duration>,
    /// Clients that write while they are.
    pub clients: Vec<usize>,
    /// Length of one round of each of them.
    pub flush_writing: Duration,
    /// How long updates come at each rate of a shop.
    pub shop: Duration,
    /// Bulk updates of each table.
    pub bulks: usize,
    /// Orders of the three reps of `growth`.
    pub growth: [u64; 3],
    /// Repetitions of each measurement of `growth`.
    pub growth_samples: usize,
    /// How long is polled, each way.
    pub polling: Duration,
    /// A shop's open dashboards.
    pub dashboards: usize,
    /// For how long they are, each way.
    pub dashboard_time: Duration,
}

impl Plan {
    /// Everything as the targets have it.
    pub fn full(streams: usize) -> Self {
        Self {
            streams,
            many_streams: 19_000,
            rounds: 3,
            quiet: Duration::from_secs(3),
            idle: Duration::from_secs(30),
            events: Duration::from_secs(15),
            fast_events: Duration::from_secs(8),
            fan_outs: 7,
            writing: Duration::from_secs(4),
            flushes: [0, 500, 1_000, 2_000, 5_000, 10_000].map(Duration::from_micros).to_vec(),
            clients: vec![1, 4, 16, 64],
            flush_writing: Duration::from_millis(2_500),
            shop: Duration::from_secs(4),
            bulks: 5,
            growth: [100, 10_000, 1_000_000],
            growth_samples: 60,
            polling: Duration::from_secs(5),
            dashboards: 2_000,
            dashboard_time: Duration::from_secs(30),
        }
    }

    /// Only enough to see that everything works.
    pub fn quick(streams: usize) -> Self {
        Self {
            streams,
            many_streams: streams * 2,
            rounds: 1,
            quiet: Duration::from_secs(1),
            idle: Duration::from_secs(3),
            events: Duration::from_secs(3),
            fast_events: Duration::from_secs(2),
            fan_outs: 3,
            writing: Duration::from_secs(1),
            flushes: vec![Duration::from_millis(2)],
            clients: vec![16],
            flush_writing: Duration::from_millis(1_500),
            shop: Duration::from_secs(1),
            bulks: 1,
            growth: [100, 1_000, 10_000],
            growth_samples: 10,
            polling: Duration::from_secs(1),
            dashboards: 100,
            dashboard_time: Duration::from_secs(3),
        }
    }
}
