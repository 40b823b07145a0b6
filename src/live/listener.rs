//! The listener: hears that something changed, reads what, and publishes it.
//!
//! A notification is only a hint. What to send is read from the events since the listener's cursor, so that nothing is
//! lost while the connection is down, nothing is sent twice, and a forged notification causes no more than a read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::baseline::Baselines;
use super::canary;
use super::frame::Frame;
use super::heard::Heard;
use super::hub::ListenerState;
use super::lateness::Lateness;
use super::outage::Outage;
use super::pace::Pace;
use super::state::Live;
use super::watched::Audience;
use super::within::within;
use crate::cursor::Cursor;
use crate::order::{OrderEvent, Scope, Summary};
use crate::store::{Batch, Changed, Link, News, Sleeper, StoreError};

/// How often events are read though nothing was heard.
const SAFETY_READ: Duration = Duration::from_secs(3);

/// How often a listener that holds no lock of its own, because another instance sleeps, looks whether the other still does.
const SLEEPER_CHECK: Duration = Duration::from_millis(200);

/// How long a sleeping listener waits between two reads of statistics that it has no other reason for.
const AHEAD_PAUSE: Duration = Duration::from_millis(20);

/// For how long a poll counts as somebody who is there.
const INTEREST: Duration = Duration::from_secs(30);

/// How long one read may take before the connection is given up.
const READ_PATIENCE: Duration = Duration::from_secs(20);

/// A read that has been under way for so long when its connection is given up is not attempted again: while it executes, the
/// session hears no canary.
const SLOW_READ: Duration = Duration::from_secs(4);

/// Waits between attempts to connect: the first, and the longest, each taken at random between half and whole.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Where the listener stands. It outlives the connection: what is committed while that is down is read afterwards.
struct Stand {
    /// Everything up to here was published.
    cursor: Arc<Cursor>,
    /// In the state of the cursor.
    baselines: Baselines,
}

/// Listens for ever.
pub(super) async fn run(live: &Live) {
    let mut stand = None;
    let (mut outage, mut unproved) = (Outage::default(), Outage::default());
    let mut backoff = FIRST_BACKOFF;
    loop {
        let connected_at = Instant::now();
        let Err(error) = listen(live, &mut stand, &mut outage, &mut unproved).await;
        live.meter.set_awake(false);
        if connected_at.elapsed() > LONGEST_BACKOFF {
            backoff = FIRST_BACKOFF;
        }
        if outage.fails(&error.chain()) {
            let remedy = error.remedy();
            tracing::warn!(error = error.chain(), remedy, "the listener can't read; it reconnects until it can");
        }
        live.hub.set_listener_state(ListenerState::Degraded(error.chain()));
        let share = rand::rng().random_range(0.5..1.0);
        sleep(backoff.mul_f64(share)).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
        live.meter.reconnects.inc();
    }
}

enum Never {}

/// One connection's life.
async fn listen(
    live: &Live,
    stand: &mut Option<Stand>,
    outage: &mut Outage,
    unproved: &mut Outage,
) -> Result<Never, StoreError> {
    let heard = Arc::new(Heard::default());
    let link = {
        let (heard, meter) = (Arc::clone(&heard), Arc::clone(&live.meter));
        Link::open(live.store.url(), "listener", move |channel, payload| {
            heard.hear(channel, payload, &meter);
        })
        .await?
    };
    let known = within(READ_PATIENCE, "begin listening within 20 s", begin(live, &link, stand)).await?;
    let may_sleep = !within(READ_PATIENCE, "look at the server within 20 s", link.may_prepare()).await?;
    let risen = Notify::new();
    let now = Instant::now();
    let tail = Tail {
        live,
        heard: &heard,
        risen: &risen,
        outage,
        link,
        stand: known,
        may_sleep,
        asked_at: None,
        pace: Pace::new(now),
    };
    let (ended, is_deaf) = tokio::select! {
        ended = tail.run() => (ended, false),
        deaf = canary::run(live, &heard, &risen, unproved) => (Err(deaf), true),
    };
    if !heard.has_been_reading_for(SLOW_READ) {
        return ended;
    }
    // it would take as long at every attempt, and nobody would get anything
    live.meter.batches_skipped.inc();
    *stand = None;
    if is_deaf {
        // that it hears no canary is no fault of the notifications
        let cause = "it is skipped, and every stream reads its state anew: somebody holds a lock on the orders, or the database is slow";
        return Err(StoreError::TooSlow { attempted: "read a batch", cause: cause.into() });
    }
    ended
}

