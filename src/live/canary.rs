//! The canary: a notification that proves, every few seconds, that what other sessions commit is heard on the listener's
//! connection. It is sent on a connection of its own: in the pool it would wait behind whatever people ask for. Over
//! the same connection this instance tells the others when it stops sleeping.

use std::time::Duration;

use rand::Rng;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::heard::Heard;
use super::hub::ListenerState;
use super::outage::Outage;
use super::state::Live;
use super::within::within;
use crate::store::{Link, StoreError};

/// How often the canary is sent, and how long it may take to come back. A hung backend looks like a quiet one to TCP.
const INTERVAL: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(4);

/// How soon a connection that was lost is made again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// From this usage of the notification queue on, triggers don't notify: see `live.notify()` in `sql/`.
const UNNOTIFIED_FROM: f64 = 0.5;

/// Which of the two connections can't go on, and why.
enum Lost {
    /// The server ended the own one.
    Closed,
    /// The own one does not do what it is for.
    Own(StoreError),
    Listeners(StoreError),
}

/// Proves again and again that the listener hears. Only a canary that came back makes it live. Gives why the listener's
/// connection is to be given up. What it could not send and said so is not over by that.
pub(super) async fn run(live: &Live, heard: &Heard, risen: &Notify, outage: &mut Outage) -> StoreError {
    loop {
        let mut has_proved = false;
        let opened = within(PATIENCE, "connect within 4 s", Link::open(live.store.url(), "canary", |_, _| {})).await;
        let lost = match opened {
            Ok(link) => {
                let lost = tokio::select! {
                    biased;
                    () = link.closed() => Lost::Closed,
                    lost = prove(live, heard, &link, &mut has_proved, outage) => lost,
                    lost = tell_of_rising(&link, risen) => lost,
                };
                link.give_up();
                lost
            }
            Err(error) => Lost::Own(error),
        };
        let why = match lost {
            Lost::Listeners(error) => return error,
            // the next one may prove as much before the next canary would have been sent
            Lost::Closed if has_proved => continue,
            Lost::Closed => "the server closes the connection".to_owned(),
            Lost::Own(error) => error.chain(),
        };
        // where the listener's connection is lost as well, that is what is told
        if outage.fails_if(&why, |failures| failures > 1) {
            tracing::warn!(
                error = why,
                "the canary could not be sent, so that pages are not live; it is tried again each second"
            );
        }
        // the listener still reads by itself
        live.hub.set_listener_state(ListenerState::Degraded(format!("the canary could not be sent: {why}")));
        sleep(RETRY_PAUSE).await;
    }
}

async fn prove(live: &Live, heard: &Heard, link: &Link, has_proved: &mut bool, outage: &mut Outage) -> Lost {
    let mut filling_since = None;
    loop {
        let nonce = format!("{:032x}", rand::rng().random::<u128>());
        let comes_back = heard.expect_canary(&nonce);
        let sending = async {
            // in a statement of its own: asking cleans the queue up, and tells of one that is too full for the canary
            let usage = link.notification_queue_usage().await?;
            live.meter.queue_usage.set(usage);
            let sent_at = Instant::now();
            link.send_canary(&nonce).await?;
            Ok((usage, sent_at))
        };
        let (usage, sent_at) = match within(PATIENCE, "send the canary within 4 s", sending).await {
            Ok(sent) => sent,
            Err(error) => return Lost::Own(error),
        };
        if timeout(PATIENCE, comes_back).await.is_err() {
            return Lost::Listeners(StoreError::Unavailable {
                attempted: "hear the canary within 4 s",
                cause: "notifications do not arrive: a hung connection, or a transaction pooler in the URL".into(),
            });
        }
        *has_proved = true;
        if let Some((time, failures)) = outage.is_over() {
            tracing::info!(failures, "the canary is back after {} s", time.as_secs());
        }
        live.meter.canary_returned(sent_at.elapsed());
        let is_filling = usage >= UNNOTIFIED_FROM;
        if is_filling && filling_since.is_none() {
            filling_since = Some(Instant::now());
            let remedy =
                "end the session that listens and stays in a transaction: pg_stat_activity has the oldest xact_start";
            tracing::error!(
                usage,
                remedy,
                "the notification queue is filling: a listening session is stuck in a transaction"
            );
        } else if !is_filling && let Some(since) = filling_since.take() {
            tracing::info!("the notification queue has room again after {} s", since.elapsed().as_secs());
        }
        live.hub.set_listener_state(if is_filling {
            ListenerState::Degraded("the notification queue is half full: changes are found every 3 s".to_owned())
        } else {
            ListenerState::Live
        });
        sleep(INTERVAL).await;
    }
}

/// Tells the other instances each time that this one no longer sleeps. Those that are not told look for themselves, after a
/// moment. Not on the listener's connection: where commits wait for each other's flush, this waits along with them.
async fn tell_of_rising(link: &Link, risen: &Notify) -> Lost {
    loop {
        risen.notified().await;
        if let Err(error) = within(PATIENCE, "say within 4 s that the listener rose", link.tell_risen()).await {
            return Lost::Own(error);
        }
    }
}
