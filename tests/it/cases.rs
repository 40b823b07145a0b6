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
        format!("({}, '{operation}', {id}, {from}, {to}, {before}, {after}, 'case')", 1_000 + id)
    });
    let written = format!(
        "begin; insert into live.order_event (id, operation, order_id, old_sales_rep_id, new_sales_rep_id, old_status,
             old_payment_status, old_total, new_status, new_payment_status, new_total, database_role)
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
