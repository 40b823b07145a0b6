//! Changing where orders stand: by which rules, with which traces, and what becomes of those who are overtaken.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::service::Service;

const ONE: &str = "/orders/orders/1/status/";
const SELECTION: &str = "/orders/orders/status/";

async fn with_orders(orders: &str) -> (Database, Service) {
    let database = Database::new().await;
    database.orders(orders).await;
    let service = Service::start(&database).await;
    (database, service)
}

async fn stands(database: &Database, id: i64) -> String {
    database.value(&format!("select status || ':' || payment_status from orders_order where id = {id}")).await
}

const HISTORY: &str = "select coalesce(string_agg(concat_ws(' ', order_id, old_status, new_status, old_payment_status,
    new_payment_status, quote_literal(notes), changed_by_id), '; ' order by id), '') from orders_orderstatushistory";

#[tokio::test]
async fn a_change_is_written_with_its_time_its_history_and_its_user() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let rx = service.signed_in("rx").await;
    let before = database.value("select updated_at from orders_order").await;
    let reached = "select concat_ws(' ', confirmed_at is not null, shipped_at is not null, delivered_at is not null) from orders_order";
    for (fields, stand, times) in [
        ([("status", "confirmed"), ("payment_status", ""), ("note", " called\r\nback ")], "confirmed:pending", "t f f"),
        ([("status", ""), ("payment_status", "failed"), ("note", "")], "confirmed:failed", "t f f"),
        ([("status", "shipped"), ("payment_status", ""), ("note", "")], "shipped:failed", "t t f"),
        ([("status", "delivered"), ("payment_status", "paid"), ("note", "")], "delivered:paid", "t t t"),
        ([("status", ""), ("payment_status", ""), ("note", "all well")], "delivered:paid", "t t t"),
    ] {
        let response = rx.post(ONE, &fields).await;
        assert_eq!(
            (response.status().as_u16(), response.headers()["location"].to_str().unwrap()),
            (303, "/orders/orders/1/")
        );
        assert_eq!(stands(&database, 1).await, stand);
        assert_eq!(database.value(reached).await, times, "{stand}");
    }
    assert_ne!(database.value("select updated_at from orders_order").await, before);
    assert_eq!(
        database.value(HISTORY).await,
        "1 pending confirmed pending pending 'called\nback' 3; 1 confirmed confirmed pending failed '' 3; \
         1 confirmed shipped failed failed '' 3; 1 shipped delivered failed paid '' 3; \
         1 delivered delivered paid paid 'all well' 3"
    );
    // the times are those of the changes, and stay
    assert_eq!(
        database.value("select bool_and(h.changed_at = case h.new_status when 'confirmed' then o.confirmed_at when 'shipped' then o.shipped_at
             else o.delivered_at end) from orders_order o, orders_orderstatushistory h where h.old_status <> h.new_status").await,
        "true"
    );
    let who = "select string_agg(distinct app_user, ',') from live.order_event where operation = 'update'";
    assert_eq!(database.value(who).await, "rx");
    // in the page each is told once, with its note and user
    let html = rx.get("/orders/orders/1/").await.text().await.unwrap();
    for (part, times) in [
        ("Status: Pending → Confirmed", 1),
        ("called\nback", 1),
        ("Payment: Pending → Failed", 1),
        ("Noted", 1),
        (">by rx<", 5),
    ] {
        assert_eq!(html.matches(part).count(), times, "{part}");
    }
}

