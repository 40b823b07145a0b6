//! Whose password is hashed next. Hashing is made to be slow, so that there are few places; whoever asks much must not keep the
//! others waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How many passwords are hashed at the same time: unlimited, logins would take all cores.
const PLACES: usize = 2;

/// How long a login waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many may wait, of those whose device has signed in before, and of all others.
const MOST_KNOWN: usize = 64;
const MOST_OTHERS: usize = 192;

/// How many of those may be of one address, one account, one connection.
const MOST_OF_ADDRESS: usize = 32;
const MOST_OF_ACCOUNT: usize = 16;
const MOST_OF_CONNECTION: usize = 2;

/// Who asks for a turn.
#[derive(Debug, Clone)]
pub struct Asker {
    /// From where.
    pub address: IpAddr,
    /// The connection, unless it is a proxy's, on which many people's requests come.
    pub connection: Option<u64>,
    /// For which account, as a digest of the name that was given, whether or not there is such an account.
    pub account: [u8; 32],
    /// Whether the device has signed in to that account before.
    pub is_known: bool,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    /// The asker has too many logins under way.
    #[error("too many logins are under way from here or for this account")]
    TooMany,
    /// Too many people are signing in.
    #[error("too many people are signing in at once")]
    Crowded,
}

/// The places, and who waits for one.
#[derive(Clone, Default)]
pub struct Queue(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: usize,
    /// Counts arrivals and turns: what comes later has a higher one.
    clock: u64,
    /// In the order of their arrival; the first lane is of known devices.
    lanes: [Vec<Waiting>; 2],
    /// When an address, or an account at an address, had its last turn, while it waits for the next.
    served: HashMap<(IpAddr, Option<[u8; 32]>), u64>,
    was_known: bool,
}

struct Waiting {
    arrived: u64,
    asker: Asker,
    outcome: oneshot::Sender<Result<Turn, NoTurn>>,
}

/// A place. Dropping it gives it to the next.
pub struct Turn(Option<Queue>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            let mut state = queue.lock();
            state.taken -= 1;
            queue.give(&mut state);
        }
    }
}

/// Whoever stops waiting waits no longer in the queue either.
struct Leaves<'a> {
    queue: &'a Queue,
    arrived: u64,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.queue.lock().leave(self.arrived);
    }
}

impl Queue {
    /// Waits for a turn. Addresses take turns, and at each address the accounts; every second turn is of a known device, if one
    /// waits. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// At once if the asker has too many in the queue, or it is full of others who have no more; after twenty seconds without a turn.
    pub async fn turn(&self, asker: Asker) -> Result<Turn, NoTurn> {
        let (outcome, given) = oneshot::channel();
        let arrived = {
            let mut state = self.lock();
            state.make_room(&asker)?;
            state.clock += 1;
            let arrived = state.clock;
            let lane = usize::from(!asker.is_known);
            state.lanes[lane].push(Waiting { arrived, asker, outcome });
            self.give(&mut state);
            arrived
        };
        let _leaves = Leaves { queue: self, arrived };
        match tokio::time::timeout(PATIENCE, given).await {
            Ok(Ok(outcome)) => outcome,
            _ => Err(NoTurn::Crowded),
        }
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().lanes.iter().map(Vec::len).sum()
    }

