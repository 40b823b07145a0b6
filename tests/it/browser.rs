//! The page in a real Chromium.

use std::time::Instant;

use fantoccini::Locator;
use serde_json::json;

use crate::harness::browser::{AT_ONCE, Browser, NOTICED, STALE};
use crate::harness::database::{Database, order_sql};
use crate::harness::eventually;
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;

async fn some_orders() -> (Database, Service) {
    let database = Database::new().await;
    database
        .orders(
            "(1, 1, 'pending', 'pending', 1500), (2, 1, 'processing', 'paid', 20), (3, 1, 'delivered', 'paid', 1234.5),
        (4, 2, 'pending', 'paid', 9), (5, 1, 'on_hold', 'iou', 1)",
        )
        .await;
    let service = Service::start(&database).await;
    (database, service)
}

#[tokio::test]
async fn the_first_paint_is_complete_without_javascript() {
    let (_database, service) = some_orders().await;
    let browser = Browser::without_javascript(&service.base()).await;
    browser.sign_in_on_page("ana").await;
    for (id, text) in [
        ("stat-total-orders", "4"),
        ("stat-pending-orders", "1"),
        ("stat-processing-orders", "1"),
        ("stat-delivered-orders", "1"),
        ("stat-cancelled-orders", "0"),
        ("stat-total-revenue", "₱1,234.50"),
        ("status-count-pending", "1"),
        ("status-count-confirmed", "0"),
        ("status-count-processing", "1"),
        ("status-count-ready_for_pickup", "0"),
        ("status-count-shipped", "0"),
        ("status-count-delivered", "1"),
        ("status-count-cancelled", "0"),
        ("status-count-returned", "0"),
    ] {
        assert_eq!(browser.text(&format!("#sales-rep-orders-dashboard #{id}")).await, text, "{id}");
    }
    let rows = browser.client.find_all(Locator::Css("#orders-table-tbody tr")).await.unwrap();
    assert_eq!(rows.len(), 4);
    let first = rows[0].text().await.unwrap();
    for part in ["ORD-2025-00001", "Customer 1", "Jan 01, 2025 00:01", "Pending", "₱1,500.00", "View", "Edit", "Cancel"]
    {
        assert!(first.contains(part), "{part} in {first}");
    }
    let second = rows[1].text().await.unwrap();
    assert!(second.contains("View") && !second.contains("Edit") && !second.contains("Cancel"), "{second}");
    assert!(browser.text("noscript").await.contains("JavaScript is off"));
    browser.click("#orders-table-tbody tr .number").await;
    assert_eq!(browser.text("h1").await, "ORD-2025-00001");
    browser.close().await;
}

#[tokio::test]
async fn a_psql_update_shows_at_once_in_the_right_places_and_nowhere_else() {
    let (database, service) = some_orders().await;
    let anas = Browser::live_dashboard(&service.base(), "ana", "").await;
    let bens = Browser::live_dashboard(&service.base(), "ben", "").await;
    let bens_page = bens.script("document.getElementById('orders-list').textContent").await;
    let first_line = "document.querySelector('#orders-table-tbody tr')";
    assert_eq!(anas.script(&format!("{first_line}.dataset.orderId")).await, "1");

    anas.listen().await;
    let began = Instant::now();
    database
        .sql("update orders_order set status = 'delivered', payment_status = 'paid', total_amount = 1600 where id = 1")
        .await;
    anas.wait_for_text("tr[data-order-id='1'] .status-badge", "Delivered").await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    for (css, text) in [
        ("#stat-total-orders", "4"),
        ("#stat-pending-orders", "0"),
        ("#stat-delivered-orders", "2"),
        ("#stat-total-revenue", "₱2,834.50"),
        ("#status-count-pending", "0"),
        ("#status-count-delivered", "2"),
        ("tr[data-order-id='1'] .payment-badge", "Paid"),
        ("tr[data-order-id='1'] [data-text=total_amount]", "₱1,600.00"),
    ] {
        anas.wait_for_text(css, text).await;
    }
    // the row stays where it is; its buttons go
    assert_eq!(anas.script(&format!("{first_line}.dataset.orderId")).await, "1");
    for action in ["edit", "cancel"] {
        let link =
            anas.client.find(Locator::Css(&format!("tr[data-order-id='1'] a[href$='{action}/']"))).await.unwrap();
        assert!(!link.is_displayed().await.unwrap(), "{action}");
    }
    anas.until_said("ORD-2025-00001: Pending → Delivered").await;
    assert_eq!(anas.text("#list-notice").await, "1 order moved · Update");

    // the sentinel: what comes for ben comes after what was for ana
    database.sql("update orders_order set payment_status = 'failed' where id = 4").await;
    bens.wait_for_text("tr[data-order-id='4'] .payment-badge", "Failed").await;
    let expected = bens_page.as_str().unwrap().replace("Paid", "Failed");
    assert_eq!(bens.script("document.getElementById('orders-list').textContent").await, expected);
    assert_eq!(bens.text("#stat-delivered-orders").await, "0");
    anas.close().await;
    bens.close().await;
}