#[tokio::test]
async fn what_the_rules_forbid_is_refused_in_plain_words_and_nothing_is_written() {
    let (database, service) = with_orders(
        "(1, 1, 'pending', 'pending', 5), (2, 1, 'shipped', 'paid', 5), (3, 1, 'cancelled', 'paid', 5),
         (4, 1, 'delivered', 'paid', 5), (5, 1, 'on_hold', 'iou', 5)",
    )
    .await;
    let boss = service.signed_in("boss").await;
    for (id, fields, reason) in [
        (
            1,
            [("status", "delivered"), ("note", "x")],
            "ORD-2025-00001 is Pending payment; an order is delivered only when it is paid.",
        ),
        (
            1,
            [("status", "returned"), ("note", "x")],
            "ORD-2025-00001 is Pending; only a shipped or delivered order can be returned.",
        ),
        (1, [("status", "pending"), ("note", "")], "nothing would change, and there is no note"),
        (
            2,
            [("status", "processing"), ("note", "x")],
            "ORD-2025-00002 is Shipped; it can&#39;t go back to Processing.",
        ),
        (3, [("status", "pending"), ("note", "x")], "ORD-2025-00003 is Cancelled; nothing follows on Cancelled."),
        (4, [("payment_status", "failed"), ("note", "x")], "a delivered order&#39;s payment can&#39;t become Failed."),
        (5, [("status", "delivered"), ("note", "x")], "it is not known whether it can become Delivered"),
    ] {
        let response = boss.post(&format!("/orders/orders/{id}/status/"), &fields).await;
        assert_eq!(response.status(), 409, "{reason}");
        let html = response.text().await.unwrap();
        assert!(html.contains("role=\"alert\"") && html.contains(reason), "{reason}: {html}");
        assert!(fields[1].1.is_empty() || html.contains(">\nx</textarea>"), "what was typed is kept");
    }
    let all = "select string_agg(status || ':' || payment_status, ' ' order by id) from orders_order";
    assert_eq!(database.value(all).await, "pending:pending shipped:paid cancelled:paid delivered:paid on_hold:iou");
    assert_eq!(database.value(HISTORY).await, "");
    assert_eq!(database.value("select count(*) from live.order_event where operation <> 'insert'").await, "0");
}

#[tokio::test]
async fn the_form_offers_what_is_allowed_and_says_why_the_rest_is_not() {
    let (_database, service) = with_orders("(1, 1, 'processing', 'pending', 5), (2, 1, 'delivered', 'paid', 5)").await;
    let rx = service.signed_in("rx").await;
    let html = rx.get("/orders/orders/1/").await.text().await.unwrap();
    let choice = |html: &str, code: &str| {
        let choice =
            html.split("<label class=\"choice\">").find(|choice| choice.contains(&format!("value=\"{code}\"")));
        choice.unwrap().split("</label>").next().unwrap().to_owned()
    };
    assert!(choice(&html, "").contains("checked") && choice(&html, "").contains("Processing"));
    for (code, reason) in
        [("pending", "can&#39;t go back to Pending"), ("returned", "only a shipped or delivered order")]
    {
        let choice = choice(&html, code);
        assert!(choice.contains("disabled") && choice.contains(reason), "{choice}");
    }
    for code in ["ready_for_pickup", "shipped", "delivered", "cancelled"] {
        assert!(!choice(&html, code).contains("disabled"), "{code}");
    }
    assert!(choice(&html, "delivered").contains("together with payment Paid"));
    let html = rx.get("/orders/orders/2/").await.text().await.unwrap();
    assert!(html.contains(
        "<option value=\"failed\" disabled>Failed: a delivered order&#39;s payment can&#39;t become Failed</option>"
    ));
    // as an alias, for pharmacists; a rep has no such form and no such page
    assert_eq!(rx.get("/orders/pharmacist/orders/1/").await.status(), 200);
    let ana = service.signed_in("ana").await;
    assert_eq!(ana.get("/orders/pharmacist/orders/1/").await.status(), 403);
    assert!(!ana.get("/orders/orders/1/").await.text().await.unwrap().contains("/status/"));
}

