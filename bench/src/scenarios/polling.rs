//! Pages that poll, as many as the service can answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use super::growth::API;
use crate::bench::Bench;
use crate::databases::{FIRST_POLLING_REP, Kind, POLLING_REPS};
use crate::django::Django;
use crate::http::Http;
use crate::options::Scenario;
use crate::samples::{Samples, milliseconds};
use crate::session::cookie;

const CONNECTIONS: u64 = 64;

/// What the connections were answered.
#[derive(Default)]
struct Answers {
    times: Samples,
    /// How many said that nothing changed.
    unchanged: usize,
}

/// How often a page polls, in seconds.
const POLL_INTERVAL: f64 = 5.0;

/// The column of the pages that so many requests are enough for.
pub const DASHBOARDS: &str = "dashboards at a poll each 5 s";

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let server = bench.start_service_on(Kind::Growth).await?;
    let rep = FIRST_POLLING_REP;
    let answer = Http::connect(server.address(), &cookie(rep)).await?.get_ok(API).await?;
    let mut ways = vec![("whole answers", false)];
    if answer.etag.is_some() {
        ways.push(("if anything changed", true));
    } else {
        bench.say("polling: the service gives no ETag, so that nothing can be asked by it");
    }
    for (row, conditional) in ways {
        measure(bench, row, server.address(), conditional).await?;
    }
    server.stop().await?;
    let Some(program) = Django::program(&bench.peers) else {
        bench.say("polling: Django is not installed, and left out");
        return Ok(());
    };
    let django = Django::start(&program, &bench.databases.url(Kind::Growth), API, &cookie(rep)).await?;
    measure(bench, "Django", django.address(), false).await?;
    django.stop().await
}

async fn measure(bench: &mut Bench, row: &str, server: SocketAddr, conditional: bool) -> anyhow::Result<()> {
    bench.say(&format!("polling: {row}"));
    let time = bench.plan.polling;
    let Answers { times, unchanged } = poll(server, conditional, time).await?;
    let rate = times.len() as f64 / time.as_secs_f64();
    bench.results.note(
        Scenario::Polling,
        row,
        &[
            ("requests/s", rate),
            ("p50 ms", times.median()),
            ("p99 ms", times.percentile(0.99)),
            ("unchanged %", 100.0 * unchanged as f64 / times.len() as f64),
            (DASHBOARDS, rate * POLL_INTERVAL),
        ],
    );
    Ok(())
}

async fn poll(server: SocketAddr, conditional: bool, time: Duration) -> anyhow::Result<Answers> {
    let mut connections = JoinSet::new();
    let until = Instant::now() + time;
    for number in 0..CONNECTIONS {
        let rep = FIRST_POLLING_REP + number * POLLING_REPS / CONNECTIONS;
        connections.spawn(poll_one(server, rep, conditional, until));
    }
    let mut all = Answers::default();
    while let Some(answers) = connections.join_next().await {
        let Answers { times, unchanged } = answers.context("a connection panicked")??;
        all.times.append(&times);
        all.unchanged += unchanged;
    }
    Ok(all)
}

async fn poll_one(server: SocketAddr, rep: u64, conditional: bool, until: Instant) -> anyhow::Result<Answers> {
    let mut http = Http::connect(server, &cookie(rep)).await?;
    let mut answers = Answers::default();
    let mut etag: Option<String> = None;
    while Instant::now() < until {
        let began = Instant::now();
        let answer = http.get(API, etag.as_deref().filter(|_| conditional)).await?;
        answers.times.push(milliseconds(began.elapsed()));
        answers.unchanged += usize::from(answer.status == 304);
        ensure!(matches!(answer.status, 200 | 304), "a poll was answered {}", answer.status);
        etag = answer.etag.or(etag);
    }
    Ok(answers)
}
