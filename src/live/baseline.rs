//! The statistics from which events lead to the next ones. Only the listener's own reads set them, so that each stands at
//! its cursor.

use std::collections::{HashMap, HashSet};

use super::watched::Audience;
use crate::order::{OrderEvent, Scope, Summary};

/// How many baselines beyond twice the open scopes are kept before those without streams are dropped.
const MOST_LEFT: usize = 64;

/// The statistics of scopes that have streams, in the state of the listener's cursor.
#[derive(Debug, Default)]
pub(super) struct Baselines(HashMap<Scope, Summary>);

impl Baselines {
    pub(super) fn has(&self, scope: Scope) -> bool {
        self.0.contains_key(&scope)
    }

    /// The listener is about to read of these alone: what happens to others does not reach their baselines.
    pub(super) fn keep_only(&mut self, followed: &Audience) {
        if followed.reps().is_some() {
            self.0.retain(|scope, _| followed.has(*scope));
        }
    }

    /// Drops baselines of scopes without streams, once they may be many. `open`: how many scopes have streams; `open_among`:
    /// which of the given ones do.
    pub(super) fn tidy(&mut self, open: usize, open_among: impl FnOnce(Vec<Scope>) -> HashSet<Scope>) {
        if self.0.len() > 2 * open + MOST_LEFT {
            let still_open = open_among(self.0.keys().copied().collect());
            self.0.retain(|scope, _| still_open.contains(scope));
        }
    }

    /// The statistics to which these events lead, which are all that the scope had since the last read; or those that were
    /// read in the same snapshot as the events. `None` where nothing is known.
    pub(super) fn advance(&mut self, scope: Scope, events: &[&OrderEvent], read: Option<Summary>) -> Option<&Summary> {
        if let Some(summary) = read {
            return Some(self.0.entry(scope).insert_entry(summary).into_mut());
        }
        let summary = self.0.get_mut(&scope)?;
        events.iter().for_each(|event| summary.apply(event, scope));
        Some(summary)
    }

    /// Something happened to the scope that was not read one by one.
    pub(super) fn forget(&mut self, scope: Scope) {
        self.0.remove(&scope);
    }

    /// The listener went on without reading what happened.
    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }
}
