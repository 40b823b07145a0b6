//! By whom a change was made, where only the history of the application says so, and what is one piece of news.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::{Browserless, Events};
use crate::harness::service::Service;

const CHANGES: &str = "/orders/api/sales-rep/changes/";

/// What the steps of the tables call.
const VERBS: &str = "
    create function wrote(bigint, bigint, text, text, timestamptz, text default 'pending', text default 'pending') returns void language sql as $$
        insert into orders_orderstatushistory (order_id, changed_by_id, old_status, new_status, changed_at, old_payment_status, new_payment_status, notes)
        values ($1, $2, $3, $4, $5, $6, $7, '') $$;
    create function entered(bigint, timestamptz) returns void language sql as $$
        insert into orders_order select (jsonb_populate_record(o, jsonb_build_object('id', $1, 'order_number', 'ORD-' || $1, 'created_at', $2, 'total_amount', 0))).*
        from orders_order o where o.id = 1 $$;
    create function item(bigint, bigint) returns void language sql as $$
        insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)
        values ($1, $2, 1, 'boxes', 1, 1, '', now()) $$";

/// So many orders of ana's, the first of which is none of the tables'.
async fn orders(count: usize) -> (Database, Service) {
    let database = Database::new().await;
    let list: Vec<String> = (1..=count).map(|id| format!("({id}, 1, 'pending', 'pending', 5)")).collect();
    database.orders(&list.join(", ")).await;
    database.sql(VERBS).await;
    let service = Service::start(&database).await;
    (database, service)
}

fn cases(table: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(table).unwrap();
    table["cases"].as_array().unwrap().clone()
}

/// Does what a case says with that order.
async fn take_steps(database: &Database, case: &Value, order: i64) {
    for step in case["steps"].as_array().unwrap() {
        let step = step.as_str().unwrap().replace("{o}", &order.to_string());
        database.sql(&format!("begin; set local application_name = 'shop'; {step}; commit")).await;
    }
}

async fn bell(client: &Browserless) -> Value {
    client.json(CHANGES).await.1
}

/// Of the changes of an order, the oldest first.
fn of_order(changes: &Value, order: i64) -> Vec<Value> {
    let mut changes: Vec<Value> = changes.as_array().unwrap().clone();
    changes.retain(|change| change["order_id"] == order);
    changes.sort_by_key(|change| change["id"].as_i64());
    changes
}

/// Who made each of an order's changes.
fn names(changes: &[Value]) -> Vec<Value> {
    changes
        .iter()
        .map(|change| {
            let is_known = change["user"].is_string();
            assert_eq!(change["by"], if is_known { change["user"].clone() } else { json!("") });
            assert_eq!(change.get("application"), (!is_known).then_some(&json!("shop")), "{change}");
            change["user"].clone()
        })
        .collect()
}

#[tokio::test]
async fn who_the_history_says_made_a_change_is_named_by_stream_bell_and_page() {
    let cases = cases(include_str!("../cases/whom.json"));
    let (database, service) = orders(1 + cases.len()).await;
    let ana = service.signed_in("ana").await;
    let cursor = ana.events().await.wait_for("sync").await.id.unwrap();
    for (order, case) in (2..).zip(&cases) {
        take_steps(&database, case, order).await;
    }
    let missed = ana.events_since(Some(&cursor)).await.wait_for("sync").await.data["missed"].clone();
    let listed = bell(&ana).await;
    for (order, case) in (2..).zip(&cases) {
        let named = case["named"].as_array().unwrap();
        assert_eq!(&names(&of_order(&missed, order)), named, "missed: {}", case["what"]);
        let listed: Vec<Value> =
            of_order(&listed["changes"], order).into_iter().filter(|change| change["operation"] == "update").collect();
        assert_eq!(&names(&listed), named, "listed: {}", case["what"]);
        let page = ana.get(&format!("/orders/orders/{order}/")).await.text().await.unwrap();
        for (change, who) in listed.iter().zip(named) {
            let (_, entry) = page.split_once(&format!("data-line=\"e{}", change["id"])).unwrap();
            let entry = entry.split("</li>").next().unwrap();
            let source = who.as_str().map_or("from shop".to_owned(), |who| format!("by {who}"));
            assert!(entry.contains(&format!(">{source}<")), "on the page: {}: {entry}", case["what"]);
        }
    }
}

