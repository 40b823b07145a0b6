//! What nobody can read hinders nobody else, and is forgotten once it is put right.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::database::Database;
use crate::harness::http::{Browserless, Event, Events};
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

const PHARMACY: &str = "/orders/api/pharmacist/dashboard/";

/// A service with two reps' orders and an open stream of each, and the pharmacist.
struct Shop {
    database: Database,
    service: Service,
    ana: Browserless,
    rx: Browserless,
    anas: Events,
    bens: Events,
}

impl Shop {
    async fn open(database: Database) -> Self {
        database
            .orders("(1, 1, 'pending', 'paid', 10), (2, 1, 'delivered', 'paid', 20), (3, 2, 'pending', 'paid', 30)")
            .await;
        database.store().fold().await.unwrap();
        let service = Service::start(&database).await;
        let (ana, ben, rx) =
            (service.signed_in("ana").await, service.signed_in("ben").await, service.signed_in("rx").await);
        let (mut anas, mut bens) = (ana.events().await, ben.events().await);
        anas.wait_for("ping").await;
        bens.wait_for("ping").await;
        // the first change may be told as a state, as whoever comes during a read is
        for (id, stream) in [(1, &mut anas), (3, &mut bens)] {
            eventually("changes are told one by one", async || {
                let change = format!("update orders_order set total_amount = total_amount + 1 where id = {id}");
                database.sql(&change).await;
                timeout(Duration::from_secs(2), stream.patch_of(id)).await.ok()
            })
            .await;
        }
        Self { database, service, ana, rx, anas, bens }
    }

    /// Ben's order changes, and his stream tells it as if nothing had happened.
    async fn assert_ben_notices_nothing(&mut self) {
        let before = self.database.value("select payment_status from orders_order where id = 3").await;
        let after = if before == "paid" { "pending" } else { "paid" };
        self.database.sql(&format!("update orders_order set payment_status = '{after}' where id = 3")).await;
        let event = timeout(PATIENCE, async {
            loop {
                let event = self.bens.next().await.expect("ben's stream goes on");
                if event.name != "ping" {
                    return event;
                }
            }
        });
        let event = event.await.expect("ben is told");
        assert_eq!(event.name, "patch", "ben need not read anew: {}", event.data);
        assert_eq!(event.data["orders"][0]["payment_status"], after);
    }

