//! The dashboard's JSON: shape, order, paging, filter, errors.

use serde_json::{Value, json};

use crate::harness::database::{Database, order_sql};
use crate::harness::eventually;
use crate::harness::http::API;
use crate::harness::service::Service;

fn ids(dashboard: &Value) -> Vec<i64> {
    dashboard["orders"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_answer_is_as_designed_field_for_field() {
    let database = Database::new().await;
    database.orders("(1, 1, 'processing', 'pending', 1500), (2, 1, 'delivered', 'paid', 0.1), (3, 1, 'delivered', 'pending', 7),
        (4, 1, 'on_hold', 'iou', 99999999.99), (5, 2, 'delivered', 'paid', 1000), (6, 1, 'delivered', 'paid', 0.2)").await;
    database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
        prescription_notes, created_at) select 1, n, 1, 'boxes', 1, 1, '', now() from generate_series(1, 3) n",
        )
        .await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let text = ana.get(API).await.text().await.unwrap();
    let start = r#"{"statistics":{"total_orders":5,"pending_orders":0,"confirmed_orders":0,"processing_orders":1,"ready_orders":0,"shipped_orders":0,"delivered_orders":3,"cancelled_orders":0,"total_revenue":0.30},"orders_by_status":{"pending":{"name":"Pending","count":0},"confirmed":{"name":"Confirmed","count":0},"processing":{"name":"Processing","count":1},"ready_for_pickup":{"name":"Ready for Pickup","count":0},"shipped":{"name":"Shipped","count":0},"delivered":{"name":"Delivered","count":3},"cancelled":{"name":"Cancelled","count":0},"returned":{"name":"Returned","count":0}},"orders":[{"id":1,"order_number":"ORD-2025-00001","status":"processing","status_display":"Processing","payment_status":"pending","payment_status_display":"Pending","items_count":3,"total_amount":1500.00,"created_at":"2025-01-01T00:01:00+00:00","created_at_display":"Jan 01, 2025 00:01"},{"id":6,"#;
    assert!(text.starts_with(start), "{text}");
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = dashboard.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert_eq!(ids(&dashboard), [1, 6, 4, 3, 2]);
    let unknown = &dashboard["orders"][2];
    assert_eq!((&unknown["status"], &unknown["status_display"]), (&json!("on_hold"), &json!("On Hold")));
    assert_eq!((&unknown["payment_status"], &unknown["payment_status_display"]), (&json!("iou"), &json!("Iou")));
    assert_eq!(
        dashboard["pagination"],
        json!({"current_page": 1, "total_pages": 1, "has_next": false, "has_previous": false})
    );
    assert!(dashboard["revision"].is_string());
    assert!(text.contains(r#""total_amount":99999999.99"#), "{text}");
}

#[tokio::test]
async fn nobody_without_orders_gets_an_empty_first_page() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let dashboard = service.signed_in("ana").await.dashboard("?page=9").await;
    assert_eq!(dashboard["orders"], json!([]));
    assert_eq!(dashboard["statistics"]["total_revenue"].to_string(), "0.0");
    assert_eq!(
        dashboard["pagination"],
        json!({"current_page": 1, "total_pages": 1, "has_next": false, "has_previous": false})
    );
}

/// The reference: every order of the rep in the designed order, by the plainest SQL there is.
async fn reference(database: &Database, condition: &str, by_rank: bool) -> Vec<i64> {
    let rank = if by_rank {
        "case status when 'pending' then 0 when 'processing' then 1 when 'confirmed' then 2 when 'ready_for_pickup' then 3
             when 'shipped' then 4 else 5 end, "
    } else {
        ""
    };
    let query = format!(
        "select string_agg(id::text, ',' order by {rank} created_at desc, id desc) from orders_order
        where sales_rep_id = 1 and {condition}"
    );
    let list = database.value(&query).await;
    list.split(',').filter_map(|id| id.parse().ok()).collect()
}

#[tokio::test]
async fn pages_are_in_order_and_never_overlap_under_any_filter() {
    let database = Database::new().await;
    database.sql("insert into orders_order (order_number, sales_rep_id, customer_name, customer_phone, customer_address,
            status, payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method,
            delivery_address, delivery_instructions, prescription_required, prescription_verified, created_at, updated_at,
            customer_notes, internal_notes)
        select 'N' || n, 1 + n % 3 / 2, 'c', 'p', 'a', (array['pending', 'confirmed', 'processing', 'ready_for_pickup',
            'shipped', 'delivered', 'cancelled', 'returned', 'weird', 'on_hold'])[1 + n % 10], 'paid', 0, 0, 0, 0, n, 'pickup', '',
            '', false, false, timestamptz '2025-01-01 00:00Z' + (n / 40) * interval '6 hours', now(), '', ''
        from generate_series(1, 400) n").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    for (query, condition) in [
        ("", "true"),
        ("status=pending", "status = 'pending'"),
        ("status=delivered&date_from=2025-01-02", "status = 'delivered' and created_at >= '2025-01-02Z'"),
        ("date_from=2025-01-01&date_to=2025-01-01", "created_at < '2025-01-02Z'"),
        ("date_to=2025-01-02", "created_at < '2025-01-03Z'"),
        ("date_from=2030-01-01", "false"),
        ("status=returned&date_from=2025-01-03&date_to=2025-01-02", "false"),
    ] {
        let expected = reference(&database, condition, !query.contains("status")).await;
        let mut found = Vec::new();
        for page in 1.. {
            let dashboard = ana.dashboard(&format!("?{query}&page={page}")).await;
            let pagination = &dashboard["pagination"];
            assert_eq!(pagination["current_page"], page);
            assert_eq!(pagination["total_pages"], expected.len().div_ceil(20).max(1));
            assert_eq!(pagination["has_previous"], page > 1);
            assert_eq!(dashboard["statistics"]["total_orders"], 267, "statistics cover all, whatever the filter");
            found.extend(ids(&dashboard));
            if pagination["has_next"] == false {
                break;
            }
        }
        assert_eq!(found, expected, "{query}");
        let last = ana.dashboard(&format!("?{query}&page=99999999999999999999")).await;
        assert_eq!(last["pagination"]["current_page"], last["pagination"]["total_pages"]);
    }
}

#[tokio::test]
async fn days_are_those_of_the_configured_zone() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    database.sql("update orders_order set created_at = '2025-03-01 17:30Z'").await;
    let service = Service::start_with(&database, &["--time-zone", "Asia/Manila"]).await;
    let ana = service.signed_in("ana").await;
    assert_eq!(ids(&ana.dashboard("?date_from=2025-03-02&date_to=2025-03-02").await), [1]);
    assert_eq!(ids(&ana.dashboard("?date_to=2025-03-01").await), Vec::<i64>::new());
    let row = &ana.dashboard("").await["orders"][0];
    assert_eq!(row["created_at_display"], "Mar 02, 2025 01:30");
    assert_eq!(row["created_at"], "2025-03-01T17:30:00+00:00");
}

