//! The stream: what arrives, at whom, in which order, and what does not get lost when connections do.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::database::{Database, migrate};
use crate::harness::http::{API, Browserless, EVENTS, Event};
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

async fn two_reps() -> (Database, Service) {
    two_reps_in(Database::new().await).await
}

async fn two_reps_in(database: Database) -> (Database, Service) {
    database
        .orders("(1, 1, 'pending', 'paid', 10), (2, 1, 'delivered', 'pending', 20), (3, 2, 'pending', 'paid', 30)")
        .await;
    let service = Service::start(&database).await;
    (database, service)
}

async fn listener_backend(database: &Database) -> String {
    database
        .value(&format!(
            "select pid from pg_stat_activity where datname = '{}' and application_name = 'oncare-live listener'",
            database.name
        ))
        .await
}

fn row(patch: &Event, id: i64) -> &Value {
    patch.data["orders"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap()
}

#[tokio::test]
async fn it_begins_with_the_state_and_goes_on_with_what_changes() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-store, no-transform");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    assert!(!stream.headers.contains_key("content-encoding"));
    let sync = stream.wait_for("sync").await;
    let dashboard = ana.dashboard("").await;
    assert_eq!(sync.data["statistics"], dashboard["statistics"]);
    assert_eq!(sync.data["orders_by_status"], dashboard["orders_by_status"]);
    assert_eq!(sync.data["missed"], Value::Null);
    let ping = stream.wait_for("ping").await;
    assert_eq!(ping.data["listener"], "live");
    assert!(ping.data["time"].is_string() && ping.id.is_none());

    database
        .sql("select set_config('app.user', 'rx', false); update orders_order set payment_status = 'paid' where id = 2")
        .await;
    let patch = stream.patch_of(2).await;
    let dashboard = ana.dashboard("").await;
    assert_eq!(patch.data["statistics"], dashboard["statistics"]);
    assert_eq!(patch.data["statistics"]["total_revenue"].to_string(), "20.0");
    let answered = dashboard["orders"].as_array().unwrap().iter().find(|row| row["id"] == 2).unwrap();
    // a patch has what pages need besides
    for (field, value) in answered.as_object().unwrap() {
        assert_eq!(&row(&patch, 2)[field], value, "{field}");
    }
    assert_eq!((&row(&patch, 2)["key"], &row(&patch, 2)["customer_name"]), (&json!("2"), &json!("Customer 2")));
    let change = &patch.data["changes"][0];
    assert_eq!((&change["order_id"], &change["by"], &change["operation"]), (&json!(2), &json!("rx"), &json!("update")));
    assert_eq!(
        change["changed"],
        json!([{"field": "payment_status", "from": "pending", "to": "paid",
        "from_display": "Pending", "to_display": "Paid"}])
    );
    let (epoch, snapshot) = patch.id.as_ref().unwrap().split_once('/').unwrap();
    assert!(patch.data["revision"].as_str().unwrap().starts_with(epoch), "{epoch}");
    assert_eq!(snapshot.split(':').count(), 3);
}

#[tokio::test]
async fn it_tells_of_own_orders_alone() {
    let (database, service) = two_reps().await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let (mut anas, mut bens) = (ana.events().await, ben.events().await);
    anas.wait_for("ping").await;
    bens.wait_for("ping").await;
    database.sql("update orders_order set status = 'confirmed' where id = 3").await;
    // the sentinel: what comes for ana comes after what was for ben
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let patch = anas.wait_for("patch").await;
    assert_eq!(patch.data["orders"].as_array().unwrap().len(), 1);
    assert_eq!(patch.data["orders"][0]["id"], 1);
    bens.patch_of(3).await;

    database
        .sql("update orders_order set sales_rep_id = 2, status = 'shipped', customer_name = 'Hidden' where id = 1")
        .await;
    let left = anas.wait_for("patch").await;
    assert_eq!(left.data["orders"], json!([{"id": 1, "key": "1", "removed": true}]));
    assert_eq!(left.data["changes"][0]["operation"], "left");
    assert!(!left.data.to_string().contains("Hidden") && left.data["changes"][0]["changed"] == json!([]));
    let arrived = bens.patch_of(1).await;
    assert_eq!(arrived.data["changes"][0]["operation"], "arrived");
    assert_eq!(row(&arrived, 1)["status"], "shipped");
    assert_eq!(arrived.data["statistics"]["total_orders"], 2);
}