#[tokio::test]
async fn filter_and_page_are_kept_and_rows_stay_until_asked_for() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=30).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "?status=pending&date_from=2025-01-01").await;
    let ids = "[...document.querySelectorAll('#orders-table-tbody tr')].map(tr => tr.dataset.orderId).join()";
    let before = browser.script(ids).await;
    browser.script("window.scrollTo(0, 300) ?? true").await;
    browser.script("document.querySelector('tr[data-order-id=\"20\"] .number').focus() ?? true").await;

    database
        .orders("(31, 1, 'pending', 'paid', 1), (32, 1, 'pending', 'paid', 1), (33, 1, 'shipped', 'paid', 1)")
        .await;
    database.sql("update orders_order set status = 'shipped' where id = 25").await;
    // of another page: no news here
    database.sql("update orders_order set payment_status = 'failed' where id = 2").await;
    browser.wait_for_text("#list-notice", "2 orders entered and 1 no longer matches · Update").await;
    browser.wait_for_text("tr[data-order-id='25'] .status-badge", "Shipped").await;
    assert_eq!(browser.script(ids).await, before, "nothing moved");
    assert_eq!(browser.script("window.scrollY").await, 300);
    assert_eq!(browser.script("document.activeElement.textContent").await, "ORD-2025-00020");

    browser.script("window.before = true").await;
    browser.click("#list-notice").await;
    browser.until("document.querySelector('#orders-table-tbody tr').dataset.orderId === '32'").await;
    assert_eq!(browser.script("window.before").await, true, "the page was not loaded anew");
    assert_eq!(browser.client.current_url().await.unwrap().query(), Some("status=pending&date_from=2025-01-01"));
    browser.until("document.getElementById('list-notice').hidden").await;
    browser.state("live").await;
    database.sql("update orders_order set status = 'confirmed' where id = 32").await;
    browser.wait_for_text("tr[data-order-id='32'] .status-badge", "Confirmed").await;

    // clear of the toasts, which leave room under the list for that
    browser.script("window.scrollTo(0, document.documentElement.scrollHeight) ?? true").await;
    browser.click("a[rel=next]").await;
    browser.until("location.search === '?status=pending&date_from=2025-01-01&page=2'").await;
    browser.state("live").await;
    assert_eq!(browser.text(".paging .range").await, "21–30 of 30");
    browser.close().await;
}