#[tokio::test]
async fn what_does_not_parse_is_named() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    for (query, parameter) in [
        ("status=unknown", "status"),
        ("date_from=2025-13-01", "date_from"),
        ("date_to=yesterday", "date_to"),
        ("page=abc", "page"),
        ("page=-1", "page"),
        ("page=0", "page"),
        ("status=%00", "status"),
        ("visible=1,x", "visible"),
    ] {
        let (status, json) = ana.json(&format!("{API}?rep=1&{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(json["error"].as_str().unwrap().starts_with(&format!("{parameter}: expected")), "{json}");
    }
    let (status, json) = ana.json(&format!("{API}?rep=1&page=x&status=y")).await;
    let error = json["error"].as_str().unwrap();
    assert!(status == 400 && error.contains("status: ") && error.contains("page: "), "{json}");
}

#[tokio::test]
async fn the_shops_scripts_are_answered_as_the_shop_answers_them() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=45).map(|id| format!("({id}, 1, 'pending', 'paid', 5)")).collect();
    database.orders(&orders.join(", ")).await;
    database.orders("(51, 1, 'on_hold', 'paid', 1), (52, 1, 'on_hold', 'iou', 1), (53, 2, 'on_hold', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let (all, pages) = (ids(&ana.dashboard("").await), |page: i64| json!([page, 3]));
    for (query, page) in [
        ("page=abc", 1),
        ("page=1.5", 1),
        ("page=", 1),
        ("page=2", 2),
        ("page=0", 3),
        ("page=-1", 3),
        ("page=99999999999999999999", 3),
        ("status=&date_from=&date_to=&page=2", 2),
        ("date_from=2025-13-01&date_to=yesterday", 1),
        ("date_from=2025-1-1&date_to=2025-01-01", 1),
        ("status=%00", 1),
    ] {
        let dashboard = ana.dashboard(&format!("?{query}")).await;
        let pagination = &dashboard["pagination"];
        assert_eq!(json!([pagination["current_page"], pagination["total_pages"]]), pages(page), "{query}");
        assert_eq!(ids(&dashboard) == all, page == 1, "{query}");
    }
    for (query, expected) in [
        ("status=on_hold", vec![52, 51]),
        ("status=on_hold&page=0", vec![52, 51]),
        ("status=on_hold&date_to=2025-01-01", vec![52, 51]),
        ("status=on_hold&date_from=2025-01-02", vec![]),
        ("status=on_hold,&payment_status=iou", vec![52]),
        ("status=On_hold", vec![]),
        ("status=lost", vec![]),
    ] {
        let dashboard = ana.dashboard(&format!("?{query}")).await;
        assert_eq!(ids(&dashboard), expected, "{query}");
        assert_eq!(dashboard["pagination"]["total_pages"], 1, "{query}");
        assert_eq!(dashboard["statistics"]["total_orders"], 47, "{query}");
        assert_eq!(dashboard.as_object().unwrap().len(), 5, "what only our own script asks for is not sent");
    }
    let told = ana.dashboard("?status=on_hold&visible=").await;
    assert_eq!((&told["user"], &told["login"], &told["time_zone"]), (&json!("1"), &json!("ana"), &json!("UTC")));
    assert!(told["cursor"].as_str().unwrap().contains('/'), "{told}");
}

