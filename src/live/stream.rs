//! One stream: first the state, then what changes it, with a ping now and then.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use rand::Rng;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::bye::Bye;
use super::frame::{self, Frame};
use super::hub::{Full, Subscription};
use super::mailbox::Delivery;
use super::meter::{Resync, SLOW_READER, UNAVAILABLE};
use super::pulse;
use super::state::Live;
use super::subscriber::Subscriber;
use crate::cursor::Cursor;
use crate::store::{Sight, StoreError, Sync};

/// How long a stream waits before it tries again to read its state.
const RESYNC_PAUSE: Duration = Duration::from_secs(1);

/// How long a stream waits before it looks again whether its state is of the listener's epoch. Usually the listener comes
/// there first, and says so.
const ELSEWHERE_PAUSE: Duration = Duration::from_secs(5);

/// Between which a browser waits before it reconnects by itself, in milliseconds.
const RETRY: std::ops::Range<u64> = 1_000..4_000;

impl Live {
    /// Registers the stream and reads the state that it begins with, in this order: what is committed after the read is
    /// published to the mailbox, what was before is in the state. Nothing is in neither.
    ///
    /// # Errors
    /// If there are as many streams as there may be, the server is stopping, or the database can't be reached.
    pub async fn open(
        self: &Arc<Self>,
        sight: Sight,
        subscriber: Subscriber,
        since: Option<&Cursor>,
    ) -> Result<EventStream, NoStream> {
        debug_assert_eq!(subscriber.scope, sight.scope(), "a stream tells of what its reader may see");
        if self.hub.is_draining() {
            return Err(NoStream::Draining);
        }
        Ok(self.begin(sight, self.hub.subscribe(subscriber)?, since).await?)
    }

    /// The same for the audit, beside somebody's stream; none where there is none any more.
    pub(super) async fn open_audit(
        self: &Arc<Self>,
        sight: Sight,
        beside: Subscriber,
    ) -> Result<Option<EventStream>, StoreError> {
        match self.hub.audit(beside) {
            Some(subscription) => self.begin(sight, subscription, None).await.map(Some),
            None => Ok(None),
        }
    }

    async fn begin(
        self: &Arc<Self>,
        sight: Sight,
        mut subscription: Subscription,
        since: Option<&Cursor>,
    ) -> Result<EventStream, StoreError> {
        let reading = self.syncs.read(sight, since);
        let first = reading.await.inspect_err(|_| subscription.closes_because(UNAVAILABLE))?;
        let next_ping = self.next_ping();
        let mut stream = EventStream {
            live: Arc::clone(self),
            subscription,
            sight,
            known: Arc::clone(&first.cursor),
            waiting: VecDeque::new(),
            beginning: None,
            next_ping: Box::pin(sleep_until(next_ping)),
            behind: None,
            is_over: false,
        };
        let beginning = [frame::retry(retry_time()), frame::sync(&first), stream.ping().bytes].concat();
        stream.beginning = Some(beginning.into());
        stream.must_be_where_the_listener_is();
        Ok(stream)
    }

    fn next_ping(&self) -> Instant {
        pulse::next_ping(self.hub.open_streams(), self.started)
    }

    /// Reads the state anew, for a stream that knows all up to a cursor.
    fn resync(self: &Arc<Self>, sight: Sight, known: &Arc<Cursor>) -> Reading {
        let (live, known) = (Arc::clone(self), Arc::clone(known));
        Box::pin(async move { live.syncs.read(sight, Some(&known)).await })
    }
}

type Reading = Pin<Box<dyn Future<Output = Result<Sync, StoreError>> + Send>>;

/// Why no stream was opened.
#[derive(Debug)]
pub enum NoStream {
    /// There are as many as there may be.
    Full,
    /// The server is stopping.
    Draining,
    /// Its state can't be read.
    Store(StoreError),
}

