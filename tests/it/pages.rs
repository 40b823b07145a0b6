//! The pages as HTML: what they show, to whom, and what their forms do.

use std::time::Duration;

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::service::Service;

#[tokio::test]
async fn a_wrong_filter_is_told_beside_its_field_and_the_list_is_unfiltered() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let response =
        service.signed_in("ana").await.get("/orders/orders/?status=%3Cb%3E&date_from=2025-99-01&page=x").await;
    assert_eq!(response.status(), 400);
    let html = response.text().await.unwrap();
    for part in ["id=\"error-status\"", "id=\"error-date_from\"", "id=\"error-page\"", "ORD-2025-00001", "2025-99-01"] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("<b>"));

    // to people it is said in plain words; also that a range ends before it begins, which the API takes as it stands
    let ana = service.signed_in("ana").await;
    for (query, field, words) in [
        ("date_from=2025-99-01", "date_from", "“2025-99-01” is no day of the calendar."),
        ("date_from=2025-01-31&date_to=2025-01-01", "date_to", "This day is before the first one."),
        ("total_min=9&total_max=8.99", "total_max", "This total is smaller than the first one."),
        ("total_min=1,500", "total_min", "“1,500” is no amount."),
        ("status=lost", "status", "There is no status “lost”."),
        ("status=lost&status=pending", "status", "There is no status “lost”."),
        ("page=x", "page", "There is no page “x”."),
    ] {
        let response = ana.get(&format!("/orders/orders/?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        let html = response.text().await.unwrap();
        assert!(html.contains(&format!("id=\"error-{field}\">{words}")), "{query}");
        assert!(html.contains("ORD-2025-00001") && !html.contains("expected"), "{query}");
        assert_eq!(html.contains("The filter is not applied"), field != "page", "{query}");
    }
    let filtered = ana.get("/orders/orders/?q=nobody&page=x").await.text().await.unwrap();
    assert!(!filtered.contains("ORD-2025-00001"), "a page that is none leaves the filter");
    let same = ana.get("/orders/orders/?date_from=2025-01-01&date_to=2025-01-01&total_min=1&total_max=1.00").await;
    assert_eq!(same.status(), 200);
    let (status, answer) = ana.json("/orders/api/sales-rep/dashboard/?date_from=2025-01-31&date_to=2025-01-01").await;
    assert_eq!((status, answer["orders"].as_array().map(Vec::len)), (200, Some(0)));
}

#[tokio::test]
async fn paging_keeps_the_filter() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=45).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    let service = Service::start(&database).await;
    let html = service
        .signed_in("ana")
        .await
        .get("/orders/orders/?status=pending&date_from=2025-01-01&page=2")
        .await
        .text()
        .await
        .unwrap();
    for link in ["?status=pending&#38;date_from=2025-01-01\"", "?status=pending&#38;date_from=2025-01-01&#38;page=3\""]
    {
        assert!(html.contains(link), "{link}");
    }
    assert!(html.contains("21–40 of 45"));
    assert!(html.contains("Times are in UTC."));
}

#[tokio::test]
async fn what_the_host_wrote_and_nobody_touches_is_no_obstacle_to_an_edit() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    let odd = "customer_phone = '', delivery_method = 'delivery', delivery_address = '',
        customer_notes = '  ' || repeat('x', 5000) || E'\\r\\n'";
    database.sql(&format!("update orders_order set {odd} where id = 1")).await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    // as the form is sent back
    let notes = "x".repeat(5_000);
    let sent = [("customer_name", "Maria L."), ("customer_phone", ""), ("delivery_method", "delivery")];
    let rest = [("delivery_address", ""), ("customer_notes", notes.as_str())];
    assert_eq!(ana.post("/orders/orders/1/edit/", &[sent.as_slice(), &rest].concat()).await.status(), 303);
    let kept = "select customer_name || length(customer_notes) from orders_order where id = 1";
    assert_eq!(database.value(kept).await, "Maria L.5004", "not a space of what was not touched is other");
    // what is touched is looked at
    let longer = format!("{notes}y");
    let wrong = [("customer_notes", longer.as_str()), ("delivery_method", "pickup"), ("customer_phone", "")];
    assert_eq!(ana.post("/orders/orders/1/edit/", &wrong).await.status(), 422);
}