#[tokio::test]
async fn the_pharmacists_are_given_the_ten_newest_orders() {
    const API: &str = "/orders/api/pharmacist/dashboard/";
    let database = Database::new().await;
    let statuses = ["pending", "delivered", "on_hold", "cancelled"];
    let order = |id: usize| format!("({id}, {}, '{}', 'paid', 5)", 1 + id % 2, statuses[id % 4]);
    database.orders(&(1..=14).map(order).collect::<Vec<_>>().join(", ")).await;
    let service = Service::start(&database).await;
    let rx = service.signed_in("rx").await;
    for query in ["", "?status=pending&visible="] {
        let (_, dashboard) = rx.json(&format!("{API}{query}")).await;
        let recent = dashboard["recent_orders"].as_array().unwrap();
        let newest: Vec<i64> = recent.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(newest, (5..=14).rev().collect::<Vec<_>>(), "{query}");
        let fields =
            ["order_number", "customer_name", "status_display", "payment_status", "total_amount", "created_at_display"];
        assert!(fields.iter().all(|field| !recent[0][field].is_null()), "{}", recent[0]);
        for count in [
            "total_orders",
            "pending_orders",
            "processing_orders",
            "ready_orders",
            "delivered_orders",
            "cancelled_orders",
        ] {
            assert!(dashboard["statistics"][count].is_number(), "{count}");
        }
    }
    assert_eq!(
        rx.json(&format!("{API}?rep=all")).await.1.get("recent_orders"),
        None,
        "our own pages have no use for them"
    );
}

#[tokio::test]
async fn rows_that_a_page_shows_can_be_asked_for_by_id() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1), (2, 2, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let dashboard = service.signed_in("ana").await.dashboard("?status=shipped&visible=1,2,77").await;
    assert_eq!(dashboard["orders"], json!([]));
    assert_eq!(dashboard["visible"][0]["customer_name"], "Customer 1");
    assert_eq!(
        dashboard["visible"][1],
        json!({"id": 2, "key": "2", "removed": true}),
        "another rep's order is as good as none"
    );
    assert_eq!(dashboard["visible"][2], json!({"id": 77, "key": "77", "removed": true}));
}