#[tokio::test]
async fn an_order_that_goes_is_marked_and_stays_in_its_place() {
    let (database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    database.sql("update orders_order set sales_rep_id = 2 where id = 2").await;
    browser.until("document.querySelector('tr[data-order-id=\"2\"]').hasAttribute('data-removed')").await;
    assert_eq!(browser.text("tr[data-order-id='2'] .status-badge").await, "No longer yours");
    browser.wait_for_text("#list-notice", "1 order no longer matches · Update").await;
    browser.wait_for_text("#stat-total-orders", "3").await;
    database.sql("truncate orders_order cascade").await;
    browser.until("document.querySelectorAll('tr[data-removed]').length === 4").await;
    browser.wait_for_text("#stat-total-revenue", "₱0.00").await;
    browser.close().await;
}

#[tokio::test]
async fn polling_takes_over_while_the_stream_is_blocked_and_ends_when_it_is_back() {
    let (database, service) = some_orders().await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    proxy.block_streams();
    let began = Instant::now();
    browser.state("polling").await;
    assert!(began.elapsed() < NOTICED);
    assert_eq!(browser.text("#live-badge .word").await, "Polling every 5 s");
    database.sql("update orders_order set status = 'confirmed', customer_name = 'Polled' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    browser.wait_for_text("tr[data-order-id='1'] [data-cell=customer]", "Polled").await;
    browser.wait_for_text("#stat-pending-orders", "0").await;
    proxy.unblock();
    browser.state("live").await;
    let polls = "performance.getEntriesByType('resource').filter(e => e.name.includes('dashboard/?')).length";
    let after = browser.script(polls).await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    assert_eq!(browser.script(polls).await, after, "no more polls");
    browser.close().await;
}

#[tokio::test]
async fn a_late_poll_answer_never_overwrites_a_newer_stream_event() {
    let (database, service) = some_orders().await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    let record =
        "(() => { window.seen = []; const badge = document.querySelector('tr[data-order-id=\"1\"] .status-badge');
        new MutationObserver(() => window.seen.push(badge.textContent)).observe(badge, { childList: true });
        return true; })()";
    browser.script(record).await;
    // an answer that says \"pending\" is on its way when the stream comes back and says \"shipped\"
    proxy.hold_answers();
    proxy.block_streams();
    eventually("an answer is held back", async || (proxy.held_answers() > 0).then_some(())).await;
    proxy.unblock();
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    // its state is on the page, the rows are not
    browser.wait_for_text("#stat-pending-orders", "0").await;
    browser.wait_for_text("#status-count-confirmed", "1").await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    // rows are not known yet, and no longer than a moment is it taken for one
    browser.until("document.getElementById('live-badge').dataset.state !== 'live'").await;
    proxy.release_answers();
    browser.state("live").await;
    let went_back = browser.script("window.seen.at(-1) !== 'Shipped' || window.seen.includes('Pending')").await;
    assert_eq!(went_back, false);
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_reaches_nobody_says_since_when_and_recovers() {
    let (database, service) = some_orders().await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    proxy.block_everything();
    let began = Instant::now();
    browser.state("stale").await;
    assert!(began.elapsed() < STALE);
    assert!(browser.text("#live-badge .word").await.starts_with("Stale since "));
    // who has scrolled down sees it as well, and nothing covers it
    browser.resize(390).await;
    browser.script("scrollTo(0, document.body.scrollHeight) ?? true").await;
    browser.until("scrollY > 100").await;
    let in_sight = "(() => {
        const badge = document.querySelector('#live-badge');
        const { left, top } = badge.getBoundingClientRect();
        return badge.contains(document.elementFromPoint(left + 20, top + 10));
    })()";
    assert_eq!(browser.script(in_sight).await, true);
    assert_eq!(
        browser.script("document.getElementById('sales-rep-orders-dashboard').hasAttribute('data-stale')").await,
        true
    );
    database.sql("update orders_order set status = 'cancelled' where id = 1").await;
    proxy.unblock();
    // the page may be quicker to recover by itself, and take the button away
    browser.script("document.querySelector('#live-badge button').click() ?? true").await;
    browser.state("live").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Cancelled").await;
    assert_eq!(
        browser.script("document.getElementById('sales-rep-orders-dashboard').hasAttribute('data-stale')").await,
        false
    );
    browser.close().await;
}

