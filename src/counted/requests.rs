//! Requests over HTTP, by their route and by what became of them.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the histogram of durations, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What a request is counted as that no route is for: anybody can ask for any path.
const UNMATCHED: &str = "unmatched";

/// Statuses that count from a route's first request on, so that a rise from none is seen.
const FAILURES: [&str; 2] = ["500", "503"];

/// Requests so far. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Requests {
    answered: Family<[(&'static str, String); 2], Counter>,
    seconds: Histogram,
}

impl Default for Requests {
    fn default() -> Self {
        Self { answered: Family::default(), seconds: Histogram::new(BOUNDS) }
    }
}

impl Requests {
    /// The head of an answer was ready after that time. `route` is a template of the router's, never a path that somebody wrote.
    pub fn answered(&self, route: Option<&str>, status: u16, time: Duration) {
        let route = route.unwrap_or(UNMATCHED);
        let labels = |code: String| [("route", route.to_owned()), ("code", code)];
        let counted = labels(status.to_string());
        if self.answered.get(&counted).is_none() {
            FAILURES.iter().for_each(|code| drop(self.answered.get_or_create_owned(&labels((*code).to_owned()))));
        }
        self.answered.get_or_create(&counted).inc();
        self.seconds.observe(time.as_secs_f64());
    }

    /// Has them in the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests answered, by route and status. A stream counts when it begins.";
        registry.register("http_requests", help, self.answered.clone());
        let help = "Time until the head of an answer was ready.";
        registry.register("http_request_duration_seconds", help, self.seconds.clone());
    }
}
