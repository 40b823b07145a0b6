//! Memory of idle streams.

use super::stage::Stage;
use crate::bench::Bench;
use crate::measure;
use crate::options::Scenario;
use crate::system::{Reps, Server, System};

pub(super) async fn run(bench: &mut Bench, stage: &mut Stage) -> anyhow::Result<()> {
    bench.say(&format!("{}: memory of {} idle streams", stage.system.name(), stage.opening.opened));
    let row = stage.system.name();
    read(bench, row, &stage.server, stage.memory_before, stage.opening.opened).await
}

/// The service with more streams, in a process of its own.
pub(super) async fn many(bench: &mut Bench) -> anyhow::Result<()> {
    let streams = bench.plan.many_streams;
    bench.say(&format!("service: memory of {streams} idle streams"));
    let server = bench.start(System::Service).await?;
    let before = measure::memory(server.pid()?)?;
    let fleet = bench.open_all(&server, Reps::Each(streams)).await?;
    read(bench, "service, many", &server, before, fleet.opening.opened).await?;
    drop(fleet);
    server.stop().await
}

async fn read(bench: &mut Bench, row: &str, server: &Server, before: f64, streams: usize) -> anyhow::Result<()> {
    tokio::time::sleep(bench.plan.quiet).await;
    let all = measure::memory(server.pid()?)?;
    let streams = streams as f64;
    bench.results.note(
        Scenario::Memory,
        row,
        &[
            ("streams", streams),
            ("kB before", before),
            ("kB with them", all),
            ("kB more/stream", (all - before) / streams),
            ("kB all/stream", all / streams),
        ],
    );
    Ok(())
}