#[tokio::test]
async fn the_database_away_under_an_open_page() {
    let (database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    let away = database.take_away().await;
    browser.state("stale").await;
    let since = browser.text("#live-badge .word").await;
    let count = "(window.polls = 0, window.read = fetch, window.fetch = (...a) => { window.polls += 1; return window.read(...a); }, true)";
    browser.script(count).await;
    // the second begins after the first has failed
    browser.until("window.polls === 2").await;
    assert_eq!(browser.text("#live-badge .word").await, since, "the time does not creep forward");
    away.give_back().await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    browser.state("live").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_never_shows_the_orders_of_whoever_signs_in_next() {
    let (database, service) = some_orders().await;
    let proxy = Proxy::start(service.web).await;
    let base = format!("http://{}", proxy.address);
    let browser = Browser::live_dashboard(&base, "ana", "").await;
    // the network is away while ben signs in, so that the page hears nothing of the end of ana's session
    proxy.block_everything();
    browser.state("stale").await;
    let bens = service.anonymous().try_sign_in("ben", crate::harness::database::PASSWORD).await;
    let cookie = bens.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (name, value) = cookie.split_once('=').unwrap();
    let cookie = json!({ "name": name, "value": value, "url": base, "httpOnly": true });
    browser.devtools("Network.setCookie", cookie).await;
    proxy.unblock();
    // the page may be quicker to recover by itself, and take the button away
    browser.script("document.querySelector('#live-badge button').click() ?? true").await;
    browser.state("signed_out").await;
    assert_eq!(browser.script("document.getElementById('stat-total-orders').textContent").await, "4");
    database.sql("update orders_order set status = 'confirmed' where id = 4").await;
    assert_eq!(browser.script("document.querySelector('tr[data-order-id=\"4\"]')").await, json!(null));
    browser.close().await;
}

#[tokio::test]
async fn what_the_notice_counts_does_not_depend_on_how_it_was_learned() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=30).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    let service = Service::start(&database).await;
    let proxy = Proxy::start(service.web).await;
    let base = format!("http://{}", proxy.address);
    let streaming = Browser::live_dashboard(&base, "ana", "").await;
    let second = Browser::live_dashboard(&base, "ana", "?page=2").await;
    database.orders("(31, 1, 'pending', 'paid', 1)").await;
    // its items come in a transaction of their own
    database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
        prescription_notes, created_at) values (31, 1, 1, 'boxes', 1, 1, '', now())",
        )
        .await;
    database.sql("update orders_order set status = 'delivered' where id = 20").await;
    streaming.wait_for_text("tr[data-order-id='20'] .status-badge", "Delivered").await;
    streaming.wait_for_text("#list-notice", "1 order entered and 1 moved · Update").await;
    // delivered orders come last
    second.wait_for_text("#list-notice", "1 order entered · Update").await;
    proxy.block_streams();
    for browser in [&streaming, &second] {
        browser.state("polling").await;
    }
    assert_eq!(streaming.text("#list-notice").await, "1 order entered and 1 moved · Update");
    assert_eq!(second.text("#list-notice").await, "1 order entered · Update");
    for browser in [streaming, second] {
        browser.close().await;
    }
}

#[tokio::test]
async fn the_server_restarted_under_an_open_page() {
    let (database, service) = some_orders().await;
    let (web, base) = (service.web.to_string(), service.base());
    let browser = Browser::live_dashboard(&base, "ana", "").await;
    service.stop().await;
    browser.until("document.getElementById('live-badge').dataset.state !== 'live'").await;
    database.sql("update orders_order set status = 'confirmed', customer_name = 'Meanwhile' where id = 1").await;
    let service = Service::start_with(&database, &["--listen", &web]).await;
    browser.state("live").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    browser.wait_for_text("tr[data-order-id='1'] [data-cell=customer]", "Meanwhile").await;
    assert_eq!(browser.text("#away-line").await, "While you were away: 1 change");
    browser.click("#away-line").await;
    assert_eq!(away_list(&browser).await, ["ORD-2025-00001 Pending → Confirmed, customer Customer 1 → Meanwhile"]);
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    drop(service);
    browser.close().await;
}

