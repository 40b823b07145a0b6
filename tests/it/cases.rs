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