#[tokio::test]
async fn a_rep_changes_no_status_and_nobody_an_order_that_is_not_there() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let change = [("status", "confirmed"), ("order", "1")];
    for (username, one, selection) in [("ana", 403, 403), ("odd", 403, 403), ("rx", 303, 200), ("boss", 409, 200)] {
        let client = service.signed_in(username).await;
        assert_eq!(client.post(ONE, &change).await.status(), one, "{username}");
        assert_eq!(client.post(SELECTION, &change).await.status(), selection, "{username}");
    }
    assert_eq!(service.anonymous().post(ONE, &change).await.status(), 303, "to the login");
    assert_eq!(stands(&database, 1).await, "confirmed:pending");
    let rx = service.signed_in("rx").await;
    for path in ["/orders/orders/2/status/", "/orders/orders/x/status/"] {
        assert_eq!(rx.post(path, &change).await.status(), 404, "{path}");
    }
    let no_page = rx.get(SELECTION).await;
    assert_eq!(no_page.status(), 405, "it is no order's page");
}

#[tokio::test]
async fn what_cant_be_written_is_not() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let rx = service.signed_in("rx").await;
    let long = "x".repeat(4_001);
    for (field, value, message) in [
        ("note", long.as_str(), "At most 4000 characters; this has 4001."),
        ("note", "a\0b", "can&#39;t be stored"),
        ("status", "lost", "there is none that is called “lost”"),
        ("payment_status", "Paid", "there is none that is called “Paid”"),
        ("version", "pending", "expected a status and a payment status"),
    ] {
        let html = {
            let response = rx.post(ONE, &[("payment_status", "paid"), (field, value)]).await;
            assert_eq!(response.status(), 422, "{field}");
            response.text().await.unwrap().to_lowercase()
        };
        assert!(html.contains(&message.to_lowercase()), "{field}: {html}");
        let response = rx.post(SELECTION, &[("order", "1:pending:pending"), (field, value)]).await;
        assert!(field == "version" || response.status() == 422, "{field}");
    }
    // the longest note, and the version that its form had is kept where only the note is wrong
    database.sql("update orders_order set payment_status = 'failed'").await;
    let again = rx.post(ONE, &[("note", &long), ("version", "pending:paid")]).await.text().await.unwrap();
    assert!(again.contains("name=\"version\" value=\"pending:paid\"") && again.contains(&long[..4_000]));
    assert_eq!(rx.post(ONE, &[("note", &long[1..])]).await.status(), 303);
}

#[tokio::test]
async fn over_a_newer_change_nothing_is_written_and_both_versions_are_told() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let (rx, boss) = (service.signed_in("rx").await, service.signed_in("boss").await);
    let version =
        |html: &str| html.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let seen = version(&rx.get("/orders/orders/1/").await.text().await.unwrap());
    assert_eq!(seen, "pending:pending");
    assert_eq!(boss.post(ONE, &[("status", "processing"), ("version", &seen)]).await.status(), 303);

    let fields = [("status", "shipped"), ("payment_status", "paid"), ("note", "by noon"), ("version", seen.as_str())];
    let response = rx.post(ONE, &fields).await;
    assert_eq!(response.status(), 409);
    let html = response.text().await.unwrap();
    for part in [
        "role=\"alert\"",
        "Somebody changed this order meanwhile: boss, ",
        "<dd>Pending, payment Pending</dd>",
        "<dd>Shipped, payment Paid</dd>",
        "<dd>Processing, payment Pending</dd>",
        "value=\"shipped\" checked",
        "value=\"paid\" selected",
        ">\nby noon</textarea>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert_eq!(stands(&database, 1).await, "processing:pending");
    assert_eq!(database.value("select count(*) from orders_orderstatushistory").await, "1");
    // who has seen it may go on
    let fields = [fields[0], fields[1], fields[2], ("version", &version(&html))];
    assert_eq!(rx.post(ONE, &fields).await.status(), 303);
    assert_eq!(stands(&database, 1).await, "shipped:paid");
    // a program is told the same in one sentence, of a change by any client
    database.sql("set application_name = 'nightly import'; update orders_order set status = 'returned'").await;
    let told = rx.post_json(ONE, &[("status", "delivered"), ("version", "shipped:paid")]).await;
    assert_eq!(told.0, 409);
    let error = told.1["error"].as_str().unwrap();
    assert!(error.starts_with("ORD-2025-00001 was Shipped, payment Paid, and is Returned, payment Paid now (changed by the application nightly import, "), "{error}");
    assert!(error.ends_with("; you wanted Delivered."), "{error}");
}

