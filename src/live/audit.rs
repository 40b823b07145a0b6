//! Proof of exactness while it runs: a stream of the audit's own, opened as a page's is and beside one, is applied as a page
//! applies it. Now and then figures and rows are read from the database in one snapshot, and compared with what the stream held at that
//! very snapshot. It is no time at which both are looked at: the listener may be before it or past it.
//!
//! The stream's state at a snapshot is that of its frames whose transactions the snapshot has. Of those that it was told before the
//! listener came to the snapshot all are such, and of later ones none, but for one that may lead past it: either it has all of that
//! one's transactions, or none, or the audit looks again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, interval_at, sleep};

use super::frame::Frame;
use super::hub::Hub;
use super::outage::Outage;
use super::state::Live;
use super::stream::{EventStream, Outgoing};
use super::subscriber::Subscriber;
use crate::cursor::Revision;
use crate::order::{OrderId, Summary};
use crate::store::{Held, Listed, Sight, Store, StoreError};

/// How often one stream is compared, spread over the time for which it is kept.
const LOOKS: u32 = 4;

/// How long the listener may take to come to a state that was read. Asleep it looks every few seconds.
const ARRIVAL_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked again where a frame leads past what was read.
const ATTEMPTS: u32 = 5;

/// How many orders are known at most, of more than which are told the older half is forgotten: fewer than one look reads.
const KNOWN: usize = 800;

/// How many differences are named in the log.
const NAMED: usize = 8;

/// What that did not mend is tried again after so long.
const MENDED_FOR: Duration = Duration::from_secs(600);

/// How soon everything is built anew again at the earliest.
const MENDING_PAUSE: Duration = Duration::from_secs(60);

/// What tells of an order's rep by name. The name is read with the order, and nothing tells that somebody was renamed.
const REP_NAME: &str = "sales_rep";

/// Audits for ever: keeps a stream for a while, and then another.
pub(super) async fn run(live: &Arc<Live>, every: Duration) {
    if every.is_zero() {
        return std::future::pending().await;
    }
    let mut outage = Outage::default();
    let mut mended = Mended::default();
    loop {
        let pause = every / LOOKS;
        match live.hub.any_subscriber() {
            None => sleep(pause).await,
            Some(beside) => match audit(live, beside, pause, &mut mended).await {
                Ok(()) => {
                    if let Some((time, failures)) = outage.is_over() {
                        tracing::info!(failures, "streams are audited again after {} s", time.as_secs());
                    }
                    // it may have ended as soon as it began
                    sleep(pause.min(Duration::from_secs(1))).await;
                }
                Err(error) => {
                    if outage.fails_beside(&live.hub, &error) {
                        let (remedy, error) = (error.remedy(), error.chain());
                        tracing::warn!(error, remedy, "could not audit a stream; it is tried again");
                    }
                    sleep(pause).await;
                }
            },
        }
    }
}

/// Keeps a stream beside somebody's and compares it now and then, until it has been compared as often as it should, ends, or begins anew.
async fn audit(live: &Arc<Live>, beside: Subscriber, pause: Duration, mended: &mut Mended) -> Result<(), StoreError> {
    let Some(sight) = beside.sight else { return Ok(()) };
    let Some(stream) = live.open_audit(sight, beside).await? else { return Ok(()) };
    let Some(mut audit) = Audit::begin(live, sight, stream).await? else { return Ok(()) };
    let mut looks = interval_at(Instant::now() + pause, pause);
    for _ in 0..LOOKS {
        loop {
            tokio::select! {
                _ = looks.tick() => break,
                told = next(&mut audit.stream) => if !audit.takes(told) { return Ok(()) },
            }
            audit.applies_all();
        }
        let differences = match audit.looks().await? {
            Look::Compared(differences) => differences,
            Look::Unclear => continue,
            Look::Over => return Ok(()),
        };
        live.meter.audited_states.inc();
        let subject = sight.scope().to_string();
        if differences.is_empty() {
            mended.is_well(&subject);
            continue;
        }
        live.meter.audit_differences.inc_by(differences.len() as u64);
        let consequence = mended.finds(subject, &differences);
        if let Some(remedy) = consequence.remedy() {
            audit.tells_of(&differences, &remedy);
        }
        if consequence == Consequence::Mends {
            drop(audit);
            return mended.mend(&live.store, &live.hub).await;
        }
    }
    Ok(())
}

