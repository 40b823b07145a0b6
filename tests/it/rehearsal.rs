//! Attaching to a database in which others write all the time.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::Rng;

use crate::dry_run::defined;
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

/// What was seen of the server while the database was attached to.
#[derive(Debug, Default)]
struct Seen {
    /// How long somebody waited at most for the lock of a table, which nobody but the migration withholds. Before PostgreSQL 14 nothing
    /// tells that.
    lock: Duration,
    index: Duration,
    fold: Duration,
}

/// Looks all the time, until it is told to stop.
async fn look(database: &Database, stop: &AtomicBool) -> Seen {
    let waited = if database.version().await < 14 {
        "0::float8"
    } else {
        "(select coalesce(max(extract(epoch from clock_timestamp() - waitstart)), 0)::float8 from pg_locks
          where not granted and locktype = 'relation' and mode = 'RowExclusiveLock'
              and database = (select oid from pg_database where datname = current_database()))"
    };
    let client = database.client().await;
    let runs = |what: &str| {
        format!(
            "exists (select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                 and state = 'active' and query like '%{what}%')"
        )
    };
    let sql = format!("select {waited}, {}, {}", runs("create index concurrently"), runs("live.aggregate()"));
    let look = client.prepare(&sql).await.unwrap();
    let (mut seen, mut before) = (Seen::default(), Instant::now());
    while !stop.load(SeqCst) {
        let row = client.query_one(&look, &[]).await.unwrap();
        let passed = before.elapsed();
        before = Instant::now();
        seen.lock = seen.lock.max(Duration::from_secs_f64(row.get(0)));
        seen.index += if row.get(1) { passed } else { Duration::ZERO };
        seen.fold += if row.get(2) { passed } else { Duration::ZERO };
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    seen
}

/// How many rows each catalog of the database has, but for what is known of the values in its tables.
async fn catalogs(database: &Database) -> String {
    let counts = database
        .value(
            "select string_agg(format('select %L as name, count(*) from pg_catalog.%I', relname, relname), ' union all ')
             from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared
                 and relname not in ('pg_statistic', 'pg_statistic_ext_data')",
        )
        .await;
    let of_database = "select count(*) from pg_shdepend where dbid = (select oid from pg_database where datname = current_database())";
    let rows = "select string_agg(name || ' ' || count, ', ' order by name) from";
    database.value(&format!("{rows} ({counts} union all select 'pg_shdepend', ({of_database})) c")).await
}

/// Attaches to so many orders beside so many writers, and takes all of it off again. How long a writer waited at most before, and while it was done; and of that
/// for a lock.
async fn rehearse(orders: i64, writers: usize) -> (Duration, Duration, Duration) {
    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database.sql(&people()).await;
    let generated = format!("select n, 1 + n % 2, 'pending', 'paid', n % 1000 from generate_series(1, {orders}) n");
    let one = "(0, 1, 'pending', 'paid', 1)";
    database.sql(&order_sql(one).replace(&format!("values {one}"), &generated)).await;
    let store = database.store();
    let commits = "select sum(xact_commit)::bigint from pg_stat_database where datname = current_database()";
    let untouched = (defined(&database).await, catalogs(&database).await);
    let (quiet, before) = beside_writers(&database, orders, writers, async || {
        let first: i64 = database.value(commits).await.parse().unwrap();
        let enough = async || (database.value(commits).await.parse::<i64>().unwrap() > first + 500).then_some(());
        eventually("they write", enough).await;
    })
    .await;
    let began = Instant::now();
    let stop = AtomicBool::new(false);
    let attach = beside_writers(&database, orders, writers, async || {
        store.migrate().await.unwrap();
        stop.store(true, SeqCst);
    });
    let ((attaching, meanwhile), seen) = tokio::join!(attach, look(&database, &stop));
    let took = began.elapsed();
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "exact from the first moment on");
    println!(
        "attached to {orders} orders in {took:?} beside {writers} writers: {before} writes before, the longest {quiet:?}; \
         {meanwhile} meanwhile, the longest {attaching:?}; {seen:?}"
    );
    let stop = AtomicBool::new(false);
    let remove = beside_writers(&database, orders, writers, async || {
        store.uninstall(None).await.unwrap();
        stop.store(true, SeqCst);
    });
    let ((removing, _), seen_then) = tokio::join!(remove, look(&database, &stop));
    println!("taken off again: the longest write {removing:?}, for a lock {:?}", seen_then.lock);
    assert_eq!((defined(&database).await, catalogs(&database).await), untouched, "nothing is left");
    (quiet, attaching.max(removing), seen.lock.max(seen_then.lock))
}

/// The rest of what a writer waits for is a busy machine's.
const MOMENT: Duration = Duration::from_secs(2);

/// Our requests for locks give up after 100 ms, three of them one after the other. As much again is for what a server that is busy takes
/// to notice it.
const FOR_LOCKS: Duration = Duration::from_millis(600);

fn within((quiet, attaching, lock): (Duration, Duration, Duration)) {
    assert!(attaching < 2 * quiet + MOMENT, "{attaching:?}, and {quiet:?} before");
    assert!(lock < FOR_LOCKS, "{lock:?} for a lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_makes_writers_wait_for_no_more_than_a_moment() {
    within(rehearse(20_000, 4).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make attach-rehearsal"]
async fn attaching_to_a_million_orders() {
    within(rehearse(1_000_000, 16).await);
}
