//! Measurements, not tests: how long a change takes from its commit to the DOM, and a page to open. `make latency` runs them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::service::Service;

const UPDATES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Notes when the total of order 1 changes, in milliseconds since 1970.
const OBSERVER: &str = "(() => {
    window.seen = {};
    const total = document.querySelector('tr[data-order-id=\"1\"] [data-text=total_amount]');
    new MutationObserver(() => { window.seen[total.textContent] = performance.timeOrigin + performance.now(); })
        .observe(total, { childList: true, characterData: true, subtree: true });
    return true;
})()";

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it with `make latency`"]
async fn commit_to_dom() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=2_000).map(|id| format!("({id}, {}, 'pending', 'paid', 1)", 1 + id % 2)).collect();
    database.orders(&orders.join(", ")).await;
    database.sql("update orders_order set sales_rep_id = 1, created_at = '2026-01-01' where id = 1").await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    assert_eq!(browser.script(OBSERVER).await, true);
    let writer = database.client().await;
    let (mut sent, mut acknowledged) = (Vec::new(), Vec::new());
    let mut ticks = tokio::time::interval(PAUSE);
    for update in 0..UPDATES {
        ticks.tick().await;
        sent.push(now());
        let statement = format!("update orders_order set total_amount = {}.25 where id = 1", 100 + update);
        writer.batch_execute(&statement).await.unwrap();
        acknowledged.push(now());
    }
    browser.wait_for_text("tr[data-order-id='1'] [data-text=total_amount]", &format!("₱{}.25", 99 + UPDATES)).await;
    let seen = browser.script("window.seen").await;
    let at = |update: usize| seen[format!("₱{}.25", 100 + update)].as_f64();
    let missing = (0..UPDATES).filter(|update| at(*update).is_none()).count();
    for (name, starts) in [("statement sent", &sent), ("commit acknowledged", &acknowledged)] {
        let mut latencies: Vec<f64> = (0..UPDATES).filter_map(|update| Some(at(update)? - starts[update])).collect();
        latencies.sort_by(f64::total_cmp);
        let quantile = |q: f64| latencies[((latencies.len() - 1) as f64 * q).round() as usize];
        println!(
            "{name} → DOM: median {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} updates, {missing} not seen one by one)",
            quantile(0.5),
            quantile(0.99),
            quantile(1.0),
            latencies.len(),
        );
    }
    assert_ne!(seen, Value::Null);
    browser.close().await;
}

const PAGE_LOADS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it with `make latency`"]
async fn a_page_opens_as_fast_for_many_orders() {
    let database = Database::new().await;
    let orders = |ids: std::ops::Range<i64>, rep: i64| {
        let order =
            |id| format!("({id}, {rep}, '{}', 'paid', {id})", ["pending", "delivered"][usize::from(id % 9 > 0)]);
        ids.map(order).collect::<Vec<_>>().join(", ")
    };
    database.orders(&orders(1..101, 1)).await;
    database.orders(&orders(101..100_101, 2)).await;
    database.store().rebuild_statistics().await.unwrap();
    database.sql("vacuum analyze orders_order").await;
    let service = Service::start(&database).await;
    let ana = Browser::live_dashboard(&service.base(), "ana", "").await;
    let ben = Browser::live_dashboard(&service.base(), "ben", "").await;
    let mut taken = [Vec::new(), Vec::new()];
    for _ in 0..PAGE_LOADS {
        for (browser, taken) in [&ana, &ben].into_iter().zip(&mut taken) {
            browser.goto("/orders/orders/").await;
            browser.state("live").await;
            browser.until("performance.getEntriesByName('first-contentful-paint').length === 1").await;
            let times = browser.script(OPENED).await;
            taken.push([0, 1].map(|place| times[place].as_f64().unwrap()));
        }
    }
    for (orders, mut taken) in ["100", "100,000"].into_iter().zip(taken) {
        for (place, what) in ["answered", "painted"].into_iter().enumerate() {
            taken.sort_by(|one, other| one[place].total_cmp(&other[place]));
            let (median, p95) = (taken[PAGE_LOADS / 2][place], taken[PAGE_LOADS * 95 / 100][place]);
            println!("{orders} orders, {what}: median {median:.1} ms, p95 {p95:.1} ms");
        }
    }
    ana.close().await;
    ben.close().await;
}

/// From the beginning of the navigation to the last byte of the page, and to its first paint, in milliseconds.
const OPENED: &str = "[performance.getEntriesByType('navigation')[0].responseEnd,
    performance.getEntriesByName('first-contentful-paint')[0].startTime]";
