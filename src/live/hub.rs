//! Who is subscribed to what, and the delivery of what the listener read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use super::bye::Bye;
use super::frame::Frame;
use super::mailbox::{Delivery, Mailbox};
use super::meter::{CLIENT_GONE, Meter, Resync, role};
use super::watched::{Audience, Watched};
use crate::cursor::{Cursor, Epoch, Revision};
use crate::order::{RepId, Scope, UserId};
use crate::store::SessionKey;

/// Streams that one session may have open. Beyond, its oldest is replaced.
const STREAMS_PER_SESSION: usize = 24;

/// Whether changes reach this instance at once.
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
    pub scope: Scope,
    /// The session it was opened with.
    pub session: SessionKey,
    /// Whose session that is.
    pub user: UserId,
}

/// Which streams are open, by scope, and whether the listener is live.
pub struct Hub {
    channels: Mutex<Channels>,
    listener: Mutex<ListenerState>,
    faults: Mutex<Faults>,
    /// A change was found that could not be recorded.
    unrecorded: Notify,
    opened: Notify,
    next: AtomicU64,
    /// How many streams there are, for whoever needs no more than that.
    open: AtomicUsize,
    meter: Arc<Meter>,
}

/// Why changes may go unrecorded, or what was is not made up for yet.
struct Faults {
    known: Vec<String>,
    /// How many changes were met that could not be recorded.
    met: u64,
}

#[derive(Default)]
struct Channels {
    watched: Watched<Channel>,
    /// In which epoch the listener reads, once it does.
    epoch: Option<Epoch>,
    /// Set once the server is stopping: whoever comes now is told at once.
    draining: bool,
}

/// The mailboxes of one scope's open streams. It goes with the last of them.
type Channel = Vec<Arc<Mailbox>>;

/// Has a scope's streams read this state or a newer one.
fn resync(channel: &Channel, state: Revision, cause: Resync) {
    channel.iter().for_each(|mailbox| mailbox.resync(state, cause));
}

impl Hub {
    /// Without streams, and with a listener that is not live yet.
    #[must_use]
    pub fn new(meter: Arc<Meter>) -> Self {
        Self {
            channels: Mutex::default(),
            listener: Mutex::new(ListenerState::Degraded("the listener is starting".to_owned())),
            faults: Mutex::new(Faults { known: vec!["the triggers have not been looked at yet".to_owned()], met: 0 }),
            unrecorded: Notify::new(),
            opened: Notify::new(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            meter,
        }
    }

    /// Registers a stream. From now on it misses nothing that is published for its scope.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, subscriber: Subscriber) -> Subscription {
        let mailbox = Arc::new(Mailbox::new(self.next.fetch_add(1, Relaxed), subscriber.session, subscriber.user));
        let mut channels = self.lock();
        if channels.draining {
            mailbox.close(Bye::Draining);
        }
        let channel = channels.watched.get_or_insert_with(subscriber.scope, Channel::new);
        // those that are being ended may need a while, in which others come
        let is_of_session = |other: &&Arc<Mailbox>| other.session == subscriber.session && !other.is_closing();
        let of_session = channel.iter().filter(is_of_session);
        if of_session.clone().count() >= STREAMS_PER_SESSION
            && let Some(oldest) = of_session.min_by_key(|other| other.number)
        {
            oldest.close(Bye::Replaced);
        }
        channel.push(Arc::clone(&mailbox));
        let of_user = channel.iter().filter(|other| other.user == subscriber.user).count();
        drop(channels);
        self.open.fetch_add(1, Relaxed);
        self.opened.notify_one();
        self.meter.opened(role(subscriber.scope), of_user);
        Subscription { hub: Arc::clone(self), scope: subscriber.scope, mailbox, reason: CLIENT_GONE }
    }

    /// Returns when a stream was opened since this was last asked.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Whether anybody is subscribed to these orders.
    #[must_use]
    pub fn is_open(&self, scope: Scope) -> bool {
        self.lock().watched.get(scope).is_some()
    }