#[tokio::test]
async fn a_program_is_told_in_json_what_was_not_done() {
    let (_database, service) = with_orders("(1, 1, 'cancelled', 'pending', 5)").await;
    let rx = service.signed_in("rx").await;
    let refused = json!({ "error": "ORD-2025-00001 is Cancelled; nothing follows on Cancelled." });
    assert_eq!(rx.post_json(ONE, &[("status", "pending")]).await, (409, refused));
    let (status, error) = rx.post_json(ONE, &[("note", &"x".repeat(4_001))]).await;
    assert_eq!((status, error), (422, json!({ "error": "note: At most 4000 characters; this has 4001." })));
    assert_eq!(rx.post_json("/orders/orders/2/status/", &[]).await.0, 404);
    let ana = service.signed_in("ana").await;
    assert_eq!(ana.post_json(ONE, &[]).await, (403, json!({ "error": "only for pharmacists and administrators" })));
    assert_eq!(service.anonymous().post_json(ONE, &[]).await, (401, json!({ "error": "not signed in" })));
}

#[tokio::test]
async fn a_selection_is_changed_as_far_as_the_rules_allow() {
    let (database, service) = with_orders(
        "(1, 1, 'pending', 'paid', 5), (2, 2, 'cancelled', 'paid', 5), (3, 1, 'pending', 'pending', 5), (4, 1, 'confirmed', 'paid', 5)",
    )
    .await;
    let rx = service.signed_in("rx").await;
    let fields = [
        ("order", "1:pending:paid"),
        ("order", "2"),
        // it is not that any more
        ("order", "3:pending:paid"),
        ("order", "4"),
        ("order", "99"),
        // twice is once
        ("order", "1:pending:paid"),
        ("status", "processing"),
        ("note", "morning round"),
    ];
    let (status, answer) = rx.post_json(SELECTION, &fields).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer["changed"],
        json!([{ "id": 1, "key": "1", "order_number": "ORD-2025-00001" }, { "id": 4, "key": "4", "order_number": "ORD-2025-00004" }])
    );
    assert_eq!(
        answer["refused"],
        json!([
            { "id": 2, "key": "2", "order_number": "ORD-2025-00002", "reason": "ORD-2025-00002 is Cancelled; nothing follows on Cancelled.",
              "brief": "already Cancelled" },
            { "id": 3, "key": "3", "order_number": "ORD-2025-00003",
              "reason": "ORD-2025-00003 was Pending, payment Paid, and is Pending, payment Pending now; you wanted Processing.",
              "brief": "changed since you selected them" },
            { "id": 99, "key": "99", "order_number": null, "reason": "there is no such order", "brief": "deleted" },
        ])
    );
    assert_eq!(
        database.value(HISTORY).await,
        "1 pending processing paid paid 'morning round' 3; 4 confirmed processing paid paid 'morning round' 3"
    );
    assert_eq!(
        database.value("select count(distinct xid) from live.order_event where operation = 'update'").await,
        "2"
    );

    let page = rx.post(
        SELECTION,
        &[("order", "1"), ("order", "2"), ("payment_status", "refunded"), ("next", "/orders/find/?a=b")],
    );
    let html = page.await.text().await.unwrap();
    for part in [
        "2 of 2 orders changed",
        "Changed to payment Refunded",
        "href=\"/orders/orders/2/\"",
        "href=\"/orders/find/?a=b\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let html = rx
        .post(SELECTION, &[("order", "2"), ("status", "pending"), ("next", "//evil.example/")])
        .await
        .text()
        .await
        .unwrap();
    assert!(
        html.contains("0 of 1 order changed")
            && html.contains("nothing follows on Cancelled")
            && !html.contains("evil")
    );
}

