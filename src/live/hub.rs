//! Who is subscribed to what, what is known of each scope, and the publishing of frames.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use super::mailbox::{Bye, Delivery, Mailbox};
use super::meter::{CLIENT_GONE, role};
use super::{Frame, Meter};
use crate::cursor::{Cursor, Revision};
use crate::order::{OrderEvent, RepId, Scope, Summary};
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
    pub scope: Scope,
    /// The session it was opened with.
    pub session: SessionHash,
}

/// Who listens to what.
pub struct Hub {
    channels: Mutex<Channels>,
    listener: Mutex<ListenerState>,
    opened: Notify,
    next: AtomicU64,
    /// How many streams there are, for whoever needs no more than that.
    open: AtomicUsize,
    meter: Arc<Meter>,
}

#[derive(Default)]
struct Channels {
    by_scope: HashMap<Scope, Box<Channel>>,
    /// Whose channel was opened since the listener last asked whom to follow.
    newcomers: HashSet<Scope>,
    /// Set once the server is stopping: whoever comes now is told at once.
    draining: bool,
}

/// The open streams of one scope. It goes with the last of them.
#[derive(Default)]
struct Channel {
    mailboxes: Vec<Arc<Mailbox>>,
    /// The scope's statistics in one state of the database. While a channel is there, every event of its scope that was
    /// published is in them, so that the next events lead from them to the next statistics.
    known: Option<Known>,
    /// Where `known` was given up, as events were not published one by one: no older state may take its place.
    not_before: Option<Revision>,
}

struct Known {
    cursor: Arc<Cursor>,
    summary: Summary,
}

impl Channel {
    /// What is known, if it is not newer than `cursor`, so that events lead from it to the state of `cursor`.
    fn known_before(&self, cursor: &Cursor) -> Option<&Known> {
        let is_before =
            |known: &&Known| known.cursor.revision().partial_cmp(&cursor.revision()).is_some_and(Ordering::is_le);
        self.known.as_ref().filter(is_before)
    }

    /// The statistics in the state of `cursor`, to which these events lead.
    fn advanced(&self, events: &[&OrderEvent], scope: Scope, cursor: &Cursor) -> Option<Summary> {
        let known = self.known_before(cursor)?;
        let mut summary = known.summary.clone();
        let new = events.iter().filter(|event| !known.cursor.snapshot.has(event.xid));
        new.for_each(|event| summary.apply(event, scope));
        Some(summary)
    }

    /// Has the streams read this state or a newer one.
    fn resync(&mut self, state: Revision) {
        self.known = None;
        self.not_before = Some(state);
        self.mailboxes.iter().for_each(|mailbox| mailbox.resync(state));
    }
}

impl Hub {
    /// Without streams, and with a listener that is not live yet.
    #[must_use]
    pub fn new(meter: Arc<Meter>) -> Self {
        Self {
            channels: Mutex::default(),
            listener: Mutex::new(ListenerState::Degraded("the listener is starting".to_owned())),
            opened: Notify::new(),
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            meter,
        }
    }

