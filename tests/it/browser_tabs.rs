//! Many tabs of one browser: they share one stream, and whatever becomes of the tab that has it, the others are not live over
//! old data and lose nothing.

use std::time::{Duration, Instant};

use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};

use crate::harness::browser::{AT_ONCE, Browser, NOTICED};
use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;

const OPEN: &str = "oncare_live_streams_open{role=\"sales_rep\"}";

/// How often the page in front has read its rows.
const READS: &str = "performance.getEntriesByType('resource').filter(e => e.name.includes('dashboard/?')).length";

struct Scene {
    database: Database,
    service: Service,
    proxy: Proxy,
    browser: Browser,
    /// The first one has the stream.
    tabs: Vec<WindowHandle>,
}

impl Scene {
    /// So many tabs of ana's, all live.
    async fn new(tabs: usize) -> Self {
        let database = Database::new().await;
        database.orders("(1, 1, 'pending', 'pending', 1500), (2, 1, 'processing', 'paid', 20), (3, 2, 'pending', 'paid', 9)").await;
        let service = Service::start(&database).await;
        let proxy = Proxy::start(service.web).await;
        let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
        let first = browser.client.window().await.unwrap();
        let mut scene = Self { database, service, proxy, browser, tabs: vec![first] };
        for _ in 1..tabs {
            scene.open().await;
            scene.browser.state("live").await;
        }
        scene
    }

    /// Opens one more tab, and has it in front.
    async fn open(&mut self) {
        let tab = self.browser.client.new_window(true).await.unwrap().handle;
        self.tabs.push(tab);
        self.front(self.tabs.len() - 1).await;
        self.browser.goto("/orders/orders/").await;
    }

    async fn front(&self, tab: usize) {
        self.browser.client.switch_to_window(self.tabs[tab].clone()).await.unwrap();
    }

    /// Closes the tab in front.
    async fn close(&mut self, tab: usize) {
        self.front(tab).await;
        self.browser.client.close_window().await.unwrap();
        self.tabs.remove(tab);
        self.front(0).await;
    }

    async fn change(&self, status: &str) {
        self.database.sql(&format!("update orders_order set status = '{status}' where id = 1")).await;
    }

    /// Waits until some tabs are live and show the order in that status.
    async fn live_with(&self, tabs: impl Iterator<Item = usize>, status: &str) {
        for tab in tabs {
            self.front(tab).await;
            self.browser.wait_for_text("tr[data-order-id='1'] .status-badge", status).await;
            self.browser.state("live").await;
        }
    }

    async fn one_stream(&self) {
        eventually("there is one stream", async || (self.service.metric(OPEN).await == 1.0).then_some(())).await;
    }

    /// How many pages have, or wait for, the lead.
    async fn leads(&self) -> (u64, u64) {
        let script = "const [done] = arguments; navigator.locks.query().then(({ held, pending }) => done([held.length, pending.length]))";
        let counts = self.browser.client.execute_async(script, vec![]).await.unwrap();
        (counts[0].as_u64().unwrap(), counts[1].as_u64().unwrap())
    }

    async fn lifecycle(&self, state: &str) {
        self.browser.devtools("Page.setWebLifecycleState", json!({ "state": state })).await;
    }
}

#[tokio::test]
async fn twelve_tabs_are_live_with_one_stream() {
    let scene = Scene::new(12).await;
    assert_eq!(scene.service.metric(OPEN).await, 1.0);
    scene.change("confirmed").await;
    let began = Instant::now();
    scene.browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    scene.live_with(0..12, "Confirmed").await;
    for tab in 0..12 {
        scene.front(tab).await;
        assert_eq!(scene.browser.script(READS).await, 0, "tab {tab} needs no read");
        assert!(scene.browser.hidden("#away").await, "nobody was away");
        scene.browser.wait_for_text("#stat-pending-orders", "0").await;
    }
    assert_eq!(scene.leads().await, (1, 11));
    assert_eq!(scene.service.metric(OPEN).await, 1.0);
    scene.browser.close().await;
}
