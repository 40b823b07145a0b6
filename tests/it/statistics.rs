//! The statistics equal the plain aggregate at every moment: random writes by concurrent sessions, while events are
//! folded all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oncare_live::store::Folded;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::harness::database::{Database, connect, order_sql};

const SEEDS: [u64; 3] = [11, 12, 13];
const WRITERS: u64 = 4;
const STATEMENTS: usize = 60;

/// A statement that does something to some of the orders, now and then something rare.
fn random_statement(random: &mut StdRng) -> String {
    let status = *["pending", "confirmed", "delivered", "cancelled", "odd one"].choose(random).unwrap();
    let payment = *["pending", "paid", "failed"].choose(random).unwrap();
    let rep = *["1", "2", "null"].choose(random).unwrap();
    let (first, last) = (random.random_range(1..60), random.random_range(1..8));
    let some = format!("id between {first} and {}", first + last);
    match random.random_range(0..100) {
        0 => "truncate orders_order cascade".to_owned(),
        1..20 => {
            let id = random.random_range(1..60);
            let row = format!("({id}, {rep}::bigint, '{status}', '{payment}', {})", random.random_range(0..9_000));
            format!("{} on conflict (id) do update set status = excluded.status, total_amount = 3", order_sql(&row))
        }
        20..25 => format!(
            "delete from orders_orderitem where order_id in (select id from orders_order where {some});
             delete from orders_order where {some}"
        ),
        25..40 => format!("update orders_order set sales_rep_id = {rep} where {some}"),
        40..45 => format!("update orders_order set total_amount = 'NaN' where id = {first}"),
        45..70 => format!(
            "update orders_order set payment_status = '{payment}', total_amount = total_amount + 1 where {some}"
        ),
        _ => format!("update orders_order set status = '{status}' where {some}"),
    }
}

fn random_transaction(random: &mut StdRng) -> String {
    let statement = random_statement(random);
    match random.random_range(0..6) {
        0 => format!("begin; {statement}; rollback"),
        1 => format!("begin; savepoint s; {statement}; rollback to s; {}; commit", random_statement(random)),
        2 => format!("begin; {statement}; select pg_sleep(0.01); {}; commit", random_statement(random)),
        _ => format!("begin; {statement}; commit"),
    }
}

