//! How long a client may have us wait while it takes an answer.

use std::time::Duration;

use tokio::time::Instant;

/// What a client must take of an answer on average, in bytes a second, once it has us wait.
const RATE: u32 = 1_024;

/// The time for which a client may have us wait. It is used up by waiting, and comes back with what the client takes, so that
/// nobody holds an answer for long by taking it byte by byte.
#[derive(Debug)]
pub(super) struct Allowance {
    patience: Duration,
    left: Duration,
    since: Option<Instant>,
}

impl Allowance {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, left: patience, since: None }
    }

    /// We wait, from now on where we did not before. Gives until when.
    pub(super) fn wait(&mut self, now: Instant) -> Instant {
        *self.since.get_or_insert(now) + self.left
    }

    /// Until when we wait, if we do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.left)
    }

    /// The client has taken so many bytes.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) {
        let waited = self.since.take().map_or(Duration::ZERO, |since| now - since);
        let earned = Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX) / RATE;
        self.left = self.left.saturating_sub(waited).saturating_add(earned).min(self.patience);
    }

    /// The client has taken all there is.
    pub(super) fn catch_up(&mut self) {
        self.since = None;
        self.left = self.patience;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_used_up_by_waiting_and_comes_back_with_what_is_taken() {
        let (patience, began) = (Duration::from_secs(20), Instant::now());
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut allowance = Allowance::new(patience);
        assert_eq!(allowance.deadline(), None);
        assert_eq!(allowance.wait(after(0)), after(20));
        assert_eq!(allowance.wait(after(5)), after(20), "one wait has one beginning");
        allowance.take(2_048, after(15));
        assert_eq!(allowance.wait(after(15)), after(22), "5 s are left, and 2 s came back");
        allowance.take(1, after(20));
        allowance.take(1_000_000, after(20));
        assert_eq!(allowance.wait(after(20)), after(40), "never more than at the beginning");
        allowance.take(0, after(39));
        allowance.catch_up();
        assert_eq!(allowance.wait(after(100)), after(120));
    }
}
