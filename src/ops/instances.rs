//! All instances of the service on this database: each says every few seconds how it is, and hears so how the others are. That this fails
//! is no failure of the service: of the others then is shown what was heard last.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::scrape::Scrape;
use super::seen::State;
use crate::counted::Label;
use crate::live::Live;
use crate::store::{Instance, InstanceState, Store, StoreError};

/// How often.
const INTERVAL: Duration = Duration::from_secs(5);

/// An instance that has said nothing for so long has vanished.
const VANISHED: Duration = Duration::from_secs(15);

/// Over how many intervals the age of changes is looked at: a minute.
const READINGS: usize = 12;

/// How often the scripts and styles are said to be in use.
const ASSETS_INTERVAL: Duration = Duration::from_secs(3_600);

/// What the other instances are told of this one, and it of them. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Instances(Arc<Inner>);

struct Inner {
    store: Store,
    live: Arc<Live>,
    metrics: Metrics,
    stopping: CancellationToken,
    own: Instance,
    /// The version of the scripts and styles, and all of them.
    assets: (&'static str, String),
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    others: Vec<InstanceState>,
    /// When.
    at: Option<Instant>,
    assets_kept_at: Option<Instant>,
    /// The oldest first.
    readings: VecDeque<Scrape>,
}

/// One row.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: String,
    version: String,
    ops_address: String,
    started_at: DateTime<Utc>,
    state: State,
    streams: i32,
    /// Below which age, in seconds, 99 of 100 changes of the last minute were; none where there were none.
    event_age: Option<f64>,
    seen_seconds_ago: f64,
    /// Whether it is the one that was asked.
    is_this: bool,
}

impl Instances {
    /// This one, which serves pages on one address and ops on another, with its scripts and styles.
    #[must_use]
    pub fn new(
        (store, live, metrics): (Store, Arc<Live>, Metrics),
        (web, ops): (SocketAddr, SocketAddr),
        assets: (&'static str, String),
        stopping: CancellationToken,
    ) -> Self {
        // of a system that has no such file the address alone is told
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let own = Instance {
            id: format!("{:032x}", rand::random::<u128>()),
            name: format!("{} {web}", host.trim()).trim_start().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ops_address: ops.to_string(),
            started_at: Utc::now(),
        };
        Self(Arc::new(Inner { store, live, metrics, stopping, own, assets, heard: Mutex::default() }))
    }

    /// Says so for the first time, before anybody is served: what a first page needs must be where other instances look for it.
    pub async fn begin(&self) {
        self.say_quietly().await;
    }

    /// Says so again and again, and at once when it is stopping.
    pub async fn keep(&self) {
        loop {
            let Inner { stopping, .. } = &*self.0;
            let was_stopping = stopping.is_cancelled();
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = stopping.cancelled(), if !was_stopping => {}
            }
            self.say_quietly().await;
        }
    }

    /// Takes its row away, as it ends.
    pub async fn leave(&self) {
        if let Err(error) = self.0.store.forget_instance(&self.0.own.id).await {
            tracing::debug!(error = error.chain(), "this instance's row is left to the others");
        }
    }

    /// Tells this one from all others.
    pub(super) fn id(&self) -> &str {
        &self.0.own.id
    }

    /// This one first, and then the others.
    pub(super) fn rows(&self) -> Vec<Row> {
        let own = self.state();
        let heard = self.lock();
        let since = heard.at.map(|at| at.elapsed()).unwrap_or_default();
        let others = heard.others.iter().map(|other| row(other, other.silent + since, false));
        [row(&own, Duration::ZERO, true)].into_iter().chain(others).collect()
    }

    async fn say_quietly(&self) {
        if let Err(error) = self.say().await {
            tracing::debug!(error = error.chain(), "the other instances are not told of this one");
        }
        let rows = self.rows();
        for &state in State::KNOWN {
            let count = rows.iter().filter(|row| row.state == state).count();
            self.0.metrics.instances.of(state).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    async fn say(&self) -> Result<(), StoreError> {
        let Inner { store, metrics, assets: (version, files), .. } = &*self.0;
        if let Ok(reading) = metrics.read() {
            let mut heard = self.lock();
            heard.readings.push_back(reading);
            if heard.readings.len() > READINGS {
                heard.readings.pop_front();
            }
        }
        if self.lock().assets_kept_at.is_none_or(|at| at.elapsed() > ASSETS_INTERVAL) {
            store.keep_assets(version, files).await?;
            self.lock().assets_kept_at = Some(Instant::now());
        }
        let others = store.note_instance(&self.state()).await?;
        let mut heard = self.lock();
        (heard.others, heard.at) = (others, Some(Instant::now()));
        Ok(())
    }

    fn state(&self) -> InstanceState {
        let Inner { live, own, stopping, .. } = &*self.0;
        let heard = self.lock();
        let age = heard.readings.front().zip(heard.readings.back());
        InstanceState {
            instance: own.clone(),
            streams: i32::try_from(live.hub.open_streams()).unwrap_or(i32::MAX),
            event_age: age.and_then(|(first, last)| last.quantile_since(first, "event_age_seconds", 0.99)),
            is_live: live.hub.is_live(),
            is_draining: stopping.is_cancelled(),
            silent: Duration::ZERO,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(state: &InstanceState, silent: Duration, is_this: bool) -> Row {
    let InstanceState { instance, streams, event_age, is_live, is_draining, .. } = state.clone();
    Row {
        name: instance.name,
        version: instance.version,
        ops_address: instance.ops_address,
        started_at: instance.started_at,
        state: match (silent > VANISHED, is_draining, is_live) {
            (true, ..) => State::Vanished,
            (false, true, _) => State::Draining,
            (false, false, true) => State::Live,
            (false, false, false) => State::NotLive,
        },
        streams,
        event_age,
        seen_seconds_ago: silent.as_secs_f64(),
        is_this,
    }
}