    /// How many streams are subscribed.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Whether nobody is subscribed to anything.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().watched.len() == 0
    }

    /// How many scopes have streams.
    pub(super) fn open_scopes(&self) -> usize {
        self.lock().watched.len()
    }

    /// Those of the scopes that have streams.
    pub(super) fn open_among(&self, scopes: impl IntoIterator<Item = Scope>) -> HashSet<Scope> {
        let channels = self.lock();
        scopes.into_iter().filter(|scope| channels.watched.get(*scope).is_some()).collect()
    }

    /// The listener begins to read: see [`Watched::begin_read`].
    pub(super) fn begin_read(&self) -> (Option<Vec<RepId>>, HashSet<Scope>) {
        self.lock().watched.begin_read(Audience::MOST)
    }

    /// Delivers what the listener read up to a state. Each concerned scope's streams get their frame; where there is none, they
    /// read their state anew. A stream that was opened while the listener was reading loses nothing: if the read was of
    /// everybody, its scope is among the concerned ones; if it was of some reps only, its events may not have been read, so it
    /// reads its state anew.
    pub fn deliver(&self, state: &Cursor, is_of_everybody: bool, concerned: HashMap<Scope, Option<Arc<Frame>>>) {
        let revision = state.revision();
        let mut channels = self.lock();
        channels.epoch = Some(state.epoch);
        if !is_of_everybody {
            channels.watched.each_newcomer(|channel| resync(channel, revision, Resync::Newcomer));
        }
        for (scope, frame) in concerned {
            let Some(channel) = channels.watched.get(scope) else { continue };
            let Some(frame) = frame else {
                resync(channel, revision, Resync::Untold);
                continue;
            };
            let overrun = channel.iter().filter(|mailbox| !mailbox.put(Arc::clone(&frame))).count();
            self.meter.mailboxes_overrun.inc_by(overrun as u64);
        }
    }

    /// The listener has come to a state without telling what happened on the way: every stream must read it, or a newer one.
    pub(super) fn resync(&self, state: &Cursor) {
        let mut channels = self.lock();
        if channels.epoch.replace(state.epoch) != Some(state.epoch) {
            self.meter.epoch_began();
        }
        channels.watched.values().for_each(|channel| resync(channel, state.revision(), Resync::Jump));
    }

    /// Whether the listener reads in another epoch than that of a state, so that nothing which it reads leads on from there.
    #[must_use]
    pub fn is_elsewhere(&self, state: &Cursor) -> bool {
        self.lock().epoch.is_some_and(|epoch| epoch != state.epoch)
    }

    /// Ends the streams of sessions.
    pub fn end_sessions(&self, is_over: impl Fn(SessionKey) -> bool) {
        self.each(|mailbox| {
            if is_over(mailbox.session) {
                mailbox.close(Bye::SignedOut);
            }
        });
    }

    /// Ends the streams of a user. Their pages come back by themselves. Gives how many there were.
    pub fn end_user(&self, user: UserId) -> usize {
        let mut ended = 0;
        self.each(|mailbox| {
            if mailbox.user == user && !mailbox.is_closing() {
                mailbox.close(Bye::Draining);
                ended += 1;
            }
        });
        ended
    }

    /// How many streams each user has.
    #[must_use]
    pub fn streams_by_user(&self) -> HashMap<UserId, usize> {
        let mut streams = HashMap::new();
        self.each(|mailbox| *streams.entry(mailbox.user).or_default() += 1);
        streams
    }

    /// Ends those streams that still come, as the server is stopping.
    pub fn refuse(&self) {
        self.lock().draining = true;
    }

    /// Ends so many of the streams that are not being ended yet, as the server is stopping.
    pub fn drain_some(&self, most: usize) {
        let mut left = most;
        self.each(|mailbox| {
            if left > 0 && !mailbox.is_closing() {
                mailbox.close(Bye::Draining);
                left -= 1;
            }
        });
    }

    /// Ends every stream, and those that still come.
    pub fn drain(&self) {
        self.refuse();
        self.each(|mailbox| mailbox.close(Bye::Draining));
    }

    /// The sessions that have streams open, of one rep each or of all orders.
    pub(super) fn sessions(&self, of_all: bool) -> Vec<SessionKey> {
        let mut sessions = Vec::new();
        let channels = self.lock();
        let chosen = channels.watched.iter().filter(|(scope, _)| (**scope == Scope::All) == of_all);
        sessions.extend(chosen.flat_map(|(_, channel)| channel).map(|mailbox| mailbox.session));
        drop(channels);
        sessions.sort_unstable_by_key(|session| session.0);
        sessions.dedup();
        sessions
    }

    /// What the listener is worth now.
    #[must_use]
    pub fn listener_state(&self) -> ListenerState {
        self.listener().clone()
    }

    /// Whether changes arrive at once: the listener is live, and every change is recorded.
    #[must_use]
    pub fn is_live(&self) -> bool {
        *self.listener() == ListenerState::Live && self.records_all()
    }

    /// Why changes may go unrecorded; nothing where all are.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.lock_faults().known.clone()
    }

    /// Whether every change is recorded, and those that were not are made up for.
    pub(super) fn records_all(&self) -> bool {
        self.lock_faults().known.is_empty()
    }

    /// Keeps the listener's state, and tells every stream where it changed.
    pub(super) fn set_listener_state(&self, state: ListenerState) {
        self.tell_if_changed(|| *self.listener() = state);
    }

    /// Keeps why changes may go unrecorded, and tells every stream where it changed whether they do.
    pub(super) fn set_faults(&self, faults: Vec<String>) {
        self.tell_if_changed(|| self.lock_faults().known = faults);
    }

    /// A look that began when so many unrecorded changes had been met has found that all is recorded, or made up for it. Of those
    /// that were met since then it knows nothing.
    pub(super) fn clear_faults(&self, met: u64) {
        self.tell_if_changed(|| {
            let mut faults = self.lock_faults();
            if faults.met == met {
                faults.known.clear();
            }
        });
    }

    /// How many changes were met that could not be recorded: for [`Hub::clear_faults`].
    pub(super) fn unrecorded_met(&self) -> u64 {
        self.lock_faults().met
    }

    /// The listener met a change that could not be recorded. Whoever looks after that knows more where it is known already.
    pub(super) fn met_unrecorded(&self) {
        self.tell_if_changed(|| {
            let mut faults = self.lock_faults();
            faults.met += 1;
            if faults.known.is_empty() {
                faults.known.push("a trigger could not read a change".to_owned());
            }
        });
        self.unrecorded.notify_one();
    }

    /// Returns when such a change was met since this was last asked.
    pub(super) async fn unrecorded(&self) {
        self.unrecorded.notified().await;
    }

    fn tell_if_changed(&self, change: impl FnOnce()) {
        let was_live = self.is_live();
        change();
        if self.is_live() != was_live {
            self.each(Mailbox::ping);
        }
    }

    fn each(&self, mut visit: impl FnMut(&Mailbox)) {
        self.lock().watched.values().flatten().for_each(|mailbox| visit(mailbox));
    }

    fn lock_faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listener(&self) -> MutexGuard<'_, ListenerState> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered stream. Dropping it takes it out of the hub and counts it as closed.
