//! The tables of `tests/cases`, held against the database and the API. Each has the cases of one rule that the browser must know
//! as well; `scripts/check-javascript` holds the same table against the browser's modules.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::service::Service;

/// A table of cases.
fn table(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn ids(values: &Value) -> Vec<i64> {
    values
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_i64().unwrap_or_else(|| value["id"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn lists_have_the_orders_of_the_table_in_its_order() {
    let table = table(include_str!("../cases/lists.json"));
    let database = Database::new().await;
    let orders = table["orders"].as_array().unwrap();
    let row = |order: &Value| {
        format!("({}, 1, {}, {}, 0)", order["id"], text(&order["status"]), text(&order["payment_status"]))
    };
    database.orders(&orders.iter().map(row).collect::<Vec<_>>().join(", ")).await;
    for order in orders {
        let stored = |column: &str| text(order["stored"].get(column).unwrap_or(&order[column]));
        let (name, total, created) = (stored("customer_name"), stored("total_amount"), stored("created_at"));
        let written = format!(
            "update orders_order set customer_name = {name}, total_amount = {total}::numeric, created_at = {created}
             where id = {}",
            order["id"]
        );
        database.sql(&written).await;
    }
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let all = ids(&table["orders"]);
    let visible = all.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    for list in table["lists"].as_array().unwrap() {
        let query = list["query"].as_str().unwrap();
        let answer = ana.dashboard(&format!("?{query}&visible={visible}")).await;
        assert_eq!(ids(&answer["orders"]), ids(&list["ids"]), "{query}");
        let fitting = answer["visible"].as_array().unwrap().iter().filter(|row| row["fits"] == true);
        let fitting: Vec<i64> = fitting.map(|row| row["id"].as_i64().unwrap()).collect();
        let expected: Vec<i64> = all.iter().copied().filter(|id| ids(&list["ids"]).contains(id)).collect();
        assert_eq!(fitting, expected, "{query}: which of the visible rows fit");
        let page = ana.get(&format!("/orders/orders/?{query}")).await.text().await.unwrap();
        for (attribute, value) in [
            ("ranks", &table["ranks"]),
            ("created-from", list.get("created_from").unwrap_or(&json!(""))),
            ("created-before", list.get("created_before").unwrap_or(&json!(""))),
        ] {
            let written = format!("data-{attribute}=\"{}\"", value.as_str().unwrap());
            assert!(page.contains(&written), "{query}: the page is told {written}");
        }
    }
    for order in orders {
        let answer = ana.dashboard(&format!("?visible={}", order["id"])).await;
        for column in ["status", "payment_status", "total_amount", "created_at"] {
            let (shown, expected) = (&answer["visible"][0][column], &order[column]);
            assert_eq!(
                shown.as_f64().map_or(shown.clone(), |number| json!(number)),
                expected.as_f64().map_or(expected.clone(), |number| json!(number)),
                "{column}"
            );
        }
    }
}

/// A value as a literal of SQL.
fn text(value: &Value) -> String {
    let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("'{}'", plain.replace('\'', "''"))
}

#[tokio::test]
async fn what_is_news_is_unread_in_the_bell_and_can_be_told_from_the_stream() {
    let table = table(include_str!("../cases/news.json"));
    let database = Database::new().await;
    database.orders(table["orders"].as_str().unwrap()).await;
    let service = Service::start(&database).await;
    let ana = service.signed_in(table["login"].as_str().unwrap()).await;
    let changes = async || ana.json("/orders/api/sales-rep/changes/").await.1;
    assert_eq!(changes().await["unread"], 0, "who never read begins here");
    let (muted, untold) = (ids(&table["muted"]), &table["untold"]);
    for order in muted {
        database.sql(&format!("insert into live.muted_order (user_id, order_id) values (1, {order})")).await;
    }
    let untold = format!("(select array_agg(code) from jsonb_array_elements_text('{untold}') code)");
    database
        .sql(&format!("update live.account set untold_statuses = {untold}, version = version + 1 where user_id = 1"))
        .await;
    let mut stream = ana.events().await;
    stream.wait_for("sync").await;
    let mut unread = 0;
    for case in table["changes"].as_array().unwrap() {
        let (what, sql, change) = (&case["what"], case["sql"].as_str().unwrap(), &case["change"]);
        let user = case["user"].as_str().unwrap();
        database.sql(&format!("begin; select set_config('app.user', '{user}', true); {sql}; commit")).await;
        let patch = stream.patch_of(change["order_id"].as_i64().unwrap()).await;
        let told = &patch.data["changes"][0];
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(&told[field], value, "{what}: {field} as the stream tells it");
        }
        let bell = changes().await;
        assert_eq!(bell["changes"][0]["id"], told["id"], "{what}");
        assert_eq!(bell["changes"][0]["unread"], case["news"], "{what}");
        unread += i64::from(case["news"] == true);
        assert_eq!(bell["unread"], unread, "{what}: counted");
    }
}

#[tokio::test]
async fn an_event_is_told_by_stream_resumption_bell_and_page_to_the_same_people() {
    let table = table(include_str!("../cases/told.json"));
    let events: Vec<(i64, &Value)> = (1..).zip(table["events"].as_array().unwrap()).collect();
    let rep = |name: &Value| match name.as_str() {
        Some("ana") => "1",
        Some("ben") => "2",
        _ => "null",
    };
    let database = Database::new().await;
    let present = events.iter().filter(|(_, event)| event["present"] != "gone");
    let orders = present.map(|(id, event)| format!("({id}, {}::bigint, 'pending', 'paid', 5)", rep(&event["present"])));
    database.orders(&orders.collect::<Vec<_>>().join(", ")).await;
    let service = Service::start(&database).await;
    let people = ["ana", "ben", "rx"];
    let mut streams = Vec::new();
    for name in people {
        let (client, role) = (service.signed_in(name).await, if name == "rx" { "pharmacist" } else { "sales-rep" });
        let path = format!("/orders/api/{role}/events/");
        let mut stream = client.events_of(&path, None).await;
        let cursor = stream.wait_for("sync").await.id.unwrap();
        streams.push((name, client, role, path, stream, cursor));
    }
    let values = events.iter().map(|(id, event)| {
        let (operation, from, to) =
            (event["operation"].as_str().unwrap(), rep(&event["named"][0]), rep(&event["named"][1]));
        let standing =
            |is_there: bool| if is_there && operation != "items" { "'pending', 'paid', 5" } else { "null, null, null" };
        let (before, after) = (standing(operation != "insert"), standing(operation != "delete"));
        format!("({}, '{operation}', {id}, {from}, {to}, {before}, {after})", 1_000 + id)
    });
    let written = format!(
        "begin; insert into live.order_event (id, operation, order_id, old_sales_rep_id, new_sales_rep_id, old_status,
             old_payment_status, old_total, new_status, new_payment_status, new_total)
         overriding system value values {}; select live.notify(); commit",
        values.collect::<Vec<_>>().join(", ")
    );
    database.sql(&format!("set application_name = ''; {written}")).await;
    for (name, client, role, path, mut stream, cursor) in streams {
        let of = |event: &Value, table: &str| event[table][name].as_str().map(str::to_owned);
        let expected: Vec<(i64, String)> =
            events.iter().filter_map(|(id, event)| Some((1_000 + id, of(event, "told")?))).collect();
        let is_missed = |event: &Value| of(event, "told").or_else(|| of(event, "missed"));
        let expected_missed: Vec<(i64, String)> =
            events.iter().filter_map(|(id, event)| Some((1_000 + id, is_missed(event)?))).collect();
        let told = |changes: &Value| -> Vec<(i64, String)> {
            let ours = changes.as_array().unwrap().iter().filter(|change| change["id"].as_i64().unwrap() > 1_000);
            let mut told: Vec<(i64, String)> = ours
                .map(|change| (change["id"].as_i64().unwrap(), change["operation"].as_str().unwrap().to_owned()))
                .collect();
            told.sort_unstable();
            told
        };
        assert_eq!(told(&stream.wait_for("patch").await.data["changes"]), expected, "{name}'s stream");
        let missed = client.events_of(&path, Some(&cursor)).await.wait_for("sync").await.data;
        assert_eq!(told(&missed["missed"]), expected_missed, "{name}'s stream that went on from before");
        for change in missed["missed"].as_array().unwrap() {
            let is_told = expected.iter().any(|(id, _)| change["id"] == *id);
            assert!(is_told || (change["by"] == "" && change["changed"] == json!([])), "{name}: {change}");
        }
        let bell = client.json(&format!("/orders/api/{role}/changes/")).await.1;
        assert_eq!(told(&bell["changes"]), expected, "{name}'s bell");
        for (id, event) in &events {
            let response = client.get(&format!("/orders/orders/{id}/")).await;
            let is_theirs = event["present"] == name || (name == "rx" && event["present"] != "gone");
            assert_eq!(response.status().as_u16(), if is_theirs { 200 } else { 404 }, "{name}: order {id}");
            let page = response.text().await.unwrap();
            let is_told = is_theirs && event["told"][name].is_string();
            assert_eq!(
                page.contains(&format!("data-line=\"e{}\"", 1_000 + id)),
                is_told,
                "{name}: event {id} on its order's page"
            );
        }
    }
}

#[tokio::test]
async fn a_change_is_told_and_written_on_its_orders_page_as_the_table_has_it() {
    let table = table(include_str!("../cases/changes.json"));
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 5)").await;
    let service = Service::start(&database).await;
    let rx = service.signed_in("rx").await;
    let mut stream = rx.events_of("/orders/api/pharmacist/events/", None).await;
    stream.wait_for("sync").await;
    for case in table["changes"].as_array().unwrap() {
        database.sql(case["sql"].as_str().unwrap()).await;
        let order = case["order"].as_i64().unwrap();
        let patch = stream.patch_of(order).await;
        let told = &patch.data["changes"][0];
        for (field, value) in case["change"].as_object().unwrap() {
            assert_eq!(&told[field], value, "{}", case["sql"]);
        }
        let page = rx.get(&format!("/orders/orders/{order}/")).await.text().await.unwrap();
        let entry =
            page.split(&format!("data-line=\"e{}\"", told["id"])).nth(1).unwrap().split("</li>").next().unwrap();
        for line in case["page"].as_array().unwrap() {
            assert!(entry.contains(&format!(">{}<", line.as_str().unwrap())), "{line} in {entry}");
        }
    }
}

#[tokio::test]
async fn amounts_are_rounded_as_the_database_rounds_them() {
    let table = table(include_str!("../cases/amounts.json"));
    let database = Database::new().await;
    for case in table["amounts"].as_array().unwrap() {
        let exact = case["exact"].as_str().unwrap();
        assert_eq!(
            database.value(&format!("select round({exact}::numeric, 2)")).await,
            case["rounded"].as_str().unwrap()
        );
    }
}

#[tokio::test]
async fn what_the_stream_counts_is_what_the_database_sums_in_a_wider_column_too() {
    let database = Database::new().await;
    database.sql("alter table orders_order alter column total_amount type numeric(14, 4)").await;
    // else the service does so, and a stream reads anew what the test waits for as a patch
    database.store().rebuild_statistics().await.unwrap();
    database
        .orders("(1, 1, 'pending', 'paid', 0.004), (2, 1, 'pending', 'paid', 0.004), (3, 1, 'pending', 'paid', 0.005)")
        .await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("sync").await;
    let sum = "select round(coalesce(sum(total_amount) filter (where status = 'delivered'), 0), 2) from orders_order";
    for (id, changed) in [
        (1, "status = 'delivered'"),
        (2, "status = 'delivered'"),
        (3, "status = 'delivered'"),
        (2, "total_amount = 0.0061"),
        (3, "status = 'returned'"),
    ] {
        database.sql(&format!("update orders_order set {changed} where id = {id}")).await;
        let patch = stream.patch_of(id).await;
        let summed = database.value(sum).await;
        let told = &patch.data["statistics"]["total_revenue"];
        assert_eq!(told.to_string(), json!(summed.parse::<f64>().unwrap()).to_string(), "{changed}");
        assert_eq!(&ana.dashboard("").await["statistics"]["total_revenue"], told, "{changed}");
    }
    // what is shown as 0.01 is found as 0.01
    for (query, expected) in
        [("total_min=0.01&sort=created_at", vec![2, 3]), ("total_max=0.01&sort=created_at", vec![1, 2, 3])]
    {
        assert_eq!(ids(&ana.dashboard(&format!("?{query}")).await["orders"]), expected, "{query}");
    }
}

#[tokio::test]
async fn a_page_is_told_the_limits_and_addresses_that_the_server_keeps_to() {
    let database = Database::new().await;
    database
        .orders(&(1..=60).map(|id| format!("({id}, 1, 'pending', 'paid', 5)")).collect::<Vec<_>>().join(", "))
        .await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let page = ana.get("/orders/orders/").await.text().await.unwrap();
    let told =
        |name: &str| page.split(&format!(" data-{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let most_visible: usize = told("most-visible").parse().unwrap();
    for (ids, status) in [(most_visible, 200), (most_visible + 1, 400)] {
        let ids = vec!["1"; ids].join(",");
        assert_eq!(ana.json(&format!("/orders/api/sales-rep/dashboard/?visible={ids}")).await.0, status);
    }
    let (most_listed, most_unread): (usize, i64) =
        (told("most-listed").parse().unwrap(), told("most-unread").parse().unwrap());
    let changes = async || ana.json(&told("changes-url")).await.1;
    assert_eq!(changes().await["changes"].as_array().unwrap().len(), most_listed);
    for total in [6, 7] {
        database.sql(&format!("update orders_order set total_amount = {total}")).await;
    }
    let answer = changes().await;
    assert_eq!((&answer["unread"], &answer["more_unread"]), (&json!(most_unread), &json!(true)));
    assert_eq!(ana.get(&format!("{}1/", told("orders"))).await.status(), 200);
    let mute = told("mute-url").replace("{order}", "1");
    assert_eq!(ana.post_json(&mute, &[("muted", "1")]).await.0, 200);
}

#[tokio::test]
async fn the_bar_is_divided_as_the_table_has_it() {
    let table = table(include_str!("../cases/bars.json"));
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let codes =
        ["pending", "confirmed", "processing", "ready_for_pickup", "shipped", "delivered", "cancelled", "returned"];
    for bar in table["bars"].as_array().unwrap() {
        database.sql("delete from orders_order").await;
        let counts = bar["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap());
        let statuses = counts.zip(codes).flat_map(|(count, code)| (0..count).map(move |_| code));
        let orders: Vec<String> =
            (1..).zip(statuses).map(|(id, code)| format!("({id}, 1, '{code}', 'paid', 5)")).collect();
        if !orders.is_empty() {
            database.orders(&orders.join(", ")).await;
        }
        let page = ana.get("/orders/orders/").await.text().await.unwrap();
        for (code, segment) in codes.into_iter().zip(bar["segments"].as_array().unwrap()) {
            let [start, width] = [0, 1].map(|at| segment[at].as_str().unwrap());
            let rect = format!("<rect data-status=\"{code}\" x=\"{start}\" width=\"{width}\"");
            assert!(page.contains(&rect), "{}: {rect}", bar["counts"]);
        }
    }
}
