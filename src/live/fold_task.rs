//! Keeps the summary close behind the events and the orders' timelines complete, and the events from growing for ever.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::audit::{Consequence, Mended};
use super::hub::Hub;
use super::meter::{Measured, Meter, Step};
use super::outage::Outage;
use super::state::Live;
use crate::counted::Label;
use crate::store::{Folded, Store, StoreError};

/// How often is looked whether there is something to do. Each step does a bounded part of it then.
const TICK: Duration = Duration::from_millis(250);

/// How long events wait to be folded while nobody reads statistics from the database. What is not folded yet every such
/// reader adds up; but the longer it waits the more changes of one sum become one.
const FOLD_LATEST: Duration = Duration::from_secs(2);

/// Events that wait until then also while somebody reads: to add them up costs less than to fold them four times a second.
const FEW: i64 = 200;

/// While more events than this come in a second, writers have the machine for themselves and timelines wait.
const BUSY: f64 = 400.0;

/// How often old events are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);

/// How often is looked how far behind the steps are.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How often the statistics of some rep are compared with their orders at most.
const MOST_OFTEN_AUDITED: Duration = Duration::from_secs(60);

/// How long a step that failed waits until it is tried again. The others go on meanwhile.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Folds, prunes events older than `retention`, and compares the statistics of some rep with their orders once in `audit_every`, for
/// ever.
pub(super) async fn run(live: &Live, retention: Duration, audit_every: Duration) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Instant::now();
    let mut folder = Folder {
        store: &live.store,
        hub: &live.hub,
        meter: &live.meter,
        retention,
        audit_every,
        folded_at: None,
        is_complete: false,
        is_busy: false,
        is_far_behind: false,
        mended: Mended::default(),
        steps: Step::ALL.map(|step| Turn { step, next: now, outage: Outage::default() }),
    };
    loop {
        ticks.tick().await;
        folder.tick().await;
    }
}

/// When a step is to be taken next.
struct Turn {
    step: Step,
    next: Instant,
    outage: Outage,
}

struct Folder<'a> {
    store: &'a Store,
    hub: &'a Hub,
    meter: &'a Meter,
    retention: Duration,
    /// Zero: never.
    audit_every: Duration,
    folded_at: Option<Instant>,
    /// Whether there was nothing to enter in the timelines when this was last tried. Then it is tried when folding alone, as a
    /// transaction that made some events wait may have ended.
    is_complete: bool,
    /// Whether events were many when they were last folded.
    is_busy: bool,
    /// Whether too many events wait for the timelines. Whoever opens an order's page reads through them.
    is_far_behind: bool,
    mended: Mended,
    steps: [Turn; Step::ALL.len()],
}

impl Folder<'_> {
    /// Takes each step whose time has come. One that fails hinders none of the others.
    async fn tick(&mut self) {
        for place in 0..self.steps.len() {
            let Turn { step, next, .. } = self.steps[place];
            if Instant::now() < next {
                continue;
            }
            let outcome = self.take(step).await;
            let turn = &mut self.steps[place];
            match &outcome {
                Ok(_) => {
                    if let Some((time, failures)) = turn.outage.is_over() {
                        let (step, seconds) = (step.value(), time.as_secs());
                        tracing::info!(step, failures, "the background work goes on again after {seconds} s");
                    }
                }
                Err(error) => {
                    if turn.outage.fails_beside(self.hub, error) {
                        let (step, remedy, error) = (step.value(), error.remedy(), error.chain());
                        tracing::warn!(step, error, remedy, "background work failed; it is tried again each second");
                    }
                }
            }
            let pause = outcome.unwrap_or_else(|_| {
                self.meter.background_failures.of(step).inc();
                RETRY_PAUSE
            });
            turn.next = Instant::now() + pause;
        }
    }

    /// Takes a step, and gives the pause until the next of its kind; none if it is to be taken at the next tick.
    async fn take(&mut self, step: Step) -> Result<Duration, StoreError> {
        match step {
            Step::Fold => self.fold().await?,
            Step::Timeline => self.extend_timeline().await?,
            Step::Tidy if self.store.tidy_statistics().await? == 0 => return Ok(PRUNE_INTERVAL),
            Step::Tidy => {}
            Step::Prune => {
                let pruned = self.store.prune(self.retention).await?;
                self.meter.pruned.inc_by(pruned);
                if pruned == 0 {
                    self.store.tidy_sign_ins().await?;
                    return Ok(PRUNE_INTERVAL);
                }
            }
            Step::Progress => {
                self.look_at_progress().await?;
                return Ok(PROGRESS_INTERVAL);
            }
            Step::Audit if self.audit_every.is_zero() => return Ok(PRUNE_INTERVAL),
            Step::Audit => {
                // as long as changes go unrecorded there are no statistics to compare with
                if !self.hub.records_all() {
                    return Ok(RETRY_PAUSE);
                }
                self.audit().await?;
                return Ok(self.audit_every.max(MOST_OFTEN_AUDITED));
            }
        }
        Ok(Duration::ZERO)
    }

    async fn fold(&mut self) -> Result<(), StoreError> {
        let waited = self.folded_at.map_or(FOLD_LATEST, |at| at.elapsed());
        let is_due = waited >= FOLD_LATEST;
        // what is not recorded is missing from the events, and what is built from them
        if !self.hub.records_all() || !is_due && !self.store.were_statistics_read() {
            return Ok(());
        }
        self.is_complete = false;
        let events = match self.store.fold_if(if is_due { 1 } else { FEW }).await? {
            Folded::Events(events) => {
                self.meter.folds.inc();
                events
            }
            Folded::Rebuilt => {
                tracing::info!("built the statistics anew from the orders");
                self.meter.rebuilds.inc();
                0
            }
            Folded::Nothing | Folded::Elsewhere if is_due => 0,
            Folded::Nothing | Folded::Elsewhere => return Ok(()),
        };
        self.is_busy = events as f64 / waited.as_secs_f64() > BUSY;
        self.folded_at = Some(Instant::now());
        Ok(())
    }

    async fn extend_timeline(&mut self) -> Result<(), StoreError> {
        if !self.is_complete && (!self.is_busy || self.is_far_behind) {
            self.is_complete = self.store.extend_timeline().await? == 0;
        }
        Ok(())
    }

    async fn audit(&mut self) -> Result<(), StoreError> {
        let Some((rep, differences)) = self.store.audit_statistics().await? else { return Ok(()) };
        self.meter.audits.inc();
        self.meter.differences.inc_by(differences);
        let subject = rep.to_string();
        if differences == 0 {
            self.mended.is_well(&subject);
            return Ok(());
        }
        let consequence = self.mended.finds(subject, &[differences.to_string()]);
        if let Some(remedy) = consequence.remedy() {
            tracing::error!(rep, differences, remedy, "a rep's statistics differ from their orders");
        }
        if consequence == Consequence::Mends {
            self.mended.mend(self.store, self.hub).await?;
        }
        Ok(())
    }

    async fn look_at_progress(&mut self) -> Result<(), StoreError> {
        let progress = self.store.progress().await?;
        self.is_far_behind = progress.is_far_behind();
        self.meter.timeline_waiting.set(i64::try_from(progress.waiting).unwrap_or(i64::MAX));
        let unpruned = progress.oldest.map(|age| age.saturating_sub(self.retention));
        for (step, behind) in
            [(Measured::Fold, progress.unfolded), (Measured::Timeline, progress.unentered), (Measured::Prune, unpruned)]
        {
            self.meter.background_behind.of(step).set(behind.unwrap_or_default().as_secs_f64());
        }
        Ok(())
    }
}
