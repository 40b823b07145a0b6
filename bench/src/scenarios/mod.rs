//! The scenarios, each in its own file.

mod bulk;
mod connect;
mod dashboards;
mod disk;
mod events;
mod fan_out;
mod growth;
mod idle;
mod memory;
mod polling;
mod shop;
mod stage;
mod writers;

use crate::bench::Bench;
use crate::options::{Options, Scenario};
use crate::system::System;
pub use disk::{AT_SHOP_RATES, LOWEST_OF_UNSERVED, LOWEST_WITHOUT_DELAY, WORST};
pub use growth::{STEADY, median_column};
pub use polling::DASHBOARDS;
pub use shop::{BARE, RATES, SERVICE, row as shop_row};
use stage::Stage;

/// Those that need the databases with equal orders.
pub const ON_EQUAL_ONES: [Scenario; 10] = [
    Scenario::Connect,
    Scenario::Memory,
    Scenario::Idle,
    Scenario::Events,
    Scenario::FastEvents,
    Scenario::FanOut,
    Scenario::Writers,
    Scenario::Shop,
    Scenario::Disk,
    Scenario::Bulk,
];

/// Those that need the database `growth`.
pub const ON_GROWTH: [Scenario; 2] = [Scenario::Growth, Scenario::Polling];

/// Runs what is wanted.
pub async fn run(bench: &mut Bench, options: &Options) {
    for system in bench.systems() {
        on_stage(bench, options, system).await;
    }
    if options.wants(Scenario::Memory) {
        bench.attempt(Scenario::Memory, memory::many).await;
    }
    if options.wants(Scenario::FanOut) {
        bench.attempt(Scenario::FanOut, fan_out::run).await;
    }
    if options.wants(Scenario::Writers) {
        bench.attempt(Scenario::Writers, writers::run).await;
    }
    if options.wants(Scenario::Shop) {
        bench.attempt(Scenario::Shop, shop::run).await;
    }
    if options.wants(Scenario::Bulk) {
        bench.attempt(Scenario::Bulk, bulk::run).await;
    }
    if options.wants(Scenario::Growth) {
        bench.attempt(Scenario::Growth, growth::run).await;
    }
    if options.wants(Scenario::Polling) {
        bench.attempt(Scenario::Polling, polling::run).await;
    }
    if options.wants(Scenario::Dashboards) {
        bench.attempt(Scenario::Dashboards, dashboards::run).await;
    }
    // last, as it starts the database server anew
    if options.wants(Scenario::Disk) {
        bench.attempt(Scenario::Disk, disk::run).await;
    }
}

/// The scenarios that share one opening of all streams. Connect is last, as it closes them and opens them again.
async fn on_stage(bench: &mut Bench, options: &Options, system: System) {
    let wanted = |scenario: &Scenario| options.wants(*scenario) && stage::has(system, *scenario);
    let scenarios: Vec<Scenario> = stage::SCENARIOS.into_iter().filter(wanted).collect();
    let Some(first) = scenarios.first() else { return };
    let mut stage = match Stage::open(bench, system).await {
        Ok(stage) => stage,
        Err(error) => return bench.results.fail(*first, &error.context(format!("{}: no streams", system.name()))),
    };
    for scenario in scenarios {
        let stage = &mut stage;
        let outcome = match scenario {
            Scenario::Memory => memory::run(bench, stage).await,
            Scenario::Idle => idle::run(bench, stage).await,
            Scenario::Events => events::run(bench, stage, events::USUAL).await,
            Scenario::FastEvents => events::run(bench, stage, events::FAST).await,
            _ => connect::run(bench, stage).await,
        };
        if let Err(error) = outcome {
            bench.results.fail(scenario, &error.context(system.name()));
        }
    }
}