/// Reads patches until one names changes.
async fn named(stream: &mut Events) -> Value {
    loop {
        let patch = stream.wait_for("patch").await.data;
        if patch["named"].is_array() {
            assert_eq!(patch["changes"], json!([]), "nothing is told twice");
            return patch["named"].clone();
        }
    }
}

#[tokio::test]
async fn a_change_that_was_told_is_named_when_the_history_is_written() {
    let (database, service) = orders(3).await;
    database.sql("update orders_order set sales_rep_id = 2 where id = 3").await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    assert_eq!(bell(&ana).await["unread"], 0);
    let (mut of_ana, mut of_all) = (ana.events().await, rx.events_of("/orders/api/pharmacist/events/", None).await);
    of_ana.wait_for("sync").await;
    of_all.wait_for("sync").await;
    for (order, user, login) in [(1, 3, "rx"), (2, 1, "ana")] {
        database.sql(&format!("update orders_order set status = 'shipped' where id = {order}")).await;
        let told = of_ana.patch_of(order).await.data["changes"][0].clone();
        assert_eq!((&told["by"], &told["user"]), (&json!(""), &Value::Null));
        let tag = ana.get(CHANGES).await.headers()["etag"].to_str().unwrap().to_owned();
        database.sql(&format!("select wrote({order}, {user}, 'pending', 'shipped', now())")).await;
        let expected = json!([{ "id": told["id"], "by": login, "user": login }]);
        assert_eq!(named(&mut of_ana).await, expected);
        assert_eq!(named(&mut of_all).await, expected);
        // also to who polls, and knows the change
        assert_eq!(ana.get_with(CHANGES, &[("if-none-match", &tag)]).await.status(), 200);
        let listed = bell(&ana).await;
        assert_eq!((&listed["changes"][0]["id"], &listed["changes"][0]["by"]), (&told["id"], &json!(login)));
        assert_eq!(listed["unread"], 1, "her own is no news, whoever says that it is hers");
    }
    // ana is told nothing of ben's order; nor is a name that a transaction has told already told once more
    database.sql("update orders_order set status = 'shipped' where id = 3").await;
    database.sql("select wrote(3, 3, 'pending', 'shipped', now())").await;
    database.sql("begin; update orders_order set status = 'returned' where id = 1; select wrote(1, 3, 'shipped', 'returned', now()); commit").await;
    assert_eq!(named(&mut of_all).await.as_array().unwrap().len(), 1);
    let patch = of_ana.patch_of(1).await.data;
    assert_eq!((&patch["changes"][0]["by"], patch.get("named")), (&json!("rx"), None), "{patch}");
}

