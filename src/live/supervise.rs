//! What becomes of a background task that panics: it is said, counted, and the task begins anew.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

use super::meter::{Meter, Task};
use crate::counted::Label;

/// Waits before a task begins anew: the first, and the longest, to which each next one is doubled.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs a task that should never end, again whenever it does. `failed` is told first.
pub(super) async fn supervise<F: Future<Output = ()>>(
    task: Task,
    meter: &Meter,
    failed: impl Fn(),
    mut run: impl FnMut() -> F,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begun_at = Instant::now();
        // what it shared is behind locks that are taken all the same, or counts
        let ended = AssertUnwindSafe(async { run().await }).catch_unwind().await;
        failed();
        meter.restarts.of(task).inc();
        let why = ended.as_ref().map_or_else(|panic| message(&**panic), |()| "it ended");
        tracing::error!(task = task.value(), why, "a background task failed; it begins anew");
        if begun_at.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_begins_anew_and_is_counted() {
        let (meter, runs, failures) = (Meter::default(), AtomicU32::new(0), AtomicU32::new(0));
        let run = || async {
            match runs.fetch_add(1, Relaxed) {
                0 => panic!("of its own words"),
                1 => {}
                _ => std::future::pending().await,
            }
        };
        let failed = || _ = failures.fetch_add(1, Relaxed);
        let supervised = supervise(Task::Listener, &meter, failed, run);
        assert!(tokio::time::timeout(LONGEST_PAUSE, supervised).await.is_err(), "it goes on for ever");
        assert_eq!((runs.load(Relaxed), failures.load(Relaxed)), (3, 2));
        assert_eq!([Task::Listener, Task::Fold].map(|task| meter.restarts.of(task).get()), [2, 0]);
    }
}
