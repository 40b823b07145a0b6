//! Ends the streams of sessions that no longer hold: signed out elsewhere, expired, the user deactivated, the password
//! changed.

use std::collections::HashSet;
use std::time::Duration;

use super::Hub;
use crate::store::Store;

/// How often the open streams' sessions are checked, all in one query.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Checks for ever.
pub(super) async fn run(store: &Store, hub: &Hub) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let open = hub.sessions();
        if open.is_empty() {
            continue;
        }
        match store.sessions_that_hold(&open).await {
            Ok(holding) => {
                let holding: HashSet<_> = holding.into_iter().collect();
                let over: HashSet<_> = open.into_iter().filter(|session| !holding.contains(session)).collect();
                if !over.is_empty() {
                    hub.end_sessions(|session| over.contains(&session));
                }
            }
            Err(error) => tracing::warn!(error = error.chain(), "could not check the open streams' sessions"),
        }
    }
}
