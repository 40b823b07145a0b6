//! Whom the listener looks after: those with streams here, and those for whom pages poll. While they are few, it reads
//! their events alone.

use std::collections::hash_map::{Iter, Keys, Values, ValuesMut};
use std::collections::{HashMap, HashSet};

use crate::order::{RepId, Scope};

/// What is kept for each scope that somebody here wants to hear of.
#[derive(Debug)]
pub(super) struct Watched<T> {
    by_scope: HashMap<Scope, T>,
    /// Those that came since the listener last began to read. It does not look after them yet.
    newcomers: HashSet<Scope>,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self { by_scope: HashMap::new(), newcomers: HashSet::new() }
    }
}

impl<T> Watched<T> {
    pub(super) fn get(&self, scope: Scope) -> Option<&T> {
        self.by_scope.get(&scope)
    }

    pub(super) fn get_mut(&mut self, scope: Scope) -> Option<&mut T> {
        self.by_scope.get_mut(&scope)
    }

    /// What is kept for a scope, which is a newcomer where nothing was.
    pub(super) fn get_or_insert_with(&mut self, scope: Scope, new: impl FnOnce() -> T) -> &mut T {
        self.by_scope.entry(scope).or_insert_with(|| {
            self.newcomers.insert(scope);
            new()
        })
    }

    pub(super) fn remove(&mut self, scope: Scope) {
        self.by_scope.remove(&scope);
        self.newcomers.remove(&scope);
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        self.by_scope.retain(|_, kept| is_kept(kept));
    }

    pub(super) fn len(&self) -> usize {
        self.by_scope.len()
    }

    pub(super) fn scopes(&self) -> Keys<'_, Scope, T> {
        self.by_scope.keys()
    }

    pub(super) fn values(&self) -> Values<'_, Scope, T> {
        self.by_scope.values()
    }

    pub(super) fn values_mut(&mut self) -> ValuesMut<'_, Scope, T> {
        self.by_scope.values_mut()
    }

    pub(super) fn iter(&self) -> Iter<'_, Scope, T> {
        self.by_scope.iter()
    }

    /// Does something with each that came since the listener last began to read, and is still there.
    pub(super) fn each_newcomer(&mut self, mut visit: impl FnMut(&mut T)) {
        for scope in &self.newcomers {
            self.by_scope.get_mut(scope).into_iter().for_each(&mut visit);
        }
    }

    /// The listener begins to read: it looks after all that are here. Gives the reps, if they are at most so many and nobody is
    /// there for all orders, and those who were newcomers until now.
    pub(super) fn begin_read(&mut self, most: usize) -> (Option<Vec<RepId>>, HashSet<Scope>) {
        let reps: Option<Vec<RepId>> = self.scopes().take(most + 1).map(|scope| scope.rep()).collect();
        (reps.filter(|reps| reps.len() <= most), std::mem::take(&mut self.newcomers))
    }
}

/// Whose events one read has: those of these reps (sorted), or everybody's (none).
#[derive(Debug)]
pub(super) struct Audience(Option<Vec<RepId>>);

impl Audience {
    /// While at most so many reps have streams or poll, and nobody follows all orders, others' events are not read. Naming
    /// more costs as much as it saves.
    pub(super) const MOST: usize = 500;

    /// Those with streams and those who poll.
    pub(super) fn both(open: Option<Vec<RepId>>, polling: Option<Vec<RepId>>) -> Self {
        let both = open.zip(polling).map(|(open, polling)| [open, polling].concat());
        Self(both.filter(|reps| reps.len() <= Self::MOST).map(|mut reps| {
            reps.sort_unstable();
            reps
        }))
    }

    /// The reps, where it is not everybody.
    pub(super) fn reps(&self) -> Option<&[RepId]> {
        self.0.as_deref()
    }

    pub(super) fn has(&self, scope: Scope) -> bool {
        self.reps().is_none_or(|reps| scope.rep().is_some_and(|rep| reps.binary_search(&rep).is_ok()))
    }
}
