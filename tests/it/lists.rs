//! Lists under every filter and in every order, as JSON and for a spreadsheet, and the views that people save of them.

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::{API, Browserless};
use crate::harness::instance::Instance;
use crate::harness::service::Service;

const QUEUE_API: &str = "/orders/api/pharmacist/dashboard/";

/// 500 orders of two reps and nobody, of every kind, many of them alike in what they are sorted by.
async fn many_orders() -> (Database, Service) {
    let database = Database::new().await;
    database
        .sql(
            "insert into orders_order (id, order_number, sales_rep_id, customer_name, customer_phone, customer_address, status,
                 payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method,
                 delivery_address, delivery_instructions, prescription_required, prescription_verified, created_at,
                 updated_at, customer_notes, internal_notes)
             select n, 'ORD-2025-' || lpad(n::text, 5, '0'), (array[1, 1, 1, 2, null])[1 + n % 5],
                 (array['Maria Santos', 'JOSÉ Reyes', 'Ana 100% Cruz', 'o''Neil_Jr', 'Back\\slash'])[1 + n / 5 % 5], '', '',
                 (array['pending', 'confirmed', 'processing', 'ready_for_pickup', 'shipped', 'delivered', 'cancelled',
                        'returned', 'on_hold'])[1 + n * 5 % 9],
                 (array['pending', 'paid', 'failed', 'refunded', 'partially_refunded', 'iou'])[1 + n * 7 % 6],
                 0, 0, 0, 0, case when n = 250 then 'NaN' else (n * 37 % 100) + 0.25 end, 'pickup', '', '', false, false,
                 timestamptz '2025-01-01 12:00Z' + make_interval(days => n * 3 % 28), now(), '', ''
             from generate_series(1, 500) n;
             insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
                 created_at)
             select o.id, m.id, 1, 'boxes', 1, 1, '', now() from orders_order o join inventory_medicine m on m.id <= o.id % 4",
        )
        .await;
    let service = Service::start(&database).await;
    (database, service)
}

/// The ids of all pages, as the API has them.
async fn all_pages(client: &Browserless, api: &str, query: &str) -> (Vec<i64>, Vec<i64>) {
    let (mut ids, mut sizes) = (Vec::new(), Vec::new());
    for page in 1.. {
        let (status, answer) = client.json(&format!("{api}?{query}&page={page}")).await;
        assert_eq!(status, 200, "{query}: {answer}");
        let rows = answer["orders"].as_array().unwrap();
        sizes.push(rows.len() as i64);
        ids.extend(rows.iter().map(|row| row["id"].as_i64().unwrap()));
        if answer["pagination"]["has_next"] == json!(false) {
            break;
        }
    }
    (ids, sizes)
}

const RANK: &str = "case status when 'pending' then 0 when 'processing' then 1 when 'confirmed' then 2
    when 'ready_for_pickup' then 3 when 'shipped' then 4 else 5 end, created_at desc, id desc";

