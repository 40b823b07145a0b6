//! A server with a stream of each rep open, which several scenarios share.

use crate::bench::Bench;
use crate::fleet::{Fleet, Opening};
use crate::measure;
use crate::options::Scenario;
use crate::system::{Reps, Server, System};

/// The scenarios that share it, in this order.
pub(super) const SCENARIOS: [Scenario; 5] =
    [Scenario::Memory, Scenario::Idle, Scenario::Events, Scenario::FastEvents, Scenario::Connect];

/// Whether a scenario means anything for a system: the floor's idle streams are left alone, without pings.
pub(super) fn has(system: System, scenario: Scenario) -> bool {
    !(system == System::Floor && scenario == Scenario::Idle)
}

/// A server with all streams open.
pub(super) struct Stage {
    /// Which.
    pub(super) system: System,
    /// Its process.
    pub(super) server: Server,
    /// Its streams; none between two rounds of connecting.
    pub(super) fleet: Option<Fleet>,
    /// How it went to open them.
    pub(super) opening: Opening,
    /// Memory of the server before, in kB.
    pub(super) memory_before: f64,
}

impl Stage {
    /// Starts the server and opens its streams.
    pub(super) async fn open(bench: &mut Bench, system: System) -> anyhow::Result<Self> {
        let streams = bench.plan.streams;
        bench.say(&format!("{}: opening {streams} streams", system.name()));
        let server = bench.start(system).await?;
        let memory_before = measure::memory(server.pid()?)?;
        let fleet = bench.open(&server, Reps::Each(streams)).await?;
        let opening = fleet.opening.clone();
        Ok(Self { system, server, fleet: Some(fleet), opening, memory_before })
    }
}
