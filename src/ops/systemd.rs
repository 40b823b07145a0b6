//! What the service manager is told, where there is one: that the service serves, that it is alive, and that it stops. Elsewhere
//! this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use crate::live::{ListenerState, Live};

/// How often a service says what it does that is not watched.
const UNWATCHED: Duration = Duration::from_secs(30);

/// How often in the time after which the manager takes the service for dead.
const SIGNS_OF_LIFE: u32 = 3;

/// The service serves.
pub fn say_serving() {
    say(&[NotifyState::Ready]);
}

/// The service is stopping, which may take so long: longer than the manager has been told to wait, where streams are ended slowly.
pub fn say_stopping(longest: Duration) {
    let longest = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    say(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(longest)]);
}

/// Gives signs of life for ever, for as long as tasks run and nobody holds for ever what the listener says of itself.
pub async fn keep_alive(live: &Live) {
    let watched = sd_notify::watchdog_enabled().map(|limit| (limit / SIGNS_OF_LIFE).max(Duration::from_millis(1)));
    let mut ticks = interval(watched.unwrap_or(UNWATCHED));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let streams = live.hub.open_streams();
        let status = match (live.hub.listener_state(), live.hub.faults()) {
            _ if live.hub.is_draining() => format!("stopping, {streams} streams"),
            (ListenerState::Degraded(why), _) => format!("not live: {why}"),
            (ListenerState::Live, faults) if !faults.is_empty() => format!("not live: {}", faults.join("; ")),
            (ListenerState::Live, _) => format!("live, {streams} streams"),
        };
        say(&[NotifyState::Status(&status.replace('\n', " ")), NotifyState::Watchdog]);
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "could not tell the service manager");
    }
}