#[tokio::test]
async fn rows_that_a_page_shows_say_since_when_they_are_in_their_status() {
    let database = Database::new().await;
    let ids: Vec<i64> = (1..=10).collect();
    let orders = ids.iter().map(|id| format!("({id}, 1, 'shipped', 'paid', 1)"));
    database.orders(&orders.collect::<Vec<_>>().join(", ")).await;
    let history = |order: i64, from: &str, to: &str, at: &str| {
        format!(
            "insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status,
                 notes, changed_by_id, changed_at) values ({order}, '{from}', '{to}', 'paid', 'paid', '', 3, '{at}');"
        )
    };
    // what only the order itself and its history tell; that it was entered here is no change
    // as long as this lasts, newer events wait for their timelines
    let long = database.client().await;
    long.batch_execute("begin; select pg_current_xact_id()").await.unwrap();
    let unrecorded = |update: &str| {
        format!(
            "alter table orders_order disable trigger \"!live_update\"; {update};
             alter table orders_order enable always trigger \"!live_update\""
        )
    };
    for statements in [
        "update orders_order set shipped_at = '2025-03-01 10:00Z', confirmed_at = '2025-02-01' where id in (2, 3, 4, 5)",
        &history(3, "confirmed", "shipped", "2025-04-02 00:00Z"),
        &history(3, "confirmed", "shipped", "2025-04-01 00:00Z"),
        &history(3, "shipped", "delivered", "2025-05-01 00:00Z"),
        // a note, and a time that nobody can show
        &history(4, "shipped", "shipped", "2025-05-01 00:00Z"),
        &history(4, "confirmed", "shipped", "infinity"),
        "update orders_order set shipped_at = 'infinity', created_at = '20000-01-01' where id = 5",
        &unrecorded("update orders_order set status = 'confirmed', confirmed_at = '2025-06-01 00:00Z' where id = 6"),
        "update orders_order set status = 'confirmed' where id in (7, 8, 9)",
        "update orders_order set payment_status = 'failed', total_amount = 2 where id = 7",
        "update orders_order set status = 'pending' where id = 8",
        "update orders_order set status = 'confirmed' where id = 8",
        &unrecorded("update orders_order set status = 'processing' where id = 9"),
        // deleted, and entered anew with the same id
        "update orders_order set status = 'confirmed' where id = 10",
        "delete from orders_order where id = 10",
    ] {
        database.sql(statements).await;
    }
    database.orders("(10, 1, 'confirmed', 'paid', 1)").await;
    let event = async |order: i64, nth: i64| {
        let query = format!(
            "select to_char(at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') from live.order_event where order_id = {order} and new_status <> old_status
             order by id offset {} limit 1", nth - 1);
        database.value(&query).await
    };
    let minute = |minute: i64| format!("2025-01-01T00:{minute:02}:00");
    let expected = [
        (1, minute(1)),
        (2, "2025-03-01T10:00:00".to_owned()),
        (3, "2025-04-02T00:00:00".to_owned()),
        (4, "2025-03-01T10:00:00".to_owned()),
        (5, "null".to_owned()),
        (6, "2025-06-01T00:00:00".to_owned()),
        (7, event(7, 1).await),
        (8, event(8, 3).await),
        (9, minute(9)),
        (10, minute(10)),
    ];
    const WAITING: &str = "select count(*) from live.order_event e where (e.xid, e.id) > (select p.xid, p.id from live.timeline_position p)";
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let query = "?visible=1,2,3,4,5,6,7,8,9,10,77&status=cancelled";
    let check = async |when: &str| {
        // from the first page, and from one that is read in another way
        for query in [query.to_owned(), format!("{query}&date_from=2025-01-01")] {
            let dashboard = ana.dashboard(&query).await;
            for (place, (id, since)) in expected.iter().enumerate() {
                let row = &dashboard["visible"][place];
                assert_eq!(row["id"], *id);
                let found = row["status_since"].as_str().map_or("null", |time| time.strip_suffix("+00:00").unwrap());
                assert_eq!(found, *since, "order {id}, {when}, {query}");
            }
            assert_eq!(dashboard["visible"][10], json!({"id": 77, "key": "77", "removed": true}));
        }
    };
    assert_ne!(database.value(WAITING).await, "0");
    check("while the events wait for their timelines").await;
    long.batch_execute("commit").await.unwrap();
    eventually("the events are in the timelines", async || {
        database.store().extend_timeline().await.unwrap();
        (database.value(WAITING).await == "0").then_some(())
    })
    .await;
    check("when they are").await;
    // the API's rows stay as they are
    let rows = ana.dashboard("").await;
    assert_eq!(rows["orders"][0].as_object().unwrap().get("status_since"), None);
}