#[tokio::test]
async fn an_order_and_what_is_entered_with_it_are_one_piece_of_news() {
    let cases = cases(include_str!("../cases/parts.json"));
    let (database, service) = orders(1).await;
    let ana = service.signed_in("ana").await;
    assert_eq!(bell(&ana).await["unread"], 0);
    let mut stream = ana.events().await;
    let cursor = stream.wait_for("sync").await.id.unwrap();
    let mut unread = 0;
    for (order, case) in (2..).zip(&cases) {
        take_steps(&database, case, order).await;
        let recorded = format!("select count(*) from live.order_event where order_id = {order}");
        let recorded: usize = database.value(&recorded).await.parse().unwrap();
        let mut told = Vec::new();
        while told.len() < recorded {
            told.extend(of_order(&stream.wait_for("patch").await.data["changes"], order));
        }
        let missed = ana.events_since(Some(&cursor)).await.wait_for("sync").await.data["missed"].clone();
        let listed = bell(&ana).await;
        for (where_told, changes) in [
            ("the stream", told),
            ("a stream that comes back", of_order(&missed, order)),
            ("the bell", of_order(&listed["changes"], order)),
        ] {
            assert!(where_told != "the stream" || changes.len() == recorded, "{where_told}: {}", case["what"]);
            let whole = changes.iter().filter(|change| change.get("part").is_none());
            let news: Vec<Value> = whole.map(|change| change["operation"].clone()).collect();
            assert_eq!(&json!(news), &case["news"], "{where_told}: {}", case["what"]);
        }
        unread += case["news"].as_array().unwrap().len();
        assert_eq!(listed["unread"], unread, "{}", case["what"]);
    }
}

/// What the triggers recorded of the history.
const RECORDED: &str = "select count(*) from live.order_event where operation = 'history'";

#[tokio::test]
async fn a_history_that_is_not_what_it_was_names_nobody_and_fails_nothing() {
    for (alteration, insert) in [
        ("alter table orders_orderstatushistory rename changed_at to at", Some("at")),
        ("alter table orders_orderstatushistory drop changed_at", None),
        ("alter table orders_orderstatushistory rename order_id to of_order", Some("changed_at")),
        ("alter table orders_orderstatushistory drop order_id", Some("changed_at")),
        ("alter table orders_orderstatushistory rename to elsewhere", None),
        ("drop table orders_orderstatushistory", None),
        ("alter table accounts_user rename username to login", Some("changed_at")),
    ] {
        let (database, service) = orders(2).await;
        let rep = service.signed_in("ana").await;
        let mut stream = rep.events().await;
        stream.wait_for("sync").await;
        // a session that has the plans of before
        let host = database.client().await;
        let entered =
            "insert into orders_orderstatushistory (order_id, changed_by_id, old_status, new_status, changed_at,
            old_payment_status, new_payment_status, notes) values (1, 3, 'a', 'b', now(), 'c', 'd', '')";
        host.batch_execute(entered).await.unwrap();
        assert_eq!(database.value(RECORDED).await, "1", "{alteration}");
        database.sql(alteration).await;
        if let Some(time) = insert {
            let entered = match alteration {
                _ if alteration.ends_with("drop order_id") => {
                    entered.replace("(order_id, ", "(").replace("(1, 3", "(3")
                }
                _ if alteration.ends_with("of_order") => entered.replace("order_id", "of_order"),
                _ => entered.replace("changed_at", time),
            };
            host.batch_execute(&entered).await.unwrap_or_else(|error| panic!("{alteration}: {error:?}"));
        }
        // what happens to orders goes on being told, as nobody's
        database.sql("update orders_order set status = 'shipped' where id = 2").await;
        let patch = loop {
            let patch = stream.patch_of(2).await.data;
            if patch["changes"] != json!([]) {
                break patch;
            }
        };
        assert_eq!(patch["changes"][0]["by"], "", "{alteration}");
        assert_eq!(database.value("select count(*) from live.unreadable").await, "0", "{alteration}");
        if !alteration.contains("username") {
            let (status, listed) = rep.json(CHANGES).await;
            assert_eq!((status, &listed["changes"][0]["by"]), (200, &json!("")), "{alteration}");
        }
        let faults = database.store().recording().await.unwrap().unwrap().faults;
        assert_eq!(faults, Vec::<String>::new(), "{alteration}: no change goes unrecorded");
    }
}

