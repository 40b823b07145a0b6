//! Requests over HTTP, by their route and by what became of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the histogram of durations, in seconds.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What a request is counted as that no route is for: anybody can ask for any path.
const UNMATCHED: &str = "unmatched";

/// What an answer is counted as. Of failures of the server it matters which they are.
const CODES: [&str; 5] = ["2xx", "3xx", "4xx", "500", "503"];

/// The place of a status among these.
fn place(status: u16) -> usize {
    match status {
        ..300 => 0,
        300..400 => 1,
        400..500 => 2,
        503 => 4,
        500.. => 3,
    }
}

/// Requests so far. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Every route with each code, from the start: their number does not grow, and a rise from none is seen.
    of_route: Arc<HashMap<String, [Counter; CODES.len()]>>,
    answered: Family<[(&'static str, String); 2], Counter>,
    seconds: Histogram,
}

impl Requests {
    /// Of these routes, which are templates of the router's.
    #[must_use]
    pub fn of<'a>(routes: impl IntoIterator<Item = &'a str>) -> Self {
        let answered: Family<[(&'static str, String); 2], Counter> = Family::default();
        let counter = |route: &str, code: &str| {
            answered.get_or_create_owned(&[("route", route.to_owned()), ("code", code.to_owned())])
        };
        let all = routes.into_iter().chain([UNMATCHED]);
        let of_route = all.map(|route| (route.to_owned(), CODES.map(|code| counter(route, code)))).collect();
        Self { of_route: Arc::new(of_route), answered, seconds: Histogram::new(BOUNDS) }
    }

    /// The head of an answer was ready after that time. What is none of the routes counts as unmatched.
    pub fn answered(&self, route: Option<&str>, status: u16, time: Duration) {
        let known = route.and_then(|route| self.of_route.get(route)).or_else(|| self.of_route.get(UNMATCHED));
        if let Some(counters) = known {
            counters[place(status)].inc();
        }
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
