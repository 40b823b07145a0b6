//! What the page says while the way to the service is broken, the tab is frozen, or the machine sleeps: it is not "live" over
//! old data for long, says what it is instead, and afterwards is live and exact.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::browser::{NOTICED, STALE};
use crate::harness::eventually;
use crate::harness::scene::Scene;

impl Scene {
    /// Makes what the page shows old.
    async fn change(&self) {
        self.database
            .sql(
                "update orders_order set status = 'delivered', payment_status = 'paid', total_amount = 17 where id = 1",
            )
            .await;
    }

    /// Waits until the page does not claim to be live any more, which must be soon after the data became old.
    async fn not_live(&self, since: Instant) {
        self.browser.until("document.getElementById('live-badge').dataset.state !== 'live'").await;
        assert!(since.elapsed() < NOTICED, "noticed after {:?}", since.elapsed());
        assert_ne!(self.browser.text("#live-badge .word").await, "Live");
    }

    /// Waits until the page is live. It must show then what the database has.
    async fn live_and_exact(self) {
        self.browser.state("live").await;
        assert_eq!(self.shown().await, self.stored().await);
        // and it goes on being so
        self.database.sql("update orders_order set status = 'cancelled' where id = 2").await;
        let stored = self.stored().await;
        eventually("the next change shows", async || (self.shown().await == stored).then_some(())).await;
        self.browser.close().await;
    }

    async fn shown(&self) -> Value {
        let script = "({
            orders: document.getElementById('stat-total-orders').textContent,
            delivered: document.getElementById('status-count-delivered').textContent,
            revenue: document.getElementById('stat-total-revenue').textContent,
            rows: [...document.querySelectorAll('#orders-table-tbody tr')].map(({ dataset, cells }) => [
                Number(dataset.orderId), dataset.status, dataset.paymentStatus,
                document.querySelector(`tr[data-order-id='${dataset.orderId}'] [data-text=total_amount]`).textContent,
            ]).sort(([one], [other]) => one - other),
        })";
        self.browser.script(script).await
    }

    async fn stored(&self) -> Value {
        let amount = |expression: &str| format!("'₱' || to_char({expression}, 'FM999,990.00')");
        let query = format!(
            "select json_build_object('orders', count(*)::text,
                'delivered', (count(*) filter (where status = 'delivered'))::text,
                'revenue', {},
                'rows', json_agg(json_build_array(id, status, payment_status, {}) order by id))
             from orders_order where sales_rep_id = 1",
            amount("coalesce(sum(total_amount) filter (where status = 'delivered' and payment_status = 'paid'), 0)"),
            amount("total_amount"),
        );
        serde_json::from_str(&self.database.value(&query).await).unwrap()
    }

    async fn lifecycle(&self, state: &str) {
        self.browser.devtools("Page.setWebLifecycleState", json!({ "state": state })).await;
    }

    async fn offline(&self, offline: bool) {
        let conditions = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.browser.devtools("Network.enable", json!({})).await;
        self.browser.devtools("Network.emulateNetworkConditions", conditions).await;
        self.browser.until(&format!("navigator.onLine === {}", !offline)).await;
    }
}

