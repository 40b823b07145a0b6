//! The listener: hears that something changed, reads what, and publishes it.
//!
//! A notification is only a hint. What to send is read from the events since the listener's cursor, so that nothing is
//! lost while the connection is down, nothing is sent twice, and a forged notification causes no more than a read.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::hub::ListenerState;
use super::{Live, frame};
use crate::cursor::Cursor;
use crate::order::RepId;
use crate::store::{BatchLimit, Link, News, StoreError, is_canary};

/// How often events are read though nothing was heard.
const SAFETY_READ: Duration = Duration::from_secs(3);

/// How often the canary is sent, and how long it may take to come back. A hung backend looks like a quiet one to TCP.
const CANARY_INTERVAL: Duration = Duration::from_secs(5);
const CANARY_PATIENCE: Duration = Duration::from_secs(4);

/// How often the notification queue is looked at, which also cures it.
const QUEUE_CHECK: Duration = Duration::from_secs(10);

/// How long one read may take before the connection is given up.
const READ_PATIENCE: Duration = Duration::from_secs(20);

/// Waits between attempts to connect: the first, and the longest, each taken at random between half and whole.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

const LIMIT: BatchLimit = BatchLimit { events: 5_000 };

/// What was heard and not acted upon yet. Constant in size whatever is sent at whatever rate.
#[derive(Default)]
struct Heard {
    inbox: Mutex<Inbox>,
    something: Notify,
}

#[derive(Default)]
struct Inbox {
    hint: Hint,
    /// The canary that is on its way, and whom to tell when it comes back.
    canary: Option<(String, oneshot::Sender<()>)>,
}

/// Whom the heard notifications concern.
#[derive(Default)]
enum Hint {
    #[default]
    Nobody,
    Reps(HashSet<RepId>),
    Everybody,
}

/// Beyond this many reps a hint is for everybody.
const MOST_HINTED_REPS: usize = 4_096;

impl Hint {
    /// Adds a payload of a trigger: `reps:1,2,3`. Anything else, as anybody may send it, is for everybody.
    fn add(&mut self, payload: &str) {
        let list = payload.strip_prefix("reps:");
        let reps: Option<Vec<RepId>> = list.and_then(|list| {
            list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok().map(RepId)).collect()
        });
        match (&mut *self, reps) {
            (Self::Everybody, _) => {}
            (_, None) => *self = Self::Everybody,
            (Self::Reps(known), Some(reps)) if known.len() + reps.len() <= MOST_HINTED_REPS => known.extend(reps),
            (Self::Reps(_), Some(_)) => *self = Self::Everybody,
            (Self::Nobody, Some(reps)) => *self = Self::Reps(reps.into_iter().collect()),
        }
    }
}

impl Heard {
    fn hear(&self, channel: &str, payload: &str) {
        let mut inbox = self.lock();
        if is_canary(channel) {
            if let Some((_, back)) = inbox.canary.take_if(|(nonce, _)| nonce == payload) {
                // nobody waits any more for one that comes too late
                let _ = back.send(());
            }
        } else {
            inbox.hint.add(payload);
            self.something.notify_one();
        }
    }

    fn take_hint(&self) -> Hint {
        std::mem::take(&mut self.lock().hint)
    }