#[tokio::test]
async fn every_filter_and_every_order_is_what_sql_says() {
    let (database, service) = many_orders().await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let items = "(select count(*) from orders_orderitem i where i.order_id = o.id)";
    let place = "array_position('{pending,confirmed,processing,ready_for_pickup,shipped,delivered,cancelled,returned}', status::text)";
    let (by_items, by_status) = (format!("{items} desc, id desc"), format!("{place}, id"));
    for (query, condition, order) in [
        ("", "true", RANK),
        ("status=pending", "status = 'pending'", "created_at desc, id desc"),
        ("status=shipped&status=pending", "status in ('pending', 'shipped')", RANK),
        ("status=delivered,returned,cancelled", "status in ('delivered', 'returned', 'cancelled')", RANK),
        ("payment_status=paid", "payment_status = 'paid'", RANK),
        (
            "payment_status=paid,failed&status=pending",
            "payment_status in ('paid', 'failed') and status = 'pending'",
            RANK,
        ),
        ("total_min=50&total_max=60.25", "total_amount between 50 and 60.25", RANK),
        ("total_min=99.26", "false", RANK),
        ("total_min=0", "total_amount <> 'NaN'", RANK),
        ("date_from=2025-01-05&date_to=2025-01-09", "created_at >= '2025-01-05Z' and created_at < '2025-01-10Z'", RANK),
        ("date_to=2025-01-09&payment_status=paid", "created_at < '2025-01-10Z' and payment_status = 'paid'", RANK),
        ("q=maria", "customer_name = 'Maria Santos'", RANK),
        ("q=JOS%C3%89+rEYES", "customer_name = 'JOSÉ Reyes'", RANK),
        ("q=00012", "order_number like '%00012%'", RANK),
        ("q=santos+0001", "customer_name = 'Maria Santos' and order_number like '%0001%'", RANK),
        ("q=100%25", "customer_name like '%100%'", RANK),
        ("q=_", "customer_name like '%\\_%'", RANK),
        ("q=back%5C", "customer_name like 'Back%'", RANK),
        ("q=o%27neil", "customer_name like 'o''N%'", RANK),
        ("sort=-created_at", "true", "created_at desc, id desc"),
        ("sort=-created_at&status=pending,on_hold&x", "false", RANK),
        ("sort=created_at", "true", "created_at, id"),
        ("sort=created_at&status=shipped,pending", "status in ('pending', 'shipped')", "created_at, id"),
        ("sort=created_at&date_from=2025-01-05", "created_at >= '2025-01-05Z'", "created_at, id"),
        ("sort=-total_amount&total_max=50", "total_amount <= 50", "total_amount desc, id desc"),
        ("sort=total_amount&status=pending", "status = 'pending'", "total_amount, id"),
        ("sort=customer_name", "true", "customer_name, id"),
        ("sort=-order_number&q=reyes", "customer_name like '%Reyes'", "order_number desc, id desc"),
        ("sort=-items_count", "true", &by_items),
        ("sort=status", "true", &by_status),
        (
            "sort=payment_status&status=returned",
            "status = 'returned'",
            "array_position('{pending,paid,failed,refunded,partially_refunded}', payment_status::text), id",
        ),
    ] {
        if query.contains("on_hold") {
            assert_eq!(ana.json(&format!("{API}?rep=1&{query}")).await.0, 400, "an unlisted status is no filter");
            continue;
        }
        for (client, api, scope) in [(&ana, API, "sales_rep_id = 1"), (&rx, QUEUE_API, "true")] {
            let expected = format!(
                "select array_to_json(array(select id from orders_order o where {scope} and ({condition}) order by {order}))"
            );
            let expected: Vec<i64> = serde_json::from_str(&database.value(&expected).await).unwrap();
            let (ids, sizes) = all_pages(client, api, query).await;
            assert_eq!(ids, expected, "{query} of {scope}");
            assert!(sizes.iter().rev().skip(1).all(|size| *size == 20), "{query}: {sizes:?}");
        }
    }
}

