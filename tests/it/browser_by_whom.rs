//! Who is said to have made a change, where the application writes it down a moment later; and what is one piece of news.

use serde_json::json;

use crate::harness::browser::Browser;
use crate::harness::database::{Database, order_sql};
use crate::harness::scene::Scene;

/// Takes note of every toast as it comes, and of all that a screen reader is told.
const NOTE: &str = "(() => {
    window.toasted = [];
    window.said = [];
    new MutationObserver((records) => records.forEach(({ addedNodes }) =>
        addedNodes.forEach((toast) => window.toasted.push(toast.querySelector('a').textContent))))
        .observe(document.getElementById('toasts'), { childList: true });
    const region = document.getElementById('live-region');
    new MutationObserver(() => window.said.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true });
    return true;
})()";

/// Toasts stay until they are dismissed.
const STAY: &str =
    "(() => { const real = setTimeout; setTimeout = (f, ms) => ms === 6_000 ? 0 : real(f, ms); return true; })()";

const TOASTS: &str = "[...document.querySelectorAll('.toast a')].map(({ textContent }) => textContent)";

const ENTRIES: &str =
    "[...document.querySelectorAll('.bell-panel li')].map((entry) => [entry.querySelector('.number').textContent,
    entry.querySelector('[data-text=\"what\"]').textContent, entry.hasAttribute('data-unread')])";

/// The history's row of a change.
fn wrote(order: i64, user: i64, was: &str, became: &str) -> String {
    format!(
        "insert into orders_orderstatushistory (order_id, changed_by_id, old_status, new_status, changed_at, old_payment_status,
             new_payment_status, notes) values ({order}, {user}, '{was}', '{became}', now(), 'pending', 'pending', '')"
    )
}

async fn ready(browser: &Browser) {
    browser.knows_what_is_news().await;
    browser.script(NOTE).await;
    browser.script(STAY).await;
}

async fn until_shown(browser: &Browser, toasts: &[&str]) {
    browser.until(&format!("JSON.stringify({TOASTS}) === JSON.stringify({})", json!(toasts))).await;
}

async fn until_unread(browser: &Browser, count: &str) {
    browser.until(&format!("document.title === '{count}My Orders · OnCare Live'")).await;
}

async fn named(database: &Database, client: &str, statement: &str) {
    database.sql(&format!("set application_name = '{client}'; {statement}")).await;
}

#[tokio::test]
async fn a_toast_and_the_bell_are_completed_by_the_name_and_no_role_is_a_person() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    ready(&browser).await;
    let change = "update orders_order set status = 'confirmed' where id = 1";
    named(&database, "", change).await;
    until_shown(&browser, &["ORD-2025-00001: Pending → Confirmed"]).await;
    let at = "(({ x, y }) => [x, y])(document.querySelector('.toast').getBoundingClientRect())";
    browser.until("document.querySelector('.toast').getAnimations().length === 0").await;
    let place = browser.script(at).await;
    named(&database, "", &wrote(1, 3, "pending", "confirmed")).await;
    until_shown(&browser, &["ORD-2025-00001: Pending → Confirmed, by rx"]).await;
    assert_eq!(browser.script("window.toasted").await, json!(["ORD-2025-00001: Pending → Confirmed"]), "one toast");
    assert_eq!(browser.script(at).await, place, "which did not move");
    until_unread(&browser, "(1) ").await;

    // a client that says which it is
    named(&database, "psql", "update orders_order set total_amount = 7 where id = 1").await;
    let totals = "ORD-2025-00001: total ₱1,500.00 → ₱7.00, from psql";
    until_shown(&browser, &[totals, "ORD-2025-00001: Pending → Confirmed, by rx"]).await;
    browser.until("window.said.join(' ').includes('from psql')").await;
    let said = browser.script("window.said.join(' ')").await.as_str().unwrap().to_owned();
    assert_eq!(said.matches("Pending → Confirmed").count(), 1, "said once: {said}");
    assert!(!said.contains("oncare"), "{said}");

    browser.click(".ring").await;
    let expected = json!([
        ["ORD-2025-00001", "total ₱1,500.00 → ₱7.00, from psql", true],
        ["ORD-2025-00001", "Pending → Confirmed, by rx", true]
    ]);
    browser.until(&format!("JSON.stringify({ENTRIES}.slice(0, 2)) === JSON.stringify({expected})")).await;
    // the open panel is completed as well
    named(&database, "", "update orders_order set status = 'shipped' where id = 1").await;
    browser.until(&format!("{ENTRIES}[0][1] === 'Confirmed → Shipped'")).await;
    named(&database, "", &wrote(1, 4, "confirmed", "shipped")).await;
    browser.until(&format!("{ENTRIES}[0][1] === 'Confirmed → Shipped, by boss'")).await;
    browser.close().await;
}