#[tokio::test]
async fn a_proxy_that_swallows_everything() {
    let scene = Scene::new().await;
    let clock = scene.browser.script("new Date().toLocaleTimeString('en-GB')").await;
    scene.proxy.black_hole();
    scene.change().await;
    let began = Instant::now();
    scene.not_live(began).await;
    scene.browser.state("stale").await;
    assert!(began.elapsed() < STALE, "{:?}", began.elapsed());
    let said = scene.browser.text("#live-badge .word").await;
    let before = format!(
        "(Date.parse('1970-01-02T' + {clock} + 'Z') - Date.parse('1970-01-02T{}Z') + 86_400_000) % 86_400_000",
        said.strip_prefix("Stale since ").unwrap()
    );
    assert!(scene.browser.script(&before).await.as_u64().unwrap() < 10_000, "{said}, and it was so from {clock} on");
    scene.proxy.unblock();
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_just_then() {
    let scene = Scene::new().await;
    scene.proxy.black_hole();
    scene.browser.script("(window.now = Date.now, Date.now = () => window.now.call(Date) - 3_600_000, true)").await;
    scene.change().await;
    scene.not_live(Instant::now()).await;
    scene.browser.state("stale").await;
    scene.proxy.unblock();
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_browser_that_is_offline() {
    let scene = Scene::new().await;
    scene.offline(true).await;
    scene.change().await;
    scene.not_live(Instant::now()).await;
    scene.browser.state("stale").await;
    // polls alone bring it back, and tell what was missed; the stream tells it again
    scene.proxy.block_streams();
    scene.offline(false).await;
    scene.browser.state("polling").await;
    let away = "While you were away: 1 change";
    scene.browser.wait_for_text("#away-line", away).await;
    scene.proxy.unblock();
    scene.browser.state("live").await;
    assert_eq!(scene.browser.text("#away-line").await, away);
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_browser_that_says_it_is_offline_and_is_not() {
    let scene = Scene::new().await;
    let said = "(dispatchEvent(new Event('offline')), document.getElementById('live-badge').dataset.state)";
    assert_ne!(scene.browser.script(said).await, "live");
    scene.change().await;
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_frozen_tab() {
    let scene = Scene::new().await;
    scene.browser.script("(document.addEventListener('freeze', () => { window.frozen = true }), true)").await;
    scene.lifecycle("frozen").await;
    assert_eq!(scene.browser.script("window.frozen").await, true);
    scene.change().await;
    scene.lifecycle("active").await;
    let began = Instant::now();
    scene.browser.wait_for_text("#stat-total-revenue", "₱17.00").await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
    scene.live_and_exact().await;
}

/// How soon a page that slept notices that an hour has passed: by the clock, not by an hour of waiting.
const AWAKE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_laptop_that_slept() {
    let scene = Scene::new().await;
    scene.lifecycle("frozen").await;
    // this still arrives, and is not looked at while the page is frozen
    scene.database.sql("update orders_order set status = 'shipped' where id = 2").await;
    eventually("it is sent", async || {
        (scene.service.metric("oncare_live_frames_sent_total").await >= 1.0).then_some(())
    })
    .await;
    scene.proxy.black_hole();
    scene.change().await;
    scene.browser.script("(window.now = Date.now, Date.now = () => window.now.call(Date) + 3_600_000, true)").await;
    scene.lifecycle("active").await;
    let began = Instant::now();
    scene.not_live(began).await;
    assert!(began.elapsed() < AWAKE, "{:?}", began.elapsed());
    scene.proxy.unblock();
    scene.browser.state("live").await;
    scene.browser.wait_for_text("#away-line", "While you were away: 2 changes").await;
    scene.live_and_exact().await;
}

#[tokio::test]
async fn another_page_and_back() {
    let scene = Scene::new().await;
    scene.browser.click("tr[data-order-id='2'] .number").await;
    scene.browser.wait_for_text("h1", "ORD-2025-00002").await;
    scene.change().await;
    scene.browser.script("history.back() ?? true").await;
    scene.browser.until("document.getElementById('sales-rep-orders-dashboard') !== null").await;
    scene.live_and_exact().await;
}

/// Chromium keeps no page with `no-store` for the way back; browsers that do tell it so.
#[tokio::test]
async fn a_page_that_was_kept_for_the_way_back() {
    let scene = Scene::new().await;
    scene.browser.script("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))").await;
    eventually("its stream is closed", async || {
        (scene.service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await == 0.0).then_some(())
    })
    .await;
    scene.change().await;
    scene.browser.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))").await;
    scene.browser.wait_for_text("#away-line", "While you were away: 1 change").await;
    scene.live_and_exact().await;
}

/// Has the page take note of what its badge says, whether it is greyed, and of each state that it shows.
const RECORD: &str = "(() => {
    const [root, badge] = [document.getElementById('sales-rep-orders-dashboard'), document.getElementById('live-badge')];
    window.states = [], window.greyed = 0, window.revisions = [];
    new MutationObserver(() => window.states.push(badge.dataset.state)).observe(badge, { attributeFilter: ['data-state'] });
    new MutationObserver(() => window.greyed += root.hasAttribute('data-stale')).observe(root, { attributeFilter: ['data-stale'] });
    new MutationObserver((changes) => changes.forEach(() => window.revisions.push(root.dataset.revision)))
        .observe(root, { attributeFilter: ['data-revision'] });
    return true; })()";

