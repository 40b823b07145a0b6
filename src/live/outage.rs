//! What of a failure that lasts is worth a line in the log: that it began, each new cause, and that it is over.

use std::time::Duration;

use tokio::time::Instant;

use super::hub::{Hub, ListenerState};
use crate::store::StoreError;

/// Whether something fails again and again.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Failing>);

#[derive(Debug)]
struct Failing {
    since: Instant,
    failures: u32,
    /// The causes that were told. They may take turns.
    told: Vec<String>,
}

/// So many causes of one outage are told.
const MOST_TOLD: usize = 8;

impl Outage {
    /// It failed. Whether that is to be told: this cause was not yet.
    pub(super) fn fails(&mut self, cause: &str) -> bool {
        self.fails_if(cause, |_| true)
    }

    /// The same for what somebody else may tell of, so that it is told only if `wants`, given how often it has failed.
    pub(super) fn fails_if(&mut self, cause: &str, wants: impl FnOnce(u32) -> bool) -> bool {
        let failing = self.0.get_or_insert_with(|| Failing { since: Instant::now(), failures: 0, told: Vec::new() });
        failing.failures = failing.failures.saturating_add(1);
        let is_news = failing.told.len() < MOST_TOLD && failing.told.iter().all(|told| told != cause);
        let is_told = is_news && wants(failing.failures);
        if is_told {
            failing.told.push(cause.to_owned());
        }
        is_told
    }

    /// The same for a task beside the listener: of a database that is away the listener tells, soon if not by now.
    pub(super) fn fails_beside(&mut self, hub: &Hub, error: &StoreError) -> bool {
        let hears = || hub.listener_state() == ListenerState::Live;
        self.fails_if(&error.chain(), |failures| !error.is_outage() || failures > 1 && hears())
    }

    /// Whether it failed when it was last tried.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// It works. How long it had not, and how often it failed, if that was told.
    pub(super) fn is_over(&mut self) -> Option<(Duration, u32)> {
        let failing = self.0.take()?;
        (!failing.told.is_empty()).then(|| (failing.since.elapsed(), failing.failures))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::advance;

    use super::*;
    use crate::live::StreamCaps;

    #[tokio::test(start_paused = true)]
    async fn each_cause_is_news_once_until_it_is_over() {
        let mut outage = Outage::default();
        assert_eq!(outage.is_over(), None);
        let mut news = Vec::new();
        for cause in ["a column", "a column", "a column", "the server", "the server", "a column"] {
            news.push(outage.fails(cause));
            advance(Duration::from_secs(2)).await;
        }
        assert_eq!(news, [true, false, false, true, false, false], "also where they take turns");
        assert_eq!(outage.is_over(), Some((Duration::from_secs(12), 6)));
        assert_eq!(outage.is_over(), None);
        assert!(outage.fails("a column"));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_database_that_is_away_only_the_listener_tells() {
        let away = StoreError::NoEpoch;
        let hub = Hub::new(Arc::default(), StreamCaps::for_test());
        let mut outage = Outage::default();
        assert!((0..5).all(|_| !outage.fails_beside(&hub, &away)));
        assert!(outage.is_on());
        assert_eq!(outage.is_over(), None, "what was not told is not over");
        hub.set_listener_state(ListenerState::Live);
        let told: Vec<bool> = (0..4).map(|_| outage.fails_beside(&hub, &away)).collect();
        assert_eq!(told, [false, true, false, false], "it is something else that is away");
        assert_eq!(outage.is_over(), Some((Duration::ZERO, 4)));
        assert!(outage.fails_beside(&hub, &StoreError::Unsuitable("a column".to_owned())));
    }
}
