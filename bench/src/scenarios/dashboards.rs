//! A shop's dashboards, open at so many reps, while one order a second is updated: those of the old script, which each ask every five
//! seconds, answered by Django and by the service; and those that hear by a stream, of people whom Django or the service signed on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use super::growth::API;
use crate::bench::Bench;
use crate::databases::{Databases, Kind};
use crate::delivery::Delivered;
use crate::django::{self, Django};
use crate::http::Http;
use crate::measure;
use crate::options::Scenario;
use crate::samples::{Samples, milliseconds};
use crate::session::{cookie, cookie_of_django};
use crate::system::Server;
use crate::writers::{Pace, Writers};

/// How often the old script asks.
const ASKS_EVERY: Duration = Duration::from_secs(5);

/// Connections of a proxy, which carry everybody's requests.
const CONNECTIONS: usize = 64;

const UPDATES: Pace = Pace::Rate(1);

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let program = Django::program(&bench.peers);
    if let Some(program) = &program {
        let url = bench.databases.url(Kind::Dashboards);
        django::sign_in(program, &url).await?;
        let old = Django::start(program, &url, API, &cookie(1)).await?;
        let server = || measure::family_cpu(old.pid()?);
        polled(bench, "old script, Django", old.address(), server).await?;
        old.stop().await?;
    } else {
        bench.say("dashboards: Django is not installed, and left out");
    }
    let service = bench.start_service_on(Kind::Dashboards).await?;
    polled(bench, "old script, service", service.address(), || measure::process_cpu(service.pid()?)).await?;
    streamed(bench, "streams, own sessions", &service, cookie).await?;
    service.stop().await?;
    if program.is_some() {
        let service = bench.start_service_with(Kind::Dashboards, &["--prefix", "/"], &[django::KEY]).await?;
        streamed(bench, "streams, Django's sessions", &service, cookie_of_django).await?;
        service.stop().await?;
    }
    Ok(())
}

/// Processor time of PostgreSQL and of a server.
struct Busy {
    postgresql: Duration,
    server: Duration,
}

impl Busy {
    fn now(databases: &Databases, server: impl Fn() -> anyhow::Result<Duration>) -> anyhow::Result<Self> {
        Ok(Self { postgresql: measure::cluster_cpu(databases.folder())?, server: server()? })
    }

    /// Since then, in % of a core.
    fn shares(&self, later: &Self, time: Duration) -> [f64; 2] {
        let share = |from: Duration, to: Duration| 100.0 * to.saturating_sub(from).as_secs_f64() / time.as_secs_f64();
        [share(self.postgresql, later.postgresql), share(self.server, later.server)]
    }
}

async fn polled(
    bench: &mut Bench,
    row: &str,
    address: SocketAddr,
    server: impl Fn() -> anyhow::Result<Duration>,
) -> anyhow::Result<()> {
    bench.say(&format!("dashboards: {row}"));
    let (dashboards, time) = (bench.plan.dashboards, bench.plan.dashboard_time);
    let writers = Writers::connect(&bench.databases.url(Kind::Dashboards), 1, &bench.sequence).await?;
    let orders = bench.databases.orders_of(dashboards);
    let (before, began) = (Busy::now(&bench.databases, &server)?, Instant::now());
    let (answered, updates) = tokio::join!(poll(address, dashboards, time), writers.write(orders, UPDATES, time));
    let (answered, _) = (answered?, updates?);
    let elapsed = began.elapsed();
    let [postgresql, server] = before.shares(&Busy::now(&bench.databases, &server)?, elapsed);
    let rate = answered.len() as f64 / elapsed.as_secs_f64();
    // of a core in %, and so in hundredths of a second a second
    let each = |share: f64| share * 10.0 / rate;
    bench.results.note(
        Scenario::Dashboards,
        row,
        &[
            ("requests/s asked", dashboards as f64 / ASKS_EVERY.as_secs_f64()),
            ("answered/s", rate),
            ("p50 ms", answered.median()),
            ("PostgreSQL % of a core", postgresql),
            ("server % of a core", server),
            ("PostgreSQL ms/request", each(postgresql)),
            ("server ms/request", each(server)),
        ],
    );
    Ok(())
}

/// Each dashboard asks as often as the old script does, all of them evenly, and none waits for what others are answered. Milliseconds
/// from when it should ask to the answer.
async fn poll(server: SocketAddr, dashboards: usize, time: Duration) -> anyhow::Result<Samples> {
    let (next, from) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let next = Arc::clone(&next);
        connections.spawn(async move {
            let mut http = Http::connect(server, "").await?;
            let mut answered = Samples::default();
            loop {
                let poll = next.fetch_add(1, Relaxed);
                let due = from + ASKS_EVERY.mul_f64(poll as f64 / dashboards as f64);
                if due.max(Instant::now()) >= from + time {
                    return Ok::<_, anyhow::Error>(answered);
                }
                tokio::time::sleep_until(due.into()).await;
                http.sign_in_as(cookie(1 + poll % dashboards as u64));
                let answer = http.get(API, None).await?;
                ensure!(answer.status == 200, "a poll was answered {}", answer.status);
                answered.push(milliseconds(due.elapsed()));
            }
        });
    }
    let mut all = Samples::default();
    while let Some(answered) = connections.join_next().await {
        all.append(&answered.context("a connection panicked")??);
    }
    Ok(all)
}

async fn streamed(
    bench: &mut Bench,
    row: &str,
    service: &Server,
    cookie: impl Fn(u64) -> String,
) -> anyhow::Result<()> {
    bench.say(&format!("dashboards: {row}"));
    let (dashboards, time) = (bench.plan.dashboards, bench.plan.dashboard_time);
    let requests = (1..=dashboards as u64).map(|rep| service.request_with(&cookie(rep))).collect();
    let fleet = bench.open_requests(service, requests).await?;
    let server = || measure::process_cpu(service.pid()?);
    tokio::time::sleep(bench.plan.quiet).await;
    let before = Busy::now(&bench.databases, server)?;
    tokio::time::sleep(time).await;
    let [idle_postgresql, idle_server] = before.shares(&Busy::now(&bench.databases, server)?, time);

    let writers = Writers::connect(&bench.databases.url(Kind::Dashboards), 1, &bench.sequence).await?;
    let orders = bench.databases.orders_of(dashboards);
    fleet.take_now().await?;
    let (before, began) = (Busy::now(&bench.databases, server)?, Instant::now());
    let updates = writers.write(orders, UPDATES, time).await?;
    let elapsed = began.elapsed();
    let [postgresql, server] = before.shares(&Busy::now(&bench.databases, server)?, elapsed);
    let delivered = Delivered::of(&updates, &fleet.take().await?);
    bench.results.note(
        Scenario::Dashboards,
        row,
        &[
            ("requests/s asked", 0.0),
            ("answered/s", 0.0),
            ("p50 ms", delivered.latency.median()),
            ("lost", delivered.lost as f64),
            ("PostgreSQL % of a core", postgresql),
            ("server % of a core", server),
            ("idle: PostgreSQL %", idle_postgresql),
            ("idle: server %", idle_server),
        ],
    );
    Ok(())
}