#[tokio::test]
async fn an_answer_that_a_change_has_overtaken() {
    let scene = Scene::new().await;
    scene.proxy.block_streams();
    scene.browser.state("polling").await;
    // what it missed can only be read
    scene.proxy.hold_answers();
    scene.change().await;
    scene.proxy.unblock();
    scene.browser.wait_for_text("#stat-total-revenue", "₱17.00").await;
    let total = async |total: i32| {
        scene.database.sql(&format!("update orders_order set total_amount = {total} where id = 2")).await;
        let shown = format!("₱{total}.00");
        scene.browser.wait_for_text("tr[data-order-id='2'] [data-text=total_amount]", &shown).await;
    };
    // the first may have been asked for before the stream was back
    let is_live = "document.getElementById('live-badge').dataset.state === 'live'";
    for answer in 1..=2 {
        let is_there = eventually("an answer is on the way, or needed no more", async || {
            let is_there = scene.proxy.held_answers() >= answer;
            (is_there || scene.browser.script(is_live).await == true).then_some(is_there)
        })
        .await;
        if !is_there {
            break;
        }
        total(100 + i32::try_from(answer).unwrap()).await;
        scene.proxy.let_held_answers_go();
    }
    // what would be read next is kept back
    scene.browser.state("live").await;
    assert_eq!(scene.shown().await, scene.stored().await);
    scene.proxy.release_answers();
    scene.live_and_exact().await;
}

#[tokio::test]
async fn changes_that_overtake_every_answer() {
    let scene = Scene::new().await;
    let total = "document.querySelector(\"tr[data-order-id='2'] [data-text=total_amount]\")";
    let record = format!(
        "(window.totals = [], new MutationObserver(() => window.totals.push(Number({total}.textContent.replaceAll(/[^0-9.]/g, ''))))
            .observe({total}, {{ childList: true }}), true)"
    );
    scene.browser.script(&record).await;
    scene.proxy.delay_answers(Duration::from_millis(100));
    // what it missed can only be read
    scene.proxy.block_streams();
    scene.browser.state("polling").await;
    scene.change().await;
    let writer = scene.database.client().await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut total = 100;
        while stopped.try_recv().is_err() {
            total += 1;
            writer
                .batch_execute(&format!("update orders_order set total_amount = {total} where id = 2"))
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    scene.proxy.unblock();
    scene.browser.state("live").await;
    assert!(!writing.is_finished());
    stop.send(()).unwrap();
    writing.await.unwrap();
    let sorted = "window.totals.every((total, at) => at === 0 || total >= window.totals[at - 1])";
    assert_eq!(scene.browser.script(sorted).await, true, "no answer brings back what was");
    eventually("what was written last shows", async || (scene.shown().await == scene.stored().await).then_some(()))
        .await;
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_change_that_the_page_fails_to_show() {
    let scene = Scene::new().await;
    let fail = "(() => { const { get, set } = Object.getOwnPropertyDescriptor(Node.prototype, 'textContent');
        Object.defineProperty(Node.prototype, 'textContent', { configurable: true, get, set(text) {
            if (window.fails && this.closest?.('tr')) throw new Error('it fails');
            set.call(this, text); } });
        window.fails = true; return true; })()";
    scene.browser.script(fail).await;
    scene.browser.listen().await;
    scene.change().await;
    scene.not_live(Instant::now()).await;
    scene.browser.until_said("Pending → Delivered").await;
    // what comes next, and can be shown, makes it no better
    scene.database.sql("update orders_order set total_amount = 10 where id = 3").await;
    scene.database.orders("(4, 1, 'pending', 'paid', 1)").await;
    scene.browser.wait_for_text("#stat-total-orders", "3").await;
    assert_ne!(scene.browser.text("#live-badge .word").await, "Live");
    scene.database.sql("delete from orders_order where id = 4").await;
    scene.browser.wait_for_text("#stat-total-orders", "2").await;
    scene.browser.script("(window.fails = false, true)").await;
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_read_that_fails_just_when_the_stream_drops() {
    let scene = Scene::new().await;
    scene.browser.script(RECORD).await;
    scene.proxy.block_everything();
    scene.change().await;
    scene.not_live(Instant::now()).await;
    scene.proxy.unblock();
    scene.browser.state("live").await;
    assert_eq!(scene.browser.script("window.states.includes('stale')").await, false);
    assert_eq!(scene.browser.script("window.greyed").await, 0);
    scene.live_and_exact().await;
}