/// LISTEN is in force before the first cursor is taken, and not in the same transaction: a change that commits between
/// them is notified as well as read; the other way round it could be neither.
async fn begin<'a>(live: &Live, link: &Link, stand: &'a mut Option<Stand>) -> Result<&'a mut Stand, StoreError> {
    link.listen_for_orders().await?;
    let present = link.first_cursor().await?;
    let known = stand.take().filter(|known| known.cursor.epoch == present.epoch);
    if known.is_none() {
        // streams that opened earlier may have read a state older than this cursor
        live.hub.resync(&present);
        live.recency.jumped_to(present.revision());
    }
    Ok(stand.insert(known.unwrap_or_else(|| Stand { cursor: Arc::new(present), baselines: Baselines::default() })))
}

/// One connection, and where the listener stands.
struct Tail<'a> {
    live: &'a Live,
    heard: &'a Heard,
    /// That it rose is to be told to the other instances.
    risen: &'a Notify,
    /// Over once something was read.
    outage: &'a mut Outage,
    link: Link,
    stand: &'a mut Stand,
    /// Not where writers may want to prepare their transactions, which PostgreSQL refuses to those that notify.
    may_sleep: bool,
    /// When a poll last asked for news.
    asked_at: Option<Instant>,
    pace: Pace,
}