#[tokio::test]
async fn every_error_of_the_api_is_json() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    for (path, status) in [("/orders/api/nothing", 404), ("/orders/api/sales-rep/dashboard", 404)] {
        let (found, json) = ana.json(path).await;
        assert!(found == status && json["error"].is_string(), "{path}: {found} {json}");
    }
    let response = ana.post(API, &[]).await;
    assert_eq!(response.status(), 405);
    let json: Value = response.json().await.unwrap();
    assert!(json["error"].is_string(), "{json}");
    let large = "x".repeat(300_000);
    let cancel = "/orders/orders/1/cancel/";
    let (status, json) = ana.post_json(cancel, &[("reason", &large)]).await;
    assert!(status == 413 && json["error"].is_string(), "{status} {json}");
    // a person gets a page
    let page = ana.post(cancel, &[("reason", &large)]).await;
    assert_eq!(
        (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
        (413, "text/html; charset=utf-8")
    );
    assert!(page.text().await.unwrap().contains("The request is too large."));
}

#[tokio::test]
async fn a_page_of_somebody_else_is_not_signed_in() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    assert_eq!(ana.json(&format!("{API}?rep=1")).await.0, 200);
    assert_eq!(ana.json(&format!("{API}?rep=2")).await.0, 401);
    assert_eq!(ana.json("/orders/api/sales-rep/events/?rep=2").await.0, 401);
}

#[tokio::test]
async fn content_that_no_client_can_show_hurts_nobody() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 'NaN'::numeric), (2, 1, 'delivered', 'paid', 'NaN'), (3, 1, 'delivered', 'paid', 5),
        (4, 1, 'pending', 'paid', 1)").await;
    database
        .sql(
            "update orders_order set created_at = 'infinity' where id = 1;
        update orders_order set created_at = '-infinity' where id = 4;
        update orders_order set created_at = '20000-01-01' where id = 3;
        update orders_order set status = '', payment_status = '', order_number = '', customer_name = '' where id = 2",
        )
        .await;
    let service = Service::start(&database).await;
    let dashboard = service.signed_in("ana").await.dashboard("").await;
    assert_eq!(ids(&dashboard), [1, 4, 3, 2]);
    assert_eq!(dashboard["orders"][0]["total_amount"], Value::Null);
    assert_eq!(dashboard["orders"][0]["created_at"], Value::Null);
    assert_eq!(dashboard["statistics"]["total_orders"], 4);
    assert_eq!(dashboard["statistics"]["total_revenue"].to_string(), "5.0");
    let page = service.signed_in("ana").await.get("/orders/orders/").await;
    assert_eq!(page.status(), 200);
}

