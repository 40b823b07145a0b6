//! One person alone keeps nobody else waiting: of what somebody asks a few things are done at once, and the next when one of them
//! is done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::order::{Filter, UserId};

/// How long somebody waits for what they asked for before.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many requests of one person may wait. A browser whose pages all come back at once has fewer.
const MOST_WAITING: usize = 100;

/// What is done in a turn. Each kind has its own, so that a page opens while its reader's searches go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A read that grows with the number of orders.
    Search,
    /// A whole export. It lasts as long as its reader takes it.
    Export,
    /// Writing orders, which may have to wait for others who write them.
    Change,
    /// All else that asks the database for more than who is signed in.
    Other,
}

impl Kind {
    /// What reading such a list is.
    pub(crate) fn of(filter: &Filter) -> Self {
        if filter.is_bounded() { Self::Other } else { Self::Search }
    }
}

/// Whose turn it is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Turns {
    /// How many turns of a kind one person has at once.
    at_once: usize,
    lines: Arc<Mutex<HashMap<Place, Line>>>,
}

/// Who stands in line for what.
type Place = (UserId, Kind);

#[derive(Debug)]
struct Line {
    turns: Arc<Semaphore>,
    /// Who has a turn, and who waits. A line without anybody is forgotten.
    people: usize,
}

impl Turns {
    /// For a pool of that many connections, of which searches have one half: nobody has more than half of that half.
    #[must_use]
    pub fn of_pool(connections: usize) -> Self {
        Self { at_once: (connections / 4).max(1), lines: Arc::default() }
    }

    /// A turn, in the order of asking; `None` where too many wait, or it takes too long.
    pub(crate) async fn take(&self, user: UserId, kind: Kind) -> Option<Turn> {
        let (mut turn, turns) = self.line_up((user, kind))?;
        turn.taken = Some(timeout(PATIENCE, turns.acquire_owned()).await.ok()?.ok()?);
        Some(turn)
    }

    fn line_up(&self, place: Place) -> Option<(Turn, Arc<Semaphore>)> {
        let mut lines = self.lock();
        let line =
            lines.entry(place).or_insert_with(|| Line { turns: Arc::new(Semaphore::new(self.at_once)), people: 0 });
        if line.people >= self.at_once + MOST_WAITING {
            return None;
        }
        line.people += 1;
        let turns = Arc::clone(&line.turns);
        drop(lines);
        Some((Turn { of: self.clone(), place, taken: None }, turns))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody's turn, or their place in the line for it. It is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    of: Turns,
    place: Place,
    taken: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // before the line may be forgotten
        self.taken = None;
        let mut lines = self.of.lock();
        if let Some(line) = lines.get_mut(&self.place) {
            line.people -= 1;
            if line.people == 0 {
                lines.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: UserId = UserId(1);
    const BEN: UserId = UserId(2);

    #[tokio::test(start_paused = true)]
    async fn everybody_has_turns_of_their_own_of_each_kind() {
        let turns = Turns::of_pool(8);
        let (first, second) = (turns.take(ANA, Kind::Search).await, turns.take(ANA, Kind::Search).await);
        assert!(first.is_some() && second.is_some());
        assert!(turns.take(ANA, Kind::Search).await.is_none(), "the third waits, and in vain");
        assert!(turns.take(ANA, Kind::Other).await.is_some());
        assert!(turns.take(BEN, Kind::Search).await.is_some());
        let waiting = turns.take(ANA, Kind::Search);
        let (third, ()) = tokio::join!(waiting, async { drop(first) });
        assert!(third.is_some(), "whoever waits comes next");
        drop((second, third));
        assert!(turns.lock().is_empty(), "nobody is remembered who wants nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_has_an_end_and_who_leaves_it_makes_room() {
        let turns = Turns::of_pool(2);
        let turn = turns.take(ANA, Kind::Other).await;
        let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(turns.take(ANA, Kind::Other))).collect();
        for waiting in &mut waiting {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        let began = tokio::time::Instant::now();
        assert!(turns.take(ANA, Kind::Other).await.is_none());
        assert!(began.elapsed().is_zero(), "it is told at once");
        waiting.pop();
        assert!(futures_util::poll!(Box::pin(turns.take(ANA, Kind::Other))).is_pending());
        drop((waiting, turn));
        assert!(turns.lock().is_empty());
    }
}
