//! What waits for one stream. Bounded; nobody waits for a slow reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Frame;

/// Frames that wait for one stream at most. Beyond, the stream reads its state anew, which is one frame.
const CAPACITY: usize = 16;

/// Why the server ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bye {
    /// The server is stopping; another may take over.
    Draining,
    /// The session is over.
    SignedOut,
    /// The same session opened too many others.
    Replaced,
}

impl Bye {
    /// As the page and the metrics have it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::SignedOut => "signed_out",
            Self::Replaced => "replaced",
        }
    }
}

/// What a stream gets from its mailbox.
#[derive(Debug)]
pub(super) enum Delivery {
    /// In the order in which they came.
    Frames(VecDeque<Arc<Frame>>),
    /// Frames were lost or can't be told: the state must be read anew.
    Resync,
    /// The stream must end.
    Bye(Bye),
}

/// One stream's mailbox.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inbox: Mutex<Inbox>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Inbox {
    /// Empty while `resync` is set.
    frames: VecDeque<Arc<Frame>>,
    resync: bool,
    bye: Option<Bye>,
}

impl Mailbox {
    /// Puts a frame in. `false` if it was full: everything in it was dropped, and the state must be read anew.
    pub(super) fn put(&self, frame: Arc<Frame>) -> bool {
        let mut inbox = self.lock();
        let fits = inbox.frames.len() < CAPACITY;
        if inbox.resync {
            return true;
        }
        if fits {
            inbox.frames.push_back(frame);
        } else {
            inbox.frames = VecDeque::new();
            inbox.resync = true;
        }
        drop(inbox);
        self.arrived.notify_one();
        fits
    }

    /// Drops what is in and has the state read anew.
    pub(super) fn resync(&self) {
        let mut inbox = self.lock();
        inbox.frames = VecDeque::new();
        inbox.resync = true;
        drop(inbox);
        self.arrived.notify_one();
    }

    /// Ends the stream.
    pub(super) fn close(&self, bye: Bye) {
        self.lock().bye.get_or_insert(bye);
        self.arrived.notify_one();
    }

    /// The next delivery. The resync mark is cleared here, before its reader reads the database. During that read the
    /// reader wants no news: what comes in stays here, as it may be newer than the read, and only a goodbye is handed
    /// out.
    pub(super) async fn delivery(&self, wants_news: bool) -> Delivery {
        loop {
            if let Some(delivery) = self.take(wants_news) {
                return delivery;
            }
            self.arrived.notified().await;
        }
    }

    fn take(&self, wants_news: bool) -> Option<Delivery> {
        let mut inbox = self.lock();
        if let Some(bye) = inbox.bye {
            return Some(Delivery::Bye(bye));
        }
        if !wants_news {
            return None;
        }
        if std::mem::take(&mut inbox.resync) {
            return Some(Delivery::Resync);
        }
        let frames = std::mem::take(&mut inbox.frames);
        (!frames.is_empty()).then_some(Delivery::Frames(frames))
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Arc<Frame> {
        Arc::new(Frame::for_test("00000000000000ff/5:9:", &[]))
    }

    #[tokio::test]
    async fn a_full_mailbox_drops_everything_and_asks_for_a_resync_once() {
        let mailbox = Mailbox::default();
        assert!((0..CAPACITY).all(|_| mailbox.put(frame())));
        assert!(!mailbox.put(frame()));
        assert!(matches!(mailbox.delivery(true).await, Delivery::Resync));
        mailbox.put(frame());
        assert!(matches!(mailbox.delivery(true).await, Delivery::Frames(frames) if frames.len() == 1));
    }

    #[tokio::test]
    async fn what_comes_while_the_state_is_read_is_kept_for_afterwards() {
        let mailbox = Mailbox::default();
        mailbox.resync();
        assert!(matches!(mailbox.delivery(true).await, Delivery::Resync));
        mailbox.put(frame());
        assert!(mailbox.take(false).is_none());
        assert!(matches!(mailbox.delivery(true).await, Delivery::Frames(frames) if frames.len() == 1));
        mailbox.put(frame());
        mailbox.close(Bye::Draining);
        assert!(matches!(mailbox.delivery(false).await, Delivery::Bye(Bye::Draining)));
    }

    #[tokio::test]
    async fn goodbye_goes_before_everything() {
        let mailbox = Mailbox::default();
        mailbox.put(frame());
        mailbox.close(Bye::SignedOut);
        mailbox.close(Bye::Draining);
        assert!(matches!(mailbox.delivery(true).await, Delivery::Bye(Bye::SignedOut)));
    }
}