#[tokio::test]
async fn everything_that_can_happen_to_an_order_arrives() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;

    database.orders("(9, 1, 'pending', 'pending', 5)").await;
    let patch = stream.patch_of(9).await;
    assert_eq!(patch.data["changes"][0]["operation"], "insert");
    assert_eq!(patch.data["statistics"]["total_orders"], 3);

    database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
        prescription_notes, created_at) values (9, 1, 1, 'boxes', 1, 1, '', now())",
        )
        .await;
    let patch = stream.patch_of(9).await;
    assert_eq!((&patch.data["changes"][0]["operation"], &row(&patch, 9)["items_count"]), (&json!("items"), &json!(1)));

    database.sql("update orders_order set customer_name = 'New name' where id = 9").await;
    let patch = stream.patch_of(9).await;
    assert_eq!(patch.data["changes"][0]["changed"][0]["to"], "New name");

    database.sql("delete from orders_orderitem; delete from orders_order where id = 9").await;
    let patch = eventually("the deletion arrives", async || {
        let patch = stream.patch_of(9).await;
        (patch.data["orders"] == json!([{"id": 9, "key": "9", "removed": true}])).then_some(patch)
    })
    .await;
    assert_eq!(patch.data["statistics"]["total_orders"], 2);

    database.sql("truncate orders_order cascade").await;
    let sync = stream.wait_for("sync").await;
    assert_eq!(sync.data["statistics"]["total_orders"], 0);
}

#[tokio::test]
async fn many_changes_at_once_are_one_patch_and_far_too_many_a_sync() {
    let (database, service) = two_reps().await;
    let orders: Vec<String> = (100..1_100).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    database.orders(&orders.join(", ")).await;
    let patch = stream.wait_for("patch").await;
    assert_eq!(patch.data["orders"].as_array().unwrap().len(), 1_000);
    let orders: Vec<String> = (2_000..8_000).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    let sync = stream.wait_for("sync").await;
    assert_eq!(sync.data["statistics"]["total_orders"], 7_002);
    // what is told next leads on from there
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let statistics = &stream.patch_of(1).await.data["statistics"];
    assert_eq!((&statistics["total_orders"], &statistics["confirmed_orders"]), (&json!(7_002), &json!(1)));
}

#[tokio::test]
async fn a_page_that_was_away_is_told_what_it_missed() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    database.sql("update orders_order set status = 'confirmed' where id = 3").await;
    let sync = ana.events_since(Some(&cursor)).await.wait_for("sync").await;
    let missed = sync.data["missed"].as_array().unwrap();
    assert_eq!(missed.len(), 1, "of ben's order nothing: {missed:?}");
    assert_eq!((&missed[0]["order_id"], &missed[0]["changed"][0]["to"]), (&json!(1), &json!("confirmed")));
    let sync = ana.events_since(sync.id.as_deref()).await.wait_for("sync").await;
    assert_eq!(sync.data["missed"], json!([]));
}

#[tokio::test]
async fn what_a_page_was_told_on_its_return_is_not_told_again() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    eventually("nobody is there", async || {
        (service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await == 0.0).then_some(())
    })
    .await;
    // heard of by the listener, and not read, as it concerns nobody who is there
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let mut stream = ana.events_since(Some(&cursor)).await;
    let sync = stream.wait_for("sync").await;
    assert_eq!(sync.data["missed"].as_array().unwrap().len(), 1);
    // another that is new makes the listener read both
    database.sql("update orders_order set status = 'confirmed' where id = 2").await;
    let mut told = Vec::new();
    while !told.contains(&json!(2)) {
        let event = stream.next().await.unwrap();
        let changes = if event.name == "sync" { &event.data["missed"] } else { &event.data["changes"] };
        told.extend(changes.as_array().into_iter().flatten().map(|change| change["order_id"].clone()));
    }
    assert_eq!(told, [json!(2)]);
    assert_eq!(service.metric("oncare_live_listener_events_found_late_total").await, 0.0);
}

