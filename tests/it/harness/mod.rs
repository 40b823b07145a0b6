//! What the tests stand on.

pub mod browser;
pub mod database;
pub mod gallery;
pub mod http;
pub mod instance;
pub mod proxy;
pub mod scene;
pub mod service;
pub mod ways;
pub mod wire;

use std::time::Duration;

use tokio::time::Instant;

/// How long a condition may take to become true before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How often a condition is looked at. What has been waited for longer is looked at less often, at the cost of a tenth of the time.
const OFTENEST: Duration = Duration::from_millis(20);
const RAREST: Duration = Duration::from_millis(80);

/// Waits until the condition gives a value. Tests wait for conditions, never for time.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "it never came true that {what}");
        tokio::time::sleep((waited / 10).clamp(OFTENEST, RAREST)).await;
    }
}
