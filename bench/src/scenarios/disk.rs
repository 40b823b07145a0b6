//! What an open dashboard costs those who write to a disk of which a flush takes its time, as in a cloud. NOTIFY holds a
//! lock on the whole cluster from just before the commit until it is flushed, so that commits that notify can't share a
//! flush.

use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::databases::Kind;
use crate::delivery::Delivered;
use crate::disk::SlowDisk;
use crate::fleet::Fleet;
use crate::options::Scenario;
use crate::samples::{Samples, milliseconds};
use crate::system::{Reps, Server, System};
use crate::writers::{Orders, Pace, Writers};

const STREAMS: usize = 100;

/// What of each round is told apart: until then the listener has risen.
const BEGINNING: Duration = Duration::from_secs(1);

/// Commits a second of a shop, from so many connections.
const RATES: [u32; 3] = [50, 200, 500];
const SHOP_CONNECTIONS: usize = 8;

/// The row of what the targets look at.
pub const WORST: &str = "worst";
/// Its column of the lowest rate with a dashboard open, as a part of that without a service, where flushes are delayed.
pub const LOWEST_OF_UNSERVED: &str = "of no service, flush delayed";
/// The same where they are not.
pub const LOWEST_WITHOUT_DELAY: &str = "of no service, not delayed";
/// Its column of the largest median delay at a shop's rates, in ms.
pub const AT_SHOP_RATES: &str = "p50 ms, 50 to 500/s";

/// The worst so far.
#[derive(Clone, Copy)]
struct Worst {
    delayed: f64,
    undelayed: f64,
    latency: f64,
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let disk = SlowDisk::compile(bench.databases.folder())?;
    let mut worst = Worst { delayed: f64::NAN, undelayed: f64::NAN, latency: f64::NAN };
    for delay in bench.plan.flushes.clone() {
        bench.databases.slow_down(&disk, delay).await?;
        let service = bench.start(System::Service).await?;
        let fleet = bench.open_all(&service, Reps::Each(STREAMS)).await?;
        for clients in bench.plan.clients.clone() {
            let ratio = saturate(bench, &service, &fleet, delay, clients).await?;
            let lowest = if delay.is_zero() { &mut worst.undelayed } else { &mut worst.delayed };
            *lowest = lowest.min(ratio);
        }
        for rate in RATES {
            worst.latency = worst.latency.max(trade(bench, &service, &fleet, delay, rate).await?);
        }
        service.stop().await?;
    }
    let figures =
        [(LOWEST_OF_UNSERVED, worst.delayed), (LOWEST_WITHOUT_DELAY, worst.undelayed), (AT_SHOP_RATES, worst.latency)];
    bench.results.note(Scenario::Disk, WORST, &figures.map(|(column, value)| (column, value)));
    bench.databases.slow_down(&disk, Duration::ZERO).await
}

/// Clients that write as fast as they can: without triggers, with them and no service, and with a dashboard open, in turns.
/// Gives the last as a part of the one before, once the listener has risen: it sleeps before each round, and those who begin
/// before it has heard of the first overlap flush one after the other.
async fn saturate(
    bench: &mut Bench,
    service: &Server,
    fleet: &Fleet,
    delay: Duration,
    clients: usize,
) -> anyhow::Result<f64> {
    let time = bench.plan.flush_writing;
    let orders = bench.databases.orders_of(bench.plan.streams);
    bench.say(&format!("flush + {} ms: {clients} clients", milliseconds(delay)));
    let mut speeds = Vec::new();
    for kind in [Kind::Bare, Kind::Unserved, Kind::Service] {
        let writers = Writers::connect(&bench.databases.url(kind), clients, &bench.sequence).await?;
        speeds.push((kind, writers, Samples::default(), Samples::default()));
    }
    let mut awake = Awake::default();
    for _ in 0..bench.plan.rounds {
        for (kind, writers, speed, lasting) in &mut speeds {
            let before = Awake::of(service).await?;
            let updates = writers.write(orders, Pace::Fastest, time).await?;
            speed.push(updates.len() as f64 / time.as_secs_f64());
            let begun = updates.iter().map(|update| update.sent).min().unwrap_or_else(Instant::now) + BEGINNING;
            let later = updates.iter().filter(|update| update.acknowledged >= begun).count();
            lasting.push(later as f64 / (time - BEGINNING).as_secs_f64());
            if *kind == Kind::Service {
                awake = awake.and(before, Awake::of(service).await?);
                fleet.take().await?;
            }
        }
    }
    let of = |wanted| {
        let found = speeds.iter().find(|(kind, ..)| *kind == wanted);
        found.map_or((f64::NAN, f64::NAN), |(_, _, speed, lasting)| (speed.median(), lasting.median()))
    };
    let ((bare, _), (unserved, unserved_later), (served, served_later)) =
        (of(Kind::Bare), of(Kind::Unserved), of(Kind::Service));
    let lasting = served_later / unserved_later;
    bench.results.note(
        Scenario::Disk,
        &format!("+{} ms, {clients} clients", milliseconds(delay)),
        &[
            ("bare/s", bare),
            ("no service/s", unserved),
            ("of bare", unserved / bare),
            ("dashboard open/s", served),
            ("of no service", served / unserved),
            ("after 1 s", lasting),
            ("awake %", awake.share()),
            ("reads/s", awake.reads_a_second()),
        ],
    );
    Ok(lasting)
}