#[tokio::test]
async fn a_batch_that_began_before_a_streams_state_is_told_without_what_the_stream_has() {
    const PHARMACY: &str = "/orders/api/pharmacist/events/";
    let (database, service) = two_reps().await;
    let rx = service.signed_in("rx").await;
    let mut before = rx.events_of(PHARMACY, None).await;
    before.wait_for("ping").await;
    // the listener's read waits, as it counts items, and takes its snapshot afterwards; a stream's state needs none
    let holder = database.client().await;
    holder.batch_execute("begin; lock table orders_orderitem in access exclusive mode").await.unwrap();
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let mut amid = rx.events_of(PHARMACY, None).await;
    let sync = amid.wait_for("sync").await;
    assert_eq!(sync.data["statistics"]["confirmed_orders"], 1);
    database.sql("update orders_order set status = 'confirmed' where id = 3").await;
    holder.batch_execute("commit").await.unwrap();
    let orders = |patch: &Event| -> Vec<Value> {
        patch.data["changes"].as_array().unwrap().iter().map(|change| change["order_id"].clone()).collect()
    };
    assert_eq!(orders(&before.wait_for("patch").await), [json!(1), json!(3)]);
    let told = loop {
        let event = amid.next().await.unwrap();
        assert_ne!(event.name, "sync", "it need not read its state anew");
        if event.name == "patch" {
            break event;
        }
    };
    assert_eq!(orders(&told), [json!(3)]);
    assert_eq!(told.data["statistics"]["confirmed_orders"], 2);
}

#[tokio::test]
async fn after_the_schema_was_made_anew_every_stream_is_told_what_changes() {
    const STREAMS: usize = 14;
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    // sessions of the pool that have seen the schema before
    let open = async |ana: &Browserless| {
        let opened = futures_util::future::join_all((0..STREAMS).map(|_| ana.events())).await;
        futures_util::future::join_all(opened.into_iter().map(async |mut stream| {
            stream.wait_for("ping").await;
            stream
        }))
        .await
    };
    let polls = (0..20).map(|_| ana.dashboard(""));
    tokio::join!(open(&ana), futures_util::future::join_all(polls));
    eventually("the schema goes, which others use meanwhile", async || {
        database.client().await.batch_execute("drop schema live cascade").await.ok()
    })
    .await;
    migrate(&database.url).await;
    service.ready().await;
    let ana = service.signed_in("ana").await;
    let mut streams = open(&ana).await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let told = futures_util::future::join_all(streams.iter_mut().map(async |stream| {
        // as a state, where the statistics were built anew at the same time
        while stream.next().await.unwrap().data["statistics"]["confirmed_orders"] != 1 {}
    }));
    tokio::time::timeout(PATIENCE, told).await.expect("every stream is told");
}

#[tokio::test]
async fn an_items_change_of_another_reps_time_is_not_told() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    database
        .sql(
            "begin; insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
            prescription_notes, created_at) values (3, 1, 1, 'boxes', 1, 1, '', now());
        update orders_order set sales_rep_id = 1 where id = 3; commit",
        )
        .await;
    let patch = stream.patch_of(3).await;
    let operations = |changes: &Value| -> Vec<Value> {
        changes.as_array().unwrap().iter().map(|change| json!([change["operation"], change["changed"]])).collect()
    };
    assert_eq!(operations(&patch.data["changes"]), [json!(["arrived", []])]);
    let sync = ana.events_since(Some(&cursor)).await.wait_for("sync").await;
    assert_eq!(operations(&sync.data["missed"]), [json!(["items", []]), json!(["arrived", []])]);
    assert_eq!(sync.data["missed"][0]["by"], "");
}

