//! What the ops page shows, as one value.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::history::Sample;
use super::instances::Row;
use super::log::{self, Line};
use super::parts::Ops;
use super::scrape::Scrape;
use crate::live::ListenerState;

/// So many users with streams are named.
const NAMED: usize = 10;

/// How things are.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    now: DateTime<Utc>,
    uptime_seconds: f64,
    stopping: bool,
    /// Whether pages are told that they are live.
    live: bool,
    listener: String,
    /// What keeps changes from being recorded.
    faults: Vec<String>,
    streams: Streams,
    /// Since the start, in seconds: a change in two, and one in a hundred, was at least that old.
    event_age: Ages,
    /// When the canary last came back, in seconds before now; where it never did, when the service began.
    canary_seconds_ago: f64,
    queue_usage: f64,
    pool: Pool,
    /// How far behind each step of the background work is, in seconds.
    behind: BTreeMap<&'static str, f64>,
    /// Tells this instance from all others: whoever has it do something may name it so, in the header `oncare-live-instance`.
    instance: String,
    /// All instances on this database, this one first.
    instances: Vec<Row>,
    audit: Audit,
    /// The last warnings and errors of the log, the newest first.
    errors: Vec<Line>,
    /// The last hour, the oldest first.
    history: Vec<Sample>,
}

#[derive(Debug, Serialize)]
struct Streams {
    open: usize,
    sales_reps: f64,
    pharmacists: f64,
    users: usize,
    sessions: f64,
    /// Those with most streams.
    most: Vec<User>,
}

#[derive(Debug, Serialize)]
struct User {
    user: i64,
    streams: usize,
}

#[derive(Debug, Serialize)]
struct Ages {
    median: Option<f64>,
    p99: Option<f64>,
}

/// What was compared since the start, and what differed: a stream with the database, statistics with the orders.
#[derive(Debug, Serialize)]
struct Audit {
    compared: f64,
    differences: f64,
}

#[derive(Debug, Serialize)]
struct Pool {
    limit: f64,
    open: f64,
    lent: f64,
    waiting: f64,
}

impl Ops {
    /// How things are now.
    pub(super) fn status(&self) -> Result<Status, fmt::Error> {
        let scrape = self.metrics.read()?;
        let (hub, start) = (&self.live.hub, Scrape::default());
        let now = Utc::now();
        let mut most: Vec<User> =
            hub.streams_by_user().into_iter().map(|(user, streams)| User { user: user.0, streams }).collect();
        let users = most.len();
        most.sort_unstable_by_key(|user| (std::cmp::Reverse(user.streams), user.user));
        most.truncate(NAMED);
        let age = |share| scrape.quantile_since(&start, "event_age_seconds", share);
        let behind = |step| (step, scrape.of(&format!("background_behind_seconds{{step=\"{step}\"}}")));
        let streams = |role| scrape.of(&format!("streams_open{{role=\"{role}\"}}"));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            now,
            uptime_seconds: self.started_at.elapsed().as_secs_f64(),
            stopping: self.stopping.is_cancelled(),
            live: hub.is_live(),
            listener: match hub.listener_state() {
                ListenerState::Live => "live".to_owned(),
                ListenerState::Degraded(why) => why,
            },
            faults: hub.faults(),
            streams: Streams {
                open: hub.open_streams(),
                sales_reps: streams("sales_rep"),
                pharmacists: streams("pharmacist"),
                users,
                sessions: scrape.of("sessions_streaming"),
                most,
            },
            event_age: Ages { median: age(0.5), p99: age(0.99) },
            canary_seconds_ago: self.live.meter.canary_age().unwrap_or_else(|| self.started_at.elapsed()).as_secs_f64(),
            queue_usage: scrape.of("notification_queue_usage_ratio"),
            pool: Pool {
                limit: scrape.of("pool_connections_limit"),
                open: scrape.of("pool_connections_open"),
                lent: scrape.of("pool_connections_lent"),
                waiting: scrape.of("pool_waiting"),
            },
            behind: ["fold", "timeline"].into_iter().map(behind).collect(),
            instance: self.instances.id().to_owned(),
            instances: self.instances.rows(),
            audit: Audit {
                compared: scrape.of("audit_states_compared_total"),
                differences: scrape.of("audit_differences_total") + scrape.of("statistics_differences_total"),
            },
            errors: log::recent(),
            history: self.history.samples(),
        })
    }
}
