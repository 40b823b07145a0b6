//! Ends the streams of sessions that no longer hold: signed out elsewhere, expired, the user deactivated, the password
//! changed.

use std::collections::HashSet;
use std::time::Duration;

use super::Hub;
use crate::store::Store;

/// How often the open streams' sessions are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How many sessions one query asks for: few enough that neither it nor its statement needs much memory at once.
const CHECKED_AT_ONCE: usize = 1_000;

/// Checks for ever.
pub(super) async fn run(store: &Store, hub: &Hub) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        for sessions in hub.sessions().chunks(CHECKED_AT_ONCE) {
            match store.ended_sessions(sessions).await {
                Ok(ended) if ended.is_empty() => {}
                Ok(ended) => {
                    let ended: HashSet<_> = ended.into_iter().collect();
                    hub.end_sessions(|session| ended.contains(&session));
                }
                Err(error) => {
                    tracing::warn!(error = error.chain(), "could not check the open streams' sessions");
                    break;
                }
            }
        }
    }
}