#[tokio::test]
async fn a_cursor_that_means_nothing_here_gets_the_whole_state() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    let (epoch, _) = cursor.split_once('/').unwrap();
    let future = format!("{epoch}/999999999:999999999:");
    let oversized = format!("{epoch}/1:99999999:{}", (1..3_000).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    for odd in ["", "nonsense", "0000000000000000/5:5:", &future, &oversized, &format!("{epoch}/9:5:")] {
        let sync = ana.events_since(Some(odd)).await.wait_for("sync").await;
        assert_eq!(sync.data["missed"], Value::Null, "{odd:.60}");
        assert_eq!(sync.data["statistics"]["total_orders"], 2);
    }
    // one whose events were pruned
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let store = database.store();
    database.sql("update live.order_event set at = now() - interval '1 year'").await;
    // one instance is at it at a time, and the service is one
    eventually("they are pruned", async || {
        store.fold().await.unwrap();
        store.prune(Duration::from_secs(60)).await.unwrap();
        (database.value("select count(*) from live.order_event").await == "0").then_some(())
    })
    .await;
    let sync = ana.events_since(Some(&cursor)).await.wait_for("sync").await;
    assert_eq!(sync.data["missed"], Value::Null);
}

#[tokio::test]
async fn for_a_cursor_from_which_nothing_can_be_told_no_event_is_read() {
    // a transaction of another test, however small, would make each cursor reach further back
    let (database, service) = two_reps_in(Database::alone().await).await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    let (epoch, _) = cursor.split_once('/').unwrap();
    let pruned = format!("{epoch}/3:3:");
    let events = "insert into live.order_event (operation, order_id) select 'update', 1 from generate_series(1, 20000)";
    database.sql(&format!("{events}; update live.fold set pruned_xid = '5'")).await;
    // of one that is too far back it is learnt once
    for (client, path) in [(&ana, EVENTS), (&rx, "/orders/api/pharmacist/events/")] {
        let sync = client.events_of(path, Some(&cursor)).await.wait_for("sync").await;
        assert_eq!(sync.data["missed"], Value::Null);
    }
    let present = ana.events().await.wait_for("sync").await.id.unwrap();
    // whoever reads an event now fails; the statistics read none of that column
    database.sql("alter table live.order_event rename app_user to away").await;
    for odd in ["0000000000000000/5:5:", &format!("{epoch}/999999999:999999999:"), &pruned, &cursor] {
        let sync = ana.events_since(Some(odd)).await.wait_for("sync").await;
        assert_eq!(sync.data["missed"], Value::Null, "{odd}");
        let sync = rx.events_of("/orders/api/pharmacist/events/", Some(odd)).await.wait_for("sync").await;
        assert_eq!(sync.data["missed"], Value::Null, "{odd}");
    }
    database.sql("alter table live.order_event rename away to app_user").await;
    let sync = ana.events_since(Some(&present)).await.wait_for("sync").await;
    assert_eq!(sync.data["missed"], json!([]), "and from one of this epoch everything is told");
}

#[tokio::test]
async fn what_is_committed_while_the_listener_is_away_arrives() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    let before = stream_revision(&ana).await;
    for status in ["confirmed", "processing", "shipped"] {
        let backend = listener_backend(&database).await;
        // ended and changed in one statement: the change commits while nobody listens
        database
            .sql(&format!(
                "begin; select pg_terminate_backend({backend}); update orders_order set status = '{status}'
            where id = 1; commit"
            ))
            .await;
        let patch = stream.patch_of(1).await;
        assert_eq!(row(&patch, 1)["status"], status);
        assert_ne!(patch.data["revision"], before);
        eventually("the listener is back", async || {
            let back = listener_backend(&database).await;
            (back != "null" && back != backend).then_some(())
        })
        .await;
    }
    assert!(service.metric("oncare_live_listener_reconnects_total").await >= 3.0);
    service.ready().await;
}

async fn stream_revision(client: &Browserless) -> Value {
    client.dashboard("").await["revision"].clone()
}

#[tokio::test]
async fn a_degraded_listener_is_told_and_so_is_its_recovery() {
    let (database, service) = two_reps().await;
    let mut stream = service.signed_in("ana").await.events().await;
    assert_eq!(stream.wait_for("ping").await.data["listener"], "live");
    let backend = listener_backend(&database).await;
    database.sql(&format!("select pg_terminate_backend({backend})")).await;
    for listener in ["degraded", "live"] {
        eventually("it is told", async || {
            let ping = stream.wait_for("ping").await;
            assert!(next_ping(&ping) <= LATEST_PING);
            (ping.data["listener"] == listener).then_some(())
        })
        .await;
    }
}

