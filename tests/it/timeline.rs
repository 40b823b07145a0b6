//! An order's events are found whether they are in the timeline yet or not.

use std::time::Duration;

use crate::harness::database::Database;
use crate::harness::eventually;

/// The same question, asked without the timeline.
const DIFFERENCES: &str = "select count(*) from orders_order o where
    array(select e.id from live.events_of(o.id) e order by e.id)
    is distinct from array(select e.id from live.order_event e where e.order_id = o.id order by e.id)";

async fn assert_complete(database: &Database, when: &str) {
    assert_eq!(database.value(DIFFERENCES).await, "0", "{when}");
}

/// Takes steps until so many entries are there. Any transaction of the cluster makes it wait.
async fn extend_to(database: &Database, entries: usize) -> usize {
    let store = database.store();
    let mut steps = 0;
    eventually("the timeline is extended", async || {
        if store.extend_timeline().await.unwrap() > 0 {
            steps += 1;
            assert_complete(database, &format!("after step {steps}")).await;
        }
        (database.value("select count(*) from live.order_timeline").await == entries.to_string()).then_some(())
    })
    .await;
    steps
}

#[tokio::test]
async fn an_orders_events_are_all_found_and_each_once() {
    let database = Database::alone().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 2, 'shipped', 'paid', 5)").await;
    database.store().fold().await.unwrap();
    assert_complete(&database, "before any step").await;
    // one transaction of more events than a step takes, between smaller ones
    database.sql("update orders_order set status = 'confirmed'").await;
    database.orders("(3, 1, 'pending', 'paid', 1)").await;
    let many = "do $$ begin for n in 1..5000 loop
        update orders_order set total_amount = n + 1 where id = 3; end loop; end $$";
    database.sql(many).await;
    database.sql("update orders_order set status = 'processing' where id <= 2").await;
    let (long, back) = (database.client().await, database.client().await);
    long.batch_execute("begin; savepoint s; update orders_order set status = 'shipped' where id = 1; release s")
        .await
        .unwrap();
    back.batch_execute("begin; update orders_order set status = 'shipped' where id = 2").await.unwrap();
    database.sql("update orders_order set payment_status = 'failed' where id = 3").await;
    assert!(extend_to(&database, 5_007).await >= 3, "a step takes two thousand events, also of one transaction");
    long.batch_execute("commit").await.unwrap();
    back.batch_execute("rollback").await.unwrap();
    assert_complete(&database, "when the transactions have ended").await;
    extend_to(&database, 5_009).await;
    let waiting = "select count(*) from live.order_event e
        where (e.xid, e.id) > (select p.xid, p.id from live.timeline_position p)";
    assert_eq!(database.value(waiting).await, "0");
    assert_complete(&database, "when nothing waits").await;
}

#[tokio::test]
async fn pruned_events_leave_the_timeline_too() {
    let database = Database::alone().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    database.sql("update live.order_event set at = now() - interval '1 year'").await;
    database.sql("update orders_order set status = 'shipped'").await;
    store.fold().await.unwrap();
    extend_to(&database, 2).await;
    assert_eq!(store.prune(Duration::from_secs(86_400)).await.unwrap(), 1);
    assert_eq!(database.value("select count(*) from live.order_timeline").await, "1");
    assert_complete(&database, "after the prune").await;
}

#[tokio::test]
async fn a_dump_restored_elsewhere_keeps_its_timelines() {
    let database = Database::alone().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'shipped', 'paid', 5)").await;
    store.fold().await.unwrap();
    extend_to(&database, 2).await;
    // as if the rows had come from another cluster, whose transactions were far ahead
    database
        .sql(
            "update live.fold set system_identifier = 42; update live.fold_position set snapshot = '900000:900000:';
             update live.timeline_position set xid = '900001', id = 900000;
             update live.order_event set xid = '900001'; update live.order_timeline set xid = '900001'",
        )
        .await;
    store.fold().await.unwrap();
    database.sql("update orders_order set status = 'confirmed'").await;
    assert_complete(&database, "before any step").await;
    extend_to(&database, 4).await;
    assert_eq!(database.value("select count(*) from live.events_of(1)").await, "2");
}

#[tokio::test]
async fn what_a_dump_brought_along_is_entered_step_by_step() {
    let database = Database::new().await;
    let many: Vec<String> = (1..=50).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&many.join(", ")).await;
    database
        .sql(
            "do $$ begin for i in 1..99 loop update orders_order set total_amount = total_amount + 1; end loop; end $$",
        )
        .await;
    // a restored dump has all its events in what looks like one transaction
    database.sql("update live.fold set system_identifier = 42").await;
    database.store().fold().await.unwrap();
    assert_eq!(
        database.value("select count(distinct xid) || ' ' || min(xid::text) from live.order_event").await,
        "1 0"
    );
    database.sql("update orders_order set status = 'confirmed' where id in (1, 50)").await;
    assert!(extend_to(&database, 5_002).await >= 3, "a step takes two thousand events");
}

#[tokio::test]
async fn a_fold_that_was_lost_begins_them_anew() {
    let database = Database::alone().await;
    let store = database.store();
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'shipped', 'paid', 5)").await;
    store.fold().await.unwrap();
    extend_to(&database, 2).await;
    database.sql("delete from live.fold").await;
    assert_complete(&database, "without a fold").await;
    store.fold().await.unwrap();
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    extend_to(&database, 3).await;
    assert_complete(&database, "with another").await;
}
