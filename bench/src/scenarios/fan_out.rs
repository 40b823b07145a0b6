//! One update that all streams are told of.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::bench::Bench;
use crate::measure;
use crate::options::Scenario;
use crate::samples::{Samples, milliseconds};
use crate::system::{Reps, System};
use crate::writers::Writer;

const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    for system in bench.systems() {
        one(bench, system).await.context(system.name())?;
    }
    Ok(())
}

async fn one(bench: &mut Bench, system: System) -> anyhow::Result<()> {
    bench.say(&format!("{}: one update for {} streams", system.name(), bench.plan.streams));
    let server = bench.start(system).await?;
    let fleet = bench.open(&server, Reps::One(bench.databases.hot_rep(), bench.plan.streams)).await?;
    // one that does not open is noted where connecting is measured
    let streams = fleet.opening.opened;
    let writer = Writer::connect(&bench.databases.url(system.database()), &bench.sequence).await?;
    let (mut first, mut last, mut cpu) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..bench.plan.fan_outs {
        tokio::time::sleep(PAUSE).await;
        let before = (fleet.received(), measure::precise_cpu(server.pid()?)?);
        let update = writer.update(bench.databases.hot_orders().first + round as i64).await?;
        let deadline = Instant::now() + TIMEOUT;
        while fleet.received() < before.0 + streams as u64 && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        cpu.push(milliseconds(measure::precise_cpu(server.pid()?)?.saturating_sub(before.1)));
        let receipts = fleet.take_now().await?;
        let times: Samples = receipts
            .iter()
            .filter(|receipt| receipt.amount == update.amount)
            .map(|receipt| milliseconds(receipt.at.saturating_duration_since(update.sent)))
            .collect();
        ensure!(receipts.len() == streams, "{} of {streams} streams were told", receipts.len());
        first.push(times.percentile(0.0));
        last.push(times.max());
    }
    bench.results.note(
        Scenario::FanOut,
        system.name(),
        &[
            ("streams", streams as f64),
            ("first ms", first.median()),
            ("last ms", last.median()),
            ("server ms of CPU", cpu.median()),
        ],
    );
    drop(fleet);
    server.stop().await
}