/// How long the next ping may take where few streams are open.
const LATEST_PING: Duration = Duration::from_millis(6_200);

/// How much later than it was said to a ping may come: a page takes its stream for dead then (`PING_GRACE` in stream.js).
const GRACE: Duration = Duration::from_secs(3);

fn next_ping(ping: &Event) -> Duration {
    Duration::from_millis(ping.data["next_ms"].as_u64().unwrap())
}

#[tokio::test]
async fn the_next_ping_comes_when_it_was_said_to() {
    let (_database, service) = two_reps().await;
    let mut stream = service.signed_in("ana").await.events().await;
    let mut ping = stream.wait_for("ping").await;
    for _ in 0..2 {
        let heard = Instant::now();
        let next = stream.wait_for("ping").await;
        let said = next_ping(&ping);
        assert!(said <= LATEST_PING && heard.elapsed() < said + GRACE, "{ping:?}, {:?}", heard.elapsed());
        ping = next;
    }
}

#[tokio::test]
async fn a_notification_that_never_came_is_made_up_for() {
    let (database, service) = two_reps().await;
    let mut stream = service.signed_in("ana").await.events().await;
    stream.wait_for("ping").await;
    service.until_listener_is_awake(false).await;
    // as if it were lost on the way
    database.sql("create or replace function live.notify() returns void language sql as ''").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    stream.patch_of(1).await;
    eventually("it is counted", async || {
        (service.metric("oncare_live_listener_events_found_late_total").await == 1.0).then_some(())
    })
    .await;
}

/// Puts functions in the place of the server's own that behave as those do while the notification queue is full. Servers
/// before version 17 have one of 8 GB.
const FULL_QUEUE: &str = "
    alter function pg_catalog.pg_notification_queue_usage() rename to notification_queue_usage;
    alter function pg_catalog.pg_notify(text, text) rename to notify;
    create function pg_catalog.pg_notification_queue_usage() returns float8 language sql volatile as 'select 1.0::float8';
    create function pg_catalog.pg_notify(text, text) returns void language plpgsql volatile as $$
    begin
        raise program_limit_exceeded using message = 'too many notifications in the NOTIFY queue';
    end $$";

const HALF_FULL_QUEUE: &str = "
    alter function pg_catalog.pg_notification_queue_usage() rename to notification_queue_usage;
    create function pg_catalog.pg_notification_queue_usage() returns float8 language sql volatile as 'select 0.6::float8'";

const QUEUE_AGAIN: &str = "
    drop function pg_catalog.pg_notification_queue_usage(), pg_catalog.pg_notify(text, text);
    alter function pg_catalog.notification_queue_usage() rename to pg_notification_queue_usage;
    alter function pg_catalog.notify(text, text) rename to pg_notify";

#[tokio::test]
async fn a_half_full_notification_queue_is_told_as_changes_come_later() {
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let said = async || ana.events().await.wait_for("ping").await.data["listener"].as_str().unwrap().to_owned();
    assert_eq!(said().await, "live");
    database.sql(HALF_FULL_QUEUE).await;
    eventually("it is told", async || (said().await == "degraded").then_some(())).await;

    // what was seen proves that nothing changed, and soon enough that something did
    let poll = async |tag: &str| {
        let response = ana.get_with(API, &[("if-none-match", tag)]).await;
        (response.status().as_u16(), response.headers()["etag"].to_str().unwrap().to_owned())
    };
    let (_, mut tag) = poll("").await;
    eventually("a poll is answered without the orders", async || {
        let (status, now) = poll(&tag).await;
        tag = now;
        (status == 304).then_some(())
    })
    .await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let (status, now) = poll(&tag).await;
    assert_eq!(status, 200);
    eventually("nothing changed since", async || (poll(&now).await.0 == 304).then_some(())).await;
    assert_eq!(said().await, "degraded");
}

