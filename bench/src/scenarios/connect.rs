//! Opening streams as fast as possible.

use super::stage::Stage;
use crate::bench::Bench;
use crate::options::Scenario;
use crate::samples::Samples;
use crate::system::Reps;

pub(super) async fn run(bench: &mut Bench, stage: &mut Stage) -> anyhow::Result<()> {
    let mut openings = vec![stage.opening.clone()];
    for round in 1..bench.plan.rounds {
        bench.say(&format!("{}: opening them again, round {}", stage.system.name(), round + 1));
        drop(stage.fleet.take());
        stage.server.settle().await?;
        let fleet = bench.open(&stage.server, Reps::Each(bench.plan.streams)).await?;
        openings.push(fleet.opening.clone());
        stage.fleet = Some(fleet);
    }
    let median =
        |figure: &dyn Fn(&crate::fleet::Opening) -> f64| openings.iter().map(figure).collect::<Samples>().median();
    let failed: usize = openings.iter().map(|opening| opening.failed).sum();
    bench.results.note(
        Scenario::Connect,
        stage.system.name(),
        &[
            ("streams/s", median(&|opening| opening.opened as f64 / opening.elapsed.as_secs_f64())),
            ("p50 ms", median(&|opening| opening.first.median())),
            ("p99 ms", median(&|opening| opening.first.percentile(0.99))),
            ("max ms", median(&|opening| opening.first.max())),
            ("failed", failed as f64),
        ],
    );
    Ok(())
}
