//! Which events were found without a notification while the listener slept: what the protocol of falling asleep says can't
//! be, so that somebody who watches the count would see that it is.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::heard::Hearsay;

/// How long after an event was read its notification may still come.
const LATEST_NOTIFICATION: Duration = Duration::from_secs(1);

/// How long a notification may come before its event is read.
const MEMORY: Duration = Duration::from_secs(5);

/// Beyond this many they are not remembered, as anybody can send any number.
const MOST_REMEMBERED: usize = 65_536;

/// The events of one sleep.
pub(super) struct Lateness {
    /// Transactions that notified, since `turned` and in the time before. Those whose events concern nobody here are never read.
    heard: HashSet<u64>,
    heard_before: HashSet<u64>,
    turned: Instant,
    /// Transactions of which events were read and no notification was heard: when, and how many events.
    unheard: HashMap<u64, (Instant, u64)>,
    /// Until when it is not known of all that notified, as too many are said to have.
    blind_until: Option<Instant>,
}

impl Lateness {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: HashSet::new(),
            heard_before: HashSet::new(),
            turned: now,
            unheard: HashMap::new(),
            blind_until: None,
        }
    }

    pub(super) fn hear(&mut self, news: &Hearsay, now: Instant) {
        if now.duration_since(self.turned) > MEMORY {
            self.heard_before = std::mem::take(&mut self.heard);
            self.turned = now;
        }
        let mut is_cut_short = news.is_cut_short;
        for xid in &news.transactions {
            self.unheard.remove(xid);
            if self.heard.len() < MOST_REMEMBERED {
                self.heard.insert(*xid);
            } else {
                is_cut_short = true;
            }
        }
        if is_cut_short {
            self.blind_until = Some(now + MEMORY * 2);
            self.unheard.clear();
        }
    }

    /// Takes in the transactions of the events that were read.
    pub(super) fn read(&mut self, transactions: impl Iterator<Item = u64>, now: Instant) {
        if self.blind_until.is_some_and(|until| now < until) {
            return;
        }
        for xid in transactions.filter(|xid| !self.heard.contains(xid) && !self.heard_before.contains(xid)) {
            self.unheard.entry(xid).or_insert((now, 0)).1 += 1;
        }
    }

    /// How many events were read of which no notification was heard so far.
    pub(super) fn unheard(&self) -> u64 {
        self.unheard.values().map(|(_, events)| events).sum()
    }

    /// How many events have turned out to be late since this was last asked.
    pub(super) fn found(&mut self, now: Instant) -> u64 {
        let is_late = |found: &Instant| now.duration_since(*found) > LATEST_NOTIFICATION;
        self.unheard.extract_if(|_, (found, _)| is_late(found)).map(|(_, (_, events))| events).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(transactions: impl IntoIterator<Item = u64>) -> Hearsay {
        Hearsay { transactions: transactions.into_iter().collect(), ..Hearsay::default() }
    }

    #[test]
    fn an_event_is_late_unless_its_own_transaction_notified() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lateness = Lateness::new(start);
        lateness.hear(&heard([1]), start);
        lateness.read([1, 2, 2, 3, 4].into_iter(), start);
        assert_eq!(lateness.found(at(1_000)), 0, "their notifications may be on the way");
        lateness.hear(&heard([3]), at(1_000));
        // steady notifications of others explain nothing
        (100..200).for_each(|xid| lateness.hear(&heard([xid]), at(900 + xid)));
        assert_eq!(lateness.found(at(1_100)), 3, "two of transaction 2 and one of 4");
        assert_eq!(lateness.found(at(9_000)), 0, "each is counted once");
    }

    #[test]
    fn of_more_than_can_be_remembered_nothing_is_said() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lateness = Lateness::new(start);
        let many = u64::try_from(MOST_REMEMBERED).unwrap() + 1;
        lateness.hear(&heard(10..10 + many), start);
        lateness.read([1].into_iter(), at(10));
        assert_eq!(lateness.found(at(2_000)), 0);
        lateness.hear(&heard([]), at(11_000));
        lateness.read([2].into_iter(), at(11_000));
        assert_eq!(lateness.found(at(13_000)), 1);
    }

    #[test]
    fn a_notification_is_remembered_for_some_seconds() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut lateness = Lateness::new(start);
        lateness.hear(&heard([1]), at(4_900));
        lateness.hear(&heard([2]), at(5_100));
        lateness.read([1, 2].into_iter(), at(9_000));
        assert_eq!(lateness.found(at(20_000)), 0);
        lateness.hear(&heard([3]), at(20_000));
        lateness.hear(&heard([4]), at(26_000));
        lateness.read([1].into_iter(), at(26_000));
        assert_eq!(lateness.found(at(28_000)), 1, "it is forgotten then");
    }
}