#[tokio::test]
async fn rows_that_are_read_within_a_moment() {
    let scene = Scene::new().await;
    scene.browser.script(RECORD).await;
    // of a list that was read anew it is not known what was told while it was on its way
    let reads = "performance.getEntriesByType('resource').filter((e) => e.name.includes('dashboard/?')).length";
    let enter = async |id: usize| {
        scene.database.orders(&format!("({id}, 1, 'pending', 'paid', 1)")).await;
        scene.browser.until("!document.getElementById('list-notice').hidden").await;
        scene.browser.click("#list-notice").await;
        scene.browser.until(&format!("document.querySelector(\"tr[data-order-id='{id}']\") !== null")).await;
    };
    for (turn, id) in (11..14).enumerate() {
        enter(id).await;
        scene.browser.until(&format!("{reads} > {turn}")).await;
    }
    scene.browser.until("document.getElementById('list-notice').hidden").await;
    assert_eq!(scene.browser.script("window.states").await, json!([]));
    // for longer it is not live
    scene.proxy.hold_answers();
    enter(14).await;
    let began = Instant::now();
    scene.not_live(began).await;
    assert!(began.elapsed() < AWAKE, "{:?}", began.elapsed());
    scene.proxy.release_answers();
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_change_that_waits_to_be_painted_when_an_answer_comes() {
    let scene = Scene::new().await;
    scene.proxy.hold_answers();
    scene.database.orders("(11, 1, 'pending', 'paid', 1)").await;
    scene.browser.until("!document.getElementById('list-notice').hidden").await;
    scene.browser.click("#list-notice").await;
    eventually("its rows are read", async || (scene.proxy.held_answers() > 0).then_some(())).await;
    scene.browser.until("document.title.startsWith('(1)')").await;
    // from now on nothing is painted, nor is it time to show what was told all the same
    let unpainted = "(() => {
        const later = setTimeout;
        requestAnimationFrame = () => 0;
        setTimeout = (what, wait, ...of) => later(what, wait === 250 ? 3_000 : wait, ...of);
        return true;
    })()";
    scene.browser.script(unpainted).await;
    scene.database.sql("update orders_order set status = 'shipped' where id = 2").await;
    scene.browser.until("document.title.startsWith('(2)')").await;
    scene.proxy.release_answers();
    scene.browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Shipped").await;
    scene.live_and_exact().await;
}

impl Scene {
    /// How often a screen reader was told something with that in it.
    async fn said(&self, part: &str) -> Value {
        self.browser.script(&format!("window.said.filter(([, text]) => text.includes('{part}')).length")).await
    }