#[tokio::test]
async fn a_selection_is_of_one_to_a_hundred_orders() {
    let (database, service) = with_orders("(1, 1, 'pending', 'paid', 5)").await;
    let rx = service.signed_in("rx").await;
    let ids: Vec<String> = (1..=101).map(|id| id.to_string()).collect();
    let mut fields: Vec<(&str, &str)> = ids.iter().map(|id| ("order", id.as_str())).collect();
    fields.push(("status", "processing"));
    let (status, answer) = rx.post_json(SELECTION, &fields).await;
    assert_eq!((status, answer), (422, json!({ "error": "order: choose at most 100" })));
    assert_eq!(stands(&database, 1).await, "pending:paid");
    fields.remove(100);
    let (status, answer) = rx.post_json(SELECTION, &fields).await;
    assert_eq!(
        (status, answer["changed"].as_array().unwrap().len(), answer["refused"].as_array().unwrap().len()),
        (200, 1, 99)
    );
    for orders in [&[][..], &[("order", "x")], &[("order", "")], &[("order", "1:pending")]] {
        assert_eq!(rx.post_json(SELECTION, orders).await.0, 422, "{orders:?}");
    }
}

#[tokio::test]
async fn of_two_changes_at_once_one_wins_and_the_other_is_told() {
    let (database, service) = with_orders("(1, 1, 'pending', 'paid', 5)").await;
    let (rx, boss) = (service.signed_in("rx").await, service.signed_in("boss").await);
    // both wait for the same lock, so that both have read what they come from
    let holder = database.client().await;
    holder.batch_execute("begin; select from orders_order where id = 1 for no key update").await.unwrap();
    let version = ("version", "pending:paid");
    let (confirm, ship) = ([("status", "confirmed"), version], [("status", "shipped"), version]);
    let both = async { tokio::join!(rx.post(ONE, &confirm), boss.post(ONE, &ship)) };
    let release = async {
        eventually("both wait", async || {
            let waiting =
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
            (database.value(waiting).await == "2").then_some(())
        })
        .await;
        holder.batch_execute("commit").await.unwrap();
    };
    let ((one, other), ()) = tokio::join!(both, release);
    let (one, other) = (one.status().as_u16(), other.status().as_u16());
    let mut outcomes = [one, other];
    outcomes.sort_unstable();
    assert_eq!(outcomes, [303, 409]);
    assert_eq!(database.value("select count(*) from orders_orderstatushistory").await, "1");
    let winner = if one == 303 { "confirmed:paid" } else { "shipped:paid" };
    assert_eq!(stands(&database, 1).await, winner);
}

#[tokio::test]
async fn an_order_that_another_client_holds_is_not_waited_for_long() {
    let (database, service) = with_orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    let rx = service.signed_in("rx").await;
    let holder = database.client().await;
    holder.batch_execute("begin; update orders_order set status = 'confirmed' where id = 1").await.unwrap();
    let (_, answer) = rx.post_json(SELECTION, &[("order", "1"), ("order", "2"), ("status", "processing")]).await;
    assert_eq!(answer["changed"][0]["id"], 2);
    let reason = "ORD-2025-00001 is being changed by somebody else right now; try again in a moment.";
    assert_eq!(answer["refused"][0]["reason"], reason);
    assert_eq!(rx.post_json(ONE, &[("status", "processing")]).await, (409, json!({ "error": reason })));
    // nor by an edit or a cancellation, which keep what was typed
    for (path, field, typed) in
        [("/orders/orders/1/edit/", "customer_name", "Maria L."), ("/orders/orders/1/cancel/", "reason", "twice")]
    {
        assert_eq!(rx.post_json(path, &[(field, typed)]).await.0, 409, "{path}");
        let again = rx.post(path, &[(field, typed), ("version", "pending:paid")]).await;
        assert_eq!(again.status(), 409, "{path}");
        let html = again.text().await.unwrap();
        assert!(html.contains(reason) && html.contains(typed) && html.contains("type=\"submit\">"), "{html}");
    }
    holder.batch_execute("rollback").await.unwrap();
    assert_eq!(rx.post(ONE, &[("status", "processing")]).await.status(), 303);
}

