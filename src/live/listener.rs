//! The listener: hears that something changed, reads what, and publishes it.
//!
//! A notification is only a hint. What to send is read from the events since the listener's cursor, so that nothing is
//! lost while the connection is down, nothing is sent twice, and a forged notification causes no more than a read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::heard::{Heard, Hearsay, Hint};
use super::hub::ListenerState;
use super::pace::{Pace, SHORTEST_PAUSE};
use super::{Frame, Live};
use crate::cursor::Cursor;
use crate::order::{RepId, Scope, Summary};
use crate::store::{Batch, Changed, Link, News, Sleeper, StoreError};

/// How often events are read though nothing was heard.
const SAFETY_READ: Duration = Duration::from_secs(3);

/// How long after a safety read that found something its notification may still come.
const LATEST_NOTIFICATION: Duration = Duration::from_secs(1);

/// How often a listener that another instance's sleep lets sleep looks whether that one is still there.
const SLEEPER_CHECK: Duration = Duration::from_millis(200);

/// For how long a poll counts as somebody who is there.
const INTEREST: Duration = Duration::from_secs(30);

/// How often the canary is sent, and how long it may take to come back. A hung backend looks like a quiet one to TCP.
const CANARY_INTERVAL: Duration = Duration::from_secs(5);
const CANARY_PATIENCE: Duration = Duration::from_secs(4);

/// How often the notification queue is looked at, which also cures it.
const QUEUE_CHECK: Duration = Duration::from_secs(10);

/// From this usage of the notification queue on, triggers don't notify: see `live.notify()` in `sql/`.
const UNNOTIFIED_FROM: f64 = 0.5;

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
        live.meter.listener_awake.store(false, Relaxed);
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
            meter.notifications.fetch_add(1, Relaxed);
            heard.hear(channel, payload);
        })
        .await?
    };
    let cursor = in_time("begin listening within 20 s", begin(live, &link, cursor)).await?;
    let tail = Tail { live, heard: &heard, link, cursor, asked_at: None, peeks: false };
    tokio::select! {
        ended = tail.follow() => ended,
        dead = prove_by_canary(live, &heard) => dead,
        never = watch_queue(live) => never,
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
    link: Link,
    cursor: &'a mut Arc<Cursor>,
    /// When a poll last asked for news.
    asked_at: Option<Instant>,
    /// Whether the next read looks first whether there is anything, as the last one was in vain. A listener that was
    /// notified reads at once.
    peeks: bool,
}

impl Tail<'_> {
    /// A link that was just opened may have missed anything, and nobody may have been asked to notify it: it begins awake.
    async fn follow(mut self) -> Result<Never, StoreError> {
        let gauge = &self.live.meter.listener_awake;
        loop {
            gauge.store(true, Relaxed);
            let sleeper = self.stay_awake().await?;
            gauge.store(false, Relaxed);
            self.stay_asleep(sleeper).await?;
        }
    }

    /// Reads again and again, as writers need not notify, until commits are rare and it has fallen asleep.
    async fn stay_awake(&mut self) -> Result<Sleeper, StoreError> {
        let mut pace = Pace::new(Instant::now());
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
            if pace.is_rare(read.transactions, now) {
                let sleeper = in_time("fall asleep within 20 s", self.link.try_sleep()).await?;
                if sleeper != Sleeper::Nobody {
                    // once more: now everything that was committed without a notification is visible
                    self.read().await?;
                    return Ok(sleeper);
                }
            }
            next_read = pace.next_read(next_read, now);
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
        let mut pace = Pace::new(Instant::now());
        let mut next_read = Instant::now() + SAFETY_READ;
        let mut next_check = Instant::now() + SLEEPER_CHECK;
        // heard of, and left for the next read, as it concerned nobody here then
        let mut skipped = false;
        let mut suspects = Suspects::default();
        loop {
            let mut is_wanted = false;
            tokio::select! {
                () = self.heard.something() => {}
                () = sleep_until(next_read) => {}
                () = sleep_until(next_check), if sleeper == Sleeper::Another => {}
                // what was skipped must not come to a stream that opens later, together with what is new to it
                () = self.live.hub.opened(), if skipped => is_wanted = true,
                () = self.live.recency.asked() => {
                    self.asked_at = Some(Instant::now());
                    is_wanted = true;
                }
                lost = lost(&self.link) => return Err(lost),
            }
            let now = Instant::now();
            let news = self.heard.take();
            if sleeper == Sleeper::Another && (news.another_rose || now >= next_check) {
                next_check = now + SLEEPER_CHECK;
                match in_time("look after the sleeper within 20 s", self.link.try_sleep()).await? {
                    Sleeper::Nobody => return Ok(()),
                    ours_or_anothers => sleeper = ours_or_anothers,
                }
                // in between nobody may have slept, and what was committed then was not notified
                is_wanted = true;
            }
            let is_due = now >= next_read;
            if pace.is_frequent(news.notifications, now) || is_due && self.is_idle() {
                if sleeper == Sleeper::Ourselves {
                    in_time("rise within 20 s", self.link.rise()).await?;
                }
                return Ok(());
            }
            let concerns_somebody = match &news.hint {
                Hint::Nobody => false,
                Hint::Everybody => true,
                Hint::Reps(reps) => {
                    self.live.hub.is_open(Scope::All) || reps.iter().any(|rep| self.live.hub.is_open(Scope::Rep(*rep)))
                }
            };
            skipped |= news.notifications > 0;
            suspects.explained_by(&news);
            if concerns_somebody || is_wanted || is_due {
                self.peeks = false;
                let read = self.read().await?;
                if is_due && !skipped && !is_wanted {
                    suspects.add(read.events, now);
                }
                skipped = false;
                next_read = now + SAFETY_READ;
            }
            self.live.meter.events_found_late.fetch_add(suspects.convicted(now), Relaxed);
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
        let mut peeked = None;
        if let Some(reps) = reps.filter(|_| self.peeks) {
            peeked = in_time(attempted, self.link.peek(self.cursor, reps)).await?;
        }
        let mut batch = match peeked {
            Some(batch) => batch,
            None => in_time(attempted, self.link.read_batch(self.cursor, reps)).await?,
        };
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
        let mut read = Read { events: 0, transactions: 0 };
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
                read.events = changed.events.len() as u64;
                let xids: HashSet<u64> = changed.events.iter().map(|event| event.xid).collect();
                // of those that were left out it is not known whether they were of one transaction
                read.transactions = u32::try_from(xids.len() as u64 + changed.left_out).unwrap_or(u32::MAX);
                self.publish(&changed, &followed, &cursor, summaries);
            }
        }
        self.peeks = read.events == 0;
        live.meter.batches.fetch_add(1, Relaxed);
        live.meter.events.fetch_add(read.events, Relaxed);
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
    events: u64,
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