    /// The order as the list of all has it.
    async fn listed(&self, id: i64) -> Value {
        let (status, answer) = self.rx.json(PHARMACY).await;
        assert_eq!(status, 200, "{answer}");
        answer["orders"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone()
    }

    async fn assert_statistics_are_exact(&self) {
        let store = self.database.store();
        assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
        eventually("the fold goes on", async || {
            let open = "select count(*) from live.events_since((select live.folded()))";
            (self.database.value(open).await == "0").then_some(())
        })
        .await;
        assert_eq!(store.statistics_that_differ().await.unwrap(), Vec::<String>::new());
    }

    async fn assert_nothing_was_skipped(&self) {
        for metric in ["listener_batches_skipped", "listener_events_unreadable", "listener_reconnects"] {
            assert_eq!(self.service.metric(&format!("oncare_live_{metric}_total")).await, 0.0, "{metric}");
        }
        for task in ["listener", "fold", "sessions", "strangers"] {
            let restarts = format!("oncare_live_task_restarts_total{{task=\"{task}\"}}");
            assert_eq!(self.service.metric(&restarts).await, 0.0, "{task}");
        }
    }
}

/// The state, within the time in which it must be noticed that a table was altered.
async fn told_anew(stream: &mut Events) {
    timeout(Duration::from_secs(60), stream.wait_for("sync")).await.expect("the state is told");
}

/// What tells of the order.
async fn told(stream: &mut Events, order: i64) -> Event {
    timeout(PATIENCE, stream.patch_of(order)).await.expect("the change is told")
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_shown_as_far_as_it_is() {
    let mut shop = Shop::open(Database::in_sql_ascii().await).await;
    shop.database.sql(r"update orders_order set customer_name = E'Jos\xe9', status = 'confirmed' where id = 1").await;
    let patch = told(&mut shop.anas, 1).await;
    assert_eq!(patch.data["statistics"]["confirmed_orders"], 1);
    let name = &patch.data["changes"][0]["changed"]
        .as_array()
        .unwrap()
        .iter()
        .find(|field| field["field"] == "customer_name")
        .unwrap()["to"];
    assert_eq!(name, "Jos\u{fffd}");
    shop.assert_ben_notices_nothing().await;
    assert_eq!(shop.listed(1).await["customer_name"], "Jos\u{fffd}");
    assert_eq!(shop.ana.dashboard("").await["orders"].as_array().unwrap().len(), 2);
    // an edit of something else leaves it as it is
    shop.database.sql(r"update orders_order set customer_name = E'Jos\xe9', status = 'pending' where id = 1").await;
    let edit = [("customer_name", "Jos\u{fffd}"), ("customer_notes", "Call first"), ("delivery_method", "pickup")];
    assert_eq!(shop.ana.post("/orders/orders/1/edit/", &edit).await.status(), 303);
    let kept = r"select customer_name = E'Jos\xe9' and customer_notes = 'Call first' from orders_order where id = 1";
    assert_eq!(shop.database.value(kept).await, "true");
    // a person's own name is shown so, too
    shop.database.sql(r"update accounts_user set first_name = E'\xc1na' where id = 1").await;
    for page in ["/orders/orders/", "/orders/orders/1/"] {
        let answer = shop.ana.get(page).await;
        assert_eq!(answer.status(), 200, "{page}");
        assert!(answer.text().await.unwrap().contains("\u{fffd}na"), "{page}");
    }
    shop.assert_nothing_was_skipped().await;
    shop.database.sql("update orders_order set customer_name = 'Jose' where id = 1").await;
    told(&mut shop.anas, 1).await;
    assert_eq!(shop.listed(1).await["customer_name"], "Jose");
}

#[tokio::test]
async fn an_amount_beyond_all_bounds_counts_as_nothing() {
    let mut shop = Shop::open(Database::new().await).await;
    let infinity = if shop.database.version().await >= 14 { "infinity" } else { "NaN" };
    for (column, amount) in
        [("numeric", "1e30"), ("numeric", infinity), ("double precision", "1e300"), ("double precision", "-infinity")]
    {
        let before = shop.database.value("select pg_relation_filenode('orders_order')").await;
        shop.database.sql(&format!("alter table orders_order alter total_amount type {column}")).await;
        if shop.database.value("select pg_relation_filenode('orders_order')").await != before {
            // whatever was written anew is read anew
            told_anew(&mut shop.anas).await;
            told_anew(&mut shop.bens).await;
        }
        if column == "double precision" && amount.ends_with("infinity") && infinity == "NaN" {
            continue; // which the triggers can't record there
        }
        shop.database.sql(&format!("update orders_order set total_amount = '{amount}' where id = 2")).await;
        let patch = told(&mut shop.anas, 2).await;
        assert_eq!(patch.data["orders"][0]["total_amount"], Value::Null, "{amount}");
        assert_eq!(patch.data["statistics"]["total_revenue"].to_string(), "0.0", "{amount}");
        shop.assert_ben_notices_nothing().await;
        assert_eq!(shop.ana.dashboard("").await["statistics"], patch.data["statistics"], "{amount}");
        assert_eq!(shop.listed(2).await["total_amount"], Value::Null, "{amount}");
        assert_eq!(shop.ana.get("/orders/orders/2/").await.status(), 200, "{amount}");
        shop.assert_statistics_are_exact().await;
        shop.database.sql("update orders_order set total_amount = 25 where id = 2").await;
        let patch = told(&mut shop.anas, 2).await;
        assert_eq!(patch.data["statistics"]["total_revenue"].to_string(), "25.0", "after {amount}");
        assert_eq!(shop.ana.dashboard("").await["statistics"], patch.data["statistics"], "after {amount}");
        shop.assert_statistics_are_exact().await;
    }
    shop.assert_nothing_was_skipped().await;
}

#[tokio::test]
async fn an_order_without_a_status_is_shown_without_one() {
    let mut shop = Shop::open(Database::new().await).await;
    shop.database
        .sql(
            "alter table orders_order alter status drop not null, alter payment_status drop not null,
                 alter order_number drop not null, alter customer_name drop not null",
        )
        .await;
    for column in ["status", "payment_status", "order_number", "customer_name"] {
        let before = shop.database.value(&format!("select {column} from orders_order where id = 1")).await;
        shop.database.sql(&format!("update orders_order set {column} = null where id = 1")).await;
        let patch = told(&mut shop.anas, 1).await;
        let is_counted = !column.ends_with("status");
        assert_eq!(patch.data["statistics"]["total_orders"], 1 + i64::from(is_counted), "{column}");
        shop.assert_ben_notices_nothing().await;
        assert_eq!(shop.ana.dashboard("").await["statistics"], patch.data["statistics"], "{column}");
        // no list is of orders without a status
        if column != "status" {
            assert_eq!(shop.listed(1).await[column], "", "{column}");
        }
        for (who, page) in [(&shop.ana, "/orders/orders/"), (&shop.ana, "/orders/orders/1/")] {
            assert_eq!(who.get(page).await.status(), 200, "{column}: {page}");
        }
        shop.assert_statistics_are_exact().await;
        shop.database.sql(&format!("update orders_order set {column} = '{before}' where id = 1")).await;
        assert_eq!(told(&mut shop.anas, 1).await.data["statistics"]["total_orders"], 2, "{column}");
        shop.assert_statistics_are_exact().await;
    }
    shop.assert_nothing_was_skipped().await;
}

#[tokio::test]
async fn whom_an_event_concerns_that_cant_be_read_read_their_state_anew() {
    let mut shop = Shop::open(Database::new().await).await;
    let cursor = shop.ana.events().await.wait_for("sync").await.id;
    // as a later version might record it
    shop.database
        .sql("insert into live.order_event (operation, order_id, old_sales_rep_id, new_sales_rep_id) values ('odd', 1, 1, 1)")
        .await;
    shop.anas.wait_for("sync").await;
    shop.assert_ben_notices_nothing().await;
    assert_eq!(shop.service.metric("oncare_live_listener_events_unreadable_total").await, 1.0);
    shop.database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    assert_eq!(told(&mut shop.anas, 1).await.data["statistics"]["confirmed_orders"], 1);
    // what a page missed can't be told, and that is no reason to tell it nothing
    let sync = shop.ana.events_since(cursor.as_deref()).await.wait_for("sync").await;
    assert_eq!(sync.data["missed"], Value::Null);
    // nor is there anybody whose bell or page of the order it empties
    for (reader, bell) in [(&shop.ana, "sales-rep"), (&shop.rx, "pharmacist")] {
        let (status, changes) = reader.json(&format!("/orders/api/{bell}/changes/")).await;
        assert!(status == 200 && !changes["changes"].as_array().unwrap().is_empty(), "{status}: {changes}");
        let page = reader.get("/orders/orders/1/").await;
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains("Confirmed"));
    }
    // nor an order of which the host counts in another type, or says nothing
    shop.database
        .sql(
            "alter table orders_orderitem alter quantity type bigint;
             alter table orders_order alter prescription_required drop not null;
             update orders_order set prescription_required = null where id = 1;
             insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
                 prescription_notes, created_at) values (1, 1, 3, 'boxes', 1, 3, '', now())",
        )
        .await;
    assert_eq!(shop.ana.get("/orders/orders/1/").await.status(), 200);
}