#[tokio::test]
async fn an_order_in_an_unlisted_status_is_the_pharmacists_to_edit_and_to_cancel() {
    let database = Database::new().await;
    database.orders("(1, 1, 'on_hold', 'paid', 5), (2, 1, 'cancelled', 'paid', 5)").await;
    let service = Service::start(&database).await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let html = rx.get("/orders/orders/1/").await.text().await.unwrap();
    assert!(html.contains("/orders/orders/1/edit/") && html.contains("/orders/orders/1/cancel/"));
    assert_eq!(ana.get("/orders/orders/1/edit/").await.status(), 409);
    assert_eq!(rx.post("/orders/orders/1/edit/", &[("customer_name", "Maria L.")]).await.status(), 303);
    assert_eq!(rx.post("/orders/orders/1/cancel/", &[]).await.status(), 303);
    assert_eq!(
        database.value("select status || customer_name from orders_order where id = 1").await,
        "cancelledMaria L."
    );
    let (status, answer) = rx.post_json("/orders/orders/2/cancel/", &[]).await;
    let reason = "this order is cancelled now; it can be cancelled only until it is delivered or cancelled or returned";
    assert_eq!((status, answer["error"].as_str()), (409, Some(reason)));
}

#[tokio::test]
async fn an_order_page_shows_items_and_timeline() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 1500)").await;
    database.sql("insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
            prescription_notes, created_at) values (1, 2, 3, 'boxes', 500, 1500, '', now()), (1, 3, 1, 'boxes', 500, 500, '', now());
        set application_name = 'nightly import'; update orders_order set payment_status = 'paid' where id = 1;
        insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status, notes,
            changed_by_id, changed_at) values (1, 'draft', 'pending', 'pending', 'pending', 'by telephone', 3, now() - interval '1 day')").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let html = ana.get("/orders/orders/1/").await.text().await.unwrap();
    for part in [
        "Medicine 2",
        "3 boxes",
        ">1 box<",
        "₱1,500.00",
        "Payment: Pending → Paid",
        ">from nightly import<",
        "by telephone",
        "Status: Draft → Pending",
        "by rx",
        "Order entered",
        "Times are in UTC.",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[tokio::test]
async fn a_rep_sees_nothing_of_an_orders_time_with_another() {
    let to_ana = "update orders_order set sales_rep_id = 1, customer_name = 'Shared', total_amount = 10 where id = 1";
    for way in ["", "update orders_order set sales_rep_id = null where id = 1"] {
        let database = Database::new().await;
        database.orders("(1, 2, 'pending', 'pending', 10)").await;
        for statement in [
            "update orders_order set customer_name = 'Bens secret', total_amount = 4321 where id = 1",
            "insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status,
                 notes, changed_by_id, changed_at) values (1, 'pending', 'pending', 'pending', 'pending', 'secret note', 2, now())",
            way,
            to_ana,
            "update orders_order set status = 'confirmed' where id = 1",
        ] {
            database.sql(statement).await;
        }
        let service = Service::start(&database).await;
        let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
        let page = async |client: &Browserless| client.get("/orders/orders/1/").await.text().await.unwrap();
        let html = page(&ana).await;
        assert!(!html.contains("secret") && !html.contains("4,321"), "{html}");
        assert!(html.contains("Assigned to you") && html.contains("Status: Pending → Confirmed"));
        let html = page(&rx).await;
        assert!(html.contains("secret note") && html.contains("Bens secret"));

        // nor once it is so long ago that the events are gone
        database.sql("update live.order_event set at = at - interval '1 year'").await;
        database.sql("update orders_orderstatushistory set changed_at = changed_at - interval '1 year'").await;
        let store = database.store();
        eventually("the events are pruned", async || {
            store.fold().await.unwrap();
            store.prune(Duration::from_secs(86_400)).await.unwrap();
            (database.value("select count(*) from live.order_event").await == "0").then_some(())
        })
        .await;
        let html = page(&ana).await;
        assert!(!html.contains("secret"), "{html}");
        assert!(page(&rx).await.contains("secret note"));
    }
}