    /// Registers a stream. From now on it misses nothing that is published for its scope.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, subscriber: Subscriber) -> Subscription {
        let mailbox = Arc::new(Mailbox::new(self.next.fetch_add(1, Relaxed), subscriber.session));
        let mut channels = self.lock();
        if channels.draining {
            mailbox.close(Bye::Draining);
        }
        let Channels { by_scope, newcomers, .. } = &mut *channels;
        let channel = by_scope.entry(subscriber.scope).or_insert_with(|| {
            newcomers.insert(subscriber.scope);
            Box::default()
        });
        // those that are being ended may need a while, in which others come
        let is_of_session = |other: &&Arc<Mailbox>| other.session == subscriber.session && !other.is_closing();
        let of_session = channel.mailboxes.iter().filter(is_of_session);
        if of_session.clone().count() >= STREAMS_PER_SESSION
            && let Some(oldest) = of_session.min_by_key(|other| other.number)
        {
            oldest.close(Bye::Replaced);
        }
        channel.mailboxes.push(Arc::clone(&mailbox));
        drop(channels);
        self.open.fetch_add(1, Relaxed);
        self.opened.notify_one();
        self.meter.opened(role(subscriber.scope));
        Subscription { hub: Arc::clone(self), scope: subscriber.scope, mailbox, reason: CLIENT_GONE }
    }

    /// Returns when a stream was opened since this was last asked.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Whether anybody is subscribed to these orders.
    #[must_use]
    pub fn is_open(&self, scope: Scope) -> bool {
        self.lock().by_scope.contains_key(&scope)
    }

    /// How many streams are subscribed.
    pub(super) fn open_streams(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Whether nobody is subscribed to anything.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().by_scope.is_empty()
    }

    /// The reps that have streams, if they are at most so many and nobody follows all orders. Who comes from now on is a
    /// newcomer until this is next asked.
    pub(super) fn follow(&self, most: usize) -> Option<Vec<RepId>> {
        let mut channels = self.lock();
        channels.newcomers.clear();
        let reps = channels.by_scope.keys().take(most + 1).map(|scope| scope.rep());
        let reps: Option<Vec<RepId>> = reps.collect();
        reps.filter(|reps| reps.len() <= most)
    }

    /// Has the newcomers' streams read the state of `cursor` or a newer one, as nobody looked at what led to it.
    pub(super) fn resync_newcomers(&self, cursor: &Cursor) {
        let mut channels = self.lock();
        for scope in std::mem::take(&mut channels.newcomers) {
            if let Some(channel) = channels.by_scope.get_mut(&scope) {
                channel.resync(cursor.revision());
            }
        }
    }

    /// Keeps the state that a stream began with as what is known of its scope, if nothing is.
    pub(super) fn learn(&self, scope: Scope, cursor: &Arc<Cursor>, summary: &Summary) {
        let mut channels = self.lock();
        let Some(channel) = channels.by_scope.get_mut(&scope) else { return };
        let is_too_old =
            channel.not_before.is_some_and(|floor| cursor.revision().partial_cmp(&floor).is_none_or(Ordering::is_lt));
        if channel.known.is_none() && !is_too_old {
            channel.known = Some(Known { cursor: Arc::clone(cursor), summary: summary.clone() });
        }
    }

    /// Those of the scopes that have streams but whose statistics in the state of `cursor` don't follow from what is known.
    pub(super) fn unknown(&self, scopes: impl Iterator<Item = Scope>, cursor: &Cursor) -> HashSet<Scope> {
        let channels = self.lock();
        let is_unknown = |scope: &Scope| channels.by_scope.get(scope).is_some_and(|c| c.known_before(cursor).is_none());
        scopes.filter(is_unknown).collect()
    }

    /// Moves what is known on to the state of `cursor` by these events, and gives the statistics of the concerned scopes
    /// that have streams. `read` has those that were read in that state.
    pub(super) fn advance(
        &self,
        by_scope: &HashMap<Scope, Vec<&OrderEvent>>,
        cursor: &Arc<Cursor>,
        mut read: HashMap<Scope, Summary>,
    ) -> Vec<(Scope, Summary)> {
        let mut channels = self.lock();
        let mut summaries = Vec::new();
        for (scope, events) in by_scope {
            let Some(channel) = channels.by_scope.get_mut(scope) else { continue };
            // a channel that is newer than the batch has streams that will read a newer state
            let Some(summary) = read.remove(scope).or_else(|| channel.advanced(events, *scope, cursor)) else {
                continue;
            };
            channel.known = Some(Known { cursor: Arc::clone(cursor), summary: summary.clone() });
            summaries.push((*scope, summary));
        }
        summaries
    }

    /// Hands a frame to every stream of the scope.
    pub fn publish(&self, scope: Scope, frame: &Arc<Frame>) {
        for mailbox in self.lock().by_scope.get(&scope).into_iter().flat_map(|channel| &channel.mailboxes) {
            if !mailbox.put(Arc::clone(frame)) {
                self.meter.mailboxes_overrun.fetch_add(1, Relaxed);
            }
        }
    }

    /// Has the streams of the concerned scopes read their state anew, which is that of `cursor` or newer.
    pub(super) fn resync(&self, cursor: &Cursor, is_concerned: impl Fn(Scope) -> bool) {
        for (scope, channel) in &mut self.lock().by_scope {
            if is_concerned(*scope) {
                channel.resync(cursor.revision());
            }
        }
    }

    /// Ends the streams of sessions.
    pub fn end_sessions(&self, is_over: impl Fn(SessionHash) -> bool) {
        self.each(|mailbox| {
            if is_over(mailbox.session) {
                mailbox.close(Bye::SignedOut);
            }
        });
    }

    /// Ends every stream, and those that still come.
    pub fn drain(&self) {
        self.lock().draining = true;
        self.each(|mailbox| mailbox.close(Bye::Draining));
    }

    /// The sessions that have streams open, of one rep each or of all orders.
    pub(super) fn sessions(&self, of_all: bool) -> Vec<SessionHash> {
        let mut sessions = Vec::new();
        let channels = self.lock();
        let chosen = channels.by_scope.iter().filter(|(scope, _)| (**scope == Scope::All) == of_all);
        sessions.extend(chosen.flat_map(|(_, channel)| &channel.mailboxes).map(|mailbox| mailbox.session));
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

    /// Whether changes arrive at once.
    #[must_use]
    pub fn is_live(&self) -> bool {
        *self.listener() == ListenerState::Live
    }

    /// Keeps the listener's state, and tells every stream where it changed.
    pub(super) fn set_listener_state(&self, state: ListenerState) {
        let is_live = state == ListenerState::Live;
        let was_live = std::mem::replace(&mut *self.listener(), state) == ListenerState::Live;
        if is_live != was_live {
            self.each(Mailbox::ping);
        }
    }

    fn each(&self, mut visit: impl FnMut(&Mailbox)) {
        self.lock().by_scope.values().flat_map(|channel| &channel.mailboxes).for_each(|mailbox| visit(mailbox));
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
        if let Entry::Occupied(mut entry) = channels.by_scope.entry(self.scope) {
            let mailboxes = &mut entry.get_mut().mailboxes;
            if let Some(place) = mailboxes.iter().position(|mailbox| Arc::ptr_eq(mailbox, &self.mailbox)) {
                mailboxes.swap_remove(place);
            }
            if mailboxes.is_empty() {
                entry.remove();
            }
        }
        drop(channels);
        self.hub.open.fetch_sub(1, Relaxed);
        self.hub.meter.closed(role(self.scope), self.reason);
    }
}