/// Events that a safety read found. Their notification may be on its way; if it does not come, it was lost.
#[derive(Default)]
struct Suspects(Option<(Instant, u64)>);

impl Suspects {
    fn add(&mut self, events: u64, now: Instant) {
        if events > 0 {
            self.0 = Some((now, events));
        }
    }

    fn explained_by(&mut self, news: &Hearsay) {
        if news.notifications > 0 {
            self.0 = None;
        }
    }

    /// How many were found for which no notification came in time.
    fn convicted(&mut self, now: Instant) -> u64 {
        self.0.take_if(|(found, _)| now.duration_since(*found) > LATEST_NOTIFICATION).map_or(0, |(_, events)| events)
    }
}

/// Sends a canary through the pool and expects it on the listener's connection, for ever. Only a canary that came back
/// makes the listener live.
async fn prove_by_canary(live: &Live, heard: &Heard) -> Result<Never, StoreError> {
    loop {
        let nonce = format!("{:032x}", rand::rng().random::<u128>());
        let comes_back = heard.expect_canary(&nonce);
        let sent = timeout(CANARY_PATIENCE, live.store.send_canary(&nonce)).await;
        let Ok(Ok(queue_usage)) = sent else {
            // the pool's trouble, not necessarily the listener's: it still reads on its own
            live.hub.set_listener_state(ListenerState::Degraded("the canary could not be sent".to_owned()));
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        if timeout(CANARY_PATIENCE, comes_back).await.is_err() {
            return Err(StoreError::Unavailable {
                attempted: "hear the canary within 4 s",
                cause: "notifications do not arrive: a hung connection, or a transaction pooler in the URL".into(),
            });
        }
        live.hub.set_listener_state(if queue_usage < UNNOTIFIED_FROM {
            ListenerState::Live
        } else {
            ListenerState::Degraded("the notification queue is half full: changes are found every 3 s".to_owned())
        });
        sleep(CANARY_INTERVAL).await;
    }
}

async fn watch_queue(live: &Live) -> Result<Never, StoreError> {
    loop {
        match live.store.notification_queue_usage().await {
            Ok(usage) => {
                live.meter.queue_usage_ppm.store((usage * 1e6) as u64, Relaxed);
                if usage > 0.5 {
                    tracing::error!(
                        usage,
                        "the notification queue is filling: a listening session is stuck in a transaction"
                    );
                }
            }
            Err(error) => tracing::debug!(error = error.chain(), "could not look at the notification queue"),
        }
        sleep(QUEUE_CHECK).await;
    }
}
