//! Passwords in Django's hasher formats, as `accounts_user.password` has them.

use std::sync::Arc;
use std::time::Duration;

use djangohashers::{Algorithm, check_password_tolerant, make_password_with_algorithm};
use tokio::sync::Semaphore;

/// How many passwords are hashed at the same time. Hashing is made to be slow: unlimited, logins would take all cores.
const CONCURRENT_HASHES: usize = 2;

/// How long a login waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest password that is hashed, in bytes; Django has the same limit.
const LONGEST_PASSWORD: usize = 4_096;

/// Of a user that does not exist, this is checked, so that the answer takes as long. It is no password's hash.
const NOBODY: &str = "pbkdf2_sha256$1000000$nobodynobodynobodynobo$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Too many people are signing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people are signing in at once")]
pub struct TooBusy;

/// Checks passwords on blocking threads, a few at a time.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(CONCURRENT_HASHES)) }
    }
}

impl Passwords {
    /// Whether the password is the one that was encoded. For `None`, a user that does not exist, it takes as long and
    /// is `false`. An encoding that no hasher knows matches nothing.
    ///
    /// # Errors
    /// [`TooBusy`] if the turn does not come within ten seconds.
    pub async fn check(&self, password: String, encoded: Option<String>) -> Result<bool, TooBusy> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(TooBusy) };
        let checking = tokio::task::spawn_blocking(move || {
            let exists = encoded.is_some();
            let matches = password.len() <= LONGEST_PASSWORD
                && check_password_tolerant(&password, encoded.as_deref().unwrap_or(NOBODY));
            drop(turn);
            exists && matches
        });
        // a hasher that panics at a malformed encoding has found no match
        Ok(checking.await.unwrap_or(false))
    }
}

/// Encodes a new password with Django's default hasher.
#[must_use]
pub fn encode(password: &str) -> String {
    make_password_with_algorithm(password, Algorithm::PBKDF2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_hasher_of_django_is_understood() {
        for algorithm in [Algorithm::PBKDF2, Algorithm::Argon2, Algorithm::Scrypt, Algorithm::BCryptSHA256] {
            let encoded = make_password_with_algorithm("right", algorithm);
            let passwords = Passwords::default();
            assert_eq!(passwords.check("right".into(), Some(encoded.clone())).await, Ok(true), "{encoded}");
            assert_eq!(passwords.check("wrong".into(), Some(encoded.clone())).await, Ok(false), "{encoded}");
        }
    }

    #[tokio::test]
    async fn nonsense_matches_nothing() {
        for encoded in ["", "!", "plain", "pbkdf2_sha256$x$y$z", "argon2$", "bcrypt$$", "scrypt$1$1$1$"] {
            assert_eq!(Passwords::default().check("plain".into(), Some(encoded.into())).await, Ok(false), "{encoded}");
        }
        assert_eq!(Passwords::default().check(String::new(), None).await, Ok(false));
    }
}