impl From<Full> for NoStream {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl From<StoreError> for NoStream {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How a stream that must read its state anew comes to it.
enum Behind {
    /// It reads after a pause. What is published until then is in the state that it will read.
    Pauses(Pin<Box<Sleep>>),
    /// The read is under way. What is published meanwhile may be newer, and stays in the mailbox.
    Reads(Reading),
}

impl Behind {
    /// What was read; nothing where a pause is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Sync, StoreError>>> {
        match self {
            Self::Pauses(pause) => pause.as_mut().poll(cx).map(|()| None),
            Self::Reads(resync) => resync.as_mut().poll(cx).map(Some),
        }
    }
}

/// A stream that has its first state. There are as many as open pages, so that it is small while nothing happens.
pub struct EventStream {
    live: Arc<Live>,
    subscription: Subscription,
    sight: Sight,
    /// Everything up to here was handed out to be written.
    known: Arc<Cursor>,
    /// Frames taken from the mailbox and not handed out yet.
    waiting: VecDeque<Arc<Frame>>,
    beginning: Option<Bytes>,
    next_ping: Pin<Box<Sleep>>,
    /// Set while what was told does not lead to what is published.
    behind: Option<Behind>,
    is_over: bool,
}

/// Something to be written.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// One or more events.
    pub bytes: Bytes,
    /// What it tells of, where that are changes.
    pub(super) frame: Option<Arc<Frame>>,
}

impl Outgoing {
    fn of(bytes: Bytes) -> Self {
        Self { bytes, frame: None }
    }
}

impl EventStream {
    /// What to write next; `None` at the end. Polled by hand, as a waiting stream is then no larger than its fields.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outgoing>> {
        if let Some(beginning) = self.beginning.take() {
            return Poll::Ready(Some(Outgoing::of(beginning)));
        }
        loop {
            if let Some(told) = self.next_waiting() {
                return Poll::Ready(Some(told));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            let wants_news = !matches!(self.behind, Some(Behind::Reads(_)));
            if let Poll::Ready(delivery) = self.subscription.poll_delivery(cx, wants_news) {
                match delivery {
                    Delivery::Frames(_) if self.behind.is_some() => {}
                    Delivery::Frames(frames) => self.waiting = frames,
                    // whoever pauses reads at once: the listener has come to another state
                    Delivery::Resync(state, cause) => {
                        let is_known = self.known.revision().partial_cmp(&state).is_some_and(Ordering::is_ge);
                        if self.behind.is_some() || !is_known {
                            self.reads_anew(cause);
                        }
                    }
                    Delivery::Ping => return Poll::Ready(Some(self.ping())),
                    Delivery::Bye(reason) => return Poll::Ready(Some(self.end(reason))),
                }
                continue;
            }
            match self.behind.as_mut().map(|behind| behind.poll(cx)) {
                Some(Poll::Ready(Some(outcome))) => {
                    if let Some(told) = self.has_read(outcome) {
                        return Poll::Ready(Some(told));
                    }
                    continue;
                }
                Some(Poll::Ready(None)) => {
                    self.reads_anew(Resync::Again);
                    continue;
                }
                Some(Poll::Pending) | None => {}
            }
            ready!(self.next_ping.as_mut().poll(cx));
            self.next_ping.as_mut().reset(self.live.next_ping());
            return Poll::Ready(Some(self.ping()));
        }
    }

    /// What was told has been written to the browser's socket.
    pub fn written(&self, told: &Outgoing) {
        let age = told.frame.as_ref().map(|frame| (Utc::now() - frame.recorded_at).to_std().unwrap_or_default());
        self.live.meter.written(told.bytes.len(), age);
    }

    /// Whether its state is to be read anew, so that what was told is older than what the listener has come to.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Why the server ends the stream, as soon as it does: for whoever can't write to it.
    pub async fn goodbye(&mut self) -> Bye {
        poll_fn(|cx| self.subscription.poll_goodbye(cx)).await
    }

    /// Its reader took too long, and is not waited for.
    pub fn cut(&mut self) {
        self.subscription.closes_because(SLOW_READER);
    }