#[tokio::test]
async fn orders_are_for_their_rep_pharmacists_and_admins() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    for (username, expected) in [("ana", 200), ("ben", 404), ("rx", 200), ("boss", 200), ("odd", 403)] {
        let client = service.signed_in(username).await;
        for path in ["", "edit/", "cancel/"] {
            let response = client.get(&format!("/orders/orders/1/{path}")).await;
            assert_eq!(response.status(), expected, "{username} {path}");
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        }
    }
    let ana = service.signed_in("ana").await;
    for path in ["/orders/orders/2/", "/orders/orders/x/", "/orders/orders/99999999999999999999/", "/nowhere"] {
        assert_eq!(ana.get(path).await.status(), 404, "{path}");
    }
    assert_eq!(service.signed_in("rx").await.get("/orders/orders/").await.status(), 403);
    // the search of the list is where the numbers were once looked up
    for (username, query, list) in [
        ("rx", "?number=+ORD-2025%261+", "/orders/pharmacist/orders/?q=ORD-2025%261"),
        ("rx", "?number=", "/orders/pharmacist/orders/"),
        ("ana", "?number=1", "/orders/orders/?q=1"),
    ] {
        let found = service.signed_in(username).await.get(&format!("/orders/find/{query}")).await;
        assert_eq!(found.headers()["location"], list);
    }
}

const FIELDS: [(&str, &str); 7] = [
    ("customer_name", "New Name"),
    ("customer_phone", "0917 555"),
    ("customer_address", "1 Rizal St\r\nMakati"),
    ("delivery_method", "delivery"),
    ("delivery_address", "2 Luna St"),
    ("delivery_instructions", "Ring twice"),
    ("customer_notes", "Call first"),
];

const WRITTEN: &str =
    "select concat_ws('|', customer_name, customer_phone, customer_address, delivery_method, delivery_address,
    delivery_instructions, customer_notes) from orders_order where id = 1";

#[tokio::test]
async fn a_rep_edits_an_own_order_while_it_is_pending() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    assert_eq!(service.signed_in("ben").await.post("/orders/orders/1/edit/", &FIELDS).await.status(), 404);
    assert_eq!(service.anonymous().post("/orders/orders/1/edit/", &FIELDS).await.status(), 303);
    assert!(database.value(WRITTEN).await.starts_with("Customer 1|"));
    let ana = service.signed_in("ana").await;
    let before = database.value("select updated_at from orders_order").await;
    let response = ana.post("/orders/orders/1/edit/", &FIELDS).await;
    assert_eq!(response.headers()["location"], "/orders/orders/1/");
    let written = "New Name|0917 555|1 Rizal St\nMakati|delivery|2 Luna St|Ring twice|Call first";
    assert_eq!(database.value(WRITTEN).await, written);
    assert_ne!(database.value("select updated_at from orders_order").await, before);
    let who = "select app_user from live.order_event where operation = 'update' order by id desc limit 1";
    assert_eq!(database.value(who).await, "ana");

    // what a form does not have stays as it is; what it has empty is cleared
    ana.post("/orders/orders/1/edit/", &[("customer_name", "Newer"), ("customer_notes", "")]).await;
    assert_eq!(database.value(WRITTEN).await, written.replace("New Name", "Newer").replace("Call first", ""));

    database.sql("update orders_order set status = 'confirmed', customer_name = 'Kept'").await;
    let refused = ana.post("/orders/orders/1/edit/", &FIELDS).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text().await.unwrap().contains("is confirmed now; it can be edited only while it is pending"));
    assert!(database.value(WRITTEN).await.starts_with("Kept|"));
    assert_eq!(service.signed_in("rx").await.post("/orders/orders/1/edit/", &FIELDS).await.status(), 303);
}

