//! Who is subscribed to what, what is known of each rep, and the publishing of frames.

use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use super::mailbox::{Bye, Delivery, Mailbox};
use super::meter::SALES_REP;
use super::{Frame, Meter};
use crate::cursor::{Cursor, Revision};
use crate::order::{OrderEvent, RepId, Summary};
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
    by_rep: HashMap<RepId, Box<Channel>>,
    /// Whose channel was opened since the listener last asked whom to follow.
    newcomers: HashSet<RepId>,
    /// Set once the server is stopping: whoever comes now is told at once.
    draining: bool,
}

/// The open streams of one rep. It goes with the last of them.
#[derive(Default)]
struct Channel {
    mailboxes: Vec<Arc<Mailbox>>,
    /// The rep's statistics in one state of the database. While a channel is there, every event of its rep that was
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
    fn advanced(&self, events: &[&OrderEvent], rep: RepId, cursor: &Cursor) -> Option<Summary> {
        let known = self.known_before(cursor)?;
        let mut summary = known.summary.clone();
        let new = events.iter().filter(|event| !known.cursor.snapshot.has(event.xid));
        new.for_each(|event| summary.apply(event, rep));
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

    /// Registers a stream. From now on it misses nothing that is published for its rep.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, subscriber: Subscriber) -> Subscription {
        let mailbox = Arc::new(Mailbox::new(self.next.fetch_add(1, Relaxed), subscriber.session));
        let mut channels = self.lock();
        if channels.draining {
            mailbox.close(Bye::Draining);
        }
        let Channels { by_rep, newcomers, .. } = &mut *channels;
        let channel = by_rep.entry(subscriber.rep).or_insert_with(|| {
            newcomers.insert(subscriber.rep);
            Box::default()
        });
        let of_session = channel.mailboxes.iter().filter(|other| other.session == subscriber.session);
        if of_session.clone().count() >= STREAMS_PER_SESSION
            && let Some(oldest) = of_session.min_by_key(|other| other.number)
        {
            oldest.close(Bye::Replaced);
        }
        channel.mailboxes.push(Arc::clone(&mailbox));
        drop(channels);
        self.open.fetch_add(1, Relaxed);
        self.opened.notify_one();
        self.meter.opened(SALES_REP);
        Subscription { hub: Arc::clone(self), rep: subscriber.rep, mailbox, reason: "client_gone" }
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

    /// How many streams are subscribed.
    pub(super) fn open_streams(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Whether nobody is subscribed to anything.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().by_rep.is_empty()
    }

    /// The reps that have streams, if they are at most so many. Who comes from now on is a newcomer until this is next asked.
    pub(super) fn follow(&self, most: usize) -> Option<Vec<RepId>> {
        let mut channels = self.lock();
        channels.newcomers.clear();
        (channels.by_rep.len() <= most).then(|| channels.by_rep.keys().copied().collect())
    }

    /// Has the newcomers' streams read the state of `cursor` or a newer one, as nobody looked at what led to it.
    pub(super) fn resync_newcomers(&self, cursor: &Cursor) {
        let mut channels = self.lock();
        for rep in std::mem::take(&mut channels.newcomers) {
            if let Some(channel) = channels.by_rep.get_mut(&rep) {
                channel.resync(cursor.revision());
            }
        }
    }

    /// Keeps the state that a stream began with as what is known of its rep, if nothing is.
    pub(super) fn learn(&self, rep: RepId, cursor: &Arc<Cursor>, summary: &Summary) {
        let mut channels = self.lock();
        let Some(channel) = channels.by_rep.get_mut(&rep) else { return };
        let is_too_old =
            channel.not_before.is_some_and(|floor| cursor.revision().partial_cmp(&floor).is_none_or(Ordering::is_lt));
        if channel.known.is_none() && !is_too_old {
            channel.known = Some(Known { cursor: Arc::clone(cursor), summary: summary.clone() });
        }
    }

    /// Those of the reps that have streams but whose statistics in the state of `cursor` don't follow from what is known.
    pub(super) fn unknown(&self, reps: impl Iterator<Item = RepId>, cursor: &Cursor) -> HashSet<RepId> {
        let channels = self.lock();
        let is_unknown = |rep: &RepId| channels.by_rep.get(rep).is_some_and(|c| c.known_before(cursor).is_none());
        reps.filter(is_unknown).collect()
    }

    /// Moves what is known on to the state of `cursor` by these events, and gives the statistics of the concerned reps
    /// that have streams. `read` has those that were read in that state.
    pub(super) fn advance(
        &self,
        by_rep: &HashMap<RepId, Vec<&OrderEvent>>,
        cursor: &Arc<Cursor>,
        mut read: HashMap<RepId, Summary>,
    ) -> Vec<(RepId, Summary)> {
        let mut channels = self.lock();
        let mut summaries = Vec::new();
        for (rep, events) in by_rep {
            let Some(channel) = channels.by_rep.get_mut(rep) else { continue };
            // a channel that is newer than the batch has streams that will read a newer state
            let Some(summary) = read.remove(rep).or_else(|| channel.advanced(events, *rep, cursor)) else { continue };
            channel.known = Some(Known { cursor: Arc::clone(cursor), summary: summary.clone() });
            summaries.push((*rep, summary));
        }
        summaries
    }

    /// Hands a frame to every stream of the rep.
    pub fn publish(&self, rep: RepId, frame: &Arc<Frame>) {
        for mailbox in self.lock().by_rep.get(&rep).into_iter().flat_map(|channel| &channel.mailboxes) {
            if !mailbox.put(Arc::clone(frame)) {
                self.meter.mailboxes_overrun.fetch_add(1, Relaxed);
            }
        }
    }

    /// Has the streams of the concerned reps read their state anew, which is that of `cursor` or newer.
    pub(super) fn resync(&self, cursor: &Cursor, is_concerned: impl Fn(RepId) -> bool) {
        for (rep, channel) in &mut self.lock().by_rep {
            if is_concerned(*rep) {
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

    /// The sessions that have streams open.
    pub(super) fn sessions(&self) -> Vec<SessionHash> {
        let mut sessions = Vec::new();
        self.each(|mailbox| sessions.push(mailbox.session));
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
        self.lock().by_rep.values().flat_map(|channel| &channel.mailboxes).for_each(|mailbox| visit(mailbox));
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
    rep: RepId,
    mailbox: Arc<Mailbox>,
    reason: &'static str,
}

impl Subscription {
    /// Whose orders it tells of.
    #[must_use]
    pub fn rep(&self) -> RepId {
        self.rep
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
        if let Entry::Occupied(mut entry) = channels.by_rep.entry(self.rep) {
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
        self.hub.meter.closed(SALES_REP, self.reason);
    }
}