#[tokio::test]
async fn statistics_that_cant_be_read_cost_nobody_else_a_change() {
    let mut shop = Shop::open(Database::new().await).await;
    shop.database.sql("update live.order_stats set amount = 'NaN' where sales_rep_id = 2").await;
    assert_ne!(shop.database.value("select count(*) from live.order_stats where amount = 'NaN'").await, "0");
    // an event that can't be read either: the listener has to read ben's statistics anew
    shop.database
        .sql("insert into live.order_event (operation, order_id, old_sales_rep_id, new_sales_rep_id) values ('odd', 3, 2, 2)")
        .await;
    eventually("it has forgotten them", async || {
        (shop.service.metric("oncare_live_listener_events_unreadable_total").await == 1.0).then_some(())
    })
    .await;
    for total in [51, 52, 53] {
        shop.database.sql(&format!("update orders_order set total_amount = {total} where id in (1, 3)")).await;
        let event = timeout(PATIENCE, async {
            loop {
                let event = shop.anas.next().await.expect("ana's stream goes on");
                if event.name != "ping" {
                    return event;
                }
            }
        });
        assert_eq!(event.await.expect("ana is told").name, "patch", "{total}");
    }
    assert_eq!(shop.service.metric("oncare_live_listener_batches_skipped_total").await, 0.0);
}

#[tokio::test]
async fn a_batch_that_cant_be_read_is_not_read_for_ever() {
    // something of which the server itself can't tell the listener what happened
    let shop = a_poisoned_batch_is_skipped("1 / (e.id - e.id) = 1").await;
    assert_eq!(shop.service.metric("oncare_live_listener_reconnects_total").await, 0.0);
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_not_read_for_ever() {
    // longer than a canary is waited for, which the listener can't hear meanwhile
    a_poisoned_batch_is_skipped("pg_sleep(12) is null").await;
}

/// One change makes the listener's read fail, or take long: everybody reads anew, and the next change is told.
async fn a_poisoned_batch_is_skipped(poison: &str) -> Shop {
    let mut shop = Shop::open(Database::new().await).await;
    let poisoned =
        format!("(current_query() not like '% as recorded,%' or e.app_user is distinct from 'poison' or {poison})");
    shop.database
        .sql(&format!(
            "create or replace function live.events_since(since pg_snapshot) returns setof live.order_event
             language sql stable as $$
                 select * from live.order_event e where e.xid >= pg_snapshot_xmax(since) and {poisoned}
                 union all
                 select * from live.order_event e where e.xid = any (array(select pg_snapshot_xip(since))) and {poisoned}
             $$"
        ))
        .await;
    shop.database
        .sql(
            "select set_config('app.user', 'poison', false); update orders_order set status = 'confirmed' where id = 1",
        )
        .await;
    let state = async |stream: &mut Events| loop {
        let sync = stream.wait_for("sync").await;
        if sync.data["statistics"]["confirmed_orders"] == json!(1) {
            return;
        }
    };
    timeout(PATIENCE * 2, state(&mut shop.anas)).await.expect("the state is told");
    shop.bens.wait_for("sync").await;
    shop.assert_ben_notices_nothing().await;
    shop.database.sql("update orders_order set status = 'shipped' where id = 1").await;
    assert_eq!(told(&mut shop.anas, 1).await.data["statistics"]["shipped_orders"], 1);
    assert!(shop.service.metric("oncare_live_listener_batches_skipped_total").await >= 1.0);
    shop
}