#[tokio::test]
async fn a_form_does_not_silently_overwrite_a_newer_change() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let version = async || {
        let html = ana.get("/orders/orders/1/edit/").await.text().await.unwrap();
        html.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let seen = version().await;
    database.sql("update orders_order set customer_phone = 'theirs' where id = 1").await;
    let mut fields = FIELDS.to_vec();
    fields.push(("version", &seen));
    let response = ana.post("/orders/orders/1/edit/", &fields).await;
    assert_eq!(response.status(), 409);
    let html = response.text().await.unwrap();
    assert!(html.contains("Somebody else changed this order") && html.contains("Now there: “theirs”"), "{html}");
    assert!(html.contains("0917 555"), "what was typed is kept");
    assert!(database.value(WRITTEN).await.contains("|theirs|"));
    let seen = html.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    fields.last_mut().unwrap().1 = &seen;
    assert_eq!(ana.post("/orders/orders/1/edit/", &fields).await.status(), 303);
    assert!(database.value(WRITTEN).await.contains("|0917 555|"));
}

#[tokio::test]
async fn what_a_form_got_wrong_is_said_and_nothing_typed_is_lost() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let long = "x".repeat(101);
    for (field, value, message) in [
        ("customer_name", long.as_str(), "At most 100 characters; this has 101."),
        ("customer_name", " ", "This is needed."),
        ("customer_phone", "0123456789012345", "At most 15 characters; this has 16."),
        ("delivery_method", "drone", "Choose pickup or delivery."),
        ("delivery_address", "", "A delivery needs an address."),
        ("customer_notes", "a\0b", "can&#39;t be stored"),
    ] {
        let mut fields = FIELDS;
        fields.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
        let response = ana.post("/orders/orders/1/edit/", &fields).await;
        assert_eq!(response.status(), 422, "{field}");
        let html = response.text().await.unwrap();
        assert!(html.contains(message), "{field}: {html}");
        assert!(html.contains("Ring twice"), "what was typed elsewhere is still there");
    }
    assert!(database.value(WRITTEN).await.starts_with("Customer 1|"));
}

#[tokio::test]
async fn a_rep_cancels_while_pending_or_confirmed_and_it_is_kept_in_the_history() {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'paid', 1), (2, 1, 'confirmed', 'pending', 1), (3, 1, 'processing', 'paid', 1)")
        .await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    for (id, status, after) in
        [(1, 303, "cancelled"), (2, 303, "cancelled"), (3, 409, "processing"), (1, 409, "cancelled")]
    {
        let response = ana.post(&format!("/orders/orders/{id}/cancel/"), &[("reason", "changed their mind")]).await;
        assert_eq!(response.status(), status, "{id}");
        assert_eq!(database.value(&format!("select status from orders_order where id = {id}")).await, after);
    }
    let history =
        "select string_agg(concat_ws(' ', order_id, old_status, new_status, old_payment_status, new_payment_status,
        notes, changed_by_id), '; ' order by order_id) from orders_orderstatushistory";
    assert_eq!(
        database.value(history).await,
        "1 pending cancelled paid paid changed their mind 1; 2 confirmed cancelled pending pending changed their mind 1"
    );
    assert_eq!(service.signed_in("boss").await.post("/orders/orders/3/cancel/", &[]).await.status(), 303);
}

#[tokio::test]
async fn nothing_is_loaded_from_elsewhere_and_assets_are_kept_for_ever_under_their_version() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let response = ana.get("/orders/orders/").await;
    assert!(response.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    let html = response.text().await.unwrap();
    assert!(
        !html.contains("http://")
            && !html.contains("https://")
            && !html.contains("<script>")
            && !html.contains(" style=")
    );
    let script = html.split('"').find(|part| part.ends_with("/js/realtime_salesrep_dashboard.js")).unwrap();
    let response = ana.get(script).await;
    assert_eq!(response.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let unversioned = ana.get("/static/js/realtime_salesrep_dashboard.js").await;
    assert_eq!(
        (unversioned.status().as_u16(), unversioned.headers()["cache-control"].to_str().unwrap()),
        (200, "no-cache")
    );
    for path in ["/static/js/none.js", "/static/../Cargo.toml", "/static/v-000000000000/js/none.js"] {
        assert_eq!(ana.get(path).await.status(), 404, "{path}");
    }
}