#[tokio::test]
async fn a_selection_goes_on_when_its_sender_leaves() {
    let (database, service) = with_orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    let rx = service.signed_in("rx").await;
    let holder = database.client().await;
    holder.batch_execute("begin; update orders_order set status = 'confirmed' where id = 1").await.unwrap();
    let sender = tokio::spawn(async move {
        rx.post_json(SELECTION, &[("order", "1"), ("order", "2"), ("status", "processing")]).await
    });
    eventually("the first order is waited for", async || {
        let waiting =
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%for no key update%'
            and datname = current_database()";
        (database.value(waiting).await == "1").then_some(())
    })
    .await;
    sender.abort();
    eventually("the second is changed", async || (stands(&database, 2).await == "processing:paid").then_some(())).await;
    holder.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn a_selection_tells_what_it_did_before_the_database_went_away() {
    let (database, service) =
        with_orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5), (3, 1, 'pending', 'paid', 5)").await;
    let rx = service.signed_in("rx").await;
    // the second change ends its connection, as an outage does
    database
        .sql(
            "create function cut() returns trigger language plpgsql as $$ begin
            if new.id = 2 then perform pg_terminate_backend(pg_backend_pid()); end if; return null; end $$;
        create trigger cut after update on orders_order for each row execute function cut()",
        )
        .await;
    let (status, answer) =
        rx.post_json(SELECTION, &[("order", "1"), ("order", "2"), ("order", "3"), ("status", "processing")]).await;
    assert_eq!((status, &answer["changed"][0]["id"]), (200, &json!(1)), "{answer}");
    let reasons: Vec<&str> =
        answer["refused"].as_array().unwrap().iter().map(|order| order["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        [
            "the database is unavailable; try again in a moment",
            "not tried: the database is unavailable; try again in a moment"
        ]
    );
    assert_eq!(stands(&database, 3).await, "pending:paid");
}

#[tokio::test]
async fn a_cancellation_over_a_newer_change_is_asked_for_again() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let version =
        |html: &str| html.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let seen = version(&ana.get("/orders/orders/1/cancel/").await.text().await.unwrap());
    assert_eq!(rx.post(ONE, &[("status", "confirmed"), ("payment_status", "paid")]).await.status(), 303);
    let response = ana.post("/orders/orders/1/cancel/", &[("reason", "too late"), ("version", &seen)]).await;
    assert_eq!(response.status(), 409);
    let html = response.text().await.unwrap();
    for part in [
        "Somebody changed this order meanwhile: rx, ",
        "<dd>Pending, payment Pending</dd>",
        "<dd>Cancelled</dd>",
        "<dd>Confirmed, payment Paid</dd>",
        ">\ntoo late</textarea>",
        "Cancel the order all the same",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert_eq!(stands(&database, 1).await, "confirmed:paid");
    let again = [("reason", "too late"), ("version", &version(&html))];
    assert_eq!(ana.post("/orders/orders/1/cancel/", &again).await.status(), 303);
    assert_eq!(stands(&database, 1).await, "cancelled:paid");
    // where it can't be done any more, it is told whose doing that is
    let refused = ana.post("/orders/orders/1/cancel/", &again).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("only while it is pending or confirmed (changed by ana, "));
}