#[tokio::test]
async fn the_queue_has_all_orders_and_tells_whose_they_are() {
    let (database, service) = many_orders().await;
    let rx = service.signed_in("rx").await;
    let (_, queue) = rx.json(&format!("{QUEUE_API}?visible=1,4,500&rep=all")).await;
    assert_eq!(queue["statistics"]["total_orders"], 500);
    for (code, entry) in queue["orders_by_status"].as_object().unwrap() {
        let count = database.value(&format!("select count(*) from orders_order where status = '{code}'")).await;
        assert_eq!(entry["count"].to_string(), count, "{code}");
    }
    let revenue = database
        .value("select coalesce(sum(nullif(total_amount, 'NaN')), 0) from orders_order where status = 'delivered' and payment_status = 'paid'")
        .await;
    assert_eq!(queue["statistics"]["total_revenue"].as_f64().unwrap(), revenue.parse::<f64>().unwrap());
    let reps: Vec<&Value> = queue["visible"].as_array().unwrap().iter().map(|row| &row["sales_rep"]).collect();
    assert_eq!(reps, [&json!("ana"), &Value::Null, &json!("ana")]);
    assert_eq!(queue["visible"][1]["customer_name"], "Maria Santos");
    for (who, status) in [("ana", 403), ("odd", 403), ("boss", 200)] {
        let client = service.signed_in(who).await;
        assert_eq!(client.json(QUEUE_API).await.0, status, "{who}");
        for page in
            ["/orders/pharmacist/dashboard/", "/orders/pharmacist/orders/", "/orders/pharmacist/orders/export.csv"]
        {
            assert_eq!(client.get(page).await.status(), status, "{who} {page}");
        }
    }
    assert_eq!(rx.json(API).await.0, 403, "a pharmacist has no orders of their own");
    for page in ["rep=1", "rep=all&user=4"] {
        assert_eq!(rx.json(&format!("{QUEUE_API}?{page}")).await.0, 401, "a page of somebody else: {page}");
        assert_eq!(rx.json(&format!("/orders/api/pharmacist/events/?{page}")).await.0, 401, "{page}");
    }
    assert_eq!(rx.json(&format!("{QUEUE_API}?rep=all&user=3")).await.0, 200);
}

