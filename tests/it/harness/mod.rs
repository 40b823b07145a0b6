//! What the tests stand on.

pub mod browser;
pub mod crowd;
pub mod database;
pub mod front;
pub mod gallery;
pub mod http;
pub mod instance;
pub mod logged;
pub mod nginx;
pub mod over_tls;
pub mod proxy;
pub mod scene;
pub mod service;
pub mod shop;
pub mod supervised;
pub mod ways;
pub mod wire;

use std::time::Duration;

/// How long something that is waited for may take before a test fails: less than what the service gives its clients by default.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How often a condition is looked at, at first and at last: a look takes time of the processor that others wait for.
const POLL: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(80)];

/// Waits until the condition gives a value, twice as long, as many tests share the machine. Tests wait for conditions, never for time.
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(2 * PATIENCE, what, condition).await
}

/// The same for a condition that takes its time.
pub async fn eventually_within<T>(patience: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + patience;
    let [mut pause, longest] = POLL;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(pause).await;
        pause = longest.min(pause * 3 / 2);
    }
}
