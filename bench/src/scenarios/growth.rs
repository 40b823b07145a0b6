//! What depends on how many orders a rep has.

use std::time::Instant;

use anyhow::Context;
use rand::Rng;

use crate::bench::Bench;
use crate::databases::Kind;
use crate::http::Http;
use crate::options::Scenario;
use crate::results::shown;
use crate::samples::{Samples, milliseconds};
use crate::session::cookie;
use crate::system::{EVENTS, Server};
use crate::writers::{Orders, Writer};

/// Where the service has the dashboard's JSON.
pub(super) const API: &str = "/orders/api/sales-rep/dashboard/";
const PAGE: &str = "/orders/orders/";
const PAGE_SIZE: u64 = 20;
const FAR_PAGE: u64 = 5_000;

const AGGREGATE: &str = "select status, payment_status, count(*), sum(total_amount) from orders_order
    where sales_rep_id = $1 group by 1, 2";

/// The figures that must not grow, as the tables name them.
pub const STEADY: [&str; 4] = ["UPDATE", "API", "page", "sync"];

/// A rep of some size.
struct Rep {
    number: u64,
    orders: Orders,
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let server = bench.start_service_on(Kind::Growth).await?;
    let mut first = 1;
    for (index, count) in bench.plan.growth.into_iter().enumerate() {
        bench.say(&format!("growth: a rep with {count} orders"));
        let rep = Rep { number: index as u64 + 1, orders: Orders { first, count: count as i64 } };
        measure(bench, &server, &rep).await?;
        first += count as i64;
    }
    server.stop().await
}

async fn measure(bench: &mut Bench, server: &Server, rep: &Rep) -> anyhow::Result<()> {
    let count = bench.plan.growth_samples;
    let client = bench.databases.connect(Kind::Growth).await?;
    let writer = Writer::connect(&bench.databases.url(Kind::Growth), &bench.sequence).await?;
    let cookie = cookie(rep.number);
    let mut http = Http::connect(server.address(), &cookie).await?;

    let mut times = Samples::default();
    for _ in 0..count {
        let order = rep.orders.first + rand::rng().random_range(0..rep.orders.count);
        let update = writer.update(order).await?;
        times.push(milliseconds(update.acknowledged - update.sent));
    }
    note(bench, "UPDATE", rep, &times);

    let orders = rep.orders.count as u64;
    let month = days(&client, "60 days", "30 days").await?;
    let years = days(&client, "3 years 1 day", "0 days").await?;
    let mut paths = vec![
        ("API", API.to_owned()),
        ("page", PAGE.to_owned()),
        ("API, one month", format!("{API}?{month}")),
        ("API, three years", format!("{API}?{years}")),
    ];
    if orders > FAR_PAGE * PAGE_SIZE {
        paths.push(("API, page 5,000", format!("{API}?page={FAR_PAGE}")));
    }
    paths.push(("API, last page", format!("{API}?page={}", orders.div_ceil(PAGE_SIZE))));
    for (row, path) in paths {
        let mut times = Samples::default();
        for _ in 0..count {
            let began = Instant::now();
            http.get_ok(&path).await?;
            times.push(milliseconds(began.elapsed()));
        }
        note(bench, row, rep, &times);
    }

    let mut times = Samples::default();
    for _ in 0..count {
        let began = Instant::now();
        Http::connect(server.address(), &cookie).await?.wait_for(EVENTS, b"event: sync").await?;
        times.push(milliseconds(began.elapsed()));
    }
    note(bench, "sync", rep, &times);

    let aggregate = client.prepare(AGGREGATE).await?;
    let mut times = Samples::default();
    // for comparison only, and slow: a few will do
    for _ in 0..count.div_ceil(6) {
        let began = Instant::now();
        client.query(&aggregate, &[&(rep.number as i64)]).await.context("the plain aggregate failed")?;
        times.push(milliseconds(began.elapsed()));
    }
    note(bench, "plain aggregate in SQL", rep, &times);
    Ok(())
}

/// The filter for a span of days before today.
async fn days(client: &tokio_postgres::Client, from: &str, to: &str) -> anyhow::Result<String> {
    let query = format!(
        "select 'date_from=' || (now() - interval '{from}')::date || '&date_to=' || (now() - interval '{to}')::date"
    );
    Ok(client.query_one(&query, &[]).await?.get(0))
}

/// The column of a rep's medians.
pub fn median_column(orders: u64) -> String {
    format!("{} orders: p50 ms", shown(orders as f64))
}

fn note(bench: &mut Bench, row: &str, rep: &Rep, times: &Samples) {
    let median = median_column(rep.orders.count as u64);
    bench.results.note(
        Scenario::Growth,
        row,
        &[(&median, times.median()), (&median.replace("p50", "p90"), times.percentile(0.9))],
    );
}