/// What was found to differ, and not to be well since.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// When everything was built anew for the last time, and for how long it is not again.
    at: Option<Instant>,
    pause: Duration,
    differed: HashMap<String, Differed>,
}

#[derive(Debug)]
struct Differed {
    found_at: Instant,
    what: Vec<String>,
    /// Whether everything was built anew for it. Else that is still to come.
    is_mended: bool,
    /// Whether it was said that this did not mend it.
    is_told: bool,
}

/// What comes of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Everything is built anew.
    Mends,
    /// The same, if it is found again after so long: it was done a moment ago.
    Later(Duration),
    /// That did not mend it.
    InVain,
    /// All was said before.
    Known,
}

impl Consequence {
    /// What is to be done by people, where it is to be told.
    pub(super) fn remedy(self) -> Option<String> {
        match self {
            Self::Mends => Some("none is needed: everything is read anew, by itself; but report it".to_owned()),
            Self::Later(pause) => Some(format!(
                "none is needed: if it is still so, everything is read anew by itself, in {} s at the earliest, as it was a moment \
                 ago; but report it",
                pause.as_secs()
            )),
            Self::InVain => {
                Some("building everything anew did not mend it: run oncare-live doctor, and report it".to_owned())
            }
            Self::Known => None,
        }
    }
}

impl Mended {
    /// This of a scope or rep is as it should be.
    pub(super) fn is_well(&mut self, subject: &str) {
        self.differed.remove(subject);
    }

    /// This of a scope or rep differs. What differs as it did before everything was built anew, that does not mend.
    pub(super) fn finds(&mut self, subject: String, what: &[String]) -> Consequence {
        let now = Instant::now();
        let before = self.differed.get_mut(&subject);
        let before = before.filter(|before| before.what == what && now.duration_since(before.found_at) <= MENDED_FOR);
        let is_known = before.is_some();
        if let Some(before) = before
            && before.is_mended
        {
            let is_told = std::mem::replace(&mut before.is_told, true);
            return if is_told { Consequence::Known } else { Consequence::InVain };
        }
        let pause = self.at.map_or(Duration::ZERO, |at| self.pause.saturating_sub(now.duration_since(at)));
        let is_mended = pause.is_zero();
        self.differed.insert(subject, Differed { found_at: now, what: what.to_vec(), is_mended, is_told: false });
        match (is_mended, is_known) {
            (true, _) => Consequence::Mends,
            (false, false) => Consequence::Later(pause),
            (false, true) => Consequence::Known,
        }
    }

    /// Has statistics built anew from the orders. It begins another epoch, in which every stream and page reads its state anew: what
    /// that does not mend for good is therefore tried more and more seldom.
    pub(super) async fn mend(&mut self, store: &Store, hub: &Hub) -> Result<(), StoreError> {
        if let Err(error) = store.rebuild_statistics().await {
            self.differed.clear();
            return Err(error);
        }
        hub.wake_listener();
        self.has_mended();
        tracing::info!(
            "the statistics were built anew, and every stream reads its state anew, as an audit found differences"
        );
        Ok(())
    }

    fn has_mended(&mut self) {
        let now = Instant::now();
        let is_soon = self.at.is_some_and(|at| now.duration_since(at) <= 2 * MENDED_FOR);
        self.pause = if is_soon { (2 * self.pause).min(MENDED_FOR) } else { MENDING_PAUSE };
        self.at = Some(now);
    }
}

/// What came of a look.
enum Look {
    /// Both were compared: where they differ.
    Compared(Vec<String>),
    /// Nothing can be said this time.
    Unclear,
    /// The stream ended or read its state anew.
    Over,
}

struct Audit<'a> {
    live: &'a Live,
    sight: Sight,
    stream: EventStream,
    /// What the stream told that was not applied yet.
    untold: Vec<Arc<Frame>>,
    mirror: Mirror,
}

