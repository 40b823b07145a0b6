//! One stream: first the state, then what changes it, with a ping now and then.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures_util::Stream;
use rand::Rng;
use tokio::time::{Instant, sleep_until};

use super::mailbox::Delivery;
use super::{Frame, Live, Subscriber, Subscription, frame};
use crate::cursor::{Cursor, Revision};
use crate::store::{StoreError, Sync};

/// How often a stream pings, give or take a fifth, so that thousands do not ping at once.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// How long a stream waits before it tries again to read its state.
const RESYNC_PAUSE: Duration = Duration::from_secs(1);

/// Between which a browser waits before it reconnects by itself, in milliseconds.
const RETRY: std::ops::Range<u64> = 1_000..4_000;

/// A stream that has its first state and can begin.
pub struct Opened {
    live: Arc<Live>,
    subscription: Subscription,
    first: Sync,
}

impl Live {
    /// Registers the stream and reads the state that it begins with, in this order: what is committed after the read is
    /// published to the mailbox, what was before is in the state. Nothing is in neither.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn open(self: &Arc<Self>, subscriber: Subscriber, since: Option<&Cursor>) -> Result<Opened, StoreError> {
        let subscription = self.hub.subscribe(subscriber);
        let first = self.sync(&subscription, since).await?;
        Ok(Opened { live: Arc::clone(self), subscription, first })
    }

    async fn sync(&self, subscription: &Subscription, since: Option<&Cursor>) -> Result<Sync, StoreError> {
        // the semaphore is never closed
        let _permit = self.syncs.acquire().await;
        self.store.sync(subscription.rep(), since).await
    }
}

impl Opened {
    /// The events of the stream, each as the bytes that go over the wire.
    pub fn events(self) -> impl Stream<Item = Bytes> + Send + 'static {
        let Self { live, mut subscription, first } = self;
        async_stream::stream! {
            yield frame::retry(retry_time());
            let mut revision = first.cursor.revision();
            yield frame::sync(&first);
            drop(first);
            let mut listener = subscription.watch_listener();
            yield frame::ping(listener.is_live());
            let mut next_ping = ping_time();
            let mut behind = false;
            let mut next_resync = Instant::now();
            loop {
                tokio::select! {
                    delivery = subscription.delivery() => match delivery {
                        Delivery::Frames(frames) => for patch in frames {
                            // while behind, only a new state can help
                            if !behind && is_news(&patch, revision) {
                                revision = patch.revision;
                                count(&live, &patch);
                                yield patch.bytes.clone();
                            }
                        },
                        Delivery::Resync => {
                            behind = true;
                            next_resync = Instant::now();
                        }
                        Delivery::Bye(reason) => {
                            subscription.closes_because(reason.reason());
                            yield frame::bye(reason);
                            break;
                        }
                    },
                    () = sleep_until(next_resync), if behind => {
                        match live.sync(&subscription, None).await {
                            Ok(sync) => {
                                behind = false;
                                revision = sync.cursor.revision();
                                live.meter.frames_sent.fetch_add(1, Relaxed);
                                yield frame::sync(&sync);
                            }
                            Err(error) => {
                                tracing::debug!(error = error.chain(), "a stream could not read its state");
                                next_resync = Instant::now() + RESYNC_PAUSE;
                            }
                        }
                    }
                    () = listener.changed() => yield frame::ping(listener.is_live()),
                    () = sleep_until(next_ping) => {
                        next_ping = ping_time();
                        yield frame::ping(listener.is_live());
                    }
                }
            }
        }
    }
}

/// A frame of another epoch comes with a resync of its own; nothing orders it against what was sent.
fn is_news(patch: &Frame, sent: Revision) -> bool {
    patch.revision.partial_cmp(&sent) == Some(Ordering::Greater)
}

fn count(live: &Live, patch: &Frame) {
    live.meter.frames_sent.fetch_add(1, Relaxed);
    live.meter.delivered((Utc::now() - patch.recorded_at).to_std().unwrap_or_default());
}

fn retry_time() -> u64 {
    rand::rng().random_range(RETRY)
}

fn ping_time() -> Instant {
    Instant::now() + PING_INTERVAL.mul_f64(rand::rng().random_range(0.8..1.2))
}