#[tokio::test]
async fn they_equal_the_plain_aggregate_at_every_moment() {
    for seed in SEEDS {
        let database = Database::new().await;
        let orders: Vec<String> =
            (1..=50).map(|id| format!("({id}, {}::bigint, 'pending', 'paid', {id})", 1 + id % 2)).collect();
        database.orders(&orders.join(", ")).await;
        let done = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|writer| {
            let url = database.url.clone();
            tokio::spawn(async move {
                let client = connect(&url).await;
                let mut random = StdRng::seed_from_u64(seed * 100 + writer);
                for _ in 0..STATEMENTS {
                    let transaction = random_transaction(&mut random);
                    // a deadlock between writers is theirs, and a rollback like any other
                    if client.batch_execute(&transaction).await.is_err() {
                        client.batch_execute("rollback").await.unwrap();
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let (store, folding) = (database.store(), Arc::clone(&done));
        let folder = tokio::spawn(async move {
            let mut folds = 0;
            while !folding.load(Ordering::SeqCst) {
                folds += u32::from(matches!(store.fold().await.unwrap(), Folded::Events(_)));
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            folds
        });
        let (store, comparing) = (database.store(), Arc::clone(&done));
        let comparer = tokio::spawn(async move {
            let mut comparisons = 0;
            while !comparing.load(Ordering::SeqCst) {
                assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "seed {seed}");
                comparisons += 1;
            }
            comparisons
        });
        for writer in writers {
            writer.await.unwrap();
        }
        done.store(true, Ordering::SeqCst);
        assert!(folder.await.unwrap() > 5, "seed {seed}: events were folded meanwhile");
        assert!(comparer.await.unwrap() > 5, "seed {seed}: comparisons were made meanwhile");
        assert_eq!(
            database.store().statistics_that_differ().await.unwrap(),
            Vec::<String>::new(),
            "seed {seed}, at the end"
        );
    }
}

#[tokio::test]
async fn one_instance_folds_at_a_time() {
    let database = Database::new().await;
    let other = database.client().await;
    other.batch_execute("select pg_advisory_lock(x'6f6e6361666f6c64'::bigint)").await.unwrap();
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    let store = database.store();
    assert_eq!(store.fold().await.unwrap(), Folded::Elsewhere);
    drop(other);
    crate::harness::eventually("the lock goes with its connection", async || {
        (store.fold().await.unwrap() == Folded::Events(1)).then_some(())
    })
    .await;
    assert_eq!(store.fold().await.unwrap(), Folded::Nothing);
}

#[tokio::test]
async fn whoever_stops_folding_half_way_lets_others_fold() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    let (store, other) = (Arc::new(database.store()), database.store());
    let holder = database.client().await;
    holder.batch_execute("begin; lock table live.order_stats").await.unwrap();
    let folder = Arc::clone(&store);
    let folding = tokio::spawn(async move { folder.fold().await });
    let waiting = "select count(*) from pg_locks where not granted and relation = 'live.order_stats'::regclass";
    crate::harness::eventually("it waits for the table", async || (database.value(waiting).await == "1").then_some(()))
        .await;
    folding.abort();
    assert!(folding.await.unwrap_err().is_cancelled());
    holder.batch_execute("rollback").await.unwrap();
    crate::harness::eventually("its lock goes, though its pool lives", async || {
        (other.fold().await.unwrap() == Folded::Events(1)).then_some(())
    })
    .await;
    drop(store);
}

#[tokio::test]
async fn a_truncation_voids_what_was_before_it() {
    let database = Database::new().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5), (2, null, 'odd', 'paid', 5)").await;
    store.fold().await.unwrap();
    // before it in the same transaction, and after it
    let again = order_sql("(1, 1, 'shipped', 'paid', 7)");
    database
        .sql(&format!(
            "begin; update orders_order set status = 'confirmed'; truncate orders_order cascade; {again};
             update orders_order set total_amount = 8; commit"
        ))
        .await;
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "before it is folded");
    assert!(matches!(store.fold().await.unwrap(), Folded::Events(_)));
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new(), "when it is folded");
}

#[tokio::test]
async fn a_few_events_wait_until_they_are_many_or_old() {
    let database = Database::new().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    assert_eq!(store.fold_if(3).await.unwrap(), Folded::Nothing);
    assert_eq!(store.fold_if(2).await.unwrap(), Folded::Events(2));
}

#[tokio::test]
async fn a_prune_asks_once_how_far_the_fold_is() {
    let database = Database::new().await;
    let store = database.store();
    let many: Vec<String> = (1..=50).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&many.join(", ")).await;
    database.sql("update live.order_event set at = now() - interval '1 year'").await;
    store.fold().await.unwrap();
    database
        .sql(
            "create sequence live.asked; alter function live.folded() rename to really_folded;
             create function live.folded() returns pg_snapshot language plpgsql as $$
             begin perform nextval('live.asked'); return live.really_folded(); end $$",
        )
        .await;
    assert_eq!(store.prune(Duration::from_secs(86_400)).await.unwrap(), 50);
    assert_eq!(database.value("select last_value from live.asked").await, "1");
}

#[tokio::test]
async fn one_instance_prunes_at_a_time() {
    let database = Database::new().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    database.sql("update live.order_event set at = now() - interval '1 year'").await;
    store.fold().await.unwrap();
    let other = database.client().await;
    other.batch_execute("select pg_advisory_lock(x'6f6e6361666f6c64'::bigint)").await.unwrap();
    assert_eq!(store.prune(Duration::from_secs(86_400)).await.unwrap(), 0);
    drop(other);
    crate::harness::eventually("the lock goes with its connection", async || {
        (store.prune(Duration::from_secs(86_400)).await.unwrap() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn old_events_are_pruned_but_none_that_the_fold_needs() {
    let database = Database::new().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    store.fold().await.unwrap();
    database.sql("update orders_order set status = 'shipped'").await;
    database.sql("update live.order_event set at = now() - interval '1 year'").await;
    assert_eq!(store.prune(Duration::from_secs(86_400)).await.unwrap(), 1, "the folded one alone");
    assert_eq!(database.value("select operation from live.order_event").await, "update");
    store.fold().await.unwrap();
    assert_eq!(store.prune(Duration::from_secs(86_400)).await.unwrap(), 1);
    assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
}