/// The next thing that a stream tells.
fn next(stream: &mut EventStream) -> impl Future<Output = Option<Outgoing>> + use<'_> {
    poll_fn(|cx| stream.poll_next(cx))
}

impl<'a> Audit<'a> {
    /// Takes the stream's first state, and the rows as a page reads them after it. None where it is over before that.
    async fn begin(live: &'a Live, sight: Sight, mut stream: EventStream) -> Result<Option<Self>, StoreError> {
        let first = next(&mut stream).await.filter(|told| told.frame.is_none());
        let Some(state) = first.and_then(|first| event(&first.bytes, "sync")) else { return Ok(None) };
        let mut untold = Vec::new();
        let mut reading = pin!(live.store.newest_held(sight));
        let held = loop {
            let told = tokio::select! {
                biased;
                held = &mut reading => break held?,
                told = next(&mut stream) => told,
            };
            match told {
                Some(Outgoing { bytes, frame }) if frame.is_some() || event(&bytes, "sync").is_none() => {
                    untold.extend(frame);
                }
                _ => return Ok(None),
            }
        };
        let mirror = Mirror::new(&state, &held, live.zone);
        let mut audit = Self { live, sight, stream, untold, mirror };
        audit.applies_all();
        Ok(Some(audit))
    }

    /// Keeps what the stream told. `false` where it ended, or told its state anew: then the rows are others as well.
    fn takes(&mut self, told: Option<Outgoing>) -> bool {
        let Some(Outgoing { bytes, frame }) = told else { return false };
        let is_state = frame.is_none() && event(&bytes, "sync").is_some();
        self.untold.extend(frame);
        !is_state
    }

    fn applies_all(&mut self) {
        std::mem::take(&mut self.untold).iter().for_each(|frame| self.mirror.apply(frame));
        self.mirror.forgets();
    }

    /// Reads what the database holds, and compares it with what the stream held then.
    async fn looks(&mut self) -> Result<Look, StoreError> {
        for _ in 0..ATTEMPTS {
            self.mirror.forgets();
            let known = self.mirror.known();
            let held = {
                let live = self.live;
                let reading = async {
                    let held = live.store.held_of(self.sight, &known, self.mirror.newest).await?;
                    let is_there = live.recency.has_come_to(held.cursor.revision(), ARRIVAL_PATIENCE).await;
                    Ok::<_, StoreError>((held, is_there))
                };
                let mut reading = pin!(reading);
                // what comes meanwhile is kept: the mailbox is small, and it may be newer than what is read
                loop {
                    let told = tokio::select! {
                        biased;
                        held = &mut reading => break held?,
                        told = next(&mut self.stream) => told,
                    };
                    let Some(Outgoing { bytes, frame }) = told else { return Ok(Look::Over) };
                    if frame.is_none() && event(&bytes, "sync").is_some() {
                        return Ok(Look::Over);
                    }
                    self.untold.extend(frame);
                }
            };
            let (held, is_there) = held;
            // all that the listener delivered until it was there
            while let Some(told) = next(&mut self.stream).now_or_never() {
                if !self.takes(told) {
                    return Ok(Look::Over);
                }
            }
            if self.stream.is_behind() {
                // its page is not told that it is live until it has read its state anew
                return Ok(Look::Over);
            }
            if !is_there || held.has_more || !self.live.hub.records_all() {
                self.applies_all();
                return Ok(Look::Unclear);
            }
            let known: HashSet<OrderId> = known.into_iter().collect();
            if let Some(differences) = self.compares(&held, &known) {
                return Ok(Look::Compared(differences));
            }
        }
        Ok(Look::Unclear)
    }

    /// Applies what was told, and compares in the state in which it was read; nothing where a frame leads from before it to past it.
    fn compares(&mut self, held: &Held, known: &HashSet<OrderId>) -> Option<Vec<String>> {
        let mut at_that = None;
        let mut is_past = false;
        for frame in std::mem::take(&mut self.untold) {
            let has = |xid: &u64| held.cursor.snapshot.has(*xid);
            if !is_past && !frame.xids.iter().all(has) {
                is_past = true;
                at_that = (!frame.xids.iter().any(has)).then(|| self.mirror.differences(held, known, self.live.zone));
            }
            self.mirror.apply(&frame);
        }
        if is_past { at_that } else { Some(self.mirror.differences(held, known, self.live.zone)) }
    }

