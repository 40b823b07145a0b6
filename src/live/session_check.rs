//! Ends the streams of sessions that no longer hold: signed out elsewhere, expired, the user deactivated, the password or the
//! role changed. Those that will never hold again are deleted.

use std::collections::HashSet;
use std::time::Duration;

use super::hub::Hub;
use super::meter::Meter;
use super::outage::Outage;
use crate::security::{By, End};
use crate::store::{Role, SessionKey, Sessions, StoreError};

/// How often the open streams' sessions are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How soon again where that failed: the next attempt is made on another connection.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How many sessions one query asks for: few enough that neither it nor its statement needs much memory at once.
const CHECKED_AT_ONCE: usize = 1_000;

/// Checks for ever.
pub(super) async fn run(sessions: &Sessions, hub: &Hub, meter: &Meter) {
    let mut outage = Outage::default();
    loop {
        tokio::time::sleep(if outage.is_on() { RETRY_PAUSE } else { CHECK_INTERVAL }).await;
        match check_all(sessions, hub, meter).await {
            Ok(()) => {
                if let Some((time, failures)) = outage.is_over() {
                    tracing::info!(failures, "the open streams' sessions are checked again after {} s", time.as_secs());
                }
            }
            Err(error) => {
                if outage.fails_beside(hub, &error) {
                    let (remedy, error) = (error.remedy(), error.chain());
                    tracing::warn!(
                        error,
                        remedy,
                        "could not check the open streams' sessions; it is tried again each second"
                    );
                }
            }
        }
    }
}

async fn check_all(sessions: &Sessions, hub: &Hub, meter: &Meter) -> Result<(), StoreError> {
    let (of_one, of_all) = (hub.sessions(false), hub.sessions(true));
    meter.streaming_sessions.set(i64::try_from(of_one.len() + of_all.len()).unwrap_or(i64::MAX));
    for (roles, open) in [(Role::OF_ONE_REP, of_one), (Role::OF_ALL_ORDERS, of_all)] {
        check(sessions, hub, roles, &open).await?;
    }
    for swept in sessions.sweep().await? {
        if let Some(end) = End::of(&swept.why) {
            meter.security.ended(end, (swept.user, swept.username.as_deref()), By::default());
        }
    }
    Ok(())
}

/// Ends the streams of those of the sessions that don't hold any more for a user with one of the roles.
async fn check(sessions: &Sessions, hub: &Hub, roles: &[&str], open: &[SessionKey]) -> Result<(), StoreError> {
    for open in open.chunks(CHECKED_AT_ONCE) {
        let ended: HashSet<_> = sessions.ended(open, roles).await?.into_iter().collect();
        if !ended.is_empty() {
            hub.end_sessions(|session| ended.contains(&session));
        }
    }
    Ok(())
}
