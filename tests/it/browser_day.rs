//! A whole day on one page: what it keeps does not grow with what it was told.

use serde_json::json;
use tokio_postgres::Client;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::service::Service;

/// As many rows as a list can have.
const ROWS: usize = 100;

/// Changes between two looks at the page, which then shows the last of them.
const LOOK: usize = 500;

/// Counts what comes over the page's streams.
const COUNT: &str = "window.patches = 0; window.EventSource = class extends EventSource {
    constructor(...of) { super(...of); this.addEventListener('patch', () => { window.patches += 1; }); }
}";

/// The longest task since this was called last, in milliseconds, and how many are longer than 50, which Chromium counts as long.
const LONG_TASKS: &str = "(() => {
    window.longest = window.long = 0;
    new PerformanceObserver((list) => {
        window.long += list.getEntries().length;
        for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask' });
    return true;
})()";

/// A pharmacist's list of a hundred rows that all change.
struct Day {
    _database: Database,
    _service: Service,
    browser: Browser,
    writer: Client,
    changes: usize,
}

/// What Chromium says of the page, after it has collected what is not used any more.
#[derive(Debug, Clone, Copy)]
struct Kept {
    heap: f64,
    nodes: f64,
    listeners: f64,
}

impl Day {
    async fn begin() -> Self {
        let database = Database::new().await;
        let service = Service::start(&database).await;
        let orders = |ids: std::ops::Range<usize>| {
            ids.map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect::<Vec<_>>().join(", ")
        };
        database.orders(&orders(1..21)).await;
        let browser = Browser::open(&service.base()).await;
        browser.sign_in("rx").await;
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": COUNT })).await;
        browser.devtools("Performance.enable", json!({})).await;
        browser.goto("/orders/pharmacist/orders/").await;
        browser.state("live").await;
        for first in (21..ROWS + 1).step_by(10) {
            database.orders(&orders(first..first + 10)).await;
            let shown = format!("document.querySelectorAll('#orders-table-tbody tr').length === {}", first + 9);
            browser.until(&shown).await;
        }
        let writer = database.client().await;
        Self { _database: database, _service: service, browser, writer, changes: 0 }
    }

    /// Changes one order after another, each in a transaction of its own.
    async fn change(&mut self, changes: usize, pause: std::time::Duration) {
        let mut ticks = tokio::time::interval(pause.max(std::time::Duration::from_micros(1)));
        for _ in 0..changes {
            if !pause.is_zero() {
                ticks.tick().await;
            }
            self.changes += 1;
            let (order, total) = (1 + self.changes * 37 % ROWS, self.changes);
            let status = ["pending", "confirmed", "processing"][self.changes % 3];
            let change =
                format!("update orders_order set total_amount = {total}, status = '{status}' where id = {order}");
            self.writer.batch_execute(&change).await.unwrap();
            if self.changes.is_multiple_of(LOOK) {
                self.is_shown().await;
            }
        }
        self.is_shown().await;
    }

    /// Waits until the page shows the last change.
    async fn is_shown(&self) {
        let order = 1 + self.changes * 37 % ROWS;
        let total =
            format!("document.querySelector('tr[data-order-id=\"{order}\"] [data-text=total_amount]').textContent");
        self.browser.until(&format!("{total}.replace(/\\D/g, '') === '{}00'", self.changes)).await;
    }

    async fn kept(&self) -> Kept {
        for _ in 0..3 {
            self.browser.devtools("HeapProfiler.collectGarbage", json!({})).await;
        }
        let metrics = self.browser.devtools("Performance.getMetrics", json!({})).await;
        let metric = |name: &str| {
            let metrics = metrics["metrics"].as_array().unwrap();
            metrics.iter().find(|metric| metric["name"] == name).and_then(|metric| metric["value"].as_f64()).unwrap()
        };
        Kept { heap: metric("JSHeapUsedSize"), nodes: metric("Nodes"), listeners: metric("JSEventListeners") }
    }

    async fn patches(&self) -> usize {
        self.browser.script("window.patches").await.as_u64().unwrap().try_into().unwrap()
    }
}

/// Later than `before` by so many patches, of which none may have left anything.
fn has_not_grown(before: Kept, after: Kept) {
    let more = |one: f64, other: f64| other - one;
    assert!(more(before.heap, after.heap) < 1_000_000.0, "the heap grew: {before:?}, {after:?}");
    assert!(more(before.nodes, after.nodes) < 500.0, "nodes are left: {before:?}, {after:?}");
    assert!(more(before.listeners, after.listeners) < 50.0, "listeners are left: {before:?}, {after:?}");
}

#[tokio::test]
async fn thousands_of_patches_leave_nothing_in_memory() {
    let mut day = Day::begin().await;
    day.change(1_000, std::time::Duration::ZERO).await;
    let (before, told) = (day.kept().await, day.patches().await);
    day.change(2_000, std::time::Duration::ZERO).await;
    let patches = day.patches().await - told;
    assert!(patches > 200, "they came as patches: {patches}");
    has_not_grown(before, day.kept().await);
    day.browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it with `make latency`"]
async fn a_hundred_thousand_patches_and_no_long_task() {
    let mut day = Day::begin().await;
    day.browser.script(LONG_TASKS).await;
    day.change(3_000, std::time::Duration::from_millis(20)).await;
    let [longest, long] = ["window.longest", "window.long"].map(|of| day.browser.script(of));
    let (longest, long) = (longest.await.as_f64().unwrap(), long.await);
    println!("50 changes a second for a minute, 100 rows: {long} tasks over 50 ms, the longest {longest:.0} ms");
    day.change(17_000, std::time::Duration::ZERO).await;
    let (before, told) = (day.kept().await, day.patches().await);
    day.change(80_000, std::time::Duration::ZERO).await;
    let after = day.kept().await;
    println!("after {told} patches {before:?}, after {} {after:?}", day.patches().await);
    has_not_grown(before, after);
    day.browser.close().await;
}