    /// Names orders by their ids, and what of them differs, and no value.
    fn tells_of(&self, differences: &[String], remedy: &str) {
        let scope = self.sight.scope();
        let named = differences.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
        tracing::error!(%scope, differences = differences.len(), named, remedy, "what a stream told is not what the database holds");
    }
}

type Fields = BTreeMap<String, String>;

/// What a page would show.
struct Mirror {
    figures: Fields,
    /// None of those that left the scope.
    orders: HashMap<OrderId, Option<Fields>>,
    /// When the rows were read that it began with.
    began: Revision,
    /// The newest of them, and of what was forgotten. Later ones are known to it as they are told.
    newest: OrderId,
}

/// The state, or what changed, as it goes over the wire.
#[derive(Deserialize)]
struct Wire {
    statistics: BTreeMap<String, Box<RawValue>>,
    orders_by_status: BTreeMap<String, Box<RawValue>>,
    #[serde(default)]
    orders: Vec<BTreeMap<String, Box<RawValue>>>,
}

impl Mirror {
    fn new(state: &Wire, held: &Held, zone: Tz) -> Self {
        let orders: HashMap<_, _> = held.orders.iter().map(|order| (order.row.id, row(order, zone))).collect();
        Self {
            figures: figures(state),
            newest: orders.keys().copied().max().unwrap_or(OrderId(0)),
            orders,
            began: held.cursor.revision(),
        }
    }

    fn known(&self) -> Vec<OrderId> {
        self.orders.keys().copied().collect()
    }

    /// Keeps it small, however many orders are told. What is forgotten is no more asked for.
    fn forgets(&mut self) {
        if self.orders.len() <= KNOWN {
            return;
        }
        let mut known = self.known();
        let middle = known.len() / 2;
        let (_, last, _) = known.select_nth_unstable(middle);
        self.newest = self.newest.max(*last);
        self.orders.retain(|id, _| *id > *last);
    }

    /// As a page does: figures and rows as they are told, and no rows that are older than those it began with.
    fn apply(&mut self, frame: &Frame) {
        let Some(change) = event(&frame.bytes, "patch") else { return };
        self.figures = figures(&change);
        let is_newer = frame.cursor.revision() > self.began;
        for order in change.orders.into_iter().filter(|_| is_newer) {
            let Some(id) = order.get("id").and_then(|id| id.get().parse().ok()).map(OrderId) else { continue };
            let is_gone = order.contains_key("removed");
            self.orders.insert(id, (!is_gone).then(|| fields(order)));
        }
    }

    /// Where the database holds something else. It was asked for those that were known then, and for all later ones.
    fn differences(&self, held: &Held, known: &HashSet<OrderId>, zone: Tz) -> Vec<String> {
        let theirs = summary(&held.summary);
        let mut differences: Vec<String> =
            differing_figures(&self.figures, &theirs).map(|name| format!("figure {name}")).collect();
        let mut rows: HashMap<OrderId, Fields> =
            held.orders.iter().filter_map(|order| Some((order.row.id, row(order, zone)?))).collect();
        for (id, ours) in self.orders.iter().filter(|(id, _)| **id > self.newest || known.contains(id)) {
            match (ours, rows.remove(id)) {
                (Some(ours), Some(theirs)) => {
                    differences.extend(differing(ours, &theirs).map(|name| format!("order {id}: {name}")));
                }
                (Some(_), None) => differences.push(format!("order {id} should be gone")),
                (None, Some(_)) => differences.push(format!("order {id} is missing")),
                (None, None) => {}
            }
        }
        differences.extend(rows.into_keys().map(|id| format!("order {id} is missing")));
        // so that two lists of the same are equal
        differences.sort_unstable();
        differences
    }
}