    /// Gives free places to those whose turn it is.
    fn give(&self, state: &mut MutexGuard<'_, State>) {
        while state.taken < PLACES {
            let Some(next) = state.next() else { return };
            state.taken += 1;
            if let Err(Ok(mut turn)) = next.outcome.send(Ok(Turn(Some(self.clone())))) {
                // who waited has just left; to give it back as usual would take the lock that is held here
                turn.0 = None;
                state.taken -= 1;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Refuses who has too many in the queue. Where it is full, whoever came last of the address that has most makes room, if
    /// that has more than the asker's would have.
    fn make_room(&mut self, asker: &Asker) -> Result<(), NoTurn> {
        let lane = &mut self.lanes[usize::from(!asker.is_known)];
        let count = |is_same: &dyn Fn(&Asker) -> bool| lane.iter().filter(|other| is_same(&other.asker)).count();
        let of_address = count(&|other| other.address == asker.address);
        if of_address >= MOST_OF_ADDRESS
            || count(&|other| other.account == asker.account) >= MOST_OF_ACCOUNT
            || asker.connection.is_some() && count(&|other| other.connection == asker.connection) >= MOST_OF_CONNECTION
        {
            return Err(NoTurn::TooMany);
        }
        let most = if asker.is_known { MOST_KNOWN } else { MOST_OTHERS };
        if lane.len() < most {
            return Ok(());
        }
        let mut by_address: HashMap<IpAddr, usize> = HashMap::new();
        lane.iter().for_each(|waiting| *by_address.entry(waiting.asker.address).or_default() += 1);
        let Some((address, count)) = by_address.into_iter().max_by_key(|(_, count)| *count) else { return Ok(()) };
        if count <= of_address + 1 {
            return Err(NoTurn::Crowded);
        }
        if let Some(place) = lane.iter().rposition(|waiting| waiting.asker.address == address) {
            let _ = lane.remove(place).outcome.send(Err(NoTurn::Crowded));
        }
        Ok(())
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<Waiting> {
        let lane = match &self.lanes {
            [known, others] if others.is_empty() || (!known.is_empty() && !self.was_known) => 0,
            _ => 1,
        };
        self.was_known = lane == 0;
        let served = &self.served;
        let since =
            |key: (IpAddr, Option<[u8; 32]>), arrived: u64| served.get(&key).copied().unwrap_or_default().max(arrived);
        // the address that waits longest, since it came or had its last turn; of it the account, and of that who came first
        let waiting = self.lanes[lane].iter().enumerate();
        let mut oldest: HashMap<IpAddr, u64> = HashMap::new();
        for (_, Waiting { arrived, asker, .. }) in waiting.clone() {
            oldest.entry(asker.address).or_insert(*arrived);
        }
        let rank = |Waiting { arrived, asker, .. }: &Waiting| {
            let of_address = since((asker.address, None), oldest[&asker.address]);
            (of_address, since((asker.address, Some(asker.account)), *arrived), *arrived)
        };
        let (place, _) = waiting.min_by_key(|(_, waiting)| rank(waiting))?;
        let next = self.lanes[lane].remove(place);
        self.clock += 1;
        let Asker { address, account, .. } = next.asker;
        self.served.insert((address, None), self.clock);
        self.served.insert((address, Some(account)), self.clock);
        self.forget(address);
        Some(next)
    }

    fn leave(&mut self, arrived: u64) {
        for lane in &mut self.lanes {
            if let Some(place) = lane.iter().position(|waiting| waiting.arrived == arrived) {
                let left = lane.remove(place);
                self.forget(left.asker.address);
                return;
            }
        }
    }

    /// Of an address from which nobody waits any more nothing is kept: who comes from it later arrives later.
    fn forget(&mut self, address: IpAddr) {
        if self.lanes.iter().flatten().all(|waiting| waiting.asker.address != address) {
            self.served.retain(|(of, _), _| *of != address);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use std::pin::pin;

    use super::*;

    fn asker(address: u8, account: u8) -> Asker {
        Asker { address: [10, 0, 0, address].into(), connection: None, account: [account; 32], is_known: false }
    }

    /// Takes every place, so that whoever comes then waits.
    async fn taken(queue: &Queue) -> Vec<Turn> {
        let mut turns = Vec::new();
        for place in 0..PLACES {
            turns.push(queue.turn(asker(200, place as u8)).await.unwrap());
        }
        turns
    }

    /// The order in which they get their turns, one after the other.
    async fn order(askers: Vec<Asker>) -> Vec<(u8, u8)> {
        let queue = Queue::default();
        let mut turns = taken(&queue).await;
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        for asker in askers {
            let (queue, told) = (queue.clone(), told.clone());
            let IpAddr::V4(address) = asker.address else { unreachable!() };
            let (name, before) = ((address.octets()[3], asker.account[0]), queue.waiting());
            let waits = queue.clone();
            tokio::spawn(async move {
                let turn = queue.turn(asker).await.unwrap();
                told.send((name, turn)).unwrap();
            });
            while waits.waiting() == before {
                tokio::task::yield_now().await;
            }
        }
        drop(told);
        // of one place alone, so that there is an order
        let _kept = turns.pop();
        drop(turns);
        let mut order = Vec::new();
        while let Some((name, turn)) = heard.recv().await {
            order.push(name);
            drop(turn);
        }
        order
    }

    #[tokio::test]
    async fn addresses_take_turns_and_at_each_the_accounts() {
        let askers = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (2, 1), (3, 1)];
        let order = order(askers.into_iter().map(|(address, account)| asker(address, account)).collect()).await;
        assert_eq!(order, [(1, 1), (2, 1), (3, 1), (1, 2), (2, 1), (1, 1), (1, 1)]);
    }

    #[tokio::test]
    async fn every_second_turn_is_a_known_devices() {
        let mut askers: Vec<Asker> = (1..=4).map(|address| asker(address, 1)).collect();
        askers.extend((5..=6).map(|address| Asker { is_known: true, ..asker(address, 1) }));
        assert_eq!(order(askers).await, [(5, 1), (1, 1), (6, 1), (2, 1), (3, 1), (4, 1)]);
    }

    #[tokio::test]
    async fn who_has_too_many_is_refused_at_once() {
        let queue = Queue::default();
        let _turns = taken(&queue).await;
        let mut waiting = Vec::new();
        let mut fill = |most: usize, of: &dyn Fn(u8) -> Asker| {
            for n in 0..=u8::try_from(most).unwrap() {
                let queue = queue.clone();
                let of = of(n);
                let mut turn = Box::pin(async move { queue.turn(of).await });
                let refused = turn.as_mut().now_or_never();
                assert_eq!(refused.map(Result::err), (usize::from(n) == most).then_some(Some(NoTurn::TooMany)), "{n}");
                if usize::from(n) < most {
                    waiting.push(turn);
                }
            }
        };
        fill(MOST_OF_ADDRESS, &|n| asker(1, n));
        fill(MOST_OF_ACCOUNT, &|n| asker(n + 10, 99));
        fill(MOST_OF_CONNECTION, &|n| Asker { connection: Some(7), ..asker(n + 100, n + 100) });
    }

    #[tokio::test]
    async fn a_full_queue_has_room_for_an_address_that_has_less_than_another() {
        let queue = Queue::default();
        let _turns = taken(&queue).await;
        let mut waiting = Vec::new();
        for n in 0..MOST_OTHERS {
            let (queue, of) = (queue.clone(), asker((n / MOST_OF_ADDRESS) as u8, n as u8));
            let mut turn = Box::pin(async move { queue.turn(of).await });
            assert!(turn.as_mut().now_or_never().is_none());
            waiting.push(turn);
        }
        let mut newcomer = pin!(queue.turn(asker(77, 77)));
        assert!(newcomer.as_mut().now_or_never().is_none(), "it waits");
        let put_out = waiting.iter_mut().filter_map(|turn| turn.as_mut().now_or_never()).collect::<Vec<_>>();
        assert!(matches!(put_out[..], [Err(NoTurn::Crowded)]));
        assert_eq!(queue.waiting(), MOST_OTHERS);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_waits_no_longer_and_nobody_waits_for_ever() {
        let queue = Queue::default();
        let turns = taken(&queue).await;
        {
            let mut left = pin!(queue.turn(asker(1, 1)));
            assert!(left.as_mut().now_or_never().is_none());
            assert_eq!(queue.waiting(), 1);
        }
        assert_eq!(queue.waiting(), 0);
        assert_eq!(queue.turn(asker(1, 1)).await.err(), Some(NoTurn::Crowded));
        drop(turns);
        assert!(queue.turn(asker(1, 1)).await.is_ok());
        assert!(queue.lock().served.is_empty() && queue.lock().taken == 0, "nothing is kept");
    }
}
