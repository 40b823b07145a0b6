//! What the figures should be, and whether they are.

use serde_json::{Value, json};

use crate::options::Scenario;
use crate::plan::Plan;
use crate::results::{Results, shown};
use crate::scenarios::{
    AT_SHOP_RATES, BARE, DASHBOARDS, LOWEST_OF_UNSERVED, LOWEST_WITHOUT_DELAY, RATES, SERVICE, STEADY, WORST,
    median_column, shop_row,
};

/// A figure beside what it should be.
pub struct Target {
    what: String,
    measured: Option<f64>,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl Target {
    /// Whether it is met, where it was measured.
    pub fn is_met(&self) -> Option<bool> {
        self.measured.map(|value| match self.limit {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
            Limit::Below(limit) => value < limit,
        })
    }

    fn limit(&self) -> String {
        match self.limit {
            Limit::AtMost(limit) => format!("≤ {}", shown(limit)),
            Limit::AtLeast(limit) => format!("≥ {}", shown(limit)),
            Limit::Below(limit) => format!("< {}", shown(limit)),
        }
    }
}

/// Every target, with what was measured.
pub fn targets(results: &Results, plan: &Plan) -> Vec<Target> {
    use Limit::{AtLeast, AtMost, Below};
    use Scenario::{Bulk, Connect, Disk, Events, FanOut, FastEvents, Idle, Memory, Polling, Writers};
    let service = |scenario, column| results.figure(scenario, "service", column);
    let row = |scenario, row, column| results.figure(scenario, row, column);
    let streams = |row| shown(results.figure(Memory, row, "streams").unwrap_or(f64::NAN));
    let over_floor = service(FanOut, "last ms").zip(row(FanOut, "floor", "last ms")).map(|(ours, floor)| ours / floor);
    let machine = "machine µs/event";
    let over_node = service(Events, machine).zip(row(Events, "node", machine)).map(|(ours, node)| ours / node);
    let of_node = service(Events, "server µs/event").zip(row(Events, "node", "server µs/event"));
    let service_over_node = of_node.map(|(ours, node)| ours / node);
    let plain = row(Writers, "service, spread", "commits/s").zip(row(Writers, "plain trigger, spread", "commits/s"));
    let over_plain = plain.map(|(ours, plain)| ours / plain);
    let connect = service(Connect, "streams/s").zip(row(Connect, "tutorial", "streams/s"));
    let of_bare = |column: &str| {
        let at = |rate| {
            let figure = |name| results.figure(Scenario::Shop, &shop_row(name, rate), column);
            Some(figure(SERVICE)? / figure(BARE)?)
        };
        RATES.into_iter().map(at).collect::<Option<Vec<f64>>>()?.into_iter().max_by(f64::total_cmp)
    };
    let lost = row(Writers, "service, spread", "lost").zip(row(Writers, "service, one rep", "lost"));
    let target = |what: &str, measured, limit| Target { what: what.to_owned(), measured, limit };
    vec![
        target(
            &format!("memory, kB a stream, {} streams", streams("service")),
            service(Memory, "kB all/stream"),
            AtMost(4.0),
        ),
        target(
            &format!("memory, kB a stream, {} streams", streams("service, many")),
            row(Memory, "service, many", "kB all/stream"),
            AtMost(4.0),
        ),
        target("service's CPU an event, times Node.js's, 1,000/s", service_over_node, AtMost(1.0)),
        target("machine's CPU an event, times Node.js's, 1,000/s", over_node, AtMost(1.0)),
        target("service's % of a core for idle streams", service(Idle, "server % of a core"), Below(1.0)),
        target("PostgreSQL's % of a core for idle streams", service(Idle, "PostgreSQL % of a core"), Below(1.0)),
        target("fan-out, last receiver, times floor", over_floor, AtMost(1.1)),
        target("acknowledged to received, p50 ms, 1,000/s", service(Events, "p50 ms"), AtMost(0.5)),
        target("acknowledged to received, p99 ms, 1,000/s", service(Events, "p99 ms"), AtMost(5.0)),
        target("acknowledged to received, p50 ms, 4,000/s", service(FastEvents, "p50 ms"), AtMost(2.0)),
        target("acknowledged to received, p99 ms, 4,000/s", service(FastEvents, "p99 ms"), AtMost(10.0)),
        target("lost at 1,000/s", service(Events, "lost"), AtMost(0.0)),
        target("lost at 4,000/s", service(FastEvents, "lost"), AtMost(0.0)),
        target("16 writers, many reps, of bare", row(Writers, "service, spread", "of bare"), AtLeast(0.72)),
        target("16 writers, one rep, of bare", row(Writers, "service, one rep", "of bare"), AtLeast(0.72)),
        target("16 writers, many reps, times a plain trigger's rate", over_plain, AtLeast(1.75)),
        target("a shop's rates: the writer's p50, times bare, the worst", of_bare("writer's p50 ms"), AtMost(1.10)),
        target("a shop's rates: the writer's p99, times bare, the worst", of_bare("writer's p99 ms"), AtMost(1.10)),
        target(
            "a shop's rates: PostgreSQL's CPU an event, times bare, the worst",
            of_bare("PostgreSQL µs/event"),
            AtMost(1.5),
        ),
        target("16 writers, lost", lost.map(|(spread, one)| spread + one), AtMost(0.0)),
        target(
            "flush delayed: with a dashboard open, of no service, after 1 s",
            row(Disk, WORST, LOWEST_OF_UNSERVED),
            AtLeast(0.85),
        ),
        target("flush not delayed: the same", row(Disk, WORST, LOWEST_WITHOUT_DELAY), AtLeast(0.75)),
        target("acknowledged to received, p50 ms, 50 to 500/s", row(Disk, WORST, AT_SHOP_RATES), AtMost(3.0)),
        target("bulk update, times bare", service(Bulk, "times bare"), AtMost(3.0)),
        target("bulk update, notifications", service(Bulk, "notifications"), AtMost(1.0)),
        target("dashboards that poll every 5 s", row(Polling, "whole answers", DASHBOARDS), AtLeast(9_100.0)),
        target("streams opened a second, times tutorial", connect.map(|(ours, theirs)| ours / theirs), AtLeast(1.5)),
        target("to the first event, p99 ms", service(Connect, "p99 ms"), Below(100.0)),
        target("streams that failed to open", service(Connect, "failed"), AtMost(0.0)),
        target(
            "growth, the largest rep's p50 times the smallest's, the worst of four",
            growth(results, plan),
            AtMost(1.25),
        ),
    ]
}

fn growth(results: &Results, plan: &Plan) -> Option<f64> {
    let [small, _, large] = plan.growth.map(median_column);
    let times = |row: &&str| {
        Some(results.figure(Scenario::Growth, row, &large)? / results.figure(Scenario::Growth, row, &small)?)
    };
    let times: Option<Vec<f64>> = STEADY.iter().map(times).collect();
    times?.into_iter().max_by(f64::total_cmp)
}

/// Other work of the machine, in % of a core, from which on nothing is judged.
pub const BUSY: f64 = 10.0;

/// Prints those that were measured; not on a machine that did other work meanwhile.
pub fn print(targets: &[Target], others: f64) {
    if others > BUSY {
        println!("\ntargets are not judged: the machine did other work meanwhile, {} % of a core", shown(others));
        return;
    }
    println!("\ntargets");
    for target in targets {
        let (Some(value), Some(met)) = (target.measured, target.is_met()) else { continue };
        let met = if met { "met   " } else { "MISSED" };
        println!("  {met}  {:>8}  {:>10}  {}", shown(value), target.limit(), target.what);
    }
}

/// For the file.
pub fn json(targets: &[Target]) -> Value {
    let entries = targets.iter().map(|target| {
        json!({ "what": target.what, "measured": target.measured, "limit": target.limit(), "met": target.is_met() })
    });
    entries.collect()
}
