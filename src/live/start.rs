//! Starting the background tasks.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hub::ListenerState;
use super::meter::Task;
use super::state::Live;
use super::supervise::supervise;
use super::{audit, fold_task, listener, recording_check, session_check, stranger_check};

impl Live {
    /// Starts the background tasks, each supervised. They end when `stop` is cancelled.
    pub fn start(
        self: &Arc<Self>,
        retention: Duration,
        audit_every: Duration,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        for task in Task::ALL {
            let (live, stopped) = (Arc::clone(self), stop.clone().cancelled_owned());
            tasks.spawn(async move {
                let run = || live.run(task, retention, audit_every);
                tokio::select! {
                    () = stopped => {}
                    () = supervise(task, &live.meter, || live.failed(task), run) => {}
                }
            });
        }
    }

    async fn run(self: &Arc<Self>, task: Task, retention: Duration, audit_every: Duration) {
        match task {
            Task::Listener => listener::run(self).await,
            Task::Sessions => session_check::run(&self.sessions, &self.hub, &self.meter).await,
            Task::Fold => fold_task::run(self, retention, audit_every).await,
            Task::Strangers => stranger_check::run(&self.store, &self.meter).await,
            Task::Recording => recording_check::run(&self.store, &self.hub).await,
            Task::Audit => audit::run(self, audit_every).await,
        }
    }

    fn failed(&self, task: Task) {
        if task == Task::Listener {
            let why = "the listener failed and begins anew".to_owned();
            self.hub.set_listener_state(ListenerState::Degraded(why));
            self.meter.set_awake(false);
        }
    }
}
