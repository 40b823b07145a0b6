//! Connections whose client has yet to say all of what it wants. Where there is no room for another, one of them makes it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Those of one listener. All clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Unheard(Arc<Mutex<Waiting>>);

impl Unheard {
    /// Has the oldest of whoever has most of them make room. Gives whose it was.
    pub(super) fn displace(&self) -> Option<IpAddr> {
        self.lock().displace()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By address.
#[derive(Debug, Default)]
struct Waiting {
    /// By the turn in which they began to wait.
    by_place: HashMap<IpAddr, BTreeMap<u64, Arc<Notify>>>,
    /// The last is who makes room next: who has most of them, and of several who has had one for longest.
    ranks: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
    turns: u64,
}

impl Waiting {
    /// One begins to wait. It is told when it has to make room.
    fn enter(&mut self, place: IpAddr, told: &Arc<Notify>) -> u64 {
        let turn = self.turns;
        self.turns += 1;
        self.change(place, |those| those.insert(turn, Arc::clone(told)));
        turn
    }

    fn leave(&mut self, place: IpAddr, turn: u64) {
        self.change(place, |those| those.remove(&turn));
    }

    fn displace(&mut self) -> Option<IpAddr> {
        let (_, Reverse(turn), place) = self.ranks.last().copied()?;
        if let Some(told) = self.change(place, |those| those.remove(&turn)) {
            told.notify_one();
        }
        Some(place)
    }

    fn change<T>(&mut self, place: IpAddr, change: impl FnOnce(&mut BTreeMap<u64, Arc<Notify>>) -> T) -> T {
        let rank =
            |those: &BTreeMap<u64, _>| those.first_key_value().map(|(first, _)| (those.len(), Reverse(*first), place));
        let those = self.by_place.entry(place).or_default();
        rank(those).map(|rank| self.ranks.remove(&rank));
        let changed = change(those);
        match rank(those) {
            Some(rank) => drop(self.ranks.insert(rank)),
            None => drop(self.by_place.remove(&place)),
        }
        changed
    }
}

/// One connection, as long as requests may come on it.
#[derive(Debug)]
pub(super) struct Attention {
    unheard: Unheard,
    /// Whose it is. A trusted proxy's never has to make room: it is many clients'.
    place: Option<IpAddr>,
    state: Mutex<State>,
    told: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    /// Requests that have come and are being answered.
    answering: usize,
    /// Where it waits among the others, while there are none.
    turn: Option<u64>,
    is_over: bool,
}

impl Attention {
    fn new(unheard: Unheard, place: Option<IpAddr>) -> Arc<Self> {
        let (state, told) = (Mutex::default(), Arc::default());
        let attention = Arc::new(Self { unheard, place, state, told });
        attention.wait(&mut attention.lock());
        attention
    }

    /// Returns when it has to make room, as soon as nothing is being answered.
    pub(super) async fn displaced(&self) {
        self.told.notified().await;
    }

    pub(super) fn is_answering(&self) -> bool {
        self.lock().answering > 0
    }

    /// No request comes any more: what is answered yet does not wait for the next one afterwards.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        self.stop_waiting(&mut state);
    }

    fn wait(&self, state: &mut State) {
        state.turn = self.place.map(|place| self.unheard.lock().enter(place, &self.told));
    }

    fn stop_waiting(&self, state: &mut State) {
        if let (Some(place), Some(turn)) = (self.place, state.turn.take()) {
            self.unheard.lock().leave(place, turn);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same, which ends when this is dropped.
pub(super) struct Attending(Arc<Attention>);

impl Attending {
    pub(super) fn to(unheard: Unheard, place: Option<IpAddr>) -> Self {
        Self(Attention::new(unheard, place))
    }
}

impl Deref for Attending {
    type Target = Arc<Attention>;

    fn deref(&self) -> &Arc<Attention> {
        &self.0
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A request on it. It is being answered from when all of it has come, or its answer begins, until its answer ends.
#[derive(Debug)]
pub(super) struct Question {
    attention: Arc<Attention>,
    is_heard: AtomicBool,
}

impl Question {
    pub(super) fn new(attention: Arc<Attention>) -> Arc<Self> {
        Arc::new(Self { attention, is_heard: AtomicBool::new(false) })
    }

    /// All of it has come, or its answer begins.
    pub(super) fn hear(&self) {
        if !self.is_heard.swap(true, Relaxed) {
            let mut state = self.attention.lock();
            state.answering += 1;
            self.attention.stop_waiting(&mut state);
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if self.is_heard.load(Relaxed) {
            let mut state = self.attention.lock();
            state.answering -= 1;
            if state.answering == 0 && !state.is_over {
                self.attention.wait(&mut state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_whoever_has_most_makes_room() {
        let ip = |last: u8| IpAddr::from([192, 0, 2, last]);
        let told = Arc::default();
        let mut unheard = Waiting::default();
        assert_eq!(unheard.displace(), None);
        let turns = [1, 2, 3, 2, 3, 3, 1].map(|last| unheard.enter(ip(last), &told));
        unheard.leave(ip(3), turns[2]);
        unheard.leave(ip(3), turns[2]);
        // each has two, of which the first one's began to wait first
        let made_room: Vec<_> = std::iter::from_fn(|| unheard.displace()).collect();
        assert_eq!(made_room, [1, 2, 3, 2, 3, 1].map(ip));
        assert!(unheard.by_place.is_empty() && unheard.ranks.is_empty());
    }
}