/// Clients that write at the rate of a shop. Gives the median delay from a commit's acknowledgement to the dashboard, in ms.
async fn trade(bench: &mut Bench, service: &Server, fleet: &Fleet, delay: Duration, rate: u32) -> anyhow::Result<f64> {
    bench.say(&format!("flush + {} ms: {rate} commits/s", milliseconds(delay)));
    let writers = Writers::connect(&bench.databases.url(Kind::Service), SHOP_CONNECTIONS, &bench.sequence).await?;
    let unserved = Writers::connect(&bench.databases.url(Kind::Unserved), SHOP_CONNECTIONS, &bench.sequence).await?;
    let orders: Orders = bench.databases.orders_of(STREAMS);
    fleet.take_now().await?;
    let latency_of = |updates: &[crate::writers::Update]| -> Samples {
        updates.iter().map(|update| milliseconds(update.acknowledged - update.sent)).collect()
    };
    let without = latency_of(&unserved.write(orders, Pace::Rate(rate), bench.plan.shop).await?);
    let before = Awake::of(service).await?;
    let updates = writers.write(orders, Pace::Rate(rate), bench.plan.shop).await?;
    let awake = Awake::default().and(before, Awake::of(service).await?);
    let with = latency_of(&updates);
    let delivered = Delivered::of(&updates, &fleet.take().await?);
    bench.results.note(
        Scenario::Disk,
        &format!("+{} ms, {rate}/s", milliseconds(delay)),
        &[
            ("writer's p50, times no service", with.median() / without.median()),
            ("writer's p99, times no service", with.percentile(0.99) / without.percentile(0.99)),
            ("told p50 ms", delivered.latency.median()),
            ("told p99 ms", delivered.latency.percentile(0.99)),
            ("lost", delivered.lost as f64),
            ("awake %", awake.share()),
            ("reads/s", awake.reads_a_second()),
        ],
    );
    Ok(delivered.latency.median())
}

/// For how long the listener was awake, and how often it read.
#[derive(Debug, Clone, Copy)]
struct Awake {
    at: Instant,
    seconds: f64,
    reads: f64,
    measured: f64,
}

impl Default for Awake {
    fn default() -> Self {
        Self { at: Instant::now(), seconds: 0.0, reads: 0.0, measured: 0.0 }
    }
}

impl Awake {
    async fn of(service: &Server) -> anyhow::Result<Self> {
        Ok(Self {
            at: Instant::now(),
            seconds: service.metric("oncare_live_listener_awake_seconds_total").await?,
            reads: service.metric("oncare_live_listener_batches_total").await?,
            measured: 0.0,
        })
    }

    /// With what was between two looks.
    fn and(mut self, before: Self, after: Self) -> Self {
        self.seconds += after.seconds - before.seconds;
        self.reads += after.reads - before.reads;
        self.measured += (after.at - before.at).as_secs_f64();
        self
    }

    fn share(self) -> f64 {
        100.0 * self.seconds / self.measured
    }

    fn reads_a_second(self) -> f64 {
        self.reads / self.measured
    }
}
