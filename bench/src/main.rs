//! The command line of the benchmark. Everything else is in the library.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Parser;
use oncare_bench::bench::{Bench, say};
use oncare_bench::databases::{Databases, SETTINGS};
use oncare_bench::options::{Options, Scenario};
use oncare_bench::plan::Plan;
use oncare_bench::results::{Results, shown};
use oncare_bench::system::Programs;
use oncare_bench::{measure, open_files, plots, scenarios, targets};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// On one thread, beside that of the receivers: what is measured needs the processors.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match obey(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("oncare-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every scenario came to its end.
async fn obey(options: &Options) -> anyhow::Result<bool> {
    let default = std::env::temp_dir().join(format!("oncare-bench.{}", std::process::id()));
    let folder = options.data_dir.clone().unwrap_or(default);
    if folder.exists() && std::fs::read_dir(&folder)?.next().is_some() {
        bail!("{} is not empty; give --data-dir another folder, which is removed afterwards", folder.display());
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // what is dropped half-way ends its children; the database server ends with the pipe that it holds of this process
    let outcome = tokio::select! {
        outcome = run(options, &folder) => outcome,
        _ = terminate.recv() => Err(anyhow::anyhow!("told to stop")),
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
    };
    let removed = remove(&folder).await;
    outcome.and_then(|complete| removed.map(|()| complete))
}

async fn run(options: &Options, folder: &Path) -> anyhow::Result<bool> {
    let (plan, began) = (options.plan(), Instant::now());
    let programs = Programs::find(options.service.clone(), &options.peers)?;
    open_files::allow(plan.streams)?;
    let busy_before = measure::machine_cpu()?;
    say(began, "starting a private PostgreSQL");
    let databases = Databases::start(folder, &plan).await.context("could not start a private PostgreSQL")?;
    if scenarios::ON_EQUAL_ONES.iter().any(|scenario| options.wants(*scenario)) {
        say(began, "loading orders for every system");
        databases.make_equal_ones(&plan).await?;
    }
    if scenarios::ON_GROWTH.iter().any(|scenario| options.wants(*scenario)) {
        say(began, "loading orders of reps of different sizes");
        databases.make_growth(&plan).await?;
    }
    if options.wants(Scenario::Dashboards) {
        say(began, "loading orders of reps with dashboards");
        databases.make_dashboards(&plan).await?;
    }
    let mut about = about(&databases, options).await?;
    let mut bench = Bench::new(plan, databases, programs, options.peers.clone(), began);
    scenarios::run(&mut bench, options).await;
    bench.say("done");
    let Bench { results, databases, plan, .. } = bench;
    databases.stop().await?;
    // now everything that was started has ended, and counts as this program's
    let others = (measure::machine_cpu()?.saturating_sub(busy_before)).saturating_sub(measure::cpu_with_children()?);
    about["other work, % of a core"] = json!(100.0 * others.as_secs_f64() / began.elapsed().as_secs_f64());
    tell(&results, &plan, about, options)?;
    Ok(!results.has_failures())
}

fn tell(results: &Results, plan: &Plan, about: Value, options: &Options) -> anyhow::Result<()> {
    let targets = targets::targets(results, plan);
    results.print();
    let others = about["other work, % of a core"].as_f64().unwrap_or(f64::INFINITY);
    targets::print(&targets, others);
    println!("\nother work of this machine meanwhile: {} % of a core", shown(others));
    results.write(&options.json, about, targets::json(&targets))?;
    if let Some(folder) = &options.plots {
        plots::draw(results, plan, folder)?;
    }
    Ok(())
}

/// On what was measured.
async fn about(databases: &Databases, options: &Options) -> anyhow::Result<Value> {
    let version = databases.version().await?;
    let cpus = std::thread::available_parallelism()?.get();
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    Ok(json!({
        "quick": options.quick,
        "streams": options.plan().streams,
        "processors": cpus,
        "processor": model,
        "postgresql": version,
        "settings": SETTINGS.iter().map(|(name, value)| (*name, *value)).collect::<std::collections::BTreeMap<_, _>>(),
    }))
}

/// Removes the server's data, which a server that is still stopping may be writing to.
async fn remove(folder: &Path) -> anyhow::Result<()> {
    const ATTEMPTS: usize = 100;
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
    for _ in 0..ATTEMPTS {
        let running = folder.join("postmaster.pid").exists();
        if !running && (!folder.exists() || std::fs::remove_dir_all(folder).is_ok()) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    bail!("could not remove {}", folder.display())
}