impl Tail<'_> {
    /// On a new connection anything can have been missed, and writers possibly do not notify: it begins awake.
    async fn run(mut self) -> Result<Never, StoreError> {
        let meter = &self.live.meter;
        loop {
            meter.set_awake(true);
            self.pace.rose(Instant::now());
            let sleeper = self.stay_awake().await?;
            meter.set_awake(false);
            self.pace.slept(Instant::now());
            self.stay_asleep(sleeper).await?;
        }
    }

    /// Reads again and again, as writers need not notify, until commits are rare and it has fallen asleep.
    async fn stay_awake(&mut self) -> Result<Sleeper, StoreError> {
        let mut next_read = Instant::now();
        let mut was_heard = false;
        loop {
            while self.is_idle() {
                // nobody has a page open: writers stay free of notifying, and only the cursor moves on
                self.jump().await?;
                tokio::select! {
                    () = self.live.hub.opened() => {}
                    () = self.live.recency.asked() => self.asked_at = Some(Instant::now()),
                    () = sleep(SAFETY_READ) => {}
                    lost = lost(&self.link) => return Err(lost),
                }
            }
            self.heard.take();
            let read = self.read().await?;
            let now = Instant::now();
            self.pace.found(read.transactions, std::mem::take(&mut was_heard));
            if self.pace.is_rare(read.transactions, now) && self.may_sleep {
                let sleeper = within(READ_PATIENCE, "fall asleep within 20 s", self.link.try_sleep()).await?;
                if sleeper != Sleeper::Nobody {
                    // once more: now everything that was committed without a notification is visible
                    self.read().await?;
                    return Ok(sleeper);
                }
                self.pace.refused(now);
            }
            next_read = self.pace.next_read(next_read, now);
            tokio::select! {
                () = sleep_until(next_read) => {}
                () = self.live.recency.asked() => self.asked_at = Some(Instant::now()),
                // while another instance sleeps, writers do notify
                () = self.heard.something() => {
                    was_heard = true;
                    sleep_until(next_read.min(now + self.pace.heard_pause())).await;
                }
                lost = lost(&self.link) => return Err(lost),
            }
        }
    }

    /// Reads when it is notified, and now and then in any case. Returns when writers need not notify any more.
    async fn stay_asleep(&mut self, mut sleeper: Sleeper) -> Result<(), StoreError> {
        // put off by nothing: a lease is to be renewed however much is read meanwhile
        let mut next_look = Instant::now() + SAFETY_READ;
        let mut next_check = Instant::now() + SLEEPER_CHECK;
        let mut lateness = Lateness::new(Instant::now());
        let mut has_read_at = Instant::now();
        loop {
            let mut was_heard = false;
            tokio::select! {
                () = self.heard.something() => {
                    was_heard = true;
                    sleep_until(next_look.min(has_read_at + self.pace.heard_pause())).await;
                }
                () = sleep_until(next_look) => {}
                () = sleep_until(next_check), if sleeper == Sleeper::Another => {}
                () = sleep(AHEAD_PAUSE), if self.stand.baselines.wants_any() => {}
                () = self.live.recency.asked() => self.asked_at = Some(Instant::now()),
                lost = lost(&self.link) => return Err(lost),
            }
            let now = Instant::now();
            let news = self.heard.take();
            lateness.hear(&news, now);
            if sleeper == Sleeper::Another && (news.another_rose || now >= next_check) {
                next_check = now + SLEEPER_CHECK;
                sleeper = within(READ_PATIENCE, "look after the sleeper within 20 s", self.link.try_sleep()).await?;
                if news.another_rose || sleeper != Sleeper::Another {
                    // for a moment possibly nobody slept
                    lateness = Lateness::new(now);
                }
            }
            let is_due = now >= next_look;
            if is_due {
                next_look = now + SAFETY_READ;
                if let Sleeper::Ourselves(lease) = sleeper {
                    let renewed = within(READ_PATIENCE, "go on sleeping within 20 s", self.link.renew(lease)).await?;
                    sleeper = renewed.map_or(Sleeper::Nobody, Sleeper::Ourselves);
                    if sleeper == Sleeper::Nobody {
                        // writers did not believe in this sleep any more, and it did not know
                        tracing::warn!("the listener slept longer than its lease; changes may have come late");
                        let read = self.read().await?;
                        lateness.read(read.recorded.into_iter(), now);
                        self.live.meter.events_found_late.inc_by(lateness.unheard());
                    }
                }
            }
            // with nobody to tell, being notified would only cost the writers
            let rises = self.pace.rises(news.notifications, news.is_crowded, now) || is_due && self.is_idle();
            if rises || sleeper == Sleeper::Nobody {
                // another instance may rely on our sleep lock, even if we held it only while trying: let go of all locks, and tell it
                within(READ_PATIENCE, "rise within 20 s", self.link.rise()).await?;
                self.risen.notify_one();
                return Ok(());
            }
            let read = self.read().await?;
            has_read_at = Instant::now();
            self.pace.found(read.transactions, was_heard);
            lateness.read(read.recorded.into_iter(), now);
            self.live.meter.events_found_late.inc_by(lateness.found(now));
        }
    }

    /// Whether there is nobody to tell anything.
    fn is_idle(&self) -> bool {
        self.live.hub.is_empty() && self.asked_at.is_none_or(|at| at.elapsed() > INTEREST)
    }

    /// Goes to the present without looking at what happened.
    async fn jump(&mut self) -> Result<(), StoreError> {
        let present = within(READ_PATIENCE, "read the present within 20 s", self.link.present()).await?;
        // a stream may have opened meanwhile
        self.tell_nothing_up_to(Arc::new(present));
        self.has_read();
        Ok(())
    }

    /// Comes to a state without telling what happened on the way.
    fn tell_nothing_up_to(&mut self, state: Arc<Cursor>) {
        self.stand.baselines.forget_all();
        self.live.hub.resync(&state);
        self.live.recency.jumped_to(state.revision());
        self.stand.cursor = state;
    }

    fn has_read(&mut self) {
        self.heard.has_read();
        if let Some((outage, failures)) = self.outage.is_over() {
            tracing::info!(failures, "the listener is back after {} s", outage.as_secs());
        }
    }

    /// Reads what happened since the cursor and delivers it.
    async fn read(&mut self) -> Result<Read, StoreError> {
        let live = self.live;
        let followed = self.audience();
        let mut read = Read { recorded: Vec::new(), transactions: 0 };
        self.heard.begins_to_read();
        let begun_at = Instant::now();
        let (Batch { cursor, news }, summaries) = match self.read_batch(&followed).await {
            // it would be the same at every attempt, and nobody would get anything
            Err(error) if error.is_of_the_data() || error.is_slowness() => {
                tracing::error!(error = error.chain(), "a batch is skipped; every stream reads its state anew");
                live.meter.batches_skipped.inc();
                self.jump().await?;
                return Ok(read);
            }
            outcome => outcome?,
        };
        self.has_read();
        let cursor = Arc::new(cursor);
        live.meter.batches.inc();
        live.meter.batch_seconds.observe(begun_at.elapsed().as_secs_f64());
        match news {
            News::Everything(why) => {
                tracing::info!(why, "every stream reads its state anew");
                self.tell_nothing_up_to(cursor);
            }
            News::Much(reps) => {
                tracing::debug!(reps = reps.len(), "many changes at once: these reps' streams read their state anew");
                let scopes: Vec<Scope> = reps.into_iter().map(Scope::Rep).chain([Scope::All]).collect();
                scopes.iter().for_each(|scope| self.stand.baselines.forget(*scope));
                self.stand.baselines.learn(summaries);
                self.deliver(cursor, &followed, scopes.into_iter().map(|scope| (scope, None)).collect());
                read.transactions = u32::MAX;
            }
            News::Changed(changed) => {
                read.recorded = changed.events.iter().map(|event| event.xid).collect();
                let xids: HashSet<&u64> = read.recorded.iter().collect();
                // of those that were left out it is not known whether they were of one transaction
                read.transactions = u32::try_from(xids.len() as u64 + changed.left_out).unwrap_or(u32::MAX);
                live.meter.events.inc_by(read.recorded.len() as u64);
                live.meter.batch_events.observe(read.recorded.len() as f64);
                live.meter.events_unreadable.inc_by(changed.unreadable.len() as u64);
                if changed.has_unrecorded {
                    self.stand.baselines.forget_all();
                    live.hub.met_unrecorded();
                }
                let frames = self.frames(&changed, &followed, &cursor, summaries);
                self.deliver(cursor, &followed, frames);
            }
        }
        Ok(read)
    }

    /// What happened since the cursor, with the statistics that don't follow from the baselines.
    async fn read_batch(&mut self, followed: &Audience) -> Result<(Batch, HashMap<Scope, Summary>), StoreError> {
        let attempted = "read the events within 20 s";
        let live = self.live;
        let ahead = live.hub.open_among(self.stand.baselines.next_wanted(followed));
        let Stand { cursor, baselines } = &*self.stand;
        let unknown = |batch: &Batch| {
            let News::Changed(changed) = &batch.news else { return HashSet::new() };
            let is_unknown = |scope: &Scope| followed.has(*scope) && !baselines.has(*scope);
            live.hub.open_among(changed.scopes().filter(is_unknown))
        };
        if ahead.is_empty() {
            let batch = within(READ_PATIENCE, attempted, self.link.read_batch(cursor, followed.reps())).await?;
            if unknown(&batch).is_empty() {
                return Ok((batch, HashMap::new()));
            }
        }
        // if need be again, together with the statistics: they must be of one snapshot
        let wanted = |batch: &Batch| &unknown(batch) | &ahead;
        let read = self.link.read_batch_and_statistics(cursor, followed.reps(), wanted);
        match within(READ_PATIENCE, attempted, read).await {
            // those that can't be read keep nobody else from being told what happened
            Err(error) if error.is_of_the_data() => {
                let read = self.link.read_batch_and_readable_statistics(cursor, followed.reps(), wanted);
                within(READ_PATIENCE, attempted, read).await
            }
            outcome => outcome,
        }
    }

    /// Whose events the next read is to tell.
    fn audience(&mut self) -> Audience {
        let live = self.live;
        // both are asked in any case, as from now on they count as looked after
        let polling = live.recency.begin_read(self.stand.cursor.revision(), Audience::MOST);
        let (open, newcomers) = live.hub.begin_read();
        let followed = Audience::both(open, polling);
        self.stand.baselines.want(newcomers);
        self.stand.baselines.keep_only(&followed);
        self.stand.baselines.tidy(live.hub.open_scopes(), |scopes| live.hub.open_among(scopes));
        followed
    }

    /// The frame of each scope that something happened to: none where nobody has a stream, something of it could not be
    /// read, or its statistics are not known, as the first stream was opened during the read.
    fn frames(
        &mut self,
        changed: &Changed,
        followed: &Audience,
        cursor: &Arc<Cursor>,
        mut summaries: HashMap<Scope, Summary>,
    ) -> HashMap<Scope, Option<Arc<Frame>>> {
        let mut by_scope = changed.by_scope();
        by_scope.retain(|scope, _| followed.has(*scope));
        let open = self.live.hub.open_among(by_scope.keys().copied());
        let unreadable: HashSet<Scope> = changed.scopes_of_unreadable().filter(|scope| followed.has(*scope)).collect();
        unreadable.iter().for_each(|scope| _ = by_scope.entry(*scope).or_default());
        let mut frame = |scope: Scope, events: &[&OrderEvent]| {
            if !open.contains(&scope) || unreadable.contains(&scope) {
                self.stand.baselines.forget(scope);
                return None;
            }
            let summary = self.stand.baselines.advance(scope, events, summaries.remove(&scope))?;
            Some(Arc::new(Frame::patch(scope, summary, events, changed, cursor, self.live.zone)))
        };
        let frames = by_scope.into_iter().map(|(scope, events)| (scope, frame(scope, &events))).collect();
        // those that were read ahead
        self.stand.baselines.learn(summaries);
        frames
    }

    /// Hands out what was read up to a state, which is the next cursor.
    fn deliver(&mut self, state: Arc<Cursor>, followed: &Audience, concerned: HashMap<Scope, Option<Arc<Frame>>>) {
        let scopes: Vec<Scope> = concerned.keys().copied().collect();
        self.live.hub.deliver(&state, followed.reps().is_none(), concerned);
        self.live.recency.saw(scopes.into_iter(), state.revision());
        self.stand.cursor = state;
    }
}

/// What one read found.
struct Read {
    /// The transaction of each event.
    recorded: Vec<u64>,
    /// How many there were, those included whose events concern nobody here.
    transactions: u32,
}

async fn lost(link: &Link) -> StoreError {
    link.closed().await;
    StoreError::Unavailable { attempted: "go on listening", cause: "the server closed the connection".into() }
}
