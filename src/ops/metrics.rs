//! The counters in Prometheus' format.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::live::{Live, Step, Task};
use crate::security::{End, Login};

/// All metrics as one text.
pub(super) fn encode(live: &Arc<Live>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("oncare_live");
    registry.register_collector(Box::new(LiveCollector(Arc::clone(live))));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
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

struct LiveCollector(Arc<Live>);

impl fmt::Debug for LiveCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveCollector")
    }
}

impl Collector for LiveCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let meter = &self.0.meter;
        self.streams(&mut encoder)?;
        let live = i64::from(self.0.hub.is_live());
        gauge(
            &mut encoder,
            "listener_live",
            "1 if the listener's canary came back, 0 if changes may come late.",
            live,
        )?;
        self.recording(&mut encoder)?;
        let (is_awake, awake) = meter.awake();
        let help = "1 while the listener reads without being notified, as commits are frequent or nobody is there.";
        gauge(&mut encoder, "listener_awake", help, i64::from(is_awake))?;
        let help = "Time for which the listener was awake, in seconds.";
        let seconds = encoder.encode_descriptor("listener_awake_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(awake.as_secs_f64()).encode(seconds)?;
        let strangers = i64::try_from(meter.sleep_lock_strangers.load(Relaxed)).unwrap_or(i64::MAX);
        let help = "Sessions of others that hold the lock by which listeners say that they sleep: doctor names them.";
        gauge(&mut encoder, "sleep_lock_strangers", help, strangers)?;
        for (name, help, value) in [
            ("listener_reconnects", "Connections the listener made after its first.", &meter.reconnects),
            ("listener_batches", "Batches of events read.", &meter.batches),
            (
                "listener_batches_skipped",
                "Batches that could not be read: all streams read their state anew instead.",
                &meter.batches_skipped,
            ),
            ("listener_events", "Events read for open streams.", &meter.events),
            (
                "listener_events_unreadable",
                "Events with an order that could not be read: the streams they concern read their state anew instead.",
                &meter.events_unreadable,
            ),
            (
                "listener_events_found_late",
                "Events that only the periodic read found: their notification did not come.",
                &meter.events_found_late,
            ),
            ("listener_notifications", "Notifications of changes that were received.", &meter.notifications),
            ("frames_sent", "Frames with changes handed to streams.", &meter.frames_sent),
            ("mailboxes_overrun", "Full mailboxes, whose stream read its state anew.", &meter.mailboxes_overrun),
            ("polls_unchanged", "Polls answered with 304, without a look at the orders.", &meter.polls_unchanged),
            ("polls_changed", "Polls by pages that knew a state, answered in full.", &meter.polls_changed),
            (
                "requests_refused",
                "Requests refused with 429, as too many of their user's were under way.",
                &meter.requests_refused,
            ),
            ("folds", "Folds of events into the statistics.", &meter.folds),
            ("rebuilds", "Statistics built anew from the orders.", &meter.rebuilds),
            ("events_pruned", "Old events deleted.", &meter.pruned),
        ] {
            counter(&mut encoder, name, help, value)?;
        }
        self.background(&mut encoder)?;
        self.security(&mut encoder)?;
        let usage = meter.queue_usage_ppm.load(Relaxed) as f64 / 1e6;
        let help = "Share of the server's notification queue that is in use. At 1, orders' commits fail.";
        let gauge = encoder.encode_descriptor("notification_queue_usage_ratio", help, None, MetricType::Gauge)?;
        ConstGauge::new(usage).encode(gauge)?;
        let ages = meter.ages();
        let help = "Age of a change, from the trigger to its stream's socket, in seconds.";
        let mut histogram = encoder.encode_descriptor("event_age_seconds", help, None, MetricType::Histogram)?;
        histogram.encode_histogram::<NoLabelSet>(ages.sum, ages.count, &ages.counts, None)
    }
}

impl LiveCollector {
    /// What is done in the background, step by step.
    fn background(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let meter = &self.0.meter;
        let help = "Background tasks that panicked or ended, and began anew.";
        let mut restarts = encoder.encode_descriptor("task_restarts", help, None, MetricType::Counter)?;
        for task in Task::ALL {
            let count = ConstCounter::new(meter.restarted(task));
            count.encode(restarts.encode_family(&[("task", task.name())])?)?;
        }
        let help = "Steps of the background work that failed. Each is tried again after a second.";
        let mut failures = encoder.encode_descriptor("background_failures", help, None, MetricType::Counter)?;
        for step in Step::ALL {
            let count = ConstCounter::new(meter.background_failures(step));
            count.encode(failures.encode_family(&[("step", step.name())])?)?;
        }
        let help = "Age of the oldest event that a step should have dealt with and has not.";
        let mut behind = encoder.encode_descriptor("background_behind_seconds", help, None, MetricType::Gauge)?;
        for step in Step::MEASURED {
            let age = ConstGauge::new(meter.background_behind(step).as_secs_f64());
            age.encode(behind.encode_family(&[("step", step.name())])?)?;
        }
        let help = "Events that are not in the orders' timelines yet; 100001 if there are more than 100000.";
        let waiting = i64::try_from(meter.timeline_waiting.load(Relaxed)).unwrap_or(i64::MAX);
        gauge(encoder, "timeline_events_waiting", help, waiting)
    }

    /// What the security log says.
    fn security(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let security = &self.0.meter.security;
        let help = "Attempts to sign in, by what came of them.";
        let mut logins = encoder.encode_descriptor("logins", help, None, MetricType::Counter)?;
        for login in Login::ALL {
            let count = ConstCounter::new(security.logins(login));
            count.encode(logins.encode_family(&[("outcome", login.name())])?)?;
        }
        let help = "Sessions ended, by the reason.";
        let mut ends = encoder.encode_descriptor("sessions_ended", help, None, MetricType::Counter)?;
        for end in End::ALL {
            let count = ConstCounter::new(security.ends(end));
            count.encode(ends.encode_family(&[("reason", end.name())])?)?;
        }
        Ok(())
    }

    /// Whether every change is recorded, and what keeps some from being so.
    fn recording(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let faults = self.0.hub.faults();
        let help = "1 if every change is recorded, 0 if some may not be, or are not made up for yet.";
        gauge(encoder, "triggers_intact", help, i64::from(faults.is_empty()))?;
        let help = "1 for each thing that keeps changes from being recorded: a trigger, a column by its name.";
        let mut family = encoder.encode_descriptor("recording_fault", help, None, MetricType::Gauge)?;
        for fault in &faults {
            ConstGauge::new(1).encode(family.encode_family(&[("fault", fault.as_str())])?)?;
        }
        Ok(())
    }

    /// One look at the counts, so that opened, closed and open agree in every scrape.
    fn streams(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.meter.streams();
        let mut open = encoder.encode_descriptor("streams_open", "Open streams.", None, MetricType::Gauge)?;
        for (role, count) in counts.open() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(open.encode_family(&[("role", role)])?)?;
        }
        let mut opened = encoder.encode_descriptor("streams_opened", "Streams opened.", None, MetricType::Counter)?;
        for (role, count) in &counts.opened {
            ConstCounter::new(*count).encode(opened.encode_family(&[("role", *role)])?)?;
        }
        let mut closed = encoder.encode_descriptor("streams_closed", "Streams closed.", None, MetricType::Counter)?;
        for ((role, reason), count) in &counts.closed {
            ConstCounter::new(*count).encode(closed.encode_family(&[("role", *role), ("reason", *reason)])?)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> Result<(), fmt::Error> {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: &AtomicU64) -> Result<(), fmt::Error> {
    ConstCounter::new(value.load(Relaxed)).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}
