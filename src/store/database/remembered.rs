//! An answer that is asked for more often than it is looked for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// For how long an answer is given again.
const GOOD_FOR: Duration = Duration::from_secs(3);

/// The last answer, for a few seconds. All clones share it.
#[derive(Debug, Clone)]
pub(in crate::store) struct Remembered<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Remembered<T> {
    /// The last answer while it is good, else the one that is found now. Who asks meanwhile waits for that. An error is not kept.
    pub(in crate::store) async fn or<E>(&self, look: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let mut last = self.0.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return Ok(answer.clone());
        }
        let answer = look.await?;
        *last = Some((Instant::now(), answer.clone()));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_again_for_a_while_and_an_error_is_not() {
        let remembered = Remembered::default();
        assert_eq!(remembered.or(async { Err("away") }).await, Err("away"));
        let ask = async |answer: i32| remembered.or(async { Ok::<_, Infallible>(answer) }).await.unwrap();
        assert_eq!(ask(1).await, 1);
        tokio::time::advance(GOOD_FOR / 2).await;
        assert_eq!(ask(2).await, 1);
        tokio::time::advance(GOOD_FOR / 2).await;
        assert_eq!(ask(3).await, 3);
    }
}