#[tokio::test]
async fn a_full_notification_queue_fails_no_commit_and_is_told() {
    let (database, service) = two_reps().await;
    let mut stream = service.signed_in("ana").await.events().await;
    stream.wait_for("ping").await;
    service.until_listener_is_awake(false).await;
    database.sql(FULL_QUEUE).await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    database.orders("(9, 1, 'pending', 'paid', 10)").await;
    database.sql("delete from orders_order where id = 2").await;
    let statistics = loop {
        let patch = stream.wait_for("patch").await;
        if patch.data["orders"].as_array().unwrap().iter().any(|row| row["id"] == 2) {
            break patch.data["statistics"].clone();
        }
    };
    assert_eq!((&statistics["total_orders"], &statistics["confirmed_orders"]), (&json!(2), &json!(1)));
    // what a stream begins with says so as well as what others are told meanwhile
    let ana = service.signed_in("ana").await;
    let said = async || ana.events().await.wait_for("ping").await.data["listener"].as_str().unwrap().to_owned();
    eventually("the canary can't be sent, and that is told", async || (said().await == "degraded").then_some(())).await;
    database.sql(QUEUE_AGAIN).await;
    eventually("it can again", async || (said().await == "live").then_some(())).await;
}

/// The space that notifications take which not every listening session has read. Looking at files cures nothing.
async fn queued(database: &Database) -> i64 {
    let size = "select coalesce(sum((pg_stat_file('pg_notify/' || f)).size), 0) from pg_ls_dir('pg_notify') f";
    database.value(size).await.parse().unwrap()
}

#[tokio::test]
async fn the_queue_is_cleaned_up_after_whoever_held_it_up() {
    const BATCH: &str = "select count(*) from (
        select pg_notify('somebody', left(repeat(n::text || ' ', 4000), 7990)) from generate_series(1, 400) n) n";
    let (database, service) = two_reps_in(Database::alone().await).await;
    let stuck = database.client().await;
    // in a statement of its own, else it would be part of the transaction and not in force yet
    stuck.batch_execute("listen somebody").await.unwrap();
    stuck.batch_execute("begin; select 1").await.unwrap();
    for _ in 0..3 {
        database.value(BATCH).await;
    }
    let held_up = queued(&database).await;
    assert!(held_up > 2_000_000, "{held_up} bytes");
    drop(stuck);
    eventually("the queue is cleaned up", async || (queued(&database).await < held_up / 4).then_some(())).await;
    service.ready().await;
}

