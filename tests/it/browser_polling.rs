//! What moves on a list and what doesn't, in a real Chromium: over the stream, and over the poll that stands in for it.

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::ways::Ways;

const REP: &str = "/orders/orders/";
const QUEUE: &str = "/orders/pharmacist/orders/";

fn cell(name: &str) -> String {
    format!("tr[data-order-id='1'] [data-cell={name}]")
}

#[tokio::test]
async fn new_orders_wait_while_the_pointer_or_the_focus_is_at_the_queue() {
    let ways = Ways::new().await;
    for way in ways.both() {
        ways.database.sql("truncate orders_order cascade").await;
        ways.database.orders("(1, 1, 'pending', 'pending', 10), (2, 2, 'shipped', 'paid', 20)").await;
        let browser = way.browser("rx", QUEUE).await;
        assert_eq!(browser.ids().await, "1,2");
        // with nobody at the list it comes at once, where it belongs
        ways.database.orders("(3, 2, 'pending', 'paid', 40)").await;
        browser.wait_for_ids("3,1,2").await;
        browser.wait_for_text("#stat-total-orders", "3").await;
        browser.point_at(&cell("customer")).await;
        let place = "document.querySelector('tr[data-order-id=\"1\"]').getBoundingClientRect().top";
        let before = browser.script(place).await;
        ways.database.orders("(4, 1, 'pending', 'paid', 50)").await;
        browser.wait_for_text("#list-notice", "1 order entered · Update").await;
        // what is said later says that nothing was added meanwhile
        ways.database.orders("(5, 2, 'pending', 'paid', 50)").await;
        browser.wait_for_text("#list-notice", "2 orders entered · Update").await;
        assert_eq!(browser.ids().await, "3,1,2", "nothing comes under the pointer");
        assert_eq!(browser.script(place).await, before, "nothing moves under it");
        browser.point_at("h1, .bar").await;
        browser.wait_for_ids("5,4,3,1,2").await;
        browser.until("document.getElementById('list-notice').hidden").await;

        browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
        ways.database.orders("(6, 1, 'pending', 'paid', 50)").await;
        browser.wait_for_text("#list-notice", "1 order entered · Update").await;
        assert_eq!(browser.ids().await, "5,4,3,1,2", "nor under the focus");
        browser.script("document.activeElement.blur() ?? true").await;
        browser.wait_for_ids("6,5,4,3,1,2").await;
        browser.close().await;
    }
}

#[tokio::test]
async fn a_filtered_queue_takes_in_what_fits_alone() {
    let ways = Ways::new().await;
    for way in ways.both() {
        for query in ["?q=cruz&payment_status=paid", "?status=pending&payment_status=paid&total_min=20"] {
            ways.database.sql("truncate orders_order cascade").await;
            ways.database
                .orders("(1, 1, 'pending', 'paid', 20), (2, 2, 'pending', 'paid', 20), (3, 1, 'shipped', 'failed', 10)")
                .await;
            ways.database.sql("update orders_order set customer_name = 'Maria Cruz' where id <= 2").await;
            let browser = way.browser("rx", QUEUE).await;
            browser.fill_in("form.filter [name=q]", "maria").await;
            browser.follow("form.filter > button[type=submit]").await;
            assert_eq!((browser.asked().await, browser.ids().await), ("q=maria".to_owned(), "2,1".to_owned()));
            way.open(&browser, &format!("{QUEUE}{query}")).await;
            assert_eq!(browser.ids().await, "2,1", "{query}");
            // what does not fit is entered first
            for (id, payment, total) in [(4, "failed", 90), (5, "paid", 90)] {
                let order = format!("({id}, 2, 'pending', '{payment}', {total})");
                let entered = crate::harness::database::order_sql(&order).replace("'Customer '", "'Cruz '");
                ways.database.sql(&entered).await;
            }
            browser.wait_for_ids("5,2,1").await;
            browser.wait_for_text("#stat-total-orders", "5").await;
            assert_eq!(browser.text("tr[data-order-id='5'] [data-text=sales_rep]").await, "ben");
            browser.close().await;
        }
    }
}

