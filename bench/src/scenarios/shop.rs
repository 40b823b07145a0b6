//! Single-order updates at the rates that a shop has: what their writers notice, and what PostgreSQL has to do for each.

use std::time::Duration;

use crate::bench::Bench;
use crate::databases::Kind;
use crate::delivery::Delivered;
use crate::measure;
use crate::options::Scenario;
use crate::samples::{Samples, milliseconds};
use crate::system::{Reps, System};
use crate::writers::{Pace, Update, Writers};

const CONNECTIONS: usize = 8;
const STREAMS: usize = 100;

/// Commits a second.
pub const RATES: [u32; 3] = [200, 1_000, 2_000];

/// The table without a trigger.
pub const BARE: &str = "bare";
/// That with a plain trigger, to which somebody listens.
const PLAIN: &str = "plain trigger";
/// That with the service.
pub const SERVICE: &str = "service";

/// A row of the table.
pub fn row(name: &str, rate: u32) -> String {
    format!("{name}, {rate}/s")
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (service, floor) = (bench.start(System::Service).await?, bench.start(System::Floor).await?);
    let ours = bench.open_all(&service, Reps::Each(STREAMS)).await?;
    let theirs = bench.open_all(&floor, Reps::Each(STREAMS)).await?;
    let orders = bench.databases.orders_of(STREAMS);
    let (time, folder) = (bench.plan.shop, bench.databases.folder().to_owned());
    for rate in RATES {
        let mut variants = Vec::new();
        for (name, kind, fleet) in
            [(BARE, Kind::Bare, None), (PLAIN, Kind::Peers, Some(&theirs)), (SERVICE, Kind::Service, Some(&ours))]
        {
            let writers = Writers::connect(&bench.databases.url(kind), CONNECTIONS, &bench.sequence).await?;
            let empty = (Samples::default(), Delivered::default(), Duration::ZERO, 0.0);
            variants.push((name, fleet, writers, empty));
        }
        for round in 1..=bench.plan.rounds {
            for (name, fleet, writers, (latency, delivered, busy, updated)) in &mut variants {
                bench.say(&format!("{rate} commits/s: {name}, round {round}"));
                if let Some(fleet) = fleet {
                    fleet.take_now().await?;
                }
                let before = measure::cluster_cpu(&folder)?;
                let updates = writers.write(orders, Pace::Rate(rate), time).await?;
                *busy += measure::cluster_cpu(&folder)?.saturating_sub(before);
                *updated += updates.len() as f64;
                latency.extend(updates.iter().map(taken));
                if let Some(fleet) = fleet {
                    delivered.append(&Delivered::of(&updates, &fleet.take().await?));
                }
            }
        }
        for (name, fleet, _, (latency, delivered, busy, updated)) in &variants {
            let row = row(name, rate);
            bench.results.note(
                Scenario::Shop,
                &row,
                &[
                    ("writer's p50 ms", latency.median()),
                    ("writer's p99 ms", latency.percentile(0.99)),
                    ("PostgreSQL µs/event", busy.as_secs_f64() * 1e6 / updated),
                ],
            );
            if fleet.is_some() {
                let told = &delivered.latency;
                let figures = [
                    ("told p50 ms", told.median()),
                    ("told p99 ms", told.percentile(0.99)),
                    ("lost", delivered.lost as f64),
                ];
                bench.results.note(Scenario::Shop, &row, &figures);
            }
        }
    }
    service.stop().await?;
    floor.stop().await
}

/// What the writer waited, in ms.
fn taken(update: &Update) -> f64 {
    milliseconds(update.acknowledged - update.sent)
}
