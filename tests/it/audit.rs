//! The service compares what it tells with what the database holds, while it runs: nothing differs however much is written, and what
//! nothing else could notice is found, said and mended.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rand::Rng;
use tokio::time::{Duration, sleep};

use crate::harness::database::{Database, order_sql};
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::logged::Logged;

const QUEUE_EVENTS: &str = "/orders/api/pharmacist/events/";
const STATES: &str = "oncare_live_audit_states_compared_total";
const DIFFERENCES: &str = "oncare_live_audit_differences_total";

/// Orders of two reps, by their ids.
fn orders(ids: std::ops::Range<i64>) -> String {
    ids.map(|id| format!("({id}, {}, 'pending', 'paid', {id}.5)", id % 2 + 1)).collect::<Vec<_>>().join(", ")
}

/// Changes something at random, as clients do, until it is over.
async fn write(database: &Database, mut next: i64, is_over: &AtomicBool) {
    let client = database.client().await;
    while !is_over.load(Relaxed) {
        let (kind, id) = {
            let mut rng = rand::rng();
            (rng.random_range(0..8), rng.random_range(1..next.max(2)))
        };
        let change = match kind {
            0 => {
                next += 2;
                order_sql(&orders(next..next + 1))
            }
            1 => format!("update orders_order set sales_rep_id = 3 - sales_rep_id where id = {id}"),
            2 => format!("delete from orders_order where id = {id} and id > 20"),
            3 => format!(
                "update orders_order set total_amount = total_amount + 0.01, status = 'delivered' where id = {id}"
            ),
            4 => format!("begin; update orders_order set status = 'shipped' where id = {id}; rollback"),
            5 => format!(
                "begin; select pg_advisory_xact_lock(7); update orders_order set customer_name = 'Customer {next}'
                 where id % 7 = {id} % 7; commit"
            ),
            6 => format!(
                "begin; update orders_order set status = 'confirmed' where id = {id}; select pg_sleep(0.02); commit"
            ),
            _ => format!("update orders_order set payment_status = 'refunded', status = 'unlisted' where id = {id}"),
        };
        client.batch_execute(&change).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn what_streams_are_told_is_compared_under_writers_and_never_differs() {
    let database = Database::new().await;
    database.orders(&orders(1..60)).await;
    let service = Logged::start(&database.url, &["--audit-every", "1s"]).await;
    eventually("it serves", async || (service.metric("oncare_live_pages_live").await == 1.0).then_some(())).await;
    let [ana, ben, rx] = ["ana", "ben", "rx"].map(|_| Browserless::new(service.base()));
    for (client, name) in [(&ana, "ana"), (&ben, "ben"), (&rx, "rx")] {
        client.sign_in(name).await;
    }
    let _streams = (ana.events().await, ben.events().await, rx.events_of(QUEUE_EVENTS, None).await);
    let is_over = AtomicBool::new(false);
    let compared = async {
        eventually("states are compared", async || (service.metric(STATES).await >= 10.0).then_some(())).await;
        is_over.store(true, Relaxed);
    };
    tokio::join!(compared, write(&database, 60, &is_over), write(&database, 61, &is_over));
    // it is no stream of anybody's
    assert_eq!(service.metric("oncare_live_streams_opened_total{role=\"sales_rep\"}").await, 2.0);
    assert_eq!(service.metric("oncare_live_streams_open{role=\"pharmacist\"}").await, 1.0);
    let differences = service.metric(DIFFERENCES).await;
    assert_eq!(differences, 0.0, "{}", service.log().await);
}

#[tokio::test]
async fn what_nothing_else_finds_is_found_said_and_mended() {
    let database = Database::new().await;
    database.orders(&orders(1..20)).await;
    database.store().fold().await.unwrap();
    let service = Logged::start(&database.url, &["--audit-every", "1s", "--log-format", "json"]).await;
    let ana = Browserless::new(service.base());
    eventually("it serves", async || (service.metric("oncare_live_pages_live").await == 1.0).then_some(())).await;
    ana.sign_in("ana").await;
    let mut stream = ana.events().await;
    let figures = stream.wait_for("sync").await.data["statistics"].clone();
    assert_eq!((&figures["pending_orders"], &figures["shipped_orders"]), (&9.into(), &0.into()));
    eventually("a state is compared", async || (service.metric(STATES).await >= 1.0).then_some(())).await;
    assert_eq!(service.metric(DIFFERENCES).await, 0.0);
    // a change of which nothing is left to tell
    database
        .sql(
            "begin; update orders_order set status = 'shipped' where id = 2;
             delete from live.order_event where xid = pg_current_xact_id(); commit",
        )
        .await;
    eventually("it is found", async || (service.metric(DIFFERENCES).await > 0.0).then_some(())).await;
    let mended = stream.wait_for("sync").await.data;
    let figures = &mended["statistics"];
    assert_eq!((&figures["pending_orders"], &figures["shipped_orders"]), (&8.into(), &1.into()), "all is read anew");
    assert_eq!(mended["missed"], serde_json::Value::Null, "so that pages read their rows");
    let (before, found) = (service.metric(STATES).await, service.metric(DIFFERENCES).await);
    eventually("it is compared again", async || (service.metric(STATES).await >= before + 2.0).then_some(())).await;
    assert_eq!(service.metric(DIFFERENCES).await, found, "and nothing differs any more");
    let log = service.log().await;
    let said: Vec<&str> = log.lines().filter(|line| line.contains("\"ERROR\"")).collect();
    assert_eq!(said.len(), 1, "{log}");
    for told in
        ["what a stream told is not what the database holds", "figure shipped_orders", "\"scope\":\"1\"", "\"remedy\""]
    {
        assert!(said[0].contains(told), "{told}: {}", said[0]);
    }
    assert!(!said[0].contains("Customer"), "no value of it: {}", said[0]);
}
