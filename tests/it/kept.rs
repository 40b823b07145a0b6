//! What version 1 left, and is not changed: its schema with its triggers, and its events. This program reads them. And what it does beside
//! a later version: the events and the wire say theirs. The browser's side is in `tests/cases/kept.test.js`.

use serde_json::Value;

use crate::harness::database::{Database, people};
use crate::harness::eventually;
use crate::harness::http::{API, Browserless};
use crate::harness::service::Service;

const ONCARE: &str = include_str!("../../sql/0001_oncare_tables.sql");
const SCHEMA: &str = include_str!("../kept/1/schema.sql");
const EVENTS: &str = include_str!("../kept/1/events.sql");

/// The kept events as they are told to the rep of most of them, the newest first.
const TOLD: [&str; 7] = [
    "items 1 rx items>+2",
    "delete 9 boss",
    "left 3 boss",
    "arrived 2 boss",
    "update 1 nightly total_amount:5.00>7.50 customer_name:Ann>Bob",
    "update 1 rx status:pending>confirmed payment_status:pending>paid",
    "insert 1 rx",
];

fn told(change: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let field = |field: &Value| {
        let from = field["from"].as_str().map(|from| format!(":{from}")).unwrap_or_default();
        format!(" {}{from}>{}", text(&field["field"]), text(&field["to"]))
    };
    let fields: String = change["changed"].as_array().unwrap().iter().map(field).collect();
    let by = if change["user"].is_null() { &change["application"] } else { &change["user"] };
    format!("{} {} {}{fields}", text(&change["operation"]), change["order_id"], text(by))
}

/// What the bell has, from the kept events on.
async fn bell(client: &Browserless) -> Vec<String> {
    let (status, answer) = client.json("/orders/api/sales-rep/changes/").await;
    assert_eq!(status, 200, "{answer}");
    answer["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["at"].as_str() < Some("2026-02"))
        .map(told)
        .collect()
}

async fn is_unready_and_says(service: &Service, what: &str) {
    eventually(&format!("it says {what}"), async || {
        let (status, text) = service.get_ops("/readyz").await;
        (status == 503 && text.contains(what)).then_some(())
    })
    .await;
}

/// Whether the stream's next ping that says so says that it is live.
async fn until_listener_is(stream: &mut crate::harness::http::Events, state: &str) {
    loop {
        if stream.wait_for("ping").await.data["listener"] == state {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_version_1_left_is_read_before_and_after_it_is_migrated_and_a_later_version_in_part() {
    let database = Database::empty().await;
    for sql in [ONCARE, SCHEMA, &people()] {
        database.sql(sql).await;
    }
    database
        .orders("(1, 1, 'confirmed', 'paid', 7.50), (2, 2, 'shipped', 'paid', 9), (3, 2, 'cancelled', 'paid', 9)")
        .await;
    let service = Service::start_unready(&database.url, &[]).await;
    let ana = service.signed_in("ana").await;
    is_unready_and_says(&service, "run oncare-live migrate").await;

    // beside the triggers of version 1: not live, as nobody can vouch for them, and exact
    let mut stream = ana.events().await;
    until_listener_is(&mut stream, "degraded").await;
    let cursor = ana.dashboard("?visible=").await["cursor"].as_str().unwrap().to_owned();
    for transaction in EVENTS.split("\n\n") {
        database.sql(transaction).await;
    }
    assert_eq!(bell(&ana).await, TOLD);
    let mut changes = Vec::new();
    while changes.len() < TOLD.len() {
        let patch = stream.wait_for("patch").await;
        changes.extend(patch.data["changes"].as_array().unwrap().iter().map(told));
    }
    changes.reverse();
    assert_eq!(changes, TOLD);
    let mut missed = ana.events_since(Some(&cursor)).await.wait_for("sync").await.data["missed"].clone();
    let missed = missed.as_array_mut().unwrap();
    missed.reverse();
    assert_eq!(missed.iter().map(told).collect::<Vec<_>>(), TOLD);
    database.sql("update orders_order set status = 'processing' where id = 1").await;
    assert_eq!(stream.patch_of(1).await.data["orders"][0]["status"], "processing");

    // migrated while it serves
    database.store().migrate().await.unwrap();
    service.ready().await;
    until_listener_is(&mut stream, "live").await;
    assert_eq!(bell(&ana).await, TOLD);
    database.sql("update orders_order set status = 'ready_for_pickup' where id = 1").await;
    assert_eq!(stream.patch_of(1).await.data["orders"][0]["status"], "ready_for_pickup");

    // a later version migrates: with triggers whose events are of this version it goes on as before
    database.sql("insert into live.migration (version, name) values (9001, 'of_tomorrow')").await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    assert_eq!(stream.patch_of(1).await.data["orders"][0]["status"], "shipped");
    // one event of a later version: what is known of it is whom it concerns, who read their state anew
    let two = "insert into live.order_event (operation, order_id, old_sales_rep_id, new_sales_rep_id) values ('split/2', 1, 1, 1)";
    database.sql(two).await;
    let sync = stream.wait_for("sync").await;
    assert!(sync.data["missed"].is_null() && sync.data["wire"] == 1, "{}", sync.data);
    assert_eq!(bell(&ana).await, TOLD, "it hides no other");
    let page = ana.get("/orders/orders/1/").await;
    assert_eq!(page.status(), 200, "nor the order's page");
    // with triggers that write those it is not live, says why, and is exact where it is asked
    database
        .sql("create or replace function live.event_version() returns integer language sql immutable as 'select 2'")
        .await;
    is_unready_and_says(&service, "the triggers write events of version 2, and this program reads those up to 1").await;
    until_listener_is(&mut stream, "degraded").await;
    database.sql(&format!("update orders_order set status = 'delivered' where id = 1; {two}")).await;
    let answer = ana.get(API).await;
    assert_eq!(answer.headers()["oncare-live-wire"], "1");
    assert_eq!(answer.json::<Value>().await.unwrap()["orders"][0]["status"], "delivered");
}
