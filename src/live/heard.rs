//! What was heard on the listener's connection and not acted upon yet. Constant in size whatever is sent at whatever rate.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::order::RepId;
use crate::store::{RISEN, is_canary};

/// Beyond this many reps a hint is for everybody.
const MOST_HINTED_REPS: usize = 4_096;

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
}

/// What notifications said since they were last taken.
#[derive(Default)]
pub(super) struct Hearsay {
    /// Whom they concern.
    pub(super) hint: Hint,
    /// How many there were.
    pub(super) notifications: u32,
    /// Whether another instance said that it no longer sleeps.
    pub(super) another_rose: bool,
}

/// Whom the heard notifications concern.
#[derive(Default)]
pub(super) enum Hint {
    #[default]
    Nobody,
    Reps(HashSet<RepId>),
    Everybody,
}

impl Hint {
    /// Adds a payload of a trigger: `reps:1,2,3`. Anything else, as anybody may send it, is for everybody.
    fn add(&mut self, payload: &str) {
        let list = payload.strip_prefix("reps:");
        let reps: Option<Vec<RepId>> = list.and_then(|list| {
            list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok().map(RepId)).collect()
        });
        match (&mut *self, reps) {
            (Self::Everybody, _) => {}
            (_, None) => *self = Self::Everybody,
            (Self::Reps(known), Some(reps)) if known.len() + reps.len() <= MOST_HINTED_REPS => known.extend(reps),
            (Self::Reps(_), Some(_)) => *self = Self::Everybody,
            (Self::Nobody, Some(reps)) => *self = Self::Reps(reps.into_iter().collect()),
        }
    }
}

impl Heard {
    /// Takes a notification in.
    pub(super) fn hear(&self, channel: &str, payload: &str) {
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
            inbox.news.hint.add(payload);
            inbox.news.notifications = inbox.news.notifications.saturating_add(1);
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

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_no_trigger_sends_is_for_everybody() {
        for payload in ["all", "", "reps:x", "reps:1,2,", "reps:", "reps:1"] {
            let mut hint = Hint::default();
            hint.add(payload);
            let everybody = matches!(hint, Hint::Everybody);
            assert_eq!(everybody, matches!(payload, "all" | "" | "reps:x"), "{payload}");
        }
        let mut hint = Hint::default();
        hint.add(&format!("reps:{}", (0..=MOST_HINTED_REPS).map(|n| n.to_string()).collect::<Vec<_>>().join(",")));
        hint.add("reps:1");
        assert!(matches!(hint, Hint::Everybody));
    }
}