    async fn frames_sent(&self, frames: f64) {
        eventually("it is sent", async || {
            (self.service.metric("oncare_live_frames_sent_total").await >= frames).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_an_answer_overtakes_or_is_told_while_it_comes_is_said_once() {
    let scene = Scene::new().await;
    scene.browser.listen().await;
    scene.database.orders("(11, 1, 'pending', 'paid', 1)").await;
    scene.browser.until_said("1 order entered").await;
    let sent = scene.service.metric("oncare_live_frames_sent_total").await;
    scene.proxy.hold_events();
    for (order, frames) in [(2, 1.0), (1, 2.0)] {
        scene.database.sql(&format!("update orders_order set total_amount = 17 where id = {order}")).await;
        scene.frames_sent(sent + frames).await;
    }
    let revision = "document.getElementById('sales-rep-orders-dashboard').dataset.revision";
    let before = scene.browser.script(revision).await;
    scene.browser.click("#list-notice").await;
    scene.browser.until(&format!("{revision} !== {before}")).await;
    assert_eq!(scene.said("₱17.00").await, 0);
    scene.proxy.release_events();
    for order in ["₱20.00 → ₱17.00", "₱1,500.00 → ₱17.00"] {
        scene.browser.until_said(order).await;
    }

    // and what is told after the answer that is on its way
    scene.proxy.hold_answers();
    scene.database.orders("(12, 1, 'pending', 'paid', 1)").await;
    scene.browser.until("window.said.filter(([, text]) => text.includes('1 order entered')).length === 2").await;
    scene.browser.click("#list-notice").await;
    eventually("its rows are read", async || (scene.proxy.held_answers() > 0).then_some(())).await;
    scene.database.sql("update orders_order set status = 'shipped' where id = 2").await;
    scene.browser.until_said("Processing → Shipped").await;
    scene.proxy.release_answers();
    scene.browser.state("live").await;
    scene.database.sql("update orders_order set status = 'shipped' where id = 1").await;
    scene.browser.until_said("Pending → Shipped").await;
    for told in ["₱20.00 → ₱17.00", "₱1,500.00 → ₱17.00", "Processing → Shipped"] {
        assert_eq!(scene.said(told).await, 1, "{told}");
    }
    scene.live_and_exact().await;
}

#[tokio::test]
async fn a_stream_that_tells_late_of_a_life_that_the_database_has_lost() {
    let scene = Scene::new().await;
    let epoch = "document.getElementById('sales-rep-orders-dashboard').dataset.revision.split('.')[0]";
    let first = scene.browser.script(epoch).await;
    scene.proxy.block_streams();
    scene.browser.state("polling").await;
    scene.proxy.hold_events();
    scene.proxy.unblock();
    eventually("its state is on the way", async || (scene.proxy.held_events() > 0).then_some(())).await;
    scene.browser.script(RECORD).await;
    scene.database.sql("update live.fold set rebuilds = rebuilds + 1").await;
    scene.browser.until(&format!("{epoch} !== {first}")).await;
    scene.proxy.release_events();
    scene.browser.state("live").await;
    let epochs = "[...new Set(window.revisions.map((revision) => revision.split('.')[0]))].length";
    assert_eq!(scene.browser.script(epochs).await, 1, "it does not go back");
    scene.live_and_exact().await;
}

#[tokio::test]
async fn changes_that_come_faster_than_the_page_is_painted() {
    let scene = Scene::new().await;
    scene.browser.script(RECORD).await;
    scene.proxy.hold_events();
    const SENT: &str = "oncare_live_frames_sent_total";
    let before = scene.service.metric(SENT).await;
    for total in 1..=10 {
        scene.database.sql(&format!("update orders_order set total_amount = {total} where id = 2")).await;
        eventually("it is sent", async || {
            (scene.service.metric(SENT).await >= before + f64::from(total)).then_some(())
        })
        .await;
    }
    scene.proxy.release_events();
    scene.browser.wait_for_text("tr[data-order-id='2'] [data-text=total_amount]", "₱10.00").await;
    let shown = scene.browser.script("window.revisions.length").await.as_u64().unwrap();
    assert!(shown < 8, "each of 10 was shown by itself: {shown}");
    scene.live_and_exact().await;
}
