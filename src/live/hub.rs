//! Who is subscribed to what, and the publishing of frames to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::mailbox::{Bye, Delivery, Mailbox};
use super::meter::SALES_REP;
use super::{Frame, Meter};
use crate::order::RepId;
use crate::store::SessionHash;

/// Streams that one session may have open. Beyond, its oldest is replaced.
const STREAMS_PER_SESSION: usize = 24;

/// What the listener is worth now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerState {
    /// Its canary came back: what is committed arrives here at once.
    Live,
    /// Changes may come late, for this reason.
    Degraded(String),
}

/// Whom a stream is for.
#[derive(Debug, Clone, Copy)]
pub struct Subscriber {
    /// Whose orders it tells of.
    pub rep: RepId,
    /// The session it was opened with.
    pub session: SessionHash,
}

/// Who listens to what.
pub struct Hub {
    subscriptions: Mutex<Subscriptions>,
    listener: watch::Sender<ListenerState>,
    opened: Notify,
    next: AtomicU64,
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Subscriptions {
    by_rep: HashMap<RepId, Vec<Entry>>,
    /// Set once the server is stopping: whoever comes now is told at once.
    draining: bool,
}

struct Entry {
    number: u64,
    session: SessionHash,
    mailbox: Arc<Mailbox>,
}

impl Hub {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        let (listener, _) = watch::channel(ListenerState::Degraded("the listener is starting".to_owned()));
        Self { subscriptions: Mutex::default(), listener, opened: Notify::new(), next: AtomicU64::new(0), meter }
    }

    /// Registers a stream. From now on it misses nothing that is published for its rep.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, subscriber: Subscriber) -> Subscription {
        let number = self.next.fetch_add(1, Relaxed);
        let mailbox = Arc::new(Mailbox::default());
        let mut subscriptions = self.lock();
        if subscriptions.draining {
            mailbox.close(Bye::Draining);
        }
        let entries = subscriptions.by_rep.entry(subscriber.rep).or_default();
        let of_session = entries.iter().filter(|entry| entry.session == subscriber.session);
        if of_session.clone().count() >= STREAMS_PER_SESSION
            && let Some(oldest) = of_session.min_by_key(|entry| entry.number)
        {
            oldest.mailbox.close(Bye::Replaced);
        }
        entries.push(Entry { number, session: subscriber.session, mailbox: Arc::clone(&mailbox) });
        drop(subscriptions);
        self.opened.notify_one();
        self.meter.opened(SALES_REP);
        Subscription { hub: Arc::clone(self), rep: subscriber.rep, number, mailbox, reason: "client_gone" }
    }

    /// Returns when a stream was opened since this was last asked.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Whether anybody is subscribed to the rep's orders.
    #[must_use]
    pub fn is_open(&self, rep: RepId) -> bool {
        self.lock().by_rep.contains_key(&rep)
    }

    /// Hands a frame to every stream of the rep.
    pub(super) fn publish(&self, rep: RepId, frame: &Arc<Frame>) {
        for entry in self.lock().by_rep.get(&rep).into_iter().flatten() {
            if !entry.mailbox.put(Arc::clone(frame)) {
                self.meter.mailboxes_overrun.fetch_add(1, Relaxed);
            }
        }
    }

    /// Has every stream read its state anew.
    pub(super) fn resync_all(&self) {
        self.each(|entry| entry.mailbox.resync());
    }

    /// Ends the streams of a session.
    pub fn end_session(&self, session: SessionHash) {
        self.each(|entry| {
            if entry.session == session {
                entry.mailbox.close(Bye::SignedOut);
            }
        });
    }

    /// Ends every stream, and those that still come.
    pub fn drain(&self) {
        self.lock().draining = true;
        self.each(|entry| entry.mailbox.close(Bye::Draining));
    }

    /// The sessions that have streams open.
    pub(super) fn sessions(&self) -> Vec<SessionHash> {
        let mut sessions = Vec::new();
        self.each(|entry| sessions.push(entry.session));
        sessions.sort_unstable_by_key(|session| session.0);
        sessions.dedup();
        sessions
    }

    /// What the listener is worth now.
    #[must_use]
    pub fn listener_state(&self) -> ListenerState {
        self.listener.borrow().clone()
    }

    /// Tells every stream of a change of the listener's state.
    pub(super) fn set_listener_state(&self, state: ListenerState) {
        self.listener.send_if_modified(|present| {
            let modified = *present != state;
            *present = state;
            modified
        });
    }

    fn each(&self, mut visit: impl FnMut(&Entry)) {
        self.lock().by_rep.values().flatten().for_each(&mut visit);
    }

    fn lock(&self) -> MutexGuard<'_, Subscriptions> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered stream. Dropping it takes it out of the hub and counts it as closed.
pub struct Subscription {
    hub: Arc<Hub>,
    rep: RepId,
    number: u64,
    mailbox: Arc<Mailbox>,
    reason: &'static str,
}

impl Subscription {
    /// Whose orders it tells of.
    #[must_use]
    pub fn rep(&self) -> RepId {
        self.rep
    }

    pub(super) async fn delivery(&self, wants_news: bool) -> Delivery {
        self.mailbox.delivery(wants_news).await
    }

    pub(super) fn watch_listener(&self) -> ListenerWatch {
        ListenerWatch(self.hub.listener.subscribe())
    }

    /// Counts the stream as closed for that reason, instead of by its client.
    pub(super) fn closes_because(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

/// Watches the listener's state for one stream.
pub(super) struct ListenerWatch(watch::Receiver<ListenerState>);

impl ListenerWatch {
    /// Returns when the state has changed since it was last looked at.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    pub(super) fn is_live(&mut self) -> bool {
        *self.0.borrow_and_update() == ListenerState::Live
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscriptions = self.hub.lock();
        if let Some(entries) = subscriptions.by_rep.get_mut(&self.rep) {
            entries.retain(|entry| entry.number != self.number);
            if entries.is_empty() {
                subscriptions.by_rep.remove(&self.rep);
            }
        }
        drop(subscriptions);
        self.hub.meter.closed(SALES_REP, self.reason);
    }
}