/// The changes of the list of what was missed: each order and what happened to it.
async fn away_list(browser: &Browser) -> Vec<String> {
    let items = "[...document.querySelectorAll('#away-list li')].map(li =>
        `${li.querySelector('[data-text=order]').textContent} ${li.querySelector('[data-text=what]').textContent}`)";
    let items = browser.script(items).await;
    items.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Statements of somebody with a name.
fn by(name: &str, statements: &str) -> String {
    format!("select set_config('app.user', '{name}', false); {statements}")
}

#[tokio::test]
async fn what_happened_while_the_page_was_away_is_one_line_and_each_change_a_click_away() {
    let (database, service) = some_orders().await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    assert!(browser.hidden("#away").await, "it was never away");
    let table = "document.getElementById('orders-list').getBoundingClientRect().top";
    let top = browser.script(table).await;
    browser.listen().await;
    proxy.block_streams();
    browser.state("polling").await;
    database.sql(&by("rx", "update orders_order set status = 'confirmed', payment_status = 'paid' where id = 1")).await;
    database.sql(&by("boss", "update orders_order set sales_rep_id = 2 where id = 2")).await;
    database.sql(&by("rx", "update orders_order set status = 'shipped' where id = 4")).await;
    database.sql(&by("eve", &order_sql("(6, 1, 'pending', 'paid', 1)"))).await;
    proxy.unblock();
    browser.state("live").await;
    browser.wait_for_text("#away-line", "While you were away: 3 changes").await;
    browser.until_said("While you were away: 3 changes.").await;
    assert!(browser.hidden("#away-panel").await);
    browser.click("#away-line").await;
    assert!(!browser.hidden("#away-panel").await);
    let first_three = [
        "ORD-2025-00006 new, by eve",
        "ORD-2025-00002 no longer yours, by boss",
        "ORD-2025-00001 Pending → Confirmed, payment Pending → Paid, by rx",
    ];
    assert_eq!(away_list(&browser).await, first_three);
    let links = "[...document.querySelectorAll('#away-list a')].map(a => a.getAttribute('href'))";
    assert_eq!(browser.script(links).await, json!(["/orders/orders/6/", null, "/orders/orders/1/"]));
    assert_eq!(browser.text("#away-list li:last-child time").await, "just now");
    assert_eq!(browser.script(table).await, top, "the table stays where it is");

    // a second absence adds to the first
    proxy.block_streams();
    browser.state("polling").await;
    database.sql(&by("rx", "update orders_order set total_amount = 7 where id = 5")).await;
    proxy.unblock();
    browser.state("live").await;
    browser.wait_for_text("#away-line", "While you were away: 4 changes").await;
    assert!(!browser.hidden("#away-panel").await, "it stays open");
    let mut all = vec!["ORD-2025-00005 total ₱1.00 → ₱7.00, by rx"];
    all.extend(first_three);
    assert_eq!(away_list(&browser).await, all);
    for width in [390, 1280] {
        browser.resize(width).await;
        let inside = "['#away', '#away-panel', '#list-notice'].map(css => document.querySelector(css).getBoundingClientRect())
            .every(box => box.left >= 0 && box.right <= innerWidth) && document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.script(inside).await, true, "at {width}");
    }
    browser.click("#away .dismiss").await;
    assert!(browser.hidden("#away").await);
    assert_eq!(browser.script(table).await, top, "the table stays where it is");
    assert_eq!(browser.script("document.activeElement.id").await, "orders-list");

    // what is told while it is there is not what it missed, nor is what was dismissed
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    proxy.block_streams();
    browser.state("polling").await;
    database.sql(&by("rx", "update orders_order set status = 'returned' where id = 3")).await;
    proxy.unblock();
    browser.wait_for_text("#away-line", "While you were away: 1 change").await;
    assert_eq!(away_list(&browser).await, ["ORD-2025-00003 Delivered → Returned, by rx"]);
    browser.close().await;
}