#[tokio::test]
async fn a_pharmacists_stream_tells_of_every_order() {
    let (database, service) = many_orders().await;
    let rx = service.signed_in("rx").await;
    let mut stream = rx.events_of("/orders/api/pharmacist/events/", None).await;
    let sync = stream.wait_for("sync").await;
    assert_eq!(sync.data["statistics"]["total_orders"], 500);
    assert_eq!(service.metric("oncare_live_streams_open{role=\"pharmacist\"}").await, 1.0);
    // of a rep, of another, of nobody, and from one to another
    for (id, change, shown) in [
        (1, "status = 'returned'", json!("returned")),
        (3, "status = 'confirmed'", json!("confirmed")),
        (4, "status = 'delivered'", json!("delivered")),
        (5, "sales_rep_id = 2", json!(2)),
    ] {
        database.sql(&format!("update orders_order set {change} where id = {id}")).await;
        let patch = stream.patch_of(id).await;
        let row = &patch.data["orders"][0];
        assert!([&row["status"], &row["sales_rep_id"]].contains(&&shown), "{row}");
        assert!(row["customer_name"].is_string());
        assert_eq!(patch.data["changes"][0]["operation"], "update");
        let (_, queue) = rx.json(QUEUE_API).await;
        assert_eq!(patch.data["statistics"], queue["statistics"], "{change}");
    }
    database.orders("(600, 2, 'pending', 'paid', 5), (601, null::bigint, 'pending', 'paid', 5)").await;
    let patch = stream.patch_of(600).await;
    assert_eq!(patch.data["statistics"]["total_orders"], 502);
    // what a page missed, of whatever rep
    let cursor = patch.id.unwrap();
    drop(stream);
    database.sql("update orders_order set payment_status = 'failed' where id in (600, 601)").await;
    let mut stream = rx.events_of("/orders/api/pharmacist/events/", Some(&cursor)).await;
    let missed = stream.wait_for("sync").await.data["missed"].clone();
    let ids: Vec<i64> = missed.as_array().unwrap().iter().map(|change| change["order_id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [600, 601]);
    database.sql("truncate orders_order cascade").await;
    assert_eq!(stream.wait_for("sync").await.data["statistics"]["total_orders"], 0);
}

#[tokio::test]
async fn a_pharmacist_who_becomes_a_rep_sees_no_more_of_the_queue() {
    let (database, service) = many_orders().await;
    let mut stream = service.signed_in("rx").await.events_of("/orders/api/pharmacist/events/", None).await;
    stream.wait_for("ping").await;
    database.sql("update accounts_user set role = 'sales_rep' where username = 'rx'").await;
    assert_eq!(stream.wait_for("bye").await.data["reason"], "signed_out");
}

#[tokio::test]
async fn a_visible_row_is_told_whether_it_is_on_the_list() {
    let (_database, service) = many_orders().await;
    let ana = service.signed_in("ana").await;
    // 5 is returned and of José Reyes, 1 is delivered and of Maria Santos
    for (query, fits) in [
        ("q=reyes", [true, false]),
        ("status=returned", [true, false]),
        ("status=returned,delivered", [true, true]),
        ("sort=status", [true, true]),
    ] {
        let answer = ana.dashboard(&format!("?{query}&visible=5,1")).await;
        let told: Vec<&Value> = answer["visible"].as_array().unwrap().iter().map(|row| &row["fits"]).collect();
        let listed = answer["orders"].as_array().unwrap().len();
        assert!(listed > 0 && told == [&json!(fits[0]), &json!(fits[1])], "{query}: {}", answer["visible"]);
    }
}

#[tokio::test]
async fn a_list_offers_of_an_order_what_its_page_offers() {
    let database = Database::new().await;
    let statuses = [
        "pending",
        "confirmed",
        "processing",
        "ready_for_pickup",
        "shipped",
        "delivered",
        "cancelled",
        "returned",
        "on_hold",
    ];
    let orders = statuses.iter().zip(1..).map(|(status, id)| format!("({id}, 1, '{status}', 'paid', 5)"));
    database.orders(&orders.collect::<Vec<_>>().join(", ")).await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let list = ana.get("/orders/orders/").await.text().await.unwrap();
    let mut offered = Vec::new();
    for (status, id) in statuses.iter().zip(1..) {
        let page = ana.get(&format!("/orders/orders/{id}/")).await.text().await.unwrap();
        for deed in ["edit", "cancel"] {
            let address = format!("href=\"/orders/orders/{id}/{deed}/\"");
            let link = list.split("<a ").find(|link| link.contains(&address)).expect("each row has the link");
            let tag = link.split('>').next().unwrap();
            assert_eq!(!tag.ends_with(" hidden"), page.contains(&address), "{deed} while {status}: {tag}");
            offered.extend(page.contains(&address).then(|| format!("{deed} {status}")));
        }
    }
    assert_eq!(offered, ["edit pending", "cancel pending", "cancel confirmed"]);
}

/// The lines of an export.
async fn export(client: &Browserless, path: &str) -> Vec<Vec<String>> {
    let response = client.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    assert!(response.headers()["content-disposition"].to_str().unwrap().contains("orders.csv"));
    let text = String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap();
    let text = text.strip_prefix('\u{feff}').expect("a spreadsheet is told that it is UTF-8").to_owned();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn a_search_that_nobody_waits_for_any_more_is_ended_and_keeps_nobody_waiting() {
    let database = Database::new().await;
    let service = Service::start_with(&database, &["--pool-size", "4"]).await;
    let holder = database.client().await;
    holder.batch_execute("begin; lock table orders_order in access exclusive mode").await.unwrap();
    for _ in 0..8 {
        let ana = service.signed_in("ana").await;
        let search = tokio::spawn(async move { ana.get("/orders/orders/?q=maria").await });
        eventually("the search waits for the table", async || {
            let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                and datname = current_database() and query like 'lock table%'";
            (database.value(waiting).await == "1").then_some(())
        })
        .await;
        search.abort();
    }
    let home = service.signed_in("rx").await.get("/").await;
    assert_eq!(home.headers()["location"], "/orders/pharmacist/dashboard/");
    holder.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn a_hundred_thousand_orders_are_exported_without_being_held() {
    /// Most that the service may need for it, in bytes: the ids, and the lines that are under way.
    const LITTLE: u64 = 5_000_000;
    let database = Database::new().await;
    let orders: Vec<String> = (1..=100_000).map(|id| format!("({id}, 1, 'delivered', 'paid', {id})")).collect();
    database.orders(&orders.join(", ")).await;
    let instance = Instance::start(&database.url);
    eventually("the service is ready", async || instance.is_ready().await).await;
    let ana = Browserless::new(format!("http://{}", instance.web));
    ana.sign_in("ana").await;
    assert_eq!(ana.get("/orders/orders/export.csv?status=pending").await.status(), 200);
    let before = instance.peak_memory();
    let mut body = ana.get("/orders/orders/export.csv").await.bytes_stream();
    let (mut bytes, mut lines) = (0, 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.unwrap();
        bytes += chunk.len() as u64;
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
    }
    assert_eq!(lines, 100_001, "the heading and all orders");
    let needed = instance.peak_memory() - before;
    println!("{bytes} bytes of CSV needed {needed} bytes of memory");
    assert!(bytes > LITTLE, "more is exported than may be held");
    assert!(needed < LITTLE, "{needed} bytes");

    // whoever is signed out in the middle of it gets no more, and knows that it is not all
    let mut body = ana.get("/orders/orders/export.csv").await.bytes_stream();
    body.next().await.unwrap().unwrap();
    assert_eq!(ana.post("/accounts/logout/", &[]).await.status(), 303);
    let rest: Vec<_> = body.collect().await;
    assert!(rest.last().unwrap().is_err(), "it breaks off");
}

#[tokio::test]
async fn an_export_has_the_whole_list_in_its_order_and_no_formula() {
    let (database, service) = many_orders().await;
    let hostile = "=HYPERLINK(\"http://x\";\"a\")";
    database
        .sql(&format!(
            "update orders_order set customer_name = '{hostile}' where id = 10;
             update orders_order set customer_name = E'a,\"b\"\\n+c' where id = 15;
             update orders_order set order_number = '+1', status = '-x', payment_status = '@y' where id = 20"
        ))
        .await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    for (client, path, api, query) in [
        (&ana, "/orders/orders/export.csv", API, ""),
        (&ana, "/orders/orders/export.csv", API, "status=pending,shipped&sort=-total_amount"),
        (&rx, "/orders/pharmacist/orders/export.csv", QUEUE_API, "q=maria"),
    ] {
        let lines = export(client, &format!("{path}?{query}&page=2")).await;
        assert_eq!(lines[0][..3], ["Order", "Placed", "Customer"]);
        let (ids, _) = all_pages(client, api, query).await;
        assert_eq!(lines.len() - 1, ids.len(), "{query}");
        let numbers: Vec<String> =
            ids.iter().map(|id| if *id == 20 { "'+1".to_owned() } else { format!("ORD-2025-{id:05}") }).collect();
        let exported: Vec<&str> = lines[1..].iter().map(|line| line[0].as_str()).collect();
        assert_eq!(exported, numbers, "{query}");
    }
    let lines = export(&ana, "/orders/orders/export.csv").await;
    let line = |number: &str| lines.iter().find(|line| line[0] == number).unwrap();
    assert_eq!(line("ORD-2025-00010")[2], format!("'{hostile}"));
    assert_eq!(line("ORD-2025-00015")[2], "a,\"b\"\n'+c");
    assert_eq!(line("'+1")[3..5], ["'-x", "'@y"]);
    assert_eq!(
        line("ORD-2025-00001")[1..],
        ["2025-01-04 12:00:00", "Maria Santos", "Delivered", "Paid", "1", "37.25"].map(str::to_owned)
    );
    assert_eq!(line("ORD-2025-00250")[6], "", "no number is no amount");
    let of_all = export(&rx, "/orders/pharmacist/orders/export.csv?q=00003").await;
    assert_eq!((of_all[0].last().unwrap().as_str(), of_all[1].last().unwrap().as_str()), ("Representative", "ben"));
    assert_eq!(ana.get("/orders/orders/export.csv?status=lost").await.status(), 400);
    assert_eq!(rx.get("/orders/orders/export.csv").await.status(), 403);
}

#[tokio::test]
async fn views_are_saved_in_the_account() {
    let (database, service) = many_orders().await;
    let ana = service.signed_in("ana").await;
    let save = "/orders/orders/views/";
    let response = ana.post(save, &[("name", " Unpaid <b>"), ("query", "?payment_status=failed,pending&page=3")]).await;
    assert_eq!(response.status(), 303);
    let saved = "/orders/orders/?payment_status=pending&payment_status=failed";
    assert_eq!(response.headers()["location"], saved);
    // elsewhere, later
    let again = service.signed_in("ana").await;
    let page = again.get(saved).await.text().await.unwrap();
    assert!(
        page.contains("Unpaid &#60;b&#62;</a>") && page.contains("<span id=\"told-views\">Unpaid &#60;b&#62;"),
        "{page}"
    );
    ana.post(save, &[("name", "Unpaid <b>"), ("query", "?status=shipped")]).await;
    assert_eq!(
        database.value("select string_agg(name || query, '|') from live.saved_view").await,
        "Unpaid <b>?status=shipped"
    );
    for (name, query, status) in
        [("", "", 400), ("x\ny", "", 400), (&"x".repeat(41), "", 400), ("x", "?status=lost", 400)]
    {
        assert_eq!(ana.post(save, &[("name", name), ("query", query)]).await.status(), status, "{name} {query}");
    }
    // nobody else's, and each list has its own
    let (ben, rx) = (service.signed_in("ben").await, service.signed_in("rx").await);
    assert!(!ben.get("/orders/orders/").await.text().await.unwrap().contains("Unpaid &#60;b"));
    ben.post("/orders/orders/views/delete/", &[("name", "Unpaid <b>")]).await;
    assert_eq!(rx.post(save, &[("name", "x"), ("query", "")]).await.status(), 403);
    let of_queue = rx.post("/orders/pharmacist/orders/views/", &[("name", "Mine"), ("query", "?q=maria")]).await;
    assert_eq!(of_queue.headers()["location"], "/orders/pharmacist/orders/?q=maria");
    assert_eq!(database.value("select count(*) from live.saved_view").await, "2");
    let deleted =
        ana.post("/orders/orders/views/delete/", &[("name", "Unpaid <b>"), ("query", "?status=pending")]).await;
    assert_eq!(deleted.headers()["location"], "/orders/orders/?status=pending");
    assert_eq!(database.value("select string_agg(name, ',') from live.saved_view").await, "Mine");
    for number in 0..30 {
        assert_eq!(ana.post(save, &[("name", &format!("View {number}")), ("query", "")]).await.status(), 303);
    }
    assert_eq!(ana.post(save, &[("name", "One more"), ("query", "")]).await.status(), 409);
    assert_eq!(
        ana.post(save, &[("name", "View 7"), ("query", "?q=x")]).await.status(),
        303,
        "in place of an older one"
    );
}

#[tokio::test]
async fn a_page_is_told_keys_and_how_many_orders_the_list_has_and_others_are_answered_as_ever() {
    let database = Database::new().await;
    database
        .orders("(1, 1, 'pending', 'paid', 10), (2, 1, 'shipped', 'paid', 20), (3, 1, 'pending', 'failed', 30)")
        .await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    for (query, total) in [("", 3), ("status=pending", 2), ("payment_status=paid", 2), ("q=customer+3", 1)] {
        let answer = ana.dashboard(&format!("?{query}&visible=2,77")).await;
        assert_eq!(answer["total"], json!(total), "{query}");
        assert_eq!((&answer["visible"][0]["key"], &answer["visible"][1]["key"]), (&json!("2"), &json!("77")));
        let plain = ana.dashboard(&format!("?{query}")).await;
        assert_eq!((&plain["total"], &plain["visible"]), (&json!(null), &json!(null)), "{query}");
        for (row, plain) in answer["orders"].as_array().unwrap().iter().zip(plain["orders"].as_array().unwrap()) {
            assert_eq!((row["key"].as_str(), plain.get("key")), (Some(row["id"].to_string().as_str()), None));
        }
    }
}
