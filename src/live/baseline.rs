//! The statistics from which events lead to the next ones. Only the listener's own reads set them, so that each stands at
//! its cursor.

use std::collections::{HashMap, HashSet, VecDeque};

use super::watched::Audience;
use crate::order::{OrderEvent, Scope, Summary};

/// How many baselines beyond twice the open scopes are kept before those without streams are dropped.
const MOST_LEFT: usize = 64;

/// So many are read ahead together: what happens meanwhile waits for them, some 2 ms.
const MOST_AHEAD: usize = 64;

/// The statistics of scopes that have streams, in the state of the listener's cursor.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    known: HashMap<Scope, Summary>,
    /// To be read ahead. At a busy time every batch would otherwise have a scope to which something happens for the first time,
    /// and wait for its statistics.
    wanted: VecDeque<Scope>,
}

impl Baselines {
    pub(super) fn has(&self, scope: Scope) -> bool {
        self.known.contains_key(&scope)
    }

    /// These have streams from now on.
    pub(super) fn want(&mut self, scopes: impl IntoIterator<Item = Scope>) {
        self.wanted.extend(scopes);
    }

    /// Whether some are still to be read ahead.
    pub(super) fn wants_any(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Those to be read ahead now. They are not asked for again.
    pub(super) fn next_wanted(&mut self, followed: &Audience) -> Vec<Scope> {
        let next = self.wanted.drain(..self.wanted.len().min(MOST_AHEAD));
        next.filter(|scope| followed.has(*scope) && !self.known.contains_key(scope)).collect()
    }

    /// Takes statistics that were read in the same snapshot as the last events.
    pub(super) fn learn(&mut self, read: HashMap<Scope, Summary>) {
        self.known.extend(read);
    }

    /// The listener is about to read of these alone: what happens to others does not reach their baselines.
    pub(super) fn keep_only(&mut self, followed: &Audience) {
        if followed.reps().is_some() {
            self.known.retain(|scope, _| followed.has(*scope));
        }
    }

    /// Drops baselines of scopes without streams, once they may be many. `open`: how many scopes have streams; `open_among`:
    /// which of the given ones do.
    pub(super) fn tidy(&mut self, open: usize, open_among: impl FnOnce(Vec<Scope>) -> HashSet<Scope>) {
        if self.known.len() > 2 * open + MOST_LEFT {
            let still_open = open_among(self.known.keys().copied().collect());
            self.known.retain(|scope, _| still_open.contains(scope));
        }
    }

    /// The statistics to which these events lead, which are all that the scope had since the last read; or those that were
    /// read in the same snapshot as the events. `None` where nothing is known.
    pub(super) fn advance(&mut self, scope: Scope, events: &[&OrderEvent], read: Option<Summary>) -> Option<&Summary> {
        if let Some(summary) = read {
            return Some(self.known.entry(scope).insert_entry(summary).into_mut());
        }
        let summary = self.known.get_mut(&scope)?;
        events.iter().for_each(|event| summary.apply(event, scope));
        Some(summary)
    }

    /// Something happened to the scope that was not read one by one.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.known.remove(&scope);
    }

    /// The listener went on without reading what happened.
    pub(super) fn forget_all(&mut self) {
        self.wanted.extend(self.known.drain().map(|(scope, _)| scope));
    }
}
