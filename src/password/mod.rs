//! Passwords: Django's formats, as `accounts_user.password` has them (`hashers.rs`), and the queue for the few places in which they are
//! hashed (`queue.rs`). And which new ones are guessed at once (`guess.rs`).

mod guess;
mod hashers;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use guess::guessable;
pub use hashers::{Incomprehensible, encode};
pub use queue::{Asker, NoTurn, Queue, Turn};

use crate::seldom::Seldom;

/// Longest password that is hashed, in bytes; Django has the same limit.
const LONGEST_PASSWORD: usize = 4_096;

/// What came of holding a password against a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is the one that was encoded.
    Matches {
        /// Whether the encoding is weaker than that of a new password.
        is_weak: bool,
    },
    /// It is not.
    Differs,
    /// The account has no password, or there is none.
    Unusable,
    /// The hash can't be checked.
    Incomprehensible(Incomprehensible),
}

/// Checks passwords on blocking threads. No failure is told before a certain time, so that the time does not tell what failed.
#[derive(Clone)]
pub struct Passwords {
    failure_takes: Duration,
    took_longer: Arc<Seldom>,
}

impl Passwords {
    /// Where every failure takes at least so long.
    #[must_use]
    pub fn new(failure_takes: Duration) -> Self {
        Self { failure_takes, took_longer: Arc::default() }
    }

    /// Holds the password against the hash, and gives the turn to the next as soon as that is done. Without a hash, for a user that
    /// does not exist or may not sign in, it hashes as much as for a new password.
    pub async fn check(&self, turn: Turn, password: String, encoded: Option<String>) -> Checked {
        let began = Instant::now();
        let checking = tokio::task::spawn_blocking(move || {
            let checked = checked(&password, encoded.as_deref());
            drop(turn);
            checked
        });
        // a hasher that panics has found no match
        let checked = checking.await.unwrap_or(Checked::Incomprehensible(Incomprehensible::Malformed));
        if !matches!(checked, Checked::Matches { .. }) {
            if began.elapsed() > self.failure_takes && self.took_longer.is_due() {
                tracing::warn!(
                    took = ?began.elapsed(),
                    "a failed login took longer than all should, so that it can be told from others: raise --failed-login-takes"
                );
            }
            tokio::time::sleep_until(began + self.failure_takes).await;
        }
        checked
    }
}

fn checked(password: &str, encoded: Option<&str>) -> Checked {
    let encoded = encoded.filter(|encoded| !hashers::is_unusable(encoded));
    if password.len() > LONGEST_PASSWORD {
        return Checked::Differs;
    }
    let Some(encoded) = encoded else {
        let _ = hashers::verify(password, hashers::NOBODY);
        return Checked::Unusable;
    };
    match hashers::verify(password, encoded) {
        Ok(true) => Checked::Matches { is_weak: hashers::is_weaker_than_new(encoded) },
        Ok(false) => Checked::Differs,
        Err(why) => Checked::Incomprehensible(why),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const RIGHT: &str = "pbkdf2_sha256$1$saltsaltsalt$VTZdk8Km2da17X4U5HtygxdLLPIFYadEcduZLPYCOzg=";

    async fn check(password: &str, encoded: Option<&str>) -> (Checked, Duration) {
        let asker = Asker { address: [127, 0, 0, 1].into(), connection: None, account: [0; 32], is_known: false };
        let turn = Queue::default().turn(asker).await.unwrap();
        let began = Instant::now();
        let passwords = Passwords::new(Duration::from_secs(60));
        let checked = passwords.check(turn, password.to_owned(), encoded.map(str::to_owned)).await;
        (checked, began.elapsed())
    }

    /// The clock stands still while hashes are computed, so that only what is waited for counts.
    #[tokio::test(start_paused = true)]
    async fn every_failure_takes_as_long_whatever_the_hash_is() {
        let much = "x".repeat(LONGEST_PASSWORD + 1);
        for (password, encoded, expected) in [
            ("wrong", Some(RIGHT), Checked::Differs),
            (&*much, Some(RIGHT), Checked::Differs),
            ("correct horse", None, Checked::Unusable),
            ("correct horse", Some(""), Checked::Unusable),
            ("correct horse", Some("!unusable"), Checked::Unusable),
            ("correct horse", Some("plain"), Checked::Incomprehensible(Incomprehensible::UnknownHasher)),
        ] {
            let (checked, took) = check(password, encoded).await;
            assert_eq!(checked, expected, "{encoded:?}");
            assert_eq!(took.as_secs(), 60, "{encoded:?}");
        }
        let (checked, took) = check("correct horse", Some(RIGHT)).await;
        assert_eq!((checked, took.as_secs()), (Checked::Matches { is_weak: true }, 0));
    }

    #[tokio::test]
    async fn whoever_leaves_keeps_a_place_for_the_run_that_is_under_way_and_no_longer() {
        let (queue, passwords) = (Queue::default(), Passwords::new(Duration::ZERO));
        let asker =
            |n: u8| Asker { address: [127, 0, 0, n].into(), connection: None, account: [n; 32], is_known: false };
        let slow = "pbkdf2_sha256$300000$saltsaltsalt$VTZdk8Km2da17X4U5HtygxdLLPIFYadEcduZLPYCOzg=";
        let mut places = 0;
        while let Some(turn) = queue.turn(asker(places)).now_or_never() {
            let leaves = passwords.check(turn.unwrap(), "wrong".to_owned(), Some(slow.to_owned())).now_or_never();
            assert_eq!(leaves, None);
            places += 1;
        }
        assert_eq!(places, 2);
        assert!(queue.turn(asker(places)).await.is_ok());
    }
}
