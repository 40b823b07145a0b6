//! Who is subscribed to what, and the delivery of what the listener read.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use rand::Rng;
use tokio::sync::Notify;

use super::bye::Bye;
use super::frame::Frame;
use super::mailbox::{Delivery, Mailbox};
use super::meter::{CLIENT_GONE, Meter, Resync, role};
use super::subscriber::Subscriber;
use super::watched::{Audience, Watched};
use crate::cursor::{Cursor, Epoch, Revision};
use crate::network::PerAddress;
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

/// How many streams may be open.
#[derive(Debug, Clone, Copy)]
pub struct StreamCaps {
    /// Of everybody. Beyond, no other is opened, so that connections are left for whoever signs in or reads a page.
    pub all: usize,
    /// Of one address. Beyond, its oldest is replaced.
    pub per_address: PerAddress,
    /// Of one user, with all sessions. Beyond, the oldest is replaced.
    pub per_user: usize,
}

#[cfg(test)]
impl StreamCaps {
    /// Few.
    pub(super) fn for_test() -> Self {
        Self { all: 100, per_address: PerAddress { most: 40, spares_this_machine: false }, per_user: 30 }
    }
}

/// There are as many streams as there may be.
#[derive(Debug, Clone, Copy)]
pub struct Full;

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
    caps: StreamCaps,
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
    /// How many streams each address has. One that has none is not in it.
    by_place: HashMap<IpAddr, usize>,
    /// In which epoch the listener reads, once it does.
    epoch: Option<Epoch>,
    /// Set once the server is stopping: whoever comes now is told at once.
    draining: bool,
}

/// The mailboxes of one scope's open streams. It goes with the last of them.
#[derive(Default)]
struct Channel {
    streams: Vec<Arc<Mailbox>>,
    /// That of the audit, which is delivered to as the streams are, and else is none of them.
    audit: Option<Arc<Mailbox>>,
}

impl Channel {
    /// All that is delivered to.
    fn everybody(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.streams.iter().chain(&self.audit)
    }
}

impl<'a> IntoIterator for &'a Channel {
    type Item = &'a Arc<Mailbox>;
    type IntoIter = std::slice::Iter<'a, Arc<Mailbox>>;

    fn into_iter(self) -> Self::IntoIter {
        self.streams.iter()
    }
}

/// Replaces the oldest of these streams if there are as many as there may be beside another. Those that are being ended do not
/// count: they may need a while, in which others come.
fn make_room<'a>(streams: impl Iterator<Item = &'a Arc<Mailbox>>, most: usize) {
    let (mut count, mut oldest) = (0, None::<&Arc<Mailbox>>);
    for stream in streams.filter(|stream| stream.goodbye().is_none()) {
        count += 1;
        if oldest.is_none_or(|oldest| stream.number < oldest.number) {
            oldest = Some(stream);
        }
    }
    if let Some(oldest) = oldest.filter(|_| count >= most) {
        oldest.close(Bye::Replaced);
    }
}

/// Has a scope's streams read this state or a newer one.
fn resync(channel: &Channel, state: Revision, cause: Resync) {
    channel.everybody().for_each(|mailbox| mailbox.resync(state, cause));
}