    fn expect_canary(&self, nonce: &str) -> oneshot::Receiver<()> {
        let (back, comes_back) = oneshot::channel();
        self.lock().canary = Some((nonce.to_owned(), back));
        comes_back
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for ever. The cursor outlives the connection: what is committed while it is down is read afterwards.
pub(super) async fn run(live: &Live) {
    let mut cursor = None;
    let mut backoff = FIRST_BACKOFF;
    loop {
        let connected_at = Instant::now();
        let Err(error) = listen(live, &mut cursor).await;
        if connected_at.elapsed() > LONGEST_BACKOFF {
            backoff = FIRST_BACKOFF;
        }
        tracing::warn!(error = error.chain(), "the listener lost the database; reconnecting");
        live.hub.set_listener_state(ListenerState::Degraded(error.chain()));
        let share = rand::rng().random_range(0.5..1.0);
        sleep(backoff.mul_f64(share)).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
        live.meter.reconnects.fetch_add(1, Relaxed);
    }
}

enum Never {}

/// One connection's life.
async fn listen(live: &Live, cursor: &mut Option<Cursor>) -> Result<Never, StoreError> {
    let heard = Arc::new(Heard::default());
    let mut link = {
        let (heard, meter) = (Arc::clone(&heard), Arc::clone(&live.meter));
        Link::open(live.store.url(), "listener", move |channel, payload| {
            meter.notifications.fetch_add(1, Relaxed);
            heard.hear(channel, payload);
        })
        .await?
    };
    let attempted = "begin listening within 20 s";
    timeout(READ_PATIENCE, begin(live, &mut link, cursor))
        .await
        .unwrap_or_else(|elapsed| Err(StoreError::Unavailable { attempted, cause: elapsed.into() }))?;
    let reading = async {
        // A link that was just opened may have missed anything: the first read is unconditional.
        let mut read_now = true;
        // heard of, and left for the next read, as it concerned nobody here then
        let mut skipped = false;
        let mut next_read = Instant::now();
        loop {
            tokio::select! {
                () = heard.something.notified() => {}
                () = sleep_until(next_read) => read_now = true,
                // what was skipped must not come to a stream that opens later, together with what is new to it
                () = live.hub.opened(), if skipped => read_now = true,
                () = link.closed() => return Err(StoreError::Unavailable {
                    attempted: "go on listening",
                    cause: "the server closed the connection".into(),
                }),
            }
            let hinted = match heard.take_hint() {
                Hint::Nobody => false,
                Hint::Everybody => true,
                Hint::Reps(reps) => {
                    let concerns_somebody = reps.into_iter().any(|rep| live.hub.is_open(rep));
                    skipped |= !concerns_somebody;
                    concerns_somebody
                }
            };
            if hinted || read_now {
                read_and_publish(live, &mut link, cursor, hinted || skipped).await?;
                (read_now, skipped) = (false, false);
                next_read = Instant::now() + SAFETY_READ;
            }
        }
    };
    tokio::select! {
        ended = reading => ended,
        dead = prove_by_canary(live, &heard) => dead,
        never = watch_queue(live) => never,
    }
}

/// LISTEN is in force before the first cursor is taken, and not in the same transaction: a change that commits between
/// them is notified as well as read; the other way round it could be neither.
async fn begin(live: &Live, link: &mut Link, cursor: &mut Option<Cursor>) -> Result<(), StoreError> {
    link.listen_for_orders().await?;
    let present = link.first_cursor().await?;
    match cursor {
        Some(known) if known.epoch == present.epoch => {}
        Some(_) => {
            live.hub.resync_all();
            *cursor = Some(present);
        }
        None => {
            // streams that opened before the first cursor was taken may lie behind it
            live.hub.resync_all();
            *cursor = Some(present);
        }
    }
    Ok(())
}

async fn read_and_publish(
    live: &Live,
    link: &mut Link,
    cursor: &mut Option<Cursor>,
    hinted: bool,
) -> Result<(), StoreError> {
    let Some(since) = cursor else { return Ok(()) };
    let reading = link.read_batch(since, LIMIT, |rep| live.hub.is_open(rep));
    let batch = timeout(READ_PATIENCE, reading).await.unwrap_or_else(|elapsed| {
        Err(StoreError::Unavailable { attempted: "read the events within 20 s", cause: elapsed.into() })
    })?;
    live.meter.batches.fetch_add(1, Relaxed);
    match batch.news {
        News::Everything(why) => {
            tracing::info!(why, "every stream reads its state anew");
            live.hub.resync_all();
        }
        News::Events(events) => {
            let read = events.events.len() as u64;
            live.meter.events.fetch_add(read, Relaxed);
            if !hinted {
                live.meter.events_found_late.fetch_add(read, Relaxed);
            }
            for (rep, frame) in frame::patches(&events, &batch.cursor, live.zone) {
                live.hub.publish(rep, &Arc::new(frame));
            }
        }
    }
    *cursor = Some(batch.cursor);
    Ok(())
}

/// Sends a canary through the pool and expects it on the listener's connection, for ever. Only a canary that came back
/// makes the listener live.
async fn prove_by_canary(live: &Live, heard: &Heard) -> Result<Never, StoreError> {
    loop {
        let nonce = format!("{:032x}", rand::rng().random::<u128>());
        let comes_back = heard.expect_canary(&nonce);
        let sent = timeout(CANARY_PATIENCE, live.store.send_canary(&nonce)).await;
        if !matches!(sent, Ok(Ok(()))) {
            // the pool's trouble, not necessarily the listener's: it still reads on its own
            live.hub.set_listener_state(ListenerState::Degraded("the canary could not be sent".to_owned()));
            sleep(Duration::from_secs(1)).await;
            continue;
        }
        if timeout(CANARY_PATIENCE, comes_back).await.is_err() {
            return Err(StoreError::Unavailable {
                attempted: "hear the canary within 4 s",
                cause: "notifications do not arrive: a hung connection, or a transaction pooler in the URL".into(),
            });
        }
        live.hub.set_listener_state(ListenerState::Live);
        sleep(CANARY_INTERVAL).await;
    }
}

async fn watch_queue(live: &Live) -> Result<Never, StoreError> {
    loop {
        match live.store.notification_queue_usage().await {
            Ok(usage) => {
                live.meter.queue_usage_ppm.store((usage * 1e6) as u64, Relaxed);
                if usage > 0.5 {
                    tracing::error!(
                        usage,
                        "the notification queue is filling: a listening session is stuck in a transaction"
                    );
                }
            }
            Err(error) => tracing::debug!(error = error.chain(), "could not look at the notification queue"),
        }
        sleep(QUEUE_CHECK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_no_trigger_sends_is_for_everybody() {
        for payload in ["all", "", "reps:x", "reps:1,2,", "reps:", "reps:1"] {
            let mut hint = Hint::default();
            hint.add(payload);
            let everybody = matches!(hint, Hint::Everybody);
            assert_eq!(everybody, matches!(payload, "all" | "" | "reps:x"), "{payload}");
        }
        let mut hint = Hint::default();
        hint.add(&format!("reps:{}", (0..=MOST_HINTED_REPS).map(|n| n.to_string()).collect::<Vec<_>>().join(",")));
        hint.add("reps:1");
        assert!(matches!(hint, Hint::Everybody));
    }
}
