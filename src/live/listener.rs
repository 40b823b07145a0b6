//! The listener: hears that something changed, reads what, and publishes it.
//!
//! A notification is only a hint. What to send is read from the events since the listener's cursor, so that nothing is
//! lost while the connection is down, nothing is sent twice, and a forged notification causes no more than a read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::Rng;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::heard::Heard;
use super::hub::ListenerState;
use super::lateness::Lateness;
use super::pace::{Pace, SHORTEST_PAUSE};
use super::{Frame, Live, canary};
use crate::cursor::Cursor;
use crate::order::{RepId, Scope, Summary};
use crate::store::{Batch, Changed, Link, News, Sleeper, StoreError};

/// How often events are read though nothing was heard.
const SAFETY_READ: Duration = Duration::from_secs(3);

/// How often a listener that another instance's sleep lets sleep looks whether that one is still there.
const SLEEPER_CHECK: Duration = Duration::from_millis(200);

/// For how long a poll counts as somebody who is there.
const INTEREST: Duration = Duration::from_secs(30);

/// While at most so many reps have streams or poll, and nobody follows all orders, others' events are not read. Naming more
/// costs as much as it saves.
const MOST_FOLLOWED: usize = 500;

/// How long one read may take before the connection is given up.
const READ_PATIENCE: Duration = Duration::from_secs(20);

/// Waits between attempts to connect: the first, and the longest, each taken at random between half and whole.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Listens for ever. The cursor outlives the connection: what is committed while it is down is read afterwards.
pub(super) async fn run(live: &Live) {
    let mut cursor = None;
    let mut backoff = FIRST_BACKOFF;
    loop {
        let connected_at = Instant::now();
        let Err(error) = listen(live, &mut cursor).await;
        live.meter.set_awake(false);
        if connected_at.elapsed() > LONGEST_BACKOFF {
            backoff = FIRST_BACKOFF;
        }
        tracing::warn!(error = error.chain(), "the listener lost the database; reconnecting");
        live.hub.set_listener_state(ListenerState::Degraded(error.chain()));
        let share = rand::rng().random_range(0.5..1.0);
        sleep(backoff.mul_f64(share)).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
        live.meter.reconnects.fetch_add(1, Relaxed);
    }
}

enum Never {}

/// One connection's life.
async fn listen(live: &Live, cursor: &mut Option<Arc<Cursor>>) -> Result<Never, StoreError> {
    let heard = Arc::new(Heard::default());
    let link = {
        let (heard, meter) = (Arc::clone(&heard), Arc::clone(&live.meter));
        Link::open(live.store.url(), "listener", move |channel, payload| {
            if heard.hear(channel, payload) {
                meter.notifications.fetch_add(1, Relaxed);
            }
        })
        .await?
    };
    let cursor = in_time("begin listening within 20 s", begin(live, &link, cursor)).await?;
    let may_sleep = !in_time("look at the server within 20 s", link.may_prepare()).await?;
    let risen = Notify::new();
    let now = Instant::now();
    let tail =
        Tail { live, heard: &heard, risen: &risen, link, cursor, may_sleep, asked_at: None, pace: Pace::new(now) };
    tokio::select! {
        ended = tail.follow() => ended,
        deaf = canary::run(live, &heard, &risen) => Err(deaf),
    }
}

async fn in_time<T>(
    attempted: &'static str,
    attempt: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |elapsed: tokio::time::error::Elapsed| StoreError::Unavailable { attempted, cause: elapsed.into() };
    timeout(READ_PATIENCE, attempt).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

/// LISTEN is in force before the first cursor is taken, and not in the same transaction: a change that commits between
/// them is notified as well as read; the other way round it could be neither.
async fn begin<'a>(
    live: &Live,
    link: &Link,
    cursor: &'a mut Option<Arc<Cursor>>,
) -> Result<&'a mut Arc<Cursor>, StoreError> {
    link.listen_for_orders().await?;
    let present = link.first_cursor().await?;
    let known = cursor.take().filter(|known| known.epoch == present.epoch);
    if known.is_none() {
        // streams that opened before the first cursor was taken may lie behind it
        live.hub.resync(&present, |_| true);
        live.recency.jumped_to(present.revision());
    }
    Ok(cursor.insert(known.unwrap_or_else(|| Arc::new(present))))
}