pub struct Subscription {
    hub: Arc<Hub>,
    scope: Scope,
    mailbox: Arc<Mailbox>,
    reason: &'static str,
}

impl Subscription {
    /// Whose orders it tells of.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    pub(super) fn poll_delivery(&self, cx: &mut Context<'_>, wants_news: bool) -> Poll<Delivery> {
        self.mailbox.poll_delivery(cx, wants_news)
    }

    pub(super) fn poll_goodbye(&self, cx: &mut Context<'_>) -> Poll<Bye> {
        self.mailbox.poll_goodbye(cx)
    }

    /// Counts the stream as closed for that reason, instead of by its client.
    pub(super) fn closes_because(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut channels = self.hub.lock();
        if let Some(channel) = channels.watched.get_mut(self.scope) {
            if let Some(place) = channel.iter().position(|mailbox| Arc::ptr_eq(mailbox, &self.mailbox)) {
                channel.swap_remove(place);
            }
            if channel.is_empty() {
                channels.watched.remove(self.scope);
            }
        }
        drop(channels);
        self.hub.open.fetch_sub(1, Relaxed);
        self.hub.meter.closed(role(self.scope), self.reason);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn some_streams_end_after_others() {
        let hub = Arc::new(Hub::new(Arc::default()));
        let subscribe = |user| {
            hub.subscribe(Subscriber {
                scope: Scope::All,
                session: SessionKey([user; 32]),
                user: UserId(i64::from(user)),
            })
        };
        let streams: Vec<Subscription> = (0..10).map(subscribe).collect();
        let ending = || streams.iter().filter(|stream| stream.mailbox.is_closing()).count();
        hub.drain_some(4);
        assert_eq!(ending(), 4);
        hub.drain_some(4);
        assert_eq!(ending(), 8);
        assert!(!subscribe(11).mailbox.is_closing());
        hub.refuse();
        assert!(subscribe(12).mailbox.is_closing());
        assert_eq!(ending(), 8);
        hub.drain();
        assert_eq!(ending(), 10);
    }

    #[tokio::test]
    async fn what_is_met_during_a_look_is_not_taken_for_made_up() {
        let hub = Hub::new(Arc::default());
        hub.clear_faults(hub.unrecorded_met());
        assert!(hub.records_all());
        let before = hub.unrecorded_met();
        hub.set_faults(vec!["everything is read anew".to_owned()]);
        hub.met_unrecorded();
        hub.clear_faults(before);
        assert_eq!(hub.faults(), ["everything is read anew"]);
        timeout(Duration::from_secs(5), hub.unrecorded()).await.expect("who looks is told, though a fault was known");
        hub.clear_faults(hub.unrecorded_met());
        assert!(hub.records_all());
    }
}
