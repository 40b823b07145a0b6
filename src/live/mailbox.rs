//! What waits for one stream. Bounded; nobody waits for a slow reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::bye::Bye;
use super::frame::Frame;
use super::meter::Resync;
use super::subscriber::Subscriber;
use crate::cursor::Revision;

/// Frames that wait for one stream at most. Beyond, the stream reads its state anew, which is one frame.
const CAPACITY: usize = 16;

/// The same while the stream reads its state. A busy listener publishes a frame each millisecond: with the smaller bound it would
/// lose some during every read, and read for ever. Frames are shared, so that what waits costs a pointer each.
const CAPACITY_DURING_READ: usize = 1_024;

/// What a stream gets from its mailbox.
#[derive(Debug)]
pub(super) enum Delivery {
    /// In the order in which they came.
    Frames(VecDeque<Arc<Frame>>),
    /// Frames were lost or can't be told. Whoever does not know this state, or a newer one, must read it anew.
    Resync(Revision, Resync),
    /// The listener's state changed: the page should know at once.
    Ping,
    /// The stream must end.
    Bye(Bye),
}

/// One stream's mailbox. There are as many as open pages, so that it holds nothing while nothing waits.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Of streams, the one with the smaller number was opened earlier.
    pub(super) number: u64,
    /// Whom it is for.
    pub(super) subscriber: Subscriber,
    inbox: Mutex<Inbox>,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct Inbox {
    /// Empty while `resync` is set.
    frames: VecDeque<Arc<Frame>>,
    /// The newest state of which something was not put in.
    resync: Option<(Revision, Resync)>,
    ping: bool,
    bye: Option<Bye>,
    /// Whether its reader wanted no news when it last looked, as it reads its state.
    is_reading: bool,
}

impl Mailbox {
    pub(super) fn new(number: u64, subscriber: Subscriber) -> Self {
        Self { number, subscriber, inbox: Mutex::default(), reader: AtomicWaker::new() }
    }

    /// Puts a frame in. `false` if this made it overflow: all frames are dropped and the stream must read its state anew. Until
    /// it begins to, further frames are dropped as well, and `true` is returned, so that one overflow counts once.
    pub(super) fn put(&self, frame: Arc<Frame>) -> bool {
        self.change(|inbox| {
            let capacity = if inbox.is_reading { CAPACITY_DURING_READ } else { CAPACITY };
            let fits = inbox.resync.is_some() || inbox.frames.len() < capacity;
            if fits && inbox.resync.is_none() {
                inbox.frames.push_back(frame);
            } else {
                inbox.drop_frames(frame.cursor.revision(), Resync::SlowReader);
            }
            fits
        })
    }

    /// Drops all frames. The stream must read its state anew unless it has already sent this state or a newer one.
    pub(super) fn resync(&self, state: Revision, cause: Resync) {
        self.change(|inbox| inbox.drop_frames(state, cause));
    }

    /// Has the page told the listener's state.
    pub(super) fn ping(&self) {
        self.change(|inbox| inbox.ping = true);
    }

    /// Ends the stream.
    pub(super) fn close(&self, bye: Bye) {
        self.change(|inbox| {
            inbox.bye.get_or_insert(bye);
        });
    }

    /// Why the stream is being ended, if it is.
    pub(super) fn goodbye(&self) -> Option<Bye> {
        self.lock().bye
    }

    /// The next delivery. The resync mark is cleared here, before its reader reads the database. During that read the
    /// reader wants no news: what comes in stays here, as it may be newer than the read, and only a goodbye or a ping is
    /// handed out.
    pub(super) fn poll_delivery(&self, cx: &mut Context<'_>, wants_news: bool) -> Poll<Delivery> {
        self.reader.register(cx.waker());
        self.take(wants_news).map_or(Poll::Pending, Poll::Ready)
    }

    /// The goodbye alone, for a stream that can't be written to.
    pub(super) fn poll_goodbye(&self, cx: &mut Context<'_>) -> Poll<Bye> {
        self.reader.register(cx.waker());
        self.lock().bye.map_or(Poll::Pending, Poll::Ready)
    }

    fn take(&self, wants_news: bool) -> Option<Delivery> {
        let mut inbox = self.lock();
        inbox.is_reading = !wants_news;
        if let Some(bye) = inbox.bye {
            return Some(Delivery::Bye(bye));
        }
        if std::mem::take(&mut inbox.ping) {
            return Some(Delivery::Ping);
        }
        if !wants_news {
            return None;
        }
        if let Some((state, cause)) = inbox.resync.take() {
            return Some(Delivery::Resync(state, cause));
        }
        let frames = std::mem::take(&mut inbox.frames);
        (!frames.is_empty()).then_some(Delivery::Frames(frames))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inbox) -> T) -> T {
        let outcome = change(&mut self.lock());
        self.reader.wake();
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// The first cause is the one.
    fn drop_frames(&mut self, state: Revision, cause: Resync) {
        self.frames = VecDeque::new();
        let cause = self.resync.map_or(cause, |(_, first)| first);
        self.resync = Some((state, cause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> Mailbox {
        Mailbox::new(1, Subscriber::for_test())
    }

    fn frame() -> Arc<Frame> {
        Arc::new(Frame::for_test("00000000000000ff/5:9:", &[]))
    }

    #[test]
    fn a_full_mailbox_drops_everything_and_asks_for_a_resync_once() {
        let mailbox = mailbox();
        assert!((0..CAPACITY).all(|_| mailbox.put(frame())));
        assert!(!mailbox.put(frame()));
        assert!(matches!(mailbox.take(true), Some(Delivery::Resync(..))));
        mailbox.put(frame());
        assert!(matches!(mailbox.take(true), Some(Delivery::Frames(frames)) if frames.len() == 1));
    }

    #[test]
    fn more_is_kept_while_the_state_is_read_and_no_longer() {
        let mailbox = mailbox();
        assert!(mailbox.take(false).is_none());
        assert!((0..CAPACITY_DURING_READ).all(|_| mailbox.put(frame())));
        assert!(!mailbox.put(frame()));
        assert!(matches!(mailbox.take(true), Some(Delivery::Resync(..))));
        assert!((0..CAPACITY).all(|_| mailbox.put(frame())));
        assert!(!mailbox.put(frame()));
    }

    #[test]
    fn what_comes_while_the_state_is_read_is_kept_for_afterwards() {
        let mailbox = mailbox();
        mailbox.resync(frame().cursor.revision(), Resync::Jump);
        assert!(matches!(mailbox.take(true), Some(Delivery::Resync(..))));
        mailbox.put(frame());
        assert!(mailbox.take(false).is_none());
        assert!(matches!(mailbox.take(true), Some(Delivery::Frames(frames)) if frames.len() == 1));
        mailbox.put(frame());
        mailbox.close(Bye::Draining);
        assert!(matches!(mailbox.take(false), Some(Delivery::Bye(Bye::Draining))));
    }

    #[test]
    fn goodbye_goes_before_everything() {
        let mailbox = mailbox();
        mailbox.put(frame());
        mailbox.ping();
        mailbox.close(Bye::SignedOut);
        mailbox.close(Bye::Draining);
        assert!(matches!(mailbox.take(true), Some(Delivery::Bye(Bye::SignedOut))));
    }

    #[test]
    fn a_change_of_the_listener_is_told_also_while_the_state_is_read() {
        let mailbox = mailbox();
        mailbox.put(frame());
        mailbox.ping();
        assert!(matches!(mailbox.take(false), Some(Delivery::Ping)));
        assert!(matches!(mailbox.take(true), Some(Delivery::Frames(_))));
    }
}