/// One connection, and up to where it has published.
struct Tail<'a> {
    live: &'a Live,
    heard: &'a Heard,
    /// That it rose is to be told to the other instances.
    risen: &'a Notify,
    link: Link,
    cursor: &'a mut Arc<Cursor>,
    /// Not where writers may want to prepare their transactions, which PostgreSQL refuses to those that notify.
    may_sleep: bool,
    /// When a poll last asked for news.
    asked_at: Option<Instant>,
    pace: Pace,
}

impl Tail<'_> {
    /// A link that was just opened may have missed anything, and nobody may have been asked to notify it: it begins awake.
    async fn follow(mut self) -> Result<Never, StoreError> {
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
        loop {
            while self.is_idle() {
                // nobody is there: the writers are left alone, and no more is read than where we are
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
            if self.pace.is_rare(read.transactions, now) && self.may_sleep {
                let sleeper = in_time("fall asleep within 20 s", self.link.try_sleep()).await?;
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
                () = self.heard.something() => sleep_until(next_read.min(now + SHORTEST_PAUSE)).await,
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
        loop {
            tokio::select! {
                () = self.heard.something() => {}
                () = sleep_until(next_look) => {}
                () = sleep_until(next_check), if sleeper == Sleeper::Another => {}
                () = self.live.recency.asked() => self.asked_at = Some(Instant::now()),
                lost = lost(&self.link) => return Err(lost),
            }
            let now = Instant::now();
            let news = self.heard.take();
            lateness.hear(&news, now);
            if sleeper == Sleeper::Another && (news.another_rose || now >= next_check) {
                next_check = now + SLEEPER_CHECK;
                sleeper = in_time("look after the sleeper within 20 s", self.link.try_sleep()).await?;
                if news.another_rose || sleeper != Sleeper::Another {
                    // in between nobody may have slept
                    lateness = Lateness::new(now);
                }
            }
            let is_due = now >= next_look;
            if is_due {
                next_look = now + SAFETY_READ;
                if let Sleeper::Ourselves(lease) = sleeper {
                    let renewed = in_time("go on sleeping within 20 s", self.link.renew(lease)).await?;
                    sleeper = renewed.map_or(Sleeper::Nobody, Sleeper::Ourselves);
                    if sleeper == Sleeper::Nobody {
                        // writers did not believe in this sleep any more, and it did not know
                        tracing::warn!("the listener slept longer than its lease; changes may have come late");
                        let read = self.read().await?;
                        lateness.read(read.recorded.into_iter(), now);
                        self.live.meter.events_found_late.fetch_add(lateness.unheard(), Relaxed);
                    }
                }
            }
            let rises = self.pace.rises(news.notifications, news.is_crowded, now) || is_due && self.is_idle();
            if rises || sleeper == Sleeper::Nobody {
                // others may sleep along, whether this one held the lock until now or only the time to try
                in_time("rise within 20 s", self.link.rise()).await?;
                self.risen.notify_one();
                return Ok(());
            }
            let read = self.read().await?;
            lateness.read(read.recorded.into_iter(), now);
            self.live.meter.events_found_late.fetch_add(lateness.found(now), Relaxed);
        }
    }

    /// Whether there is nobody to tell anything.
    fn is_idle(&self) -> bool {
        self.live.hub.is_empty() && self.asked_at.is_none_or(|at| at.elapsed() > INTEREST)
    }

    /// Goes to the present without looking at what happened.
    async fn jump(&mut self) -> Result<(), StoreError> {
        let present = in_time("read the present within 20 s", self.link.present()).await?;
        // a stream may have opened meanwhile
        self.live.hub.resync(&present, |_| true);
        self.live.recency.jumped_to(present.revision());
        *self.cursor = Arc::new(present);
        Ok(())
    }

    /// Reads what happened since the cursor and publishes it.
    async fn read(&mut self) -> Result<Read, StoreError> {
        let live = self.live;
        let attempted = "read the events within 20 s";
        let followed = self.audience();
        let reps = followed.reps();
        let mut batch = in_time(attempted, self.link.read_batch(self.cursor, reps)).await?;
        let mut summaries = HashMap::new();
        if !unknown(live, &batch, &followed).is_empty() {
            // read together with the statistics that don't follow from what is known
            let wanted = |batch: &Batch| unknown(live, batch, &followed);
            let reading = self.link.read_batch_and_statistics(self.cursor, reps, wanted);
            (batch, summaries) = in_time(attempted, reading).await?;
        }
        let Batch { cursor, news } = batch;
        let cursor = Arc::new(cursor);
        if reps.is_some() {
            // whoever came meanwhile may have begun with an older state, of which this batch tells no news
            live.hub.resync_newcomers(&cursor);
        }
        let mut read = Read { recorded: Vec::new(), transactions: 0 };
        match news {
            News::Everything(why) => {
                tracing::info!(why, "every stream reads its state anew");
                live.hub.resync(&cursor, |_| true);
                live.recency.jumped_to(cursor.revision());
            }
            News::Much(reps) => {
                tracing::debug!(reps = reps.len(), "many changes at once: these reps' streams read their state anew");
                let is_concerned = |scope: Scope| scope.rep().is_none_or(|rep| reps.contains(&rep));
                live.hub.resync(&cursor, is_concerned);
                let scopes = reps.iter().map(|rep| Scope::Rep(*rep)).chain([Scope::All]);
                live.recency.saw(scopes, cursor.revision());
                read.transactions = u32::MAX;
            }
            News::Changed(changed) => {
                read.recorded = changed.events.iter().map(|event| event.xid).collect();
                let xids: HashSet<&u64> = read.recorded.iter().collect();
                // of those that were left out it is not known whether they were of one transaction
                read.transactions = u32::try_from(xids.len() as u64 + changed.left_out).unwrap_or(u32::MAX);
                self.publish(&changed, &followed, &cursor, summaries);
            }
        }
        live.meter.batches.fetch_add(1, Relaxed);
        live.meter.events.fetch_add(read.recorded.len() as u64, Relaxed);
        *self.cursor = cursor;
        Ok(read)
    }

    /// Whose events the next read is to tell.
    fn audience(&self) -> Followed {
        // both are asked in any case, as from now on they count as looked at
        let polling = self.live.recency.follow(self.cursor.revision(), MOST_FOLLOWED);
        let open = self.live.hub.follow(MOST_FOLLOWED);
        let both = open.zip(polling).map(|(open, polling)| [open, polling].concat());
        Followed(both.filter(|reps| reps.len() <= MOST_FOLLOWED).map(|mut reps| {
            reps.sort_unstable();
            reps
        }))
    }

    fn publish(
        &self,
        changed: &Changed,
        followed: &Followed,
        cursor: &Arc<Cursor>,
        summaries: HashMap<Scope, Summary>,
    ) {
        let mut by_scope = changed.by_scope();
        by_scope.retain(|scope, _| followed.has(*scope));
        for (scope, summary) in self.live.hub.advance(&by_scope, cursor, summaries) {
            let events = by_scope.get(&scope).map(Vec::as_slice).unwrap_or_default();
            let patch = Frame::patch(scope, &summary, events, &changed.rows, cursor, self.live.zone);
            self.live.hub.publish(scope, &Arc::new(patch));
        }
        self.live.recency.saw(by_scope.into_keys(), cursor.revision());
    }
}

/// Of whom a read tells: of these reps, in order, or of everybody.
struct Followed(Option<Vec<RepId>>);

impl Followed {
    fn reps(&self) -> Option<&[RepId]> {
        self.0.as_deref()
    }

    fn has(&self, scope: Scope) -> bool {
        self.reps().is_none_or(|reps| scope.rep().is_some_and(|rep| reps.binary_search(&rep).is_ok()))
    }
}

/// What one read found.
struct Read {
    /// The transaction of each event.
    recorded: Vec<u64>,
    /// How many there were, those included whose events concern nobody here.
    transactions: u32,
}

/// The scopes that have streams but whose statistics must be read.
fn unknown(live: &Live, batch: &Batch, followed: &Followed) -> HashSet<Scope> {
    match &batch.news {
        News::Changed(changed) => {
            live.hub.unknown(changed.scopes().filter(|scope| followed.has(*scope)), &batch.cursor)
        }
        News::Much(_) | News::Everything(_) => HashSet::new(),
    }
}

async fn lost(link: &Link) -> StoreError {
    link.closed().await;
    StoreError::Unavailable { attempted: "go on listening", cause: "the server closed the connection".into() }
}
