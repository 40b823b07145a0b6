//! A measurement, not a test: how long a change takes from its commit to the DOM. `make latency` runs it.

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
