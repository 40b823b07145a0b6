//! One stream: first the state, then what changes it, with a ping now and then.

use std::cmp::Ordering;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures_util::Stream;
use futures_util::future::OptionFuture;
use rand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::mailbox::Delivery;
use super::{Frame, Live, Subscriber, Subscription, frame};
use crate::cursor::Cursor;
use crate::order::RepId;
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
        let mut subscription = self.hub.subscribe(subscriber);
        let first =
            self.sync(subscription.rep(), since).await.inspect_err(|_| subscription.closes_because("unavailable"))?;
        Ok(Opened { live: Arc::clone(self), subscription, first })
    }

    async fn sync(&self, rep: RepId, since: Option<&Cursor>) -> Result<Sync, StoreError> {
        // the semaphore is never closed
        let _permit = self.syncs.acquire().await;
        self.store.sync(rep, since).await
    }

    /// Reads the state anew, for a stream that knows all up to a cursor; after a pause, if an earlier attempt failed.
    fn resync(self: &Arc<Self>, rep: RepId, known: &Cursor, pause: Duration) -> Resync {
        let (live, known) = (Arc::clone(self), known.clone());
        Box::pin(async move {
            sleep(pause).await;
            live.sync(rep, Some(&known)).await
        })
    }
}

type Resync = Pin<Box<dyn Future<Output = Result<Sync, StoreError>> + Send>>;

impl Opened {
    /// The events of the stream, each as the bytes that go over the wire.
    pub fn events(self) -> impl Stream<Item = Bytes> + Send + 'static {
        let Self { live, mut subscription, first } = self;
        async_stream::stream! {
            let rep = subscription.rep();
            yield frame::retry(retry_time());
            yield frame::sync(&first);
            // everything up to here was told
            let mut known = first.cursor;
            let mut listener = subscription.watch_listener();
            yield frame::ping(listener.is_live());
            let mut next_ping = ping_time();
            // under way while the stream is behind
            let mut resync: OptionFuture<Resync> = None.into();
            let mut behind = false;
            loop {
                tokio::select! {
                    delivery = subscription.delivery(!behind) => match delivery {
                        Delivery::Frames(frames) => for patch in frames {
                            match novelty(&patch, &known) {
                                Novelty::All => {
                                    known = patch.cursor.clone();
                                    count(&live, &patch);
                                    yield patch.bytes.clone();
                                }
                                Novelty::None => {}
                                Novelty::Some => {
                                    behind = true;
                                    resync = Some(live.resync(rep, &known, Duration::ZERO)).into();
                                    // the rest was published before the state is read, and is in it
                                    break;
                                }
                            }
                        },
                        Delivery::Resync => {
                            behind = true;
                            resync = Some(live.resync(rep, &known, Duration::ZERO)).into();
                        }
                        Delivery::Bye(reason) => {
                            subscription.closes_because(reason.reason());
                            yield frame::bye(reason);
                            break;
                        }
                    },
                    Some(outcome) = &mut resync, if behind => match outcome {
                        Ok(sync) => {
                            behind = false;
                            yield frame::sync(&sync);
                            known = sync.cursor;
                        }
                        Err(error) => {
                            tracing::debug!(error = error.chain(), "a stream could not read its state");
                            resync = Some(live.resync(rep, &known, RESYNC_PAUSE)).into();
                        }
                    },
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

/// How much of a frame a stream has not told yet.
#[derive(Debug, PartialEq, Eq)]
enum Novelty {
    All,
    None,
    /// A batch that began before the stream's state was read has changes from both sides of it.
    Some,
}

/// A frame of another epoch comes with a resync of its own; nothing orders it against what was told.
fn novelty(patch: &Frame, known: &Cursor) -> Novelty {
    let newer = patch.cursor.revision().partial_cmp(&known.revision()) == Some(Ordering::Greater);
    let told = patch.xids.iter().filter(|xid| known.snapshot.has(**xid)).count();
    match told {
        0 if newer => Novelty::All,
        told if newer && told < patch.xids.len() => Novelty::Some,
        _ => Novelty::None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_news_as_far_as_the_stream_does_not_have_its_transactions() {
        // 5 and 7 are in progress, 6 and 8 are told
        let known: Cursor = "00000000000000ff/5:9:5,7".parse().unwrap();
        for (cursor, xids, expected) in [
            ("ff/9:10:9", &[5][..], Novelty::All),
            ("ff/10:12:", &[5, 7, 9, 11], Novelty::All),
            ("ff/10:12:", &[6, 8], Novelty::None),
            ("ff/10:12:", &[4, 9], Novelty::Some),
            ("ff/5:9:5,7", &[5], Novelty::None),
            ("ff/5:8:5,7", &[5], Novelty::None),
            ("fe/10:12:", &[9], Novelty::None),
        ] {
            let frame = Frame::for_test(&format!("00000000000000{cursor}"), xids);
            assert_eq!(novelty(&frame, &known), expected, "{cursor} {xids:?}");
        }
    }
}
