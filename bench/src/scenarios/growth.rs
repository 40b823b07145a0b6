//! What depends on how many orders a rep has.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::bench::Bench;
use crate::databases::Kind;
use crate::http::Http;
use crate::options::Scenario;
use crate::results::shown;
use crate::samples::{Samples, milliseconds};
use crate::session::cookie;
use crate::system::EVENTS;
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

/// How long one kind of measurement may take before fewer repetitions must do, and how many must.
const TIME_EACH: Duration = Duration::from_secs(5);
const FEWEST: usize = 7;

/// How many of a rep's orders are updated. After a checkpoint a page is written whole once, which is not what is
/// measured, and falls to a rep with few orders less often.
const UPDATED: i64 = 20;

/// A rep of some size.
struct Rep {
    number: u64,
    orders: Orders,
    cookie: String,
    http: Http,
}

impl Rep {
    fn count(&self) -> u64 {
        self.orders.count as u64
    }

    /// One of the orders that are updated, which are spread over all.
    fn order(&self, turn: i64) -> i64 {
        self.orders.first + turn % UPDATED * (self.orders.count / UPDATED)
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Option<Duration>> {
        let began = Instant::now();
        self.http.get_ok(path).await?;
        Ok(Some(began.elapsed()))
    }
}

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let server = bench.start_service_on(Kind::Growth).await?;
    let (mut reps, mut first) = (Vec::new(), 1);
    for (number, count) in (1..).zip(bench.plan.growth) {
        let cookie = cookie(number);
        let http = Http::connect(server.address(), &cookie).await?;
        reps.push(Rep { number, orders: Orders { first, count: count as i64 }, cookie, http });
        first += count as i64;
    }
    let client = bench.databases.connect(Kind::Growth).await?;
    let month = days(&client, "60 days", "30 days").await?;
    let years = days(&client, "3 years 1 day", "0 days").await?;
    let aggregate = client.prepare(AGGREGATE).await?;
    let writer = Writer::connect(&bench.databases.url(Kind::Growth), &bench.sequence).await?;
    for rep in &reps {
        for turn in 0..UPDATED {
            writer.update(rep.order(turn)).await?;
        }
    }

    let mut turn = 0;
    each(bench, "UPDATE", &mut reps, async |rep| {
        turn += 1;
        let update = writer.update(rep.order(turn)).await?;
        Ok(Some(update.acknowledged - update.sent))
    })
    .await?;
    each(bench, "API", &mut reps, async |rep| rep.get(API).await).await?;
    each(bench, "page", &mut reps, async |rep| rep.get(PAGE).await).await?;
    each(bench, "sync", &mut reps, async |rep| {
        let began = Instant::now();
        Http::connect(server.address(), &rep.cookie).await?.wait_for(EVENTS, b"event: sync").await?;
        Ok(Some(began.elapsed()))
    })
    .await?;
    for (row, days) in [("API, one month", month), ("API, three years", years)] {
        each(bench, row, &mut reps, async |rep| rep.get(&format!("{API}?{days}")).await).await?;
    }
    each(bench, "API, page 5,000", &mut reps, async |rep| match rep.count() > FAR_PAGE * PAGE_SIZE {
        true => rep.get(&format!("{API}?page={FAR_PAGE}")).await,
        false => Ok(None),
    })
    .await?;
    each(bench, "API, last page", &mut reps, async |rep| {
        let page = rep.count().div_ceil(PAGE_SIZE);
        rep.get(&format!("{API}?page={page}")).await
    })
    .await?;
    each(bench, "plain aggregate in SQL", &mut reps, async |rep| {
        let began = Instant::now();
        client.query(&aggregate, &[&(rep.number as i64)]).await.context("the plain aggregate failed")?;
        Ok(Some(began.elapsed()))
    })
    .await?;
    server.stop().await
}

/// Measures the reps in turn, so that what else the machine does falls to all of them. What makes no sense for a rep is
/// not measured.
async fn each(
    bench: &mut Bench,
    row: &str,
    reps: &mut [Rep],
    mut measure: impl AsyncFnMut(&mut Rep) -> anyhow::Result<Option<Duration>>,
) -> anyhow::Result<()> {
    bench.say(&format!("growth: {row}"));
    let began = Instant::now();
    let mut times = vec![Samples::default(); reps.len()];
    for turn in 0..bench.plan.growth_samples {
        if turn >= FEWEST && began.elapsed() > TIME_EACH {
            break;
        }
        for (rep, times) in reps.iter_mut().zip(&mut times) {
            times.extend(measure(rep).await?.map(milliseconds));
        }
    }
    for (rep, times) in reps.iter().zip(&times).filter(|(_, times)| !times.is_empty()) {
        let median = median_column(rep.count());
        let high = median.replace("p50", "p90");
        bench.results.note(Scenario::Growth, row, &[(&median, times.median()), (&high, times.percentile(0.9))]);
    }
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