#[tokio::test]
async fn a_changed_cell_says_what_it_said_before_however_that_was_learned() {
    let ways = Ways::new().await;
    for way in ways.both() {
        ways.database.sql("truncate orders_order cascade").await;
        ways.database.orders("(1, 1, 'processing', 'paid', 1500), (2, 1, 'delivered', 'paid', 20)").await;
        let browser = way.browser("ana", REP).await;
        let place = "[...document.querySelectorAll('#orders-table-tbody td')].map(cell => JSON.stringify(cell.getBoundingClientRect())).join()";
        let before = browser.script(place).await;
        ways.database
            .sql(
                "update orders_order set status = 'shipped', payment_status = 'failed', total_amount = 1600, customer_name = 'New name'
                 where id = 1",
            )
            .await;
        let shows = |name: &str, was: Option<&str>| {
            format!(
                "(cell => {{ const before = getComputedStyle(cell, '::after');
                     return before.visibility === 'visible' && before.opacity === '1' ? cell.dataset.was : null; }})
                     (document.querySelector(\"{}\")) === {}",
                cell(name),
                json!(was)
            )
        };
        let changes = [
            ("status", "Processing", "Shipped"),
            ("payment", "Paid", "Failed"),
            ("total", "₱1,500.00", "₱1,600.00"),
            ("customer", "Customer 1", "New name"),
        ];
        let all = changes.map(|(name, from, _)| shows(name, Some(from))).join(" && ");
        browser.until(&all).await;
        assert_eq!(browser.script(place).await, before, "nothing moved");
        for (name, ..) in changes {
            browser.until(&shows(name, None)).await;
        }
        for (name, from, to) in changes {
            browser.point_at(&cell(name)).await;
            browser.until(&shows(name, Some(from))).await;
            let title = browser.script(&format!("document.querySelector(\"{}\").title", cell(name))).await;
            assert!(title.as_str().unwrap().starts_with(&format!("{from} → {to}, ")), "{title}");
        }
        browser.until(&shows("status", None)).await;
        browser.close().await;
        // by the first way it may have polled as well, where the stream took long to open
        let polls = ways.service.metric("oncare_live_polls_total{reason=\"no_stream\"}").await;
        assert!(polls > 0.0 || way.state != "polling", "who polls is counted, with the reason");
    }
}

#[tokio::test]
async fn ages_tick_and_what_is_late_turns_red() {
    let ways = Ways::with(&["--late-after", "processing=4h,shipped=2h"]).await;
    for way in ways.both() {
        ways.database.sql("truncate orders_order cascade").await;
        ways.database.orders("(1, 1, 'processing', 'paid', 1500), (2, 1, 'delivered', 'paid', 20)").await;
        let browser = way.browser("ana", REP).await;
        ways.database
            .sql(
                "insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status,
                     notes, changed_by_id, changed_at)
                 values (1, 'pending', 'processing', 'paid', 'paid', '', 3, now() - interval '4 hours' + interval '12 seconds')",
            )
            .await;
        way.open(&browser, REP).await;
        let in_status = "tr[data-order-id='1'] .in-status";
        let colour = format!("getComputedStyle(document.querySelector(\"{in_status}\")).color");
        browser.wait_for_text(in_status, "for 3 h").await;
        let usual = browser.script(&colour).await;
        browser.wait_for_text(in_status, "for 4 h, late").await;
        assert_ne!(browser.script(&colour).await, usual);
        ways.database
            .sql(
                "update orders_order set created_at = now() - interval '6 minutes' + interval '7 seconds' where id = 2;
                 update orders_order set status = 'shipped' where id = 1",
            )
            .await;
        browser.wait_for_text(in_status, "just now").await;
        assert_eq!(browser.script(&colour).await, usual);
        browser.wait_for_text("tr[data-order-id='2'] .age", "5 min ago").await;
        browser.wait_for_text("tr[data-order-id='2'] .age", "6 min ago").await;
        browser.close().await;
    }
}

