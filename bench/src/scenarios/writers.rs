//! What the triggers, and the delivery that they cause, cost those who write.

use crate::bench::Bench;
use crate::databases::Kind;
use crate::delivery::Delivered;
use crate::fleet::Fleet;
use crate::options::Scenario;
use crate::samples::Samples;
use crate::system::{Reps, System};
use crate::writers::{Orders, Pace, Update, Writers};

const WRITERS: usize = 16;
const STREAMS: usize = 100;

/// One kind of table and orders.
struct Variant<'a> {
    row: &'static str,
    /// The row that it is compared with.
    bare: &'static str,
    writers: Writers,
    orders: Orders,
    fleet: Option<&'a Fleet>,
    /// Whether a stream is told of an order.
    has_stream: Box<dyn Fn(i64) -> bool + 'a>,
    speed: Samples,
    delivered: Delivered,
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (service, floor) = (bench.start(System::Service).await?, bench.start(System::Floor).await?);
    let reps = bench.plan.streams;
    let (spread, hot, hot_rep) =
        (bench.databases.orders_of(reps), bench.databases.hot_orders(), bench.databases.hot_rep());
    let distance = (reps / STREAMS).max(1);
    let some = bench.open_all(&service, Reps::Apart(STREAMS.min(reps), distance)).await?;
    let of_hot_rep = bench.open_all(&service, Reps::One(hot_rep, 1)).await?;
    let _listening = bench.open_all(&floor, Reps::One(hot_rep, 1)).await?;
    let orders_a_rep = spread.count / reps as i64;
    let has_stream = move |order: i64| (order - 1) / orders_a_rep % distance as i64 == 0;

    let mut variants = Vec::new();
    for (row, bare, kind, orders, fleet) in [
        ("bare, spread", "bare, spread", Kind::Bare, spread, None),
        ("bare, one rep", "bare, one rep", Kind::Bare, hot, None),
        ("plain trigger, spread", "bare, spread", Kind::Peers, spread, None),
        ("service, spread", "bare, spread", Kind::Service, spread, Some(&some)),
        ("service, one rep", "bare, one rep", Kind::Service, hot, Some(&of_hot_rep)),
    ] {
        let writers = Writers::connect(&bench.databases.url(kind), WRITERS, &bench.sequence).await?;
        let has_stream: Box<dyn Fn(i64) -> bool> =
            if orders.first == hot.first { Box::new(|_| true) } else { Box::new(has_stream) };
        let (speed, delivered) = (Samples::default(), Delivered::default());
        variants.push(Variant { row, bare, writers, orders, fleet, has_stream, speed, delivered });
    }
    for round in 1..=bench.plan.rounds {
        for variant in &mut variants {
            bench.say(&format!("{WRITERS} writers: {}, round {round}", variant.row));
            variant.round(bench.plan.writing).await?;
        }
    }
    let speeds: Vec<(&str, f64)> = variants.iter().map(|variant| (variant.row, variant.speed.median())).collect();
    for variant in &variants {
        let bare = speeds.iter().find(|(row, _)| *row == variant.bare).map_or(f64::NAN, |(_, speed)| *speed);
        let speed = variant.speed.median();
        bench.results.note(Scenario::Writers, variant.row, &[("commits/s", speed), ("of bare", speed / bare)]);
        if variant.fleet.is_some() {
            let Delivered { latency, lost, .. } = &variant.delivered;
            bench.results.note(
                Scenario::Writers,
                variant.row,
                &[("p50 ms", latency.median()), ("p99 ms", latency.percentile(0.99)), ("lost", *lost as f64)],
            );
        }
    }
    for (column, metric) in [
        ("found late", "oncare_live_listener_events_found_late_total"),
        ("notifications", "oncare_live_listener_notifications_total"),
    ] {
        let value = service.metric(metric).await?;
        bench.results.note(Scenario::Writers, "service, both", &[(column, value)]);
    }
    drop(variants);
    service.stop().await?;
    floor.stop().await
}

impl Variant<'_> {
    async fn round(&mut self, time: std::time::Duration) -> anyhow::Result<()> {
        let updates = self.writers.write(self.orders, Pace::Fastest, time).await?;
        self.speed.push(updates.len() as f64 / time.as_secs_f64());
        if let Some(fleet) = self.fleet {
            let receipts = fleet.take().await?;
            let told: Vec<Update> = updates.into_iter().filter(|update| (self.has_stream)(update.order)).collect();
            self.delivered.append(&Delivered::of(&told, &receipts));
        }
        Ok(())
    }
}