#[tokio::test]
async fn forged_notifications_cause_reads_and_nothing_else() {
    let (database, service) = two_reps().await;
    let mut stream = service.signed_in("ana").await.events().await;
    stream.wait_for("ping").await;
    let long = "x".repeat(7_999);
    database.sql(&format!("select pg_notify(c, p || n) from generate_series(1, 500) n,
        (values ('live_orders'), ('live_canary')) v (c), (values ('reps:1'), ('reps:99999999999999999999'), ('{{'), ('')) w (p);
        select pg_notify('live_orders', '{long}')")).await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let patch = stream.wait_for("patch").await;
    assert_eq!(patch.data["orders"][0]["id"], 1);
    service.ready().await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_gets_the_whole_state_when_it_goes_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let cookie = ana.try_sign_in("ana", crate::harness::database::PASSWORD).await.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    let cookie = cookie.split(';').next().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut slow = socket.connect(service.web).await.unwrap();
    slow.write_all(format!("GET {EVENTS} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n").as_bytes()).await.unwrap();
    let mut healthy = ana.events().await;
    healthy.wait_for("ping").await;
    eventually("both streams are open", async || {
        (service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await == 2.0).then_some(())
    })
    .await;
    let orders: Vec<String> = (100..1_000).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    healthy.patch_of(100).await;
    eventually("the slow reader's mailbox overflows", async || {
        database.sql("update orders_order set total_amount = total_amount + 1").await;
        healthy.patch_of(100).await;
        (service.metric("oncare_live_mailboxes_overrun_total").await > 0.0).then_some(())
    })
    .await;
    database.sql("update orders_order set status = 'cancelled' where id = 1").await;
    healthy.patch_of(1).await;
    let mut read = String::new();
    let mut chunk = [0; 65_536];
    while !(read.matches("event: sync").count() == 2
        && read.rsplit("event: sync").next().unwrap().contains("\"cancelled_orders\":1"))
    {
        let length = slow.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the stream goes on");
        read.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
}

#[tokio::test]
async fn it_says_goodbye_when_the_service_stops() {
    let (_database, mut service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("sync").await;
    service.begin_to_stop();
    assert_eq!(stream.wait_for("bye").await.data, json!({"reason": "draining"}));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn streams_are_refused_as_the_api_is() {
    let (_database, service) = two_reps().await;
    for (client, expected) in
        [(service.anonymous(), 401), (service.signed_in("rx").await, 403), (service.signed_in("odd").await, 403)]
    {
        for path in [EVENTS, API] {
            let (status, json) = client.json(path).await;
            assert_eq!(status, expected);
            assert!(json["error"].is_string());
        }
    }
}

/// A signed-in rep's cookie, for requests that are written by hand.
async fn cookie(client: &Browserless) -> String {
    let response = client.try_sign_in("ana", crate::harness::database::PASSWORD).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    cookie.split(';').next().unwrap().to_owned()
}

/// Reads until what was read satisfies the condition.
async fn read_until(socket: &mut tokio::net::TcpStream, what: &str, is_enough: impl Fn(&str) -> bool) -> String {
    use tokio::io::AsyncReadExt;
    let mut text = String::new();
    let mut chunk = [0; 16_384];
    while !is_enough(&text) {
        let read = tokio::time::timeout(crate::harness::PATIENCE, socket.read(&mut chunk)).await;
        let length = read.unwrap_or_else(|_| panic!("{what}; so far {text}")).unwrap();
        assert!(length > 0, "{what}; so far {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    text
}

#[tokio::test]
async fn a_connection_that_served_pages_becomes_a_stream() {
    use tokio::io::AsyncWriteExt;
    let (database, service) = two_reps().await;
    let ana = service.signed_in("ana").await;
    let cookie = cookie(&ana).await;
    let mut socket = tokio::net::TcpStream::connect(service.web).await.unwrap();
    for (path, status) in [(API, "200"), ("/nowhere/", "404"), (EVENTS, "200")] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        if path == EVENTS {
            break;
        }
        let answer = read_until(&mut socket, path, |text| {
            text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                length.map_or(body.ends_with("0\r\n\r\n"), |length| body.len() >= length.parse().unwrap())
            })
        })
        .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let begun = read_until(&mut socket, "the stream begins", |text| text.contains("event: ping")).await;
    let (head, body) = begun.split_once("\r\n\r\n").unwrap();
    for line in
        ["HTTP/1.1 200 OK", "transfer-encoding: chunked", "connection: close", "content-type: text/event-stream"]
    {
        assert!(head.lines().any(|have| have == line), "{line} in {head}");
    }
    assert!(
        head.contains("\r\ndate: ") && head.contains("content-security-policy") && !head.contains("content-length")
    );
    let (size, chunk) = body.split_once("\r\n").unwrap();
    assert_eq!(usize::from_str_radix(size, 16).unwrap(), chunk.len() - 2);
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    let patch = read_until(&mut socket, "the patch comes", |text| text.ends_with("\n\n\r\n")).await;
    assert!(patch.contains("event: patch") && patch.contains("\"confirmed_orders\":1"), "{patch}");
}

#[tokio::test]
async fn who_asks_for_the_head_alone_opens_no_stream() {
    use tokio::io::AsyncWriteExt;
    let (_database, service) = two_reps().await;
    let cookie = cookie(&service.signed_in("ana").await).await;
    let mut socket = tokio::net::TcpStream::connect(service.web).await.unwrap();
    for _ in 0..2 {
        let request = format!("HEAD {EVENTS} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut socket, "the head comes", |text| text.ends_with("\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("text/event-stream"), "{head}");
    }
    assert_eq!(service.metric("oncare_live_streams_opened_total{role=\"sales_rep\"}").await, 0.0);
}

#[tokio::test]
async fn an_old_client_gets_the_stream_without_chunks() {
    use tokio::io::AsyncWriteExt;
    let (database, mut service) = two_reps().await;
    let cookie = cookie(&service.signed_in("ana").await).await;
    let mut socket = tokio::net::TcpStream::connect(service.web).await.unwrap();
    socket.write_all(format!("GET {EVENTS} HTTP/1.0\r\ncookie: {cookie}\r\n\r\n").as_bytes()).await.unwrap();
    let begun = read_until(&mut socket, "the stream begins", |text| text.contains("event: ping")).await;
    let (head, body) = begun.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK") && !head.contains("chunked"), "{head}");
    assert!(body.starts_with("retry: "), "{body}");
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    read_until(&mut socket, "the patch comes", |text| text.contains("event: patch")).await;
    service.begin_to_stop();
    let bye = read_until(&mut socket, "it says goodbye", |text| text.contains("event: bye")).await;
    assert!(bye.ends_with("\n\n"), "{bye}");
}

#[tokio::test]
async fn streams_share_a_connection_over_http2() {
    use futures_util::StreamExt;
    let (database, service) = two_reps().await;
    let cookie = cookie(&service.signed_in("ana").await).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let get = |path: &str| client.get(format!("{}{path}", service.base())).header("cookie", &cookie).send();
    let mut streams = Vec::new();
    for _ in 0..8 {
        let response = get(EVENTS).await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, reqwest::Version::HTTP_2));
        streams.push(response.bytes_stream());
    }
    assert_eq!(get(API).await.unwrap().status(), 200);
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    for stream in &mut streams {
        let mut text = String::new();
        while !text.contains("event: patch") {
            let chunk = tokio::time::timeout(crate::harness::PATIENCE, stream.next()).await.unwrap().unwrap().unwrap();
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_or_talks_on_is_not_kept() {
    use tokio::io::AsyncWriteExt;
    let (_database, service) = two_reps().await;
    let cookie = cookie(&service.signed_in("ana").await).await;
    let open = async || service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = tokio::net::TcpStream::connect(service.web).await.unwrap();
        socket
            .write_all(format!("GET {EVENTS} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        read_until(&mut socket, "the stream begins", |text| text.contains("event: ping")).await;
        sockets.push(socket);
    }
    assert_eq!(open().await, 3.0);
    let mut talks = sockets.pop().unwrap();
    let mut asks = sockets.pop().unwrap();
    asks.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // more than anybody has to say; the connection may be closed while it still talks
    let _ = talks.write_all(&vec![b'x'; 200_000]).await;
    drop(sockets);
    eventually("one is left, which only asked for something else", async || (open().await == 1.0).then_some(())).await;
}

/// Sessions and first states that are asked for together are read together, and each gets its own.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_in_a_crowd_gets_what_is_theirs() {
    let (database, service) = two_reps().await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let anas_cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    database.sql("update orders_order set status = 'confirmed' where id in (1, 3)").await;
    let stranger = reqwest::Client::new();
    let stranger =
        || stranger.get(format!("{}{EVENTS}", service.base())).header("cookie", "oncare_live_session=0").send();
    let crowd = futures_util::future::join_all((0..60).map(|n| {
        let (ana, ben, since) = (&ana, &ben, anas_cursor.as_str());
        let stranger = stranger();
        async move {
            match n % 4 {
                0 => assert_eq!(stranger.await.unwrap().status(), 401),
                1 => {
                    let sync = ana.events().await.wait_for("sync").await.data;
                    assert_eq!((&sync["statistics"]["total_orders"], &sync["missed"]), (&json!(2), &Value::Null));
                }
                2 => {
                    let sync = ana.events_since(Some(since)).await.wait_for("sync").await.data;
                    assert_eq!(sync["missed"].as_array().unwrap().len(), 1, "ana's change alone");
                    assert_eq!(sync["missed"][0]["order_id"], 1);
                }
                _ => {
                    let sync = ben.events_since(Some(since)).await.wait_for("sync").await.data;
                    assert_eq!(sync["statistics"]["total_orders"], 1);
                    assert_eq!(sync["missed"][0]["order_id"], 3);
                }
            }
        }
    }));
    crowd.await;
}