#[tokio::test]
async fn what_names_nobody_anew_is_not_recorded() {
    let (database, _service) = orders(2).await;
    for (statement, recorded) in [
        ("select wrote(1, 3, 'pending', 'shipped', now())", "1"),
        // an import of older days
        ("select wrote(1, 3, 'pending', 'shipped', now() - interval '2 days') from generate_series(1, 100)", "1"),
        (
            "begin; select set_config('app.user', 'rx', true); select wrote(1, 3, 'pending', 'shipped', now()); commit",
            "1",
        ),
        ("begin; select wrote(1, 3, 'pending', 'shipped', now()); rollback", "1"),
        ("set session_replication_role = replica; select wrote(1, 3, 'pending', 'shipped', now())", "2"),
        // a transaction that changed where the order stands is read with its history
        (
            "begin; update orders_order set status = 'shipped' where id = 1;
             select wrote(1, 3, 'pending', 'shipped', now()); commit",
            "2",
        ),
        // not one that changed something else, or another order, or whose change was taken back
        (
            "begin; update orders_order set total_amount = 6 where id = 1;
             select wrote(1, 3, 'pending', 'shipped', now()); commit",
            "3",
        ),
        (
            "begin; update orders_order set status = 'returned' where id = 2;
             select wrote(1, 3, 'pending', 'shipped', now()); commit",
            "4",
        ),
        (
            "begin; savepoint s; update orders_order set status = 'returned' where id = 1; rollback to s;
             select wrote(1, 3, 'pending', 'shipped', now()); commit",
            "5",
        ),
        // and what a transaction changed is not what the next one of the session did
        (
            "begin; update orders_order set status = 'delivered' where id = 1; commit;
             select wrote(1, 3, 'shipped', 'delivered', now())",
            "6",
        ),
    ] {
        database.sql(statement).await;
        assert_eq!(database.value(RECORDED).await, recorded, "{statement}");
    }
}

#[tokio::test]
async fn a_missing_trigger_of_the_history_is_said_and_put_back() {
    let (database, service) = orders(1).await;
    let trigger = "orders_orderstatushistory.live_insert";
    for breakage in [
        "drop trigger live_insert on orders_orderstatushistory",
        "alter table orders_orderstatushistory disable trigger live_insert",
    ] {
        service.ready().await;
        database.sql(breakage).await;
        let (status, text) = service.get_ops("/readyz").await;
        assert!(status == 200 && text.contains(trigger) && text.contains("oncare-live migrate"), "{text}");
        let found = oncare_live::doctor::examine(&database.parsed_url()).await;
        let finding = found.iter().find(|finding| finding.subject.ends_with(trigger)).unwrap();
        assert!(format!("{:?}", finding.verdict).starts_with("Warning(\"it "), "{finding:?}");
        assert!(database.store().migrate().await.unwrap().put_back);
        let (_, text) = service.get_ops("/readyz").await;
        assert!(!text.contains(trigger), "{text}");
    }
    // a partitioned one, whose partitions have it too
    database
        .sql(
            "alter table orders_orderstatushistory rename to flat;
             create table orders_orderstatushistory (like flat including defaults) partition by list (order_id);
             create table history_of_one partition of orders_orderstatushistory for values in (1);
             drop table flat",
        )
        .await;
    database.sql("alter table orders_orderstatushistory alter id set default 1").await;
    assert!(database.store().migrate().await.unwrap().put_back);
    database.sql("select wrote(1, 3, 'pending', 'shipped', now())").await;
    assert_eq!(database.value(RECORDED).await, "1");
    assert!(!database.store().migrate().await.unwrap().put_back, "nothing is missing");
    assert!(!database.store().triggers().await.unwrap().iter().any(|(_, state)| state.fault().is_some()));
    let detached = database.store().detach().await.unwrap();
    assert!(detached.triggers.contains(&"live_insert on public.orders_orderstatushistory".to_owned()), "{detached:?}");
    eventually("no trigger of ours is left", async || {
        let left = "select count(*) from pg_trigger t join pg_proc p on p.oid = t.tgfoid where p.pronamespace = 'live'::regnamespace";
        (database.value(left).await == "0").then_some(())
    })
    .await;
}