impl Hub {
    /// Without streams, and with a listener that is not live yet.
    #[must_use]
    pub fn new(meter: Arc<Meter>, caps: StreamCaps) -> Self {
        Self {
            channels: Mutex::default(),
            listener: Mutex::new(ListenerState::Degraded("the listener is starting".to_owned())),
            faults: Mutex::new(Faults { known: vec!["the triggers have not been looked at yet".to_owned()], met: 0 }),
            unrecorded: Notify::new(),
            opened: Notify::new(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            caps,
            meter,
        }
    }

    /// Registers a stream. From now on it misses nothing that is published for its scope.
    ///
    /// # Errors
    /// If there are as many as there may be.
    pub fn subscribe(self: &Arc<Self>, subscriber: Subscriber) -> Result<Subscription, Full> {
        let mailbox = Arc::new(Mailbox::new(self.next.fetch_add(1, Relaxed), subscriber));
        let mut guard = self.lock();
        let channels = &mut *guard;
        if self.open.load(Relaxed) >= self.caps.all {
            return Err(Full);
        }
        if channels.draining {
            mailbox.close(Bye::Draining);
        }
        let Subscriber { scope, session, user, place, .. } = subscriber;
        let of_place = channels.by_place.entry(place).or_default();
        *of_place += 1;
        let most = self.caps.per_address.of(place);
        if *of_place > most {
            make_room(channels.watched.values().flatten().filter(|other| other.subscriber.place == place), most);
        }
        // a user has one role, and so one scope
        let channel = channels.watched.get_or_insert_with(scope, Channel::default);
        make_room(channel.into_iter().filter(|other| other.subscriber.session == session), STREAMS_PER_SESSION);
        make_room(channel.into_iter().filter(|other| other.subscriber.user == user), self.caps.per_user);
        channel.streams.push(Arc::clone(&mailbox));
        let of_user = channel.into_iter().filter(|other| other.subscriber.user == user).count();
        self.open.fetch_add(1, Relaxed);
        drop(guard);
        self.opened.notify_one();
        self.meter.opened(role(scope), of_user);
        Ok(Subscription { hub: Arc::clone(self), mailbox, reason: CLIENT_GONE, is_audit: false })
    }

    /// Somebody who has a stream open: of a scope at random.
    pub(super) fn any_subscriber(&self) -> Option<Subscriber> {
        let channels = self.lock();
        let scopes = channels.watched.len();
        let place = (scopes > 0).then(|| rand::rng().random_range(0..scopes))?;
        channels.watched.values().nth(place)?.streams.first().map(|mailbox| mailbox.subscriber)
    }

    /// Registers the audit's stream beside somebody's. It is delivered the same, counts nowhere, and ends when the last of the
    /// scope's streams is closed: nothing is read for its sake alone. None where there is nothing to be beside of.
    pub(super) fn audit(self: &Arc<Self>, beside: Subscriber) -> Option<Subscription> {
        let mailbox = Arc::new(Mailbox::new(self.next.fetch_add(1, Relaxed), beside));
        let mut channels = self.lock();
        if channels.draining {
            return None;
        }
        channels.watched.get_mut(beside.scope)?.audit = Some(Arc::clone(&mailbox));
        drop(channels);
        Some(Subscription { hub: Arc::clone(self), mailbox, reason: CLIENT_GONE, is_audit: true })
    }

    /// Returns when a stream was opened since this was last asked.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Has a listener read at once that has nobody to tell anything: the database has come to another life.
    pub(super) fn wake_listener(&self) {
        self.opened.notify_one();
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
            let overrun = channel.into_iter().filter(|mailbox| !mailbox.put(Arc::clone(&frame))).count();
            channel.audit.iter().for_each(|mailbox| _ = mailbox.put(Arc::clone(&frame)));
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
            if is_over(mailbox.subscriber.session) {
                mailbox.close(Bye::SignedOut);
            }
        });
    }

    /// Ends the streams of a user. Their pages come back by themselves. Gives how many there were.
    pub fn end_user(&self, user: UserId) -> usize {
        let mut ended = 0;
        self.each(|mailbox| {
            if mailbox.subscriber.user == user && mailbox.goodbye().is_none() {
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
        self.each(|mailbox| *streams.entry(mailbox.subscriber.user).or_default() += 1);
        streams
    }

    /// Ends those streams that still come, as the server is stopping.
    pub fn refuse(&self) {
        self.lock().draining = true;
    }

    /// Whether the server is stopping, so that no stream is to be opened any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// Ends so many of the streams that are not being ended yet, as the server is stopping.
    pub fn drain_some(&self, most: usize) {
        let mut left = most;
        self.each(|mailbox| {
            if left > 0 && mailbox.goodbye().is_none() {
                mailbox.close(Bye::Draining);
                left -= 1;
            }
        });
    }

    /// Ends every stream, and those that still come.
    pub fn drain(&self) {
        self.refuse();
        let channels = self.lock();
        channels.watched.values().flat_map(Channel::everybody).for_each(|mailbox| mailbox.close(Bye::Draining));
    }

    /// The sessions that have streams open, of one rep each or of all orders.
    pub(super) fn sessions(&self, of_all: bool) -> Vec<SessionKey> {
        let mut sessions = Vec::new();
        let channels = self.lock();
        let chosen = channels.watched.iter().filter(|(scope, _)| (**scope == Scope::All) == of_all);
        sessions.extend(chosen.flat_map(|(_, channel)| channel).map(|mailbox| mailbox.subscriber.session));
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
    mailbox: Arc<Mailbox>,
    reason: &'static str,
    is_audit: bool,
}

impl Subscription {
    /// Whether it is the audit's.
    pub(super) fn is_audit(&self) -> bool {
        self.is_audit
    }

    pub(super) fn poll_delivery(&self, cx: &mut Context<'_>, wants_news: bool) -> Poll<Delivery> {
        self.mailbox.poll_delivery(cx, wants_news)
    }

    pub(super) fn poll_goodbye(&self, cx: &mut Context<'_>) -> Poll<Bye> {
        self.mailbox.poll_goodbye(cx)
    }

    /// Tells why the stream is ended also where nobody asks the subscription for more.
    pub(super) fn ending(&self) -> impl Fn(&mut Context<'_>) -> Poll<Bye> + Send + Sync + 'static {
        let mailbox = Arc::clone(&self.mailbox);
        move |cx| mailbox.poll_goodbye(cx)
    }

    /// Counts the stream as closed for that reason, instead of by its client.
    pub(super) fn closes_because(&mut self, reason: &'static str) {
        self.reason = reason;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Subscriber { scope, place, .. } = self.mailbox.subscriber;
        let mut guard = self.hub.lock();
        let channels = &mut *guard;
        let channel = channels.watched.get_mut(scope);
        if self.is_audit {
            if let Some(channel) = channel {
                channel.audit.take_if(|mailbox| Arc::ptr_eq(mailbox, &self.mailbox));
            }
            return;
        }
        if let Some(Channel { streams, audit }) = channel {
            if let Some(place) = streams.iter().position(|mailbox| Arc::ptr_eq(mailbox, &self.mailbox)) {
                streams.swap_remove(place);
            }
            if streams.is_empty() {
                audit.iter().for_each(|mailbox| mailbox.close(Bye::Draining));
                channels.watched.remove(scope);
            }
        }
        if let Some(of_place) = channels.by_place.get_mut(&place) {
            *of_place -= 1;
            if *of_place == 0 {
                channels.by_place.remove(&place);
            }
        }
        self.hub.open.fetch_sub(1, Relaxed);
        drop(guard);
        // a client that did not read did not hear the goodbye
        let unheard = self.mailbox.goodbye().filter(|_| self.reason == CLIENT_GONE);
        self.hub.meter.closed(role(scope), unheard.map_or(self.reason, Bye::reason));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn caps(all: usize) -> StreamCaps {
        StreamCaps { all, ..StreamCaps::for_test() }
    }

    #[test]
    fn session_user_address_and_all_have_so_many_streams_and_the_oldest_goes() {
        let staying = |subscribers: &[(u8, i64, u8)], all| {
            let hub = Arc::new(Hub::new(Arc::default(), caps(all)));
            let subscribe = |(session, user, place): &(u8, i64, u8)| {
                hub.subscribe(Subscriber {
                    scope: Scope::Rep(RepId(*user)),
                    sight: None,
                    session: SessionKey([*session; 32]),
                    user: UserId(*user),
                    place: [192, 0, 2, *place].into(),
                })
            };
            let opened: Vec<_> = subscribers.iter().map_while(|subscriber| subscribe(subscriber).ok()).collect();
            let goes = opened.iter().take_while(|stream| stream.mailbox.goodbye() == Some(Bye::Replaced)).count();
            let stays = opened[goes..].iter().filter(|stream| stream.mailbox.goodbye().is_none()).count();
            assert_eq!(goes + stays, opened.len(), "it is the oldest that go");
            drop(opened);
            assert!(hub.lock().by_place.is_empty() && hub.open_streams() == 0);
            (goes, stays)
        };
        let many = |subscriber: &dyn Fn(u8) -> (u8, i64, u8)| (0..100).map(subscriber).collect::<Vec<_>>();
        assert_eq!(staying(&many(&|n| (1, 1, n)), 1_000), (76, 24));
        assert_eq!(staying(&many(&|n| (n, 1, n)), 1_000), (70, 30));
        assert_eq!(staying(&many(&|n| (n, n.into(), 1)), 1_000), (60, 40));
        assert_eq!(staying(&many(&|n| (n, n.into(), n)), 1_000), (0, 100));
        assert_eq!(staying(&many(&|n| (n, n.into(), n)), 50), (0, 50), "beyond, no other is opened");
    }

    #[test]
    fn some_streams_end_after_others() {
        let hub = Arc::new(Hub::new(Arc::default(), caps(100)));
        let subscribe = |user| {
            let (session, user) = (SessionKey([user; 32]), UserId(i64::from(user)));
            hub.subscribe(Subscriber { session, user, ..Subscriber::for_test() }).unwrap()
        };
        let streams: Vec<Subscription> = (0..10).map(subscribe).collect();
        let ending = || streams.iter().filter(|stream| stream.mailbox.goodbye().is_some()).count();
        hub.drain_some(4);
        assert_eq!(ending(), 4);
        hub.drain_some(4);
        assert_eq!(ending(), 8);
        assert!(subscribe(11).mailbox.goodbye().is_none());
        hub.refuse();
        assert!(subscribe(12).mailbox.goodbye().is_some());
        assert_eq!(ending(), 8);
        hub.drain();
        assert_eq!(ending(), 10);
    }

    #[tokio::test]
    async fn what_is_met_during_a_look_is_not_taken_for_made_up() {
        let hub = Hub::new(Arc::default(), caps(1));
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