#[tokio::test]
async fn a_poll_for_which_nothing_changed_is_answered_without_the_orders() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10), (2, 2, 'pending', 'paid', 20)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let tag_of = |response: &reqwest::Response| response.headers()["etag"].to_str().unwrap().to_owned();
    // the first time nothing is known of what happened before
    let mut tag = tag_of(&ana.get(API).await);
    eventually("the listener has seen the state of the tag", async || {
        let response = ana.get_with(API, &[("if-none-match", &tag)]).await;
        tag = tag_of(&response);
        (response.status() == 304).then_some(())
    })
    .await;
    for (change, query, expected) in [
        ("update orders_order set status = 'shipped' where id = 2", "", 304),
        ("update orders_order set updated_at = now()", "", 304),
        ("update orders_order set status = 'shipped' where id = 1", "", 200),
        ("select 1", "", 304),
        ("update orders_order set sales_rep_id = 1 where id = 2", "", 200),
        (
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
            prescription_notes, created_at) values (2, 1, 1, 'boxes', 1, 1, '', now())",
            "",
            200,
        ),
        ("update orders_order set sales_rep_id = 2 where id = 2", "", 200),
        ("delete from orders_orderitem; delete from orders_order where id = 1", "", 200),
        ("truncate orders_order cascade", "", 200),
    ] {
        database.sql(change).await;
        let response = ana.get_with(&format!("{API}{query}"), &[("if-none-match", &tag)]).await;
        assert_eq!(response.status(), expected, "{change}");
        tag = tag_of(&response);
        let revision = response.json::<Value>().await.ok();
        assert_eq!(revision.is_some(), expected == 200);
    }
    // what is no tag of this service's is no tag; nor may a stranger learn anything
    for odd in ["*", "W/\"x\"", "\"0000000000000000.1.0\"", "x"] {
        assert_eq!(ana.get_with(API, &[("if-none-match", odd)]).await.status(), 200, "{odd}");
    }
    assert_eq!(service.anonymous().get_with(API, &[("if-none-match", &tag)]).await.status(), 401);
    let ben = service.signed_in("ben").await;
    assert_eq!(ben.get_with(API, &[("if-none-match", &tag)]).await.status(), 200, "a tag of ana's");
}

#[tokio::test]
async fn the_host_may_widen_a_column_under_a_running_service() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    stream.patch_of(1).await;
    ana.dashboard("").await;
    database
        .sql(
            "alter table orders_order alter customer_name type text, alter status type varchar(99),
                 alter total_amount type numeric(20, 4);
             alter table accounts_user alter username type text, alter role type varchar(77)",
        )
        .await;
    database.sql("update orders_order set status = 'delivered', total_amount = 12.5 where id = 1").await;
    let patch = stream.patch_of(1).await;
    assert_eq!(patch.data["statistics"]["total_revenue"].to_string(), "12.5");
    let dashboard = ana.dashboard("").await;
    assert_eq!(dashboard["statistics"], patch.data["statistics"]);
    // a patch has what pages need besides
    for (field, value) in dashboard["orders"][0].as_object().unwrap() {
        assert_eq!(&patch.data["orders"][0][field], value, "{field}");
    }
}

#[tokio::test]
async fn an_answer_has_nothing_of_a_truncation_or_all_of_it() {
    let database = Database::new().await;
    let orders = |ids: std::ops::RangeInclusive<i64>| -> String {
        ids.map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect::<Vec<_>>().join(", ")
    };
    database.orders(&orders(1..=25)).await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    for query in ["", "?page=2", "?date_from=2025-01-01"] {
        let host = database.client().await;
        host.batch_execute("begin; lock table orders_order in access exclusive mode").await.unwrap();
        let truncated = async {
            let waiting = format!(
                "select count(*) from pg_stat_activity where datname = '{}' and application_name = 'oncare-live'
                 and wait_event_type = 'Lock'",
                database.name
            );
            eventually("the answer waits for the orders", async || {
                (database.value(&waiting).await != "0").then_some(())
            })
            .await;
            let replaced = format!("truncate orders_order cascade; {}; commit", order_sql(&orders(101..=103)));
            host.batch_execute(&replaced).await.unwrap();
        };
        let (dashboard, ()) = tokio::join!(ana.dashboard(query), truncated);
        assert_eq!(dashboard["statistics"]["total_orders"], ids(&dashboard).len(), "{query}: {dashboard}");
        assert_eq!(ids(&dashboard), [103, 102, 101], "{query}");
        database.sql(&format!("truncate orders_order cascade; {}", order_sql(&orders(1..=25)))).await;
    }
}
