//! All that is counted, in Prometheus' format. Each room registers what it counts.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::disk::Disk;
use super::scrape::Scrape;
use super::seen::Seen;
use crate::counted::Requests;
use crate::http::Connections;
use crate::live::{ListenerState, Live};
use crate::store::Store;

/// The metrics of the service. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Counted by whoever hears of them.
    pub(super) instances: Seen,
}

impl Metrics {
    /// Those of each part.
    #[must_use]
    pub fn of(
        live: &Arc<Live>,
        store: &Store,
        requests: &Requests,
        connections: &Connections,
        disk: &Arc<Disk>,
    ) -> Self {
        let mut registry = Registry::default();
        #[cfg(target_os = "linux")]
        registry.register_collector(Box::new(super::process::Us::new()));
        let ours = registry.sub_registry_with_prefix("oncare_live");
        ours.register_collector(Box::new(Truth(Arc::clone(live), Arc::clone(disk))));
        live.meter.register(ours);
        store.register(ours);
        requests.register(ours);
        connections.register(ours);
        let instances = Seen::default();
        instances.register(ours, "instances", "Instances of the service on this database that this one knows of");
        Self { registry: Arc::new(registry), instances }
    }

    /// As one text.
    pub(super) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// As numbers.
    pub(super) fn read(&self) -> Result<Scrape, fmt::Error> {
        Ok(Scrape::parse(&self.encode()?))
    }
}

/// The same in the older text format, in which a counter's `_total` belongs to its name.
pub(super) fn as_plain_text(open: &str) -> String {
    let counters: HashSet<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                text.extend(["# ", what, " ", name, "_total ", rest, "\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

/// What nothing counts, as it is the case or is not.
struct Truth(Arc<Live>, Arc<Disk>);

impl fmt::Debug for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Truth")
    }
}

impl Collector for Truth {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let hub = &self.0.hub;
        let faults = hub.faults().len();
        let hears = hub.listener_state() == ListenerState::Live;
        for (name, help, value) in [
            (
                "pages_live",
                "1 if pages are told that they are live: the listener is, and every change is recorded.",
                hub.is_live(),
            ),
            ("listener_live", "1 if the listener's canary came back, 0 if changes may come late.", hears),
            (
                "triggers_intact",
                "1 if every change is recorded, 0 if some may not be, or are not made up for yet: /readyz says why.",
                faults == 0,
            ),
            ("database_has_room", "0 if the database server's disk takes nothing that is written.", self.1.has_room()),
        ] {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::from(value)).encode(gauge)?;
        }
        let help = "Things that keep changes from being recorded: /readyz names them.";
        let gauge = encoder.encode_descriptor("recording_faults", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(faults).unwrap_or(i64::MAX)).encode(gauge)?;
        let mut build = encoder.encode_descriptor("build_info", "1, with the version.", None, MetricType::Gauge)?;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(build.encode_family(&version)?)
    }
}