    /// Tells that the server ends the stream also where nobody asks it for more, as nothing can be written.
    pub fn ending(&self) -> impl Fn(&mut Context<'_>) -> Poll<()> + Send + std::marker::Sync + 'static {
        let ending = self.subscription.ending();
        move |cx| ending(cx).map(drop)
    }

    /// The last event of a stream, which ends then.
    pub fn end(&mut self, reason: Bye) -> Outgoing {
        self.is_over = true;
        self.waiting.clear();
        self.subscription.closes_because(reason.reason());
        Outgoing::of(frame::bye(reason))
    }

    fn next_waiting(&mut self) -> Option<Outgoing> {
        while let Some(patch) = self.waiting.pop_front() {
            match novelty(&patch, &self.known) {
                Novelty::New => {
                    let bytes = patch.since(&self.known.snapshot);
                    self.known = Arc::clone(&patch.cursor);
                    return Some(Outgoing { bytes, frame: Some(patch) });
                }
                Novelty::Old => {}
                Novelty::OtherEpoch => {
                    // whatever else waits was read before the state will be
                    self.waiting.clear();
                    self.reads_anew(Resync::Again);
                }
            }
        }
        self.waiting = VecDeque::new();
        None
    }

    /// What to tell of a state that was to be read.
    fn has_read(&mut self, outcome: Result<Sync, StoreError>) -> Option<Outgoing> {
        match outcome {
            Ok(sync) => {
                self.behind = None;
                let state = frame::sync(&sync);
                self.known = sync.cursor;
                self.must_be_where_the_listener_is();
                // a ping on the way may have said that it was not live
                Some(Outgoing::of([state, self.ping().bytes].concat().into()))
            }
            Err(error) => {
                tracing::debug!(error = error.chain(), "a stream could not read its state");
                self.pauses(RESYNC_PAUSE);
                None
            }
        }
    }

    /// In another epoch nothing that the listener reads leads on from what was told: the state is read again and again until
    /// it is of the same one.
    fn must_be_where_the_listener_is(&mut self) {
        if self.live.hub.is_elsewhere(&self.known) {
            self.pauses(ELSEWHERE_PAUSE);
        }
    }

    fn pauses(&mut self, pause: Duration) {
        self.behind = Some(Behind::Pauses(Box::pin(sleep(pause))));
    }

    fn reads_anew(&mut self, cause: Resync) {
        if !self.subscription.is_audit() {
            self.live.meter.resyncs.of(cause).inc();
        }
        self.behind = Some(Behind::Reads(self.live.resync(self.sight, &self.known)));
    }

    /// Live only if what is told is the present: not while it is to be read anew, nor where the listener reads in another epoch.
    fn ping(&self) -> Outgoing {
        let is_live = self.live.hub.is_live() && self.behind.is_none() && !self.live.hub.is_elsewhere(&self.known);
        Outgoing::of(frame::ping(is_live, pulse::latest(self.next_ping.deadline())))
    }
}

/// What a frame is to a stream.
#[derive(Debug, PartialEq, Eq)]
enum Novelty {
    /// It has changes that the stream has not sent. It may repeat others: those that were already in the state the stream read.
    New,
    /// All of it was sent.
    Old,
    /// It is of another epoch and can't be compared: the stream must read its state anew.
    OtherEpoch,
}

/// A frame of a newer state has rows and statistics at least as new as those that were told.
fn novelty(patch: &Frame, known: &Cursor) -> Novelty {
    let is_news = || patch.xids.iter().any(|xid| !known.snapshot.has(*xid));
    match patch.cursor.revision().partial_cmp(&known.revision()) {
        None => Novelty::OtherEpoch,
        Some(Ordering::Greater) if is_news() => Novelty::New,
        Some(_) => Novelty::Old,
    }
}

fn retry_time() -> u64 {
    rand::rng().random_range(RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_news_as_far_as_the_stream_does_not_have_its_transactions() {
        // 5 and 7 are in progress, 6 and 8 are told
        let known: Cursor = "00000000000000ff/5:9:5,7".parse().unwrap();
        for (cursor, xids, expected) in [
            ("ff/9:10:9", &[5][..], Novelty::New),
            ("ff/10:12:", &[5, 7, 9, 11], Novelty::New),
            ("ff/10:12:", &[6, 8], Novelty::Old),
            ("ff/10:12:", &[4, 9], Novelty::New),
            ("ff/5:9:5,7", &[5], Novelty::Old),
            ("ff/5:8:5,7", &[5], Novelty::Old),
            ("fe/10:12:", &[9], Novelty::OtherEpoch),
        ] {
            let frame = Frame::for_test(&format!("00000000000000{cursor}"), xids);
            assert_eq!(novelty(&frame, &known), expected, "{cursor} {xids:?}");
        }
    }
}