#[tokio::test]
async fn more_than_can_be_listed_is_said_and_what_is_listed_is_bounded() {
    let database = Database::new().await;
    let orders = |ids: std::ops::RangeInclusive<i64>| {
        ids.map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect::<Vec<_>>().join(", ")
    };
    database.orders(&orders(1..=3)).await;
    let service = Service::start(&database).await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    for (ids, words) in [
        (11..=80, "While you were away: 70 changes"),
        (81..=150, "While you were away: 140 changes"),
        (151..=300, "While you were away: maybe more than can be listed"),
    ] {
        proxy.block_streams();
        browser.state("polling").await;
        database.orders(&orders(ids)).await;
        proxy.unblock();
        browser.state("live").await;
        browser.wait_for_text("#away-line", words).await;
        if words.contains("140") {
            assert_eq!(
                browser.script("document.querySelector('#away [data-text=older]').textContent").await,
                "and 40 changes before"
            );
        }
    }
    // beside the other notice, in the place that both have
    for width in [390, 640, 1280] {
        browser.resize(width).await;
        let inside = "['#away', '#list-notice'].map(css => document.querySelector(css).getBoundingClientRect())
            .every(box => box.left >= 0 && box.right <= innerWidth && box.height > 0 && box.height <= 40)";
        assert_eq!(browser.script(inside).await, true, "at {width}");
    }
    let list = away_list(&browser).await;
    assert_eq!((list.len(), list[0].as_str()), (100, "ORD-2025-00150 new"));
    assert_eq!(browser.script("document.getElementById('stat-total-orders').textContent").await, "293");
    browser.close().await;
}

#[tokio::test]
async fn another_instance_tells_what_was_missed_of_the_first() {
    let (database, first) = some_orders().await;
    let second = Service::start(&database).await;
    let proxy = Proxy::start(first.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    proxy.block_everything();
    proxy.lead_to(second.web);
    database.sql(&by("rx", "update orders_order set status = 'shipped' where id in (1, 4)")).await;
    first.stop().await;
    proxy.unblock();
    browser.state("live").await;
    browser.wait_for_text("#away-line", "While you were away: 1 change").await;
    assert_eq!(away_list(&browser).await, ["ORD-2025-00001 Confirmed → Shipped, by rx"]);
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    database.sql("update orders_order set status = 'delivered' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Delivered").await;
    browser.close().await;
}

#[tokio::test]
async fn a_lost_session_is_said_with_the_way_back() {
    let (database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "?status=pending").await;
    database.sql("delete from live.session").await;
    let began = Instant::now();
    browser.state("signed_out").await;
    assert!(began.elapsed() < NOTICED);
    assert_eq!(browser.text("#live-badge .word").await, "Signed out");
    database.sql("update orders_order set status = 'pending' where id = 2").await;
    browser.click("#live-badge a").await;
    browser.until("location.search.includes('next=%2Forders%2Forders%2F%3Fstatus%3Dpending')").await;
    browser.fill_in_login("ana").await;
    browser.state("live").await;
    assert_eq!(browser.script("location.search").await, "?status=pending");
    browser.wait_for_text("#stat-pending-orders", "2").await;
    browser.close().await;
}

#[tokio::test]
async fn nothing_flashes_where_less_motion_is_wanted() {
    let (database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    // it is marked, and the mark fades
    let marks = "(cell => Number(cell.matches('[data-changed]')) + cell.getAnimations().length)(\
        document.querySelector('tr[data-order-id=\"1\"] [data-cell=status]'))";
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    assert_eq!(browser.script(marks).await, 1);
    browser.until(&format!("{marks} === 0")).await;
    let reduced = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser.devtools("Emulation.setEmulatedMedia", reduced).await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    assert_eq!(browser.script(marks).await, 0);
    browser.close().await;
}

#[tokio::test]
async fn it_fits_a_phone_a_tablet_and_a_desktop() {
    let (_database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    for path in ["/orders/orders/", "/orders/orders/1/", "/orders/orders/1/edit/", "/orders/orders/1/cancel/"] {
        browser.goto(path).await;
        for width in [390, 768, 1440] {
            browser.resize(width).await;
            let fits = browser.script("document.documentElement.scrollWidth <= innerWidth").await;
            assert_eq!(fits, true, "{path} at {width}");
        }
    }
    browser.close().await;
}
