//! What was heard on the listener's connection and not acted upon yet. Constant in size whatever is sent at whatever rate.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::meter::Meter;
use crate::store::{RISEN, is_canary};

/// Beyond this many it is not kept which transactions notified. A listener rises long before.
const MOST_TRANSACTIONS: usize = 4_096;

/// What a trigger adds to its payload where another transaction that has notified is still open.
const CROWDED: &str = " crowded";

#[derive(Default)]
pub(super) struct Heard {
    inbox: Mutex<Inbox>,
    something: Notify,
}

#[derive(Default)]
struct Inbox {
    news: Hearsay,
    /// The canary that is on its way, and whom to tell when it comes back.
    canary: Option<(String, oneshot::Sender<()>)>,
    /// Since when the listener has been reading: a session that executes something hears nothing.
    reading_since: Option<Instant>,
}

/// What notifications said since they were last taken. Anybody can send one.
#[derive(Default)]
pub(super) struct Hearsay {
    /// How many there were.
    pub(super) notifications: u32,
    /// Which transactions notified; of very many not all.
    pub(super) transactions: HashSet<u64>,
    /// Whether not all of them are there.
    pub(super) is_cut_short: bool,
    /// Whether one of them found another that had notified and was still open.
    pub(super) is_crowded: bool,
    /// Whether another instance said that it no longer sleeps.
    pub(super) another_rose: bool,
}

/// What a trigger's notification says: `745`, or `745 crowded`. Of what anybody else sends this is as much as is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Which transaction notified.
    pub transaction: Option<u64>,
    /// Whether it found another that had notified and was still open.
    pub is_crowded: bool,
}

impl Payload {
    /// Reads what was sent.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let transaction = text.strip_suffix(CROWDED);
        Self { transaction: transaction.unwrap_or(text).parse().ok(), is_crowded: transaction.is_some() }
    }
}

impl Hearsay {
    /// Adds what a notification says. Whether a trigger may have said it.
    fn add(&mut self, payload: &str) -> bool {
        let payload = Payload::parse(payload);
        self.notifications = self.notifications.saturating_add(1);
        self.is_crowded |= payload.is_crowded;
        let Some(xid) = payload.transaction else { return false };
        if self.transactions.len() < MOST_TRANSACTIONS {
            self.transactions.insert(xid);
        } else {
            self.is_cut_short = true;
        }
        true
    }
}

impl Heard {
    /// Takes a notification in, and counts it.
    pub(super) fn hear(&self, channel: &str, payload: &str, meter: &Meter) {
        let mut inbox = self.lock();
        if is_canary(channel) {
            if let Some((_, back)) = inbox.canary.take_if(|(nonce, _)| nonce == payload) {
                // nobody waits any more for one that comes too late
                let _ = back.send(());
            }
            return;
        }
        if payload == RISEN {
            inbox.news.another_rose = true;
        } else {
            let is_of_trigger = inbox.news.add(payload);
            meter.notifications.inc();
            meter.notifications_malformed.inc_by(u64::from(!is_of_trigger));
        }
        drop(inbox);
        self.something.notify_one();
    }

    /// Returns when something was heard since this was last asked.
    pub(super) async fn something(&self) {
        self.something.notified().await;
    }

    pub(super) fn take(&self) -> Hearsay {
        std::mem::take(&mut self.lock().news)
    }

    pub(super) fn expect_canary(&self, nonce: &str) -> oneshot::Receiver<()> {
        let (back, comes_back) = oneshot::channel();
        self.lock().canary = Some((nonce.to_owned(), back));
        comes_back
    }

    pub(super) fn begins_to_read(&self) {
        self.lock().reading_since = Some(Instant::now());
    }

    pub(super) fn has_read(&self) {
        self.lock().reading_since = None;
    }

    /// Whether one read has been under way for longer than that.
    pub(super) fn has_been_reading_for(&self, time: Duration) -> bool {
        self.lock().reading_since.is_some_and(|since| since.elapsed() >= time)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_no_trigger_sends_is_a_notification_and_no_more() {
        for (payload, transaction, is_crowded) in [
            ("745", Some(745), false),
            ("745 crowded", Some(745), true),
            ("", None, false),
            ("all", None, false),
            ("x crowded", None, true),
            ("reps:1,2", None, false),
        ] {
            let mut news = Hearsay::default();
            assert_eq!(news.add(payload), transaction.is_some(), "{payload}");
            assert_eq!(news.notifications, 1);
            assert_eq!((news.transactions.into_iter().next(), news.is_crowded), (transaction, is_crowded), "{payload}");
        }
    }

    #[test]
    fn however_many_are_sent_no_more_is_kept() {
        let mut news = Hearsay::default();
        (0..10_000).for_each(|xid| _ = news.add(&xid.to_string()));
        assert_eq!((news.notifications, news.transactions.len()), (10_000, MOST_TRANSACTIONS));
        assert!(news.is_cut_short);
    }
}
