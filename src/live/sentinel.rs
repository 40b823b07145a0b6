//! Ends the streams of sessions that no longer hold: signed out elsewhere, expired, the user deactivated, the password or the
//! role changed.

use std::collections::HashSet;
use std::time::Duration;

use super::Hub;
use crate::store::{Role, SessionHash, Store};

/// How often the open streams' sessions are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How soon again where that failed: the next attempt is made on another connection.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How many sessions one query asks for: few enough that neither it nor its statement needs much memory at once.
const CHECKED_AT_ONCE: usize = 1_000;

/// Checks for ever.
pub(super) async fn run(store: &Store, hub: &Hub) {
    let mut pause = CHECK_INTERVAL;
    loop {
        tokio::time::sleep(pause).await;
        let (of_reps, of_all) = (hub.sessions(false), hub.sessions(true));
        let are_checked = check(store, hub, Role::OF_ONE_REP, &of_reps).await
            && check(store, hub, Role::OF_ALL_ORDERS, &of_all).await;
        pause = if are_checked { CHECK_INTERVAL } else { RETRY_PAUSE };
    }
}

/// Ends the streams of those of the sessions that don't hold any more for a user with one of the roles. Whether it could look
/// at all of them.
async fn check(store: &Store, hub: &Hub, roles: &[&str], sessions: &[SessionHash]) -> bool {
    for sessions in sessions.chunks(CHECKED_AT_ONCE) {
        match store.ended_sessions(sessions, roles).await {
            Ok(ended) if ended.is_empty() => {}
            Ok(ended) => {
                let ended: HashSet<_> = ended.into_iter().collect();
                hub.end_sessions(|session| ended.contains(&session));
            }
            Err(error) => {
                tracing::warn!(error = error.chain(), "could not check the open streams' sessions");
                return false;
            }
        }
    }
    true
}