#[tokio::test]
async fn an_edit_that_was_overtaken_says_by_whom_as_far_as_anybody_knows() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let ana = service.signed_in("ana").await;
    let fields = [("customer_name", "Mine"), ("version", "of an older one")];
    database.sql("set application_name = 'import'; update orders_order set customer_name = 'Theirs'").await;
    let html = ana.post("/orders/orders/1/edit/", &fields).await.text().await.unwrap();
    assert!(html.contains("Somebody else changed this order meanwhile, last by the application import, "), "{html}");
    assert!(html.contains("value=\"Mine\"") && html.contains("Now there: “Theirs”"));
    database
        .sql("update orders_order set customer_name = 'Mine', customer_phone = '1', updated_at = '2025-03-04 05:06Z'")
        .await;
    let html = ana.post("/orders/orders/1/edit/", &fields).await.text().await.unwrap();
    assert!(html.contains("meanwhile; it was last written Mar 04, 2025 05:06 UTC. Nothing"), "{html}");
    // where nothing can be edited any more, what was written is not lost either
    database.sql("select set_config('app.user', 'rx', false); update orders_order set status = 'shipped'").await;
    let response = ana.post("/orders/orders/1/edit/", &[("customer_name", "Mine again"), fields[1]]).await;
    assert_eq!(response.status(), 409);
    let html = response.text().await.unwrap();
    assert!(
        html.contains("This order is shipped now; it can be edited only while it is pending (changed by rx, "),
        "{html}"
    );
    assert!(html.contains("value=\"Mine again\"") && html.contains("Now there: “Mine”"), "{html}");
    assert!(!html.contains("type=\"submit\">Save"), "there is no way to save it: {html}");
}

#[tokio::test]
async fn the_page_of_a_pharmacist_tells_more_than_that_of_a_rep() {
    let (database, service) = with_orders("(1, 1, 'shipped', 'paid', 5)").await;
    database.sql("update orders_order set internal_notes = 'fragile', prescription_required = true, prescription_verified = true,
        verified_by_id = 3, verified_at = '2025-02-03 04:05Z', confirmed_at = '2025-02-04 04:05Z', shipped_at = 'infinity'").await;
    database.sql("update orders_order set sales_rep_id = 2").await;
    database.sql("update orders_order set sales_rep_id = 1").await;
    let html = async |username| service.signed_in(username).await.get("/orders/orders/1/").await.text().await.unwrap();
    let (ana, rx) = (html("ana").await, html("rx").await);
    for part in
        ["Needed, verified by rx Tester, Feb 03, 2025 04:05", "<dt>Confirmed</dt><dd data-line>Feb 04, 2025 04:05</dd>"]
    {
        assert!(ana.contains(part) && rx.contains(part), "{part}: {rx}");
    }
    assert!(!ana.contains("<dt>Shipped</dt>"), "what no client could show is not shown");
    for part in ["fragile", "<dt>Representative</dt><dd data-line>ana Tester</dd>", "Representative: ben → ana"] {
        assert!(rx.contains(part) && !ana.contains(part), "{part}: {rx}");
    }
}

#[tokio::test]
async fn a_history_that_follows_in_a_transaction_of_its_own_is_of_the_change_before_it() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    database
        .sql("set application_name = 'django'; update orders_order set payment_status = 'paid', total_amount = 7")
        .await;
    database.sql("insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status,
        new_payment_status, notes, changed_by_id, changed_at) values (1, 'pending', 'pending', 'pending', 'paid', 'cash', 3, now())").await;
    let html = service.signed_in("ana").await.get("/orders/orders/1/").await.text().await.unwrap();
    let timeline = html.split("<ol class=\"timeline\">").nth(1).unwrap().split("</ol>").next().unwrap();
    assert_eq!(timeline.matches("<li").count(), 2, "{timeline}");
    assert!(timeline.contains("Payment: Pending → Paid") && timeline.contains("Total: ₱5.00 → ₱7.00"), "{timeline}");
    assert!(timeline.contains("cash") && timeline.contains("by rx") && !timeline.contains("django"), "{timeline}");
}

/// What the page says every few seconds.
async fn look(client: &Browserless, page: &str) -> (u16, Value) {
    client.post_json("/orders/api/orders/1/viewing/", &[("page", page)]).await
}

