//! Single-order updates at a given rate, each for one stream.

use std::time::Duration;

use anyhow::Context;

use super::stage::Stage;
use crate::bench::Bench;
use crate::delivery::Delivered;
use crate::measure;
use crate::options::Scenario;
use crate::plan::Plan;
use crate::writers::{Pace, Writers};

/// How fast and for how long.
pub(super) struct Load {
    scenario: Scenario,
    rate: u32,
    connections: usize,
    time: fn(&Plan) -> Duration,
}

/// A busy day.
pub(super) const USUAL: Load =
    Load { scenario: Scenario::Events, rate: 1_000, connections: 8, time: |plan| plan.events };

/// More than that.
pub(super) const FAST: Load =
    Load { scenario: Scenario::FastEvents, rate: 4_000, connections: 16, time: |plan| plan.fast_events };

pub(super) async fn run(bench: &mut Bench, stage: &mut Stage, load: Load) -> anyhow::Result<()> {
    let time = (load.time)(&bench.plan);
    bench.say(&format!("{}: {} commits/s for {} s", stage.system.name(), load.rate, time.as_secs()));
    let fleet = stage.fleet.as_ref().context("the streams are closed")?;
    let url = bench.databases.url(stage.system.database());
    let writers = Writers::connect(&url, load.connections, &bench.sequence).await?;
    let orders = bench.databases.orders_of(bench.plan.streams);
    fleet.take_now().await?;

    let (pid, folder) = (stage.server.pid()?, bench.databases.folder());
    let before = (measure::process_cpu(pid)?, measure::cluster_cpu(folder)?, measure::machine_cpu()?);
    let updates = writers.write(orders, Pace::Rate(load.rate), time).await?;
    let receipts = fleet.take().await?;
    let server = measure::process_cpu(pid)?.saturating_sub(before.0);
    let database = measure::cluster_cpu(folder)?.saturating_sub(before.1);
    let machine = measure::machine_cpu()?.saturating_sub(before.2);

    let delivered = Delivered::of(&updates, &receipts);
    let events = (updates.len() - delivered.lost) as f64;
    let each = |busy: Duration| busy.as_secs_f64() * 1e6 / events;
    bench.results.note(
        load.scenario,
        stage.system.name(),
        &[
            ("commits/s", updates.len() as f64 / time.as_secs_f64()),
            ("p50 ms", delivered.latency.median()),
            ("p99 ms", delivered.latency.percentile(0.99)),
            ("max ms", delivered.latency.max()),
            ("p50 ms from sending", delivered.in_all.median()),
            ("p99 ms from sending", delivered.in_all.percentile(0.99)),
            ("server µs/event", each(server)),
            ("PostgreSQL µs/event", each(database)),
            ("machine µs/event", each(machine)),
            ("lost", delivered.lost as f64),
        ],
    );
    Ok(())
}