/// The names of what is not the same in both.
fn differing<'a>(ours: &'a Fields, theirs: &'a Fields) -> impl Iterator<Item = &'a str> {
    let of_ours = ours.iter().filter(|(name, value)| theirs.get(*name) != Some(value));
    let of_theirs = theirs.iter().filter(|(name, _)| !ours.contains_key(*name));
    of_ours.chain(of_theirs).map(|(name, _)| name.as_str())
}

/// The same of figures. A status that has a card is in both, and is named once.
fn differing_figures<'a>(ours: &'a Fields, theirs: &'a Fields) -> impl Iterator<Item = &'a str> {
    let has_card = move |status: &str| {
        let card = format!("{status}_orders");
        ours.contains_key(&card) || theirs.contains_key(&card)
    };
    differing(ours, theirs).filter(move |name| !has_card(name))
}

/// What an event of that name says, which is the first of these.
fn event(bytes: &[u8], name: &str) -> Option<Wire> {
    let text = std::str::from_utf8(bytes).ok()?;
    let block =
        text.split("\n\n").find(|block| block.lines().any(|line| line.strip_prefix("event: ") == Some(name)))?;
    serde_json::from_str(block.lines().find_map(|line| line.strip_prefix("data: "))?).ok()
}

fn figures(wire: &Wire) -> Fields {
    let cards = wire.statistics.iter().map(|(name, value)| (name.clone(), value.get().to_owned()));
    cards.chain(wire.orders_by_status.iter().map(|(name, value)| (name.clone(), value.get().to_owned()))).collect()
}

fn fields(order: BTreeMap<String, Box<RawValue>>) -> Fields {
    order.into_iter().filter(|(name, _)| name != REP_NAME).map(|(name, value)| (name, value.get().to_owned())).collect()
}

fn summary(summary: &Summary) -> Fields {
    let text = serde_json::to_string(summary).unwrap_or_default();
    serde_json::from_str(&text).map(|wire| figures(&wire)).unwrap_or_default()
}

fn row(order: &Listed, zone: Tz) -> Option<Fields> {
    let text = serde_json::to_string(&order.row.full_json(order.rep, None, zone).with_key()).ok()?;
    serde_json::from_str(&text).ok().map(fields)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn fields(names: &[&str]) -> Fields {
        names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_differs_is_mended_at_once_then_more_seldom_and_told_once() {
        use Consequence::{InVain, Known, Later, Mends};
        let mut mended = Mended::default();
        let [one, other] = [["figure a".to_owned()], ["figure b".to_owned()]];
        let mut finds = |subject: &str, what: &[String]| {
            let consequence = mended.finds(subject.to_owned(), what);
            if consequence == Mends {
                mended.has_mended();
            }
            consequence
        };
        assert_eq!([finds("1", &one), finds("1", &one), finds("1", &one)], [Mends, InVain, Known]);
        advance(Duration::from_secs(20)).await;
        let soon = Later(Duration::from_secs(40));
        assert_eq!([finds("1", &other), finds("1", &other)], [soon, Known], "it is another");
        assert!(soon.remedy().unwrap().contains("in 40 s"));
        assert_eq!(finds("2", &other), soon, "and one of another scope as well");
        advance(Duration::from_secs(41)).await;
        assert_eq!([finds("1", &other), finds("1", &other)], [Mends, InVain], "it was not mended by itself");
        advance(Duration::from_secs(61)).await;
        assert!(matches!(finds("1", &one), Later(_)), "the next time it takes twice as long");
        advance(Duration::from_secs(60)).await;
        assert_eq!(finds("1", &one), Mends);
        advance(2 * MENDED_FOR + Duration::from_secs(1)).await;
        assert_eq!(finds("1", &one), Mends, "after a while that is tried again");
        advance(MENDING_PAUSE).await;
        mended.is_well("1");
        assert_eq!(mended.finds("1".to_owned(), &one), Mends, "as at first");
    }

    #[test]
    fn a_status_with_a_card_is_named_once() {
        let (ours, theirs) = (fields(&["total", "confirmed", "confirmed_orders", "unlisted"]), fields(&[]));
        let named: Vec<&str> = differing_figures(&ours, &theirs).collect();
        assert_eq!(named, ["confirmed_orders", "total", "unlisted"]);
    }
}
