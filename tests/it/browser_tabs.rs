//! Many tabs of one browser: they share one stream, and whatever becomes of the tab that has it, the others are not live over
//! old data and lose nothing.

use std::time::{Duration, Instant};

use fantoccini::wd::WindowHandle;
use serde_json::json;

use crate::harness::browser::{AT_ONCE, Browser, NOTICED};
use crate::harness::database::Database;
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;
use crate::harness::{eventually, scene};

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
        let scene::Scene { database, service, proxy, browser } = scene::Scene::of_tabs().await;
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

    /// Has tabs take note of what their badge says.
    async fn record(&self, tabs: impl Iterator<Item = usize>) {
        let script = "(window.states = [], new MutationObserver(() => window.states.push(document.getElementById('live-badge').dataset.state))
            .observe(document.getElementById('live-badge'), { attributes: true }), true)";
        for tab in tabs {
            self.front(tab).await;
            self.browser.script(script).await;
        }
    }

    /// Expects that tabs which took note of it had a stream all the time.
    async fn never_down(&self, tabs: impl Iterator<Item = usize>) {
        for tab in tabs {
            self.front(tab).await;
            let down = self
                .browser
                .script("window.states.filter(state => state === 'polling' || state === 'stale').join()")
                .await;
            assert_eq!(down, "", "tab {tab}");
        }
    }

    async fn one_stream(&self) {
        eventually("there is one stream", async || (self.service.metric(OPEN).await == 1.0).then_some(())).await;
    }

    /// How many pages have, or wait for, the lead.
    async fn leads(&self) -> (u64, u64) {
        let script = "const [done] = arguments;
            const leads = (locks) => locks.filter(({ name }) => name.includes('shared_stream.js')).length;
            navigator.locks.query().then(({ held, pending }) => done([leads(held), leads(pending)]))";
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

#[tokio::test]
async fn the_tab_that_has_the_stream_is_closed() {
    let mut scene = Scene::new(5).await;
    // whatever is opened from now on gets no answer, so that the change comes between two streams
    scene.proxy.black_hole();
    scene.close(0).await;
    eventually("another tab leads", async || (scene.leads().await == (1, 3)).then_some(())).await;
    scene.change("shipped").await;
    scene.proxy.unblock();
    scene.live_with(0..4, "Shipped").await;
    scene.one_stream().await;
    for tab in 0..4 {
        scene.front(tab).await;
        assert!(scene.browser.hidden("#away").await, "nobody was away");
    }
    scene.change("delivered").await;
    scene.live_with(0..4, "Delivered").await;
    // nothing changes meanwhile: nobody needs to read anything
    let mut reads = Vec::new();
    for tab in 1..4 {
        scene.front(tab).await;
        reads.push(scene.browser.script(READS).await);
    }
    scene.close(0).await;
    scene.change("cancelled").await;
    scene.live_with(0..3, "Cancelled").await;
    for (tab, reads) in reads.into_iter().enumerate() {
        scene.front(tab).await;
        assert_eq!(scene.browser.script(READS).await, reads, "tab {tab}");
    }
    // and another one, in one go
    let changed = scene.database.client().await;
    let (_, written) =
        tokio::join!(scene.close(0), changed.batch_execute("update orders_order set status = 'returned' where id = 1"));
    written.unwrap();
    scene.live_with(0..2, "Returned").await;
    scene.one_stream().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn the_tab_that_has_the_stream_goes_to_another_page_and_comes_back() {
    let scene = Scene::new(3).await;
    scene.front(0).await;
    scene.browser.click("tr[data-order-id='2'] .number").await;
    scene.browser.wait_for_text("h1", "ORD-2025-00002").await;
    scene.change("shipped").await;
    scene.live_with(1..3, "Shipped").await;
    scene.front(0).await;
    scene.browser.script("history.back() ?? true").await;
    scene.live_with(0..3, "Shipped").await;
    scene.change("delivered").await;
    scene.live_with(0..3, "Delivered").await;
    scene.one_stream().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn the_tab_that_has_the_stream_is_frozen() {
    let scene = Scene::new(3).await;
    scene.record(1..3).await;
    scene.front(0).await;
    scene.lifecycle("frozen").await;
    let began = Instant::now();
    scene.change("shipped").await;
    scene.live_with(1..3, "Shipped").await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    scene.change("delivered").await;
    scene.live_with(1..3, "Delivered").await;
    // it said so before, so that nobody had to notice
    scene.never_down(1..3).await;
    scene.front(0).await;
    scene.lifecycle("active").await;
    scene.live_with(0..3, "Delivered").await;
    scene.one_stream().await;
    scene.change("returned").await;
    scene.live_with(0..3, "Returned").await;
    assert_eq!(scene.leads().await, (1, 2));
    scene.browser.close().await;
}

/// Keeps the tab in front from doing anything for so long, when the driver has gone on to another.
async fn hang(browser: &Browser, time: Duration) {
    let script = "(setTimeout(() => { localStorage.setItem('hangs', 'yes'); const end = performance.now() + TIME; while (performance.now() < end); localStorage.setItem('hangs', 'no'); }, 500), true)";
    browser.script(&script.replace("TIME", &time.as_millis().to_string())).await;
}

#[tokio::test]
async fn the_tab_that_has_the_stream_hangs() {
    let scene = Scene::new(3).await;
    scene.front(0).await;
    hang(&scene.browser, NOTICED + Duration::from_secs(8)).await;
    scene.front(1).await;
    scene.browser.until("localStorage.getItem('hangs') === 'yes'").await;
    let began = Instant::now();
    scene.change("shipped").await;
    scene.browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    scene.live_with(1..3, "Shipped").await;
    scene.change("delivered").await;
    scene.live_with(1..3, "Delivered").await;
    assert_eq!(scene.browser.script("localStorage.getItem('hangs')").await, "yes");
    scene.live_with(0..3, "Delivered").await;
    scene.one_stream().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn a_tab_without_the_stream_is_frozen() {
    let scene = Scene::new(2).await;
    scene.front(1).await;
    scene.lifecycle("frozen").await;
    scene.change("shipped").await;
    // the lead goes to nobody who is frozen
    scene.front(0).await;
    assert_eq!(scene.leads().await, (1, 0));
    scene.live_with(0..1, "Shipped").await;
    scene.front(1).await;
    // as if it had been for an hour
    scene.browser.script("(window.now = Date.now, Date.now = () => window.now.call(Date) + 3_600_000, true)").await;
    scene.lifecycle("active").await;
    let began = Instant::now();
    scene.live_with(1..2, "Shipped").await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    scene.change("delivered").await;
    scene.live_with(0..2, "Delivered").await;
    assert_eq!(scene.leads().await, (1, 1));
    scene.one_stream().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn a_tab_that_was_kept_for_the_way_back_is_told_what_it_missed() {
    let scene = Scene::new(2).await;
    for (tab, status, other) in [(1, "Confirmed", 0), (0, "Shipped", 1)] {
        scene.record(other..=other).await;
        scene.front(tab).await;
        scene.browser.script("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))").await;
        eventually("it takes no part", async || (scene.leads().await == (1, 0)).then_some(())).await;
        scene.change(&status.to_lowercase()).await;
        scene.live_with(other..=other, status).await;
        scene.never_down(other..=other).await;
        assert!(scene.browser.hidden("#away").await);
        scene.front(tab).await;
        scene.browser.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))").await;
        scene.live_with(tab..=tab, status).await;
        scene.browser.wait_for_text("#away-line", "While you were away: 1 change").await;
        scene.browser.click("#away .dismiss").await;
    }
    scene.one_stream().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn signing_out_in_one_tab_ends_all() {
    let scene = Scene::new(3).await;
    // not the one that has the stream
    scene.front(2).await;
    scene.browser.click(".person form button").await;
    let began = Instant::now();
    for tab in 0..2 {
        scene.front(tab).await;
        scene.browser.state("signed_out").await;
        assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    }
    eventually("nobody leads", async || (scene.leads().await == (0, 0)).then_some(())).await;
    assert_eq!(scene.service.metric(OPEN).await, 0.0);
    scene.browser.close().await;
}

#[tokio::test]
async fn signing_out_where_the_stream_is_ends_all() {
    let scene = Scene::new(3).await;
    scene.front(0).await;
    scene.browser.click(".person form button").await;
    let began = Instant::now();
    for tab in 1..3 {
        scene.front(tab).await;
        scene.browser.state("signed_out").await;
        assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    }
    eventually("nobody leads", async || (scene.leads().await == (0, 0)).then_some(())).await;
    eventually("no stream is left", async || (scene.service.metric(OPEN).await == 0.0).then_some(())).await;
    scene.browser.close().await;
}

#[tokio::test]
async fn others_have_streams_of_their_own() {
    let scene = Scene::new(2).await;
    let bens = Browser::live_dashboard(&scene.service.base(), "ben", "").await;
    assert_eq!(scene.service.metric(OPEN).await, 2.0);
    scene.database.sql("update orders_order set status = 'shipped' where id in (1, 3)").await;
    scene.live_with(0..2, "Shipped").await;
    bens.wait_for_text("tr[data-order-id='3'] .status-badge", "Shipped").await;
    scene.front(0).await;
    scene.browser.click(".person form button").await;
    scene.front(1).await;
    scene.browser.state("signed_out").await;
    scene.database.sql("update orders_order set status = 'delivered' where id = 3").await;
    bens.wait_for_text("tr[data-order-id='3'] .status-badge", "Delivered").await;
    bens.state("live").await;
    scene.browser.close().await;
    bens.close().await;
}

#[tokio::test]
async fn all_tabs_poll_while_there_is_no_stream_and_any_of_them_can_have_it_tried_again() {
    let scene = Scene::new(3).await;
    // the tab that leads tries no more by itself
    scene.front(0).await;
    scene.browser.script("(window.later = window.setTimeout, window.setTimeout = (what, wait) => wait < 400 ? later(what, wait) : 0, true)").await;
    // what was told just now may stand for a while, unless it is said that nothing comes any more
    scene.change("shipped").await;
    scene.live_with(1..2, "Shipped").await;
    let began = Instant::now();
    scene.proxy.block_streams();
    scene.browser.state("polling").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for tab in 0..3 {
        scene.front(tab).await;
        scene.browser.state("polling").await;
    }
    scene.change("confirmed").await;
    scene.front(1).await;
    scene.browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Confirmed").await;
    scene.proxy.unblock();
    scene.browser.script("dispatchEvent(new Event('online'))").await;
    scene.browser.state("live").await;
    // whoever comes to the front tries again as well
    scene.live_with(0..3, "Confirmed").await;
    for tab in 0..3 {
        scene.front(tab).await;
        scene.browser.wait_for_text("#away-line", "While you were away: 1 change").await;
    }
    scene.one_stream().await;
    assert_eq!(scene.leads().await, (1, 2), "the same one leads");
    scene.browser.close().await;
}

#[tokio::test]
async fn a_tab_that_is_opened_while_there_is_no_stream_was_never_away() {
    let mut scene = Scene::new(1).await;
    scene.proxy.block_streams();
    scene.browser.state("polling").await;
    scene.change("confirmed").await;
    scene.open().await;
    scene.browser.state("polling").await;
    scene.proxy.unblock();
    scene.live_with(0..2, "Confirmed").await;
    scene.front(1).await;
    assert!(scene.browser.hidden("#away").await);
    scene.front(0).await;
    scene.browser.wait_for_text("#away-line", "While you were away: 1 change").await;
    scene.change("shipped").await;
    scene.live_with(0..2, "Shipped").await;
    scene.one_stream().await;
    scene.browser.close().await;
}

#[tokio::test]
async fn a_network_that_swallows_everything() {
    let scene = Scene::new(3).await;
    scene.proxy.black_hole();
    let began = Instant::now();
    scene.change("confirmed").await;
    for tab in 0..3 {
        scene.front(tab).await;
        scene.browser.until("document.getElementById('live-badge').dataset.state !== 'live'").await;
        assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    }
    for tab in 0..3 {
        scene.front(tab).await;
        scene.browser.state("stale").await;
    }
    assert_eq!(scene.leads().await, (1, 2), "the same one leads");
    scene.proxy.unblock();
    scene.live_with(0..3, "Confirmed").await;
    scene.one_stream().await;
    scene.browser.close().await;
}

/// Browsers have no locks where a page came by plain HTTP from another machine.
#[tokio::test]
async fn without_locks_each_tab_has_its_own_stream() {
    let scene = Scene::new(1).await;
    let without = json!({ "source": "delete Navigator.prototype.locks" });
    scene.browser.devtools("Page.addScriptToEvaluateOnNewDocument", without).await;
    scene.browser.goto("/orders/orders/").await;
    scene.browser.state("live").await;
    assert_eq!(scene.browser.script("'locks' in navigator").await, false);
    let mut scene = scene;
    scene.open().await;
    scene.browser.state("live").await;
    eventually("there are two streams", async || (scene.service.metric(OPEN).await == 2.0).then_some(())).await;
    scene.change("shipped").await;
    scene.live_with(0..2, "Shipped").await;
    scene.browser.close().await;
}

impl Scene {
    /// Has the tab in front think that somebody sees it, or nobody, whatever the browser makes of tabs that are not in front.
    async fn look(&self, seen: bool) {
        let state = if seen { "visible" } else { "hidden" };
        let script = format!(
            "(Object.defineProperty(document, 'visibilityState', {{ value: '{state}', configurable: true }}),
              document.dispatchEvent(new Event('visibilitychange')))"
        );
        self.browser.script(&script).await;
    }

    /// Expects that the tab in front shows nothing of anybody's orders, and leads to the login.
    async fn shows_nothing(&self) {
        let words = self.browser.script("document.body.innerText + document.title").await;
        for personal in ["ORD-", "Customer", "₱", "ana"] {
            assert!(!words.as_str().unwrap().contains(personal), "{personal}: {words}");
        }
        assert!(!self.browser.hidden("main:not([hidden]) a[href^='/accounts/login/']").await);
    }
}

#[tokio::test]
async fn a_tab_that_nobody_sees_reads_no_rows_until_somebody_does() {
    let scene = Scene::new(2).await;
    for tab in 0..2 {
        scene.front(tab).await;
        // only the server can tell where an order is in such a list: it is read when something changes
        scene.browser.goto("/orders/orders/?sort=-total_amount").await;
        scene.browser.state("live").await;
        scene.look(tab == 0).await;
    }
    let unread = scene.browser.script(READS).await;
    for total in [1, 3_000, 2] {
        scene.front(0).await;
        let read = scene.browser.script(READS).await.as_u64().unwrap();
        scene.database.sql(&format!("update orders_order set total_amount = {total} where id = 1")).await;
        scene.browser.until(&format!("{READS} > {read}")).await;
        scene.browser.state("live").await;
    }
    scene.front(1).await;
    scene.browser.wait_for_text("tr[data-order-id='1'] [data-text=total_amount]", "₱2.00").await;
    assert_eq!(scene.browser.script(READS).await, unread, "nobody sees it");
    scene.look(true).await;
    scene.browser.until(&format!("{READS} > {unread}")).await;
    scene.browser.state("live").await;
    scene.browser.close().await;
}

#[tokio::test]
async fn a_session_that_is_over_ends_each_of_its_tabs_seen_or_not_and_none_of_a_later_session() {
    let mut scene = Scene::new(3).await;
    scene.look(false).await;
    // nothing but the stream and the answers tells of it
    scene.database.sql("delete from live.session").await;
    for tab in 0..3 {
        scene.front(tab).await;
        scene.browser.state("signed_out").await;
    }
    for tab in [2, 3] {
        if tab == 3 {
            scene.open().await;
            scene.browser.client.delete_all_cookies().await.unwrap();
        }
        scene.browser.sign_in_on_page("ana").await;
        scene.browser.goto("/orders/orders/").await;
        scene.browser.state("live").await;
    }
    assert_eq!(scene.leads().await, (1, 1), "both share a stream, which is of the first session");
    scene.database.sql("delete from live.session where created_at < (select max(created_at) from live.session)").await;
    scene.front(2).await;
    scene.browser.state("signed_out").await;
    scene.front(3).await;
    scene.change("shipped").await;
    scene.live_with(3..4, "Shipped").await;
    assert_eq!(scene.leads().await, (1, 0));
    scene.browser.close().await;
}

#[tokio::test]
async fn whoever_signs_out_leaves_nothing_in_sight() {
    let mut scene = Scene::new(4).await;
    scene.front(3).await;
    scene.browser.goto("/orders/orders/1/").await;
    scene.browser.state("live").await;
    scene.front(2).await;
    scene.browser.goto("/accounts/preferences/").await;
    // what a page that is kept for the way back is not told
    scene.front(1).await;
    let keep = "(addEventListener('storage', (event) => event.stopImmediatePropagation(), true),
        dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })))";
    scene.browser.script(keep).await;
    scene.open().await;
    scene.browser.state("live").await;
    // nothing but the browser itself tells the others
    scene.proxy.black_hole();
    // ChromeDriver would wait for the page that does not come, if it saw it asked for while it is at this one
    let submit = "(setTimeout(() => document.querySelector('.person form').requestSubmit(), 1_000), true)";
    scene.browser.script(submit).await;
    let began = Instant::now();
    for tab in [0, 2, 3] {
        scene.front(tab).await;
        scene.browser.until("document.title === 'Signed out'").await;
        scene.shows_nothing().await;
        if tab != 2 {
            scene.browser.state("signed_out").await;
        }
    }
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    scene.front(1).await;
    scene.browser.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))").await;
    scene.shows_nothing().await;
    scene.browser.state("signed_out").await;
    scene.proxy.unblock();
    scene.front(4).await;
    scene.browser.until("location.pathname === '/accounts/login/'").await;
    // the same person's next session
    scene.browser.fill_in_login("ana").await;
    scene.browser.goto("/orders/orders/").await;
    scene.browser.state("live").await;
    scene.front(0).await;
    scene.browser.click("main:not([hidden]) a[href^='/accounts/login/']").await;
    scene.browser.until("location.pathname === '/accounts/login/' || location.pathname === '/orders/orders/'").await;
    scene.front(4).await;
    scene.browser.state("live").await;
    scene.browser.close().await;
}
