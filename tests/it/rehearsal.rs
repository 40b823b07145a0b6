//! Attaching to a database in which others write all the time.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::Rng;

use crate::harness::database::{Database, order_sql, people};
use crate::harness::eventually;

/// Writes until it is told to stop; the longest that one commit took, and how many there were.
async fn write(database: &Database, orders: i64, stop: &AtomicBool) -> (Duration, u64) {
    let client = database.client().await;
    let sql = "update orders_order set status = $2, total_amount = total_amount + 1 where id = $1";
    let update = client.prepare_typed(sql, &[tokio_postgres::types::Type::INT8, tokio_postgres::types::Type::TEXT]);
    let update = update.await.unwrap();
    let (mut longest, mut writes) = (Duration::ZERO, 0);
    while !stop.load(SeqCst) {
        let order = rand::rng().random_range(1..=orders);
        let status = ["pending", "confirmed", "processing", "shipped"][rand::rng().random_range(0..4)];
        let began = Instant::now();
        assert_eq!(client.execute(&update, &[&order, &status]).await.unwrap(), 1);
        longest = longest.max(began.elapsed());
        writes += 1;
    }
    (longest, writes)
}

/// Does something beside so many writers. How long one of them waited at most, and how often they wrote.
async fn beside_writers(
    database: &Database,
    orders: i64,
    writers: usize,
    during: impl AsyncFnOnce(),
) -> (Duration, u64) {
    let stop = AtomicBool::new(false);
    let writing = join_all((0..writers).map(|_| write(database, orders, &stop)));
    let (written, ()) = tokio::join!(writing, async {
        during().await;
        stop.store(true, SeqCst);
    });
    let longest = written.iter().map(|(longest, _)| *longest).max().unwrap();
    (longest, written.iter().map(|(_, writes)| writes).sum())
}

/// Attaches to so many orders beside so many writers. How long a writer waited at most before, and while it was done.
async fn rehearse(orders: i64, writers: usize) -> (Duration, Duration) {
    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database.sql(&people()).await;
    let generated = format!("select n, 1 + n % 2, 'pending', 'paid', n % 1000 from generate_series(1, {orders}) n");
    let one = "(0, 1, 'pending', 'paid', 1)";
    database.sql(&order_sql(one).replace(&format!("values {one}"), &generated)).await;
    let store = database.store();
    let commits = "select sum(xact_commit)::bigint from pg_stat_database where datname = current_database()";
    let (quiet, before) = beside_writers(&database, orders, writers, async || {
        let first: i64 = database.value(commits).await.parse().unwrap();
        let enough = async || (database.value(commits).await.parse::<i64>().unwrap() > first + 500).then_some(());
        eventually("they write", enough).await;
    })
    .await;
    let began = Instant::now();
    let (attaching, meanwhile) = beside_writers(&database, orders, writers, async || {
        store.migrate().await.unwrap();
    })
    .await;
    let took = began.elapsed();
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "exact from the first moment on");
    println!(
        "attached to {orders} orders in {took:?} beside {writers} writers: {before} writes before, the longest {quiet:?}; \
         {meanwhile} meanwhile, the longest {attaching:?}"
    );
    (quiet, attaching)
}

/// Our requests for locks give up after 100 ms, three of them one after the other; the rest is for a busy machine.
const MOMENT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn attaching_makes_writers_wait_for_no_more_than_a_moment() {
    let (quiet, attaching) = rehearse(20_000, 4).await;
    assert!(attaching < 2 * quiet + MOMENT, "{attaching:?}, and {quiet:?} before");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make attach-rehearsal"]
async fn attaching_to_a_million_orders() {
    let (quiet, attaching) = rehearse(1_000_000, 16).await;
    assert!(attaching < 2 * quiet + MOMENT, "{attaching:?}, and {quiet:?} before");
}