#[tokio::test]
async fn what_the_history_says_was_ones_own_is_no_news() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    ready(&browser).await;
    // as the application writes it, a moment later
    let client = database.client().await;
    client.batch_execute("update orders_order set status = 'confirmed' where id = 1").await.unwrap();
    client.batch_execute(&wrote(1, 1, "pending", "confirmed")).await.unwrap();
    database.sql(&format!("{}; {}", "update orders_order set status = 'shipped' where id = 2", "select 1")).await;
    until_shown(&browser, &["ORD-2025-00002: Processing → Shipped"]).await;
    assert_eq!(browser.script("window.toasted.length").await, 1);
    until_unread(&browser, "(1) ").await;
    browser.script("document.querySelector('.toast .dismiss').click() ?? true").await;

    // and long after that: what was told is taken back
    client.batch_execute("update orders_order set status = 'processing' where id = 1").await.unwrap();
    until_shown(&browser, &["ORD-2025-00001: Confirmed → Processing"]).await;
    until_unread(&browser, "(2) ").await;
    client.batch_execute(&wrote(1, 1, "confirmed", "processing")).await.unwrap();
    until_shown(&browser, &[]).await;
    until_unread(&browser, "(1) ").await;
    browser.goto("/orders/orders/").await;
    until_unread(&browser, "(1) ").await;
    browser.close().await;
}

#[tokio::test]
async fn an_order_that_is_entered_piece_by_piece_is_one_toast_and_one_entry() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    ready(&browser).await;
    let client = database.client().await;
    let entered = order_sql("(11, 1, 'pending', 'pending', 0)")
        .replace("timestamptz '2025-01-01 00:00Z' + make_interval(mins => id::int)", "now()");
    client.batch_execute(&entered).await.unwrap();
    until_shown(&browser, &["ORD-2025-00011: new"]).await;
    for medicine in 1..=5 {
        let item = "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)";
        client.batch_execute(&format!("{item} values (11, {medicine}, 1, 'boxes', 3, 3, '', now())")).await.unwrap();
    }
    client.batch_execute("update orders_order set subtotal = 15, total_amount = 15 where id = 11").await.unwrap();
    client.batch_execute("update orders_order set payment_status = 'failed' where id = 2").await.unwrap();
    until_shown(&browser, &["ORD-2025-00002: payment Paid → Failed", "ORD-2025-00011: new"]).await;
    until_unread(&browser, "(2) ").await;
    let expected =
        json!([["ORD-2025-00002", "payment Paid → Failed", true], ["ORD-2025-00011", "order entered", true]]);
    // as the stream told it, and as the server lists it
    for _ in 0..2 {
        assert_eq!(browser.script("document.querySelectorAll('.bell-panel li').length").await, 0, "closed");
        browser.goto("/orders/orders/").await;
        until_unread(&browser, "(2) ").await;
    }
    browser.click(".ring").await;
    browser.until(&format!("JSON.stringify({ENTRIES}.slice(0, 2)) === JSON.stringify({expected})")).await;
    browser.close().await;
}