#[tokio::test]
async fn who_looks_at_an_order_is_known_to_the_others_on_every_instance() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let elsewhere = Service::start(&database).await;
    let (ana, rx, boss) =
        (service.signed_in("ana").await, elsewhere.signed_in("rx").await, service.signed_in("boss").await);
    let viewers = async |client: &Browserless, page: &str| {
        let (status, answer) = look(client, page).await;
        assert_eq!(status, 200, "{answer}");
        answer["viewers"].clone()
    };
    assert_eq!(viewers(&ana, "a1").await, json!([]));
    assert_eq!(viewers(&rx, "r1").await, json!(["ana"]));
    // one person in two tabs is one, and not somebody else
    assert_eq!(viewers(&rx, "r2").await, json!(["ana"]));
    assert_eq!(viewers(&ana, "a1").await, json!(["rx"]));
    assert_eq!(viewers(&boss, "b1").await, json!(["ana", "rx"]));
    let leave = async |client: &Browserless, page| {
        let response = client.post("/orders/api/orders/1/viewing/", &[("page", page), ("leaving", "1")]).await;
        assert_eq!(response.status(), 204);
    };
    leave(&rx, "r1").await;
    assert_eq!(viewers(&ana, "a1").await, json!(["boss", "rx"]), "the other tab is still there");
    leave(&rx, "r2").await;
    leave(&ana, "b1").await;
    assert_eq!(viewers(&ana, "a1").await, json!(["boss"]), "nobody leaves for another");
    // a page that vanished without a word counts for twelve seconds, and its row is swept by whoever looks
    database.sql("update live.viewing set seen_at = now() - interval '13 seconds'").await;
    assert_eq!(viewers(&ana, "a1").await, json!([]));
    assert_eq!(database.value("select string_agg(username, ',') from live.viewing").await, "ana");
}

#[tokio::test]
async fn who_may_not_see_an_order_does_not_look_at_it() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    for (username, expected) in [("ben", 404), ("odd", 403)] {
        assert_eq!(look(&service.signed_in(username).await, "p").await.0, expected, "{username}");
    }
    assert_eq!(look(&service.anonymous(), "p").await.0, 401);
    let ana = service.signed_in("ana").await;
    for page in ["", "a'b", &"x".repeat(65)] {
        assert_eq!(look(&ana, page).await.0, 400, "{page}");
    }
    assert_eq!(database.value("select count(*) from live.viewing").await, "0");
    // what triggers do not record is noticed by this
    let touched = look(&ana, "p").await.1["touched"].clone();
    assert_eq!(look(&ana, "p").await.1["touched"], touched);
    database.sql("update orders_order set customer_address = 'Elsewhere', updated_at = now()").await;
    assert_ne!(look(&ana, "p").await.1["touched"], touched);
}

#[tokio::test]
async fn nobody_changes_orders_by_a_page_that_somebody_else_opened() {
    let (database, service) = with_orders("(1, 1, 'pending', 'pending', 5)").await;
    let rx = service.signed_in("rx").await;
    let (edit, cancel) = ("/orders/orders/1/edit/", "/orders/orders/1/cancel/");
    for (path, order) in
        [(ONE, ("note", "")), (SELECTION, ("order", "1")), (edit, ("customer_name", "x")), (cancel, ("reason", ""))]
    {
        let (status, json) = rx.post_json(path, &[("status", "confirmed"), ("user", "4"), order]).await;
        assert_eq!(
            (status, json["error"].as_str().unwrap()),
            (409, "this page was made for somebody else, and rx is signed in by now: nothing is written")
        );
    }
    assert_eq!(stands(&database, 1).await, "pending:pending");
    for path in ["/orders/orders/1/", "/orders/pharmacist/orders/", edit, cancel] {
        let page = rx.get(path).await.text().await.unwrap();
        assert!(page.contains("name=\"user\" value=\"3\""), "{path}: the form says who fills it in");
    }
}
