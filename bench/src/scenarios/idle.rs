//! Processor time of idle streams: pings, and what the server does anyhow.

use std::time::Duration;

use super::stage::Stage;
use crate::bench::Bench;
use crate::measure;
use crate::options::Scenario;

/// By then the service has read the statistics of all scopes ahead, which it does once.
const SETTLED: Duration = Duration::from_secs(10);

pub(super) async fn run(bench: &mut Bench, stage: &mut Stage) -> anyhow::Result<()> {
    let time = bench.plan.idle;
    bench.say(&format!("{}: idle for {} s", stage.system.name(), time.as_secs()));
    tokio::time::sleep(SETTLED).await;
    let (pid, folder) = (stage.server.pid()?, bench.databases.folder());
    let before = (measure::process_cpu(pid)?, measure::cluster_cpu(folder)?);
    tokio::time::sleep(time).await;
    let server = measure::process_cpu(pid)?.saturating_sub(before.0);
    let database = measure::cluster_cpu(folder)?.saturating_sub(before.1);
    let percent = |busy: std::time::Duration| 100.0 * busy.as_secs_f64() / time.as_secs_f64();
    bench.results.note(
        Scenario::Idle,
        stage.system.name(),
        &[("server % of a core", percent(server)), ("PostgreSQL % of a core", percent(database))],
    );
    Ok(())
}