#[tokio::test]
async fn a_selection_is_changed_in_the_queue_and_what_was_refused_says_why_there() {
    let ways = Ways::new().await;
    for way in ways.both() {
        ways.database.sql("truncate orders_order cascade").await;
        ways.database
            .orders("(1, 1, 'shipped', 'pending', 10), (2, 2, 'shipped', 'paid', 20), (3, 1, 'pending', 'paid', 30)")
            .await;
        let browser = way.browser("rx", QUEUE).await;
        // somebody else is quicker, and the page knows
        ways.database.sql("update orders_order set status = 'shipped' where id = 3").await;
        browser.wait_for_text("tr[data-order-id='3'] .status-badge", "Shipped").await;
        for id in [1, 2, 3] {
            browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
        }
        assert_eq!(browser.text("#selection .count").await, "3 orders selected");
        browser.choose("#selection [name=status]", "delivered").await;
        browser.fill_in("#selection [name=note]", "handed over").await;
        browser.click("#selection button").await;
        for id in [2, 3] {
            browser.wait_for_text(&format!("tr[data-order-id='{id}'] .status-badge"), "Delivered").await;
        }
        browser.until("document.querySelectorAll('#selection-outcome p').length === 2").await;
        let told = "[...document.querySelectorAll('#selection-outcome p')].map(line => line.textContent)";
        let told = browser.script(told).await;
        let why = "ORD-2025-00001 is Pending payment; an order is delivered only when it is paid.";
        assert_eq!(told, json!(["2 orders changed.", why]));
        assert!(!browser.hidden("#selection-outcome").await);
        assert_eq!(browser.text("tr[data-order-id='1'] .status-badge").await, "Shipped");
        let kept = "[...document.querySelectorAll('input[name=order]:checked')].map(box => box.value).join()";
        assert_eq!(browser.script(kept).await, "1:shipped:pending", "what was refused stays selected");
        // so that it can be paid and delivered at once
        browser.choose("#selection [name=payment_status]", "paid").await;
        browser.click("#selection button").await;
        browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Delivered").await;
        browser.wait_for_text("#selection-outcome", "1 order changed.").await;
        assert_eq!(browser.script(kept).await, "");
        assert_eq!(
            history(&ways.database).await,
            json!(["1shippeddeliveredhanded over", "2shippeddeliveredhanded over", "3shippeddeliveredhanded over"])
        );
        browser.close().await;
    }
}

/// Who wrote what into the history.
async fn history(database: &Database) -> Value {
    let entries = "select json_agg(order_id || old_status || new_status || notes order by order_id) from orders_orderstatushistory";
    serde_json::from_str(&database.value(entries).await).unwrap()
}

/// Between two sentences to a screen reader at least this long, in milliseconds.
const SILENCE: f64 = 2_900.0;

#[tokio::test]
async fn a_burst_is_summed_up_for_a_screen_reader() {
    let ways = Ways::new().await;
    ways.database.orders("(1, 1, 'pending', 'paid', 10), (2, 1, 'pending', 'paid', 10)").await;
    let browsers = ways.browsers("ana", REP).await;
    for browser in &browsers {
        browser.listen().await;
    }
    let writer = ways.database.client().await;
    let changes = 40;
    for total in 1..=changes {
        writer.batch_execute(&format!("update orders_order set total_amount = {total} where id = 1")).await.unwrap();
        browsers[0].wait_for_text("tr[data-order-id='1'] [data-text=total_amount]", &format!("₱{total}.00")).await;
    }
    let [stream, poll] = browsers;
    // all of them are told: each by itself, or counted
    let told = "window.said.map(([, text]) => Number(/^(\\d+) changes to your orders/.exec(text)?.[1] ?? text.split(' → ').length - 1))
        .reduce((sum, count) => sum + count, 0)";
    for browser in [stream, poll] {
        browser.until(&format!("{told} === {changes}")).await;
        let said = browser.script("window.said").await;
        let times: Vec<f64> = said.as_array().unwrap().iter().map(|told| told[0].as_f64().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] > SILENCE), "{said}");
        browser.close().await;
    }
}

#[tokio::test]
async fn ages_go_by_the_servers_clock() {
    let ways = Ways::new().await;
    for way in ways.both() {
        let browser = way.browser("ana", REP).await;
        for hours in [-5, 10] {
            ways.database.sql("truncate orders_order cascade").await;
            ways.database.orders("(1, 1, 'processing', 'paid', 1500), (2, 1, 'delivered', 'paid', 20)").await;
            ways.database
                .sql(
                    "update orders_order set created_at = now() - interval '5 minutes' where id = 2;
                     insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status,
                         notes, changed_by_id, changed_at)
                     values (1, 'pending', 'processing', 'paid', 'paid', '', 3, now() - interval '3 hours 20 minutes')",
                )
                .await;
            let source = format!("{{ const now = Date.now; Date.now = () => now.call(Date) + {hours} * 3_600_000; }}");
            browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await;
            way.open(&browser, REP).await;
            browser.wait_for_text("tr[data-order-id='1'] .in-status", "for 3 h").await;
            browser.wait_for_text("tr[data-order-id='2'] .age", "5 min ago").await;
        }
        browser.close().await;
    }
}
