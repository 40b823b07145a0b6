//! Who is told what changed, and how: toasts, the bell, title and icon, sound and desktop, as the account says.

use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::scene::Scene;
use crate::harness::service::Service;

/// Takes note of every toast.
const NOTE_TOASTS: &str =
    "(() => { window.toasted = []; new MutationObserver((records) => records.forEach(({ addedNodes }) =>
    addedNodes.forEach((toast) => window.toasted.push(toast.querySelector('a, .more').textContent))))
    .observe(document.getElementById('toasts'), { childList: true }); return true; })()";

/// Scrolls through the page and says where a toast lies over the last row or the paging.
const OVERLAID: &str = "(async () => {
    const box = (css) => [...document.querySelectorAll(css)].at(-1).getBoundingClientRect();
    const wrong = [];
    for (let y = 0; y < document.documentElement.scrollHeight; y += 37) {
        scrollTo(0, y);
        let isOver = true;
        // rows that change meanwhile move what they stay clear of
        for (let frame = 0; isOver && frame < 30; frame += 1) {
            await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
            const [toasts, last, paging] = [box('#toasts'), box('tr[data-order-id]'), box('.paging')];
            isOver = toasts.height > 0 && toasts.top < paging.bottom && toasts.bottom > last.top;
        }
        if (isOver) wrong.push(y);
    }
    return wrong;
})()";

const TOASTS: &str =
    "[...document.querySelectorAll('.toast')].map((toast) => toast.querySelector('a, .more').textContent).join('; ')";

/// Toasts stay until they are dismissed.
const STAY: &str =
    "(() => { const real = setTimeout; setTimeout = (f, ms) => ms === 6_000 ? 0 : real(f, ms); return true; })()";

const ENTRIES: &str = "[...document.querySelectorAll('.bell-panel li')].map((entry) => entry.querySelector('.number').textContent
    + (entry.hasAttribute('data-muted') ? ' muted' : '') + (entry.hasAttribute('data-unread') ? ' new' : '')).join('; ')";

async fn rx(database: &Database, statement: &str) {
    database.sql(&format!("select set_config('app.user', 'rx', false); {statement}")).await;
}

async fn set(database: &Database, what: &str, id: i64) {
    rx(database, &format!("update orders_order set {what} where id = {id}")).await;
}

async fn ready(browser: &Browser) {
    browser.knows_what_is_news().await;
    browser.script(NOTE_TOASTS).await;
}

async fn until_toasted(browser: &Browser, toasted: &[&str]) {
    browser.until(&format!("JSON.stringify(window.toasted) === JSON.stringify({})", json!(toasted))).await;
}

/// Has the page think that nobody looks at it, or somebody again.
async fn look(browser: &Browser, seen: bool) {
    let state = if seen { "visible" } else { "hidden" };
    let script = format!(
        "(Object.defineProperty(document, 'visibilityState', {{ value: '{state}', configurable: true }}),
          document.dispatchEvent(new Event('visibilitychange')))"
    );
    browser.script(&script).await;
}

async fn unread(browser: &Browser, count: &str) {
    browser.until(&format!("document.title === '{count}My Orders · OnCare Live'")).await;
    let icon = if count.is_empty() { "/icon.svg" } else { "/icon_unread.svg" };
    browser.until(&format!("document.querySelector('link[rel=icon]').href.endsWith('{icon}')")).await;
    let shown = format!("document.querySelector('.ring .unread').hidden === {}", count.is_empty());
    browser.until(&shown).await;
}

#[tokio::test]
async fn a_change_is_told_once_by_the_stream_or_by_a_poll() {
    let Scene { database, proxy, browser, service: _service } = Scene::new().await;
    ready(&browser).await;
    set(&database, "status = 'processing'", 1).await;
    let first = "ORD-2025-00001: Pending → Processing, by rx";
    until_toasted(&browser, &[first]).await;
    assert_eq!(browser.script("document.querySelector('.toast a').pathname").await, "/orders/orders/1/");
    assert_eq!(
        browser.script("document.querySelector('#toasts').closest('[aria-live], [role=status]')").await,
        json!(null)
    );
    unread(&browser, "(1) ").await;

    proxy.block_streams();
    browser.state("polling").await;
    set(&database, "status = 'shipped'", 1).await;
    let second = "ORD-2025-00001: Processing → Shipped, by rx";
    until_toasted(&browser, &[first, second]).await;
    unread(&browser, "(2) ").await;

    // the stream tells what was missed, which the page knows
    proxy.unblock();
    browser.state("live").await;
    set(&database, "payment_status = 'paid'", 1).await;
    let third = "ORD-2025-00001: payment Pending → Paid, by rx";
    until_toasted(&browser, &[first, second, third]).await;
    unread(&browser, "(3) ").await;
    // all go by themselves
    browser.until("document.querySelectorAll('.toast').length === 0").await;
    browser.close().await;
}

#[tokio::test]
async fn three_toasts_at_most_and_never_over_the_last_row() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    ready(&browser).await;
    let many: Vec<String> = (11..25).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    let added = crate::harness::database::order_sql(&many.join(", "));
    rx(&database, &added).await;
    let expected = "and 12 more changes; ORD-2025-00012: new, by rx; ORD-2025-00011: new, by rx";
    browser.until(&format!("{TOASTS} === '{expected}'")).await;
    // a pointer on one keeps all of them
    let at = browser
        .script("(box => [box.x + 30, box.y + 20])(document.querySelector('.toast').getBoundingClientRect())")
        .await;
    let to = |x: Value, y: Value| json!({ "type": "mouseMoved", "x": x, "y": y });
    browser.devtools("Input.dispatchMouseEvent", to(at[0].clone(), at[1].clone())).await;
    let held =
        "(() => { const began = performance.now(); window.lasted = () => performance.now() - began; return true; })()";
    browser.script(held).await;
    browser.until("window.lasted() > 8_000").await;
    assert_eq!(browser.script(TOASTS).await, expected);
    rx(&database, "update orders_order set total_amount = 2 where id between 11 and 24").await;
    let expected = "and 26 more changes; ORD-2025-00012: new, by rx; ORD-2025-00011: new, by rx";
    browser.until(&format!("{TOASTS} === '{expected}'")).await;

    browser.click(".toast:last-child .dismiss").await;
    browser.until(&format!("{TOASTS} === 'and 26 more changes; ORD-2025-00012: new, by rx'")).await;
    browser.click(".toast .more").await;
    browser.until("!document.querySelector('.bell-panel').hidden").await;
    browser.until("document.querySelectorAll('.bell-panel li').length === 30").await;
    // the open panel is enough
    set(&database, "total_amount = 9", 1).await;
    browser.until("document.querySelectorAll('.bell-panel li').length === 31").await;
    browser.script("document.body.click() ?? true").await;
    browser.devtools("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": 2, "y": 2 })).await;
    browser.until("document.querySelector('.bell-panel').hidden").await;
    assert!(!browser.script("window.toasted.join()").await.as_str().unwrap().contains("9.00"));

    // from here on they stay, however long looking takes
    browser.script(STAY).await;
    for (width, amount) in [(1280, 3), (820, 4), (390, 5)] {
        browser.resize(width).await;
        rx(&database, &format!("update orders_order set total_amount = {amount} where id between 11 and 24")).await;
        browser.until(&format!("/^and .* more changes; .* → ₱{amount}.00, by rx/.test({TOASTS})")).await;
        assert_eq!(browser.script(OVERLAID).await, json!([]), "{width}");
        browser.script("scrollTo(0, document.documentElement.scrollHeight) ?? true").await;
        let clear = "document.querySelector('.paging').getBoundingClientRect().bottom
             <= document.querySelector('.toast').getBoundingClientRect().top";
        assert_eq!(browser.script(clear).await, true, "{width}");
        let dismiss = "document.querySelectorAll('.toast .dismiss').forEach((button) => button.click()) ?? true";
        browser.script(dismiss).await;
        browser.until("document.querySelectorAll('.toast').length === 0").await;
    }
    browser.close().await;
}

/// Moves or presses the pointer, at a place or away from everything.
async fn mouse(browser: &Browser, kind: &str, at: &Value) {
    let (x, y) = if at.is_null() { (json!(2), json!(2)) } else { (at[0].clone(), at[1].clone()) };
    let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
    browser.devtools("Input.dispatchMouseEvent", event).await;
}

/// Puts the pointer on the first element, wherever that comes to rest, and says where it is.
async fn point_at(browser: &Browser, css: &str) -> Value {
    let element = format!("document.querySelector({})", json!(css));
    let middle = format!("(box => [box.x + box.width / 2, box.y + box.height / 2])({element}.getBoundingClientRect())");
    eventually("it is pointed at", async || {
        let at = browser.script(&middle).await;
        mouse(browser, "mouseMoved", &at).await;
        (browser.script(&format!("{element}.matches(':hover')")).await == true).then_some(at)
    })
    .await
}

#[tokio::test]
async fn no_toast_moves_under_a_pointer_or_the_focus() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    ready(&browser).await;
    browser.script(STAY).await;
    let enter = async |id: i64| {
        rx(&database, &crate::harness::database::order_sql(&format!("({id}, 1, 'pending', 'paid', 1)"))).await;
    };
    let toasts = async |told: &str| {
        browser
            .until(&format!("{TOASTS}.replaceAll(': new, by rx', '').replaceAll('ORD-2025-000', '') === '{told}'"))
            .await
    };
    enter(11).await;
    enter(12).await;
    toasts("12; 11").await;
    let mute = point_at(&browser, ".toast:last-child [data-mute]").await;
    enter(13).await;
    toasts("13; 12; 11").await;
    enter(14).await;
    toasts("and 2 more changes; 12; 11").await;
    mouse(&browser, "mousePressed", &mute).await;
    mouse(&browser, "mouseReleased", &mute).await;
    eventually("what was pointed at is muted", async || {
        let muted = database.value("select array_agg((user_id, order_id)) from live.muted_order").await;
        (muted == "{\"(1,11)\"}").then_some(())
    })
    .await;
    toasts("and 2 more changes; 12; 11 is muted").await;

    mouse(&browser, "mouseMoved", &Value::Null).await;
    browser.click(".toast[data-muted] .dismiss").await;
    mouse(&browser, "mouseMoved", &Value::Null).await;
    browser.click(".toast:first-child .dismiss").await;
    mouse(&browser, "mouseMoved", &Value::Null).await;
    enter(15).await;
    enter(16).await;
    toasts("16; 15; 12").await;
    // not even the newest one is put away, for the number of those without a place
    browser.script("document.querySelector('.toast:first-child a').focus() ?? true").await;
    enter(17).await;
    unread(&browser, "(6) ").await;
    toasts("16; 15; 12").await;
    browser.script("document.activeElement.blur() ?? true").await;
    toasts("and 2 more changes; 15; 12").await;
    browser.close().await;
}

#[tokio::test]
async fn nobody_is_told_of_their_own_changes_muted_orders_and_statuses_that_they_left_out() {
    let Scene { database, proxy, browser, service: _service } = Scene::new().await;
    ready(&browser).await;
    set(&database, "total_amount = 7", 1).await;
    let total = "ORD-2025-00001: total ₱1,500.00 → ₱7.00, by rx";
    until_toasted(&browser, &[total]).await;
    // it says so where it was done, and the same button takes that back
    for told in ["is muted", "is not muted any more", "is muted"] {
        browser.click(".toast [data-mute]").await;
        browser.until(&format!("{TOASTS} === 'ORD-2025-00001 {told}'")).await;
    }
    browser.click(".toast .dismiss").await;
    unread(&browser, "").await;
    assert_eq!(database.value("select array_agg((user_id, order_id)) from live.muted_order").await, "{\"(1,1)\"}");

    // in another tab she leaves a status out; this page takes it up without being loaded again
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    browser.goto("/accounts/preferences/").await;
    assert_eq!(browser.text(".muted-orders .number").await, "ORD-2025-00001");
    browser.click("[name=status][value=confirmed]").await;
    browser.click("#preferences .primary").await;
    browser.wait_for_text(".saved", "Saved, for every browser in which you sign in.").await;
    browser.client.close_window().await.unwrap();
    browser.client.switch_to_window(first).await.unwrap();
    browser
        .until("performance.getEntriesByType('resource').filter((e) => e.name.includes('/changes/')).length >= 3")
        .await;

    for by in ["stream", "poll"] {
        if by == "poll" {
            proxy.block_streams();
            browser.state("polling").await;
        }
        set(&database, "total_amount = total_amount + 1", 1).await;
        set(&database, "status = 'confirmed'", 2).await;
        set(&database, "total_amount = total_amount + 1", 2).await;
        database.sql("select set_config('app.user', 'ana', false); update orders_order set status = 'delivered' where id = 2").await;
        set(&database, "status = 'shipped'", 2).await;
        let last = "ORD-2025-00002: Delivered → Shipped, by rx";
        let all = if by == "poll" { vec![total, last, last] } else { vec![total, last] };
        until_toasted(&browser, &all).await;
        unread(&browser, if by == "poll" { "(2) " } else { "(1) " }).await;
    }
    browser.click(".ring").await;
    let each = "ORD-2025-00002 new; ORD-2025-00002; ORD-2025-00002; ORD-2025-00002; ORD-2025-00001 muted";
    let expected = format!("{each}; {each}; ORD-2025-00001 muted; ");
    browser.until(&format!("{ENTRIES}.startsWith('{expected}')")).await;
    // told again
    browser.click(".bell-panel li[data-muted] button").await;
    browser.until(&format!("!{ENTRIES}.includes('muted')")).await;
    assert_eq!(database.value("select count(*) from live.muted_order").await, "0");
    browser.close().await;
}

#[tokio::test]
async fn the_bell_has_the_last_fifty_changes_and_reading_them_in_one_tab_reads_them_in_all() {
    let Scene { database, browser, service, .. } = Scene::new().await;
    ready(&browser).await;
    let elsewhere = Browser::live_dashboard(&service.base(), "ana", "").await;
    ready(&elsewhere).await;
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second.clone()).await.unwrap();
    browser.goto("/orders/orders/").await;
    ready(&browser).await;
    // it hears of the reading from the other tab, and not only when somebody comes back to it
    let deaf = "window.addEventListener('visibilitychange', (event) => event.stopImmediatePropagation(), true) ?? true";
    browser.script(deaf).await;
    for amount in 1..=55 {
        set(&database, &format!("total_amount = {amount}"), 2).await;
    }
    unread(&browser, "(55) ").await;
    unread(&elsewhere, "(55) ").await;
    browser.client.switch_to_window(first.clone()).await.unwrap();
    unread(&browser, "(55) ").await;

    // by the keyboard alone
    browser.script("document.querySelector('.ring').focus() ?? true").await;
    browser
        .devtools("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": "Enter", "code": "Enter", "text": "\r" }))
        .await;
    browser.until("document.querySelectorAll('.bell-panel li').length === 50").await;
    let newest = "document.querySelector('.bell-panel li').innerText.replace(/\\s+/g, ' ')";
    browser.until(&format!("{newest} === 'ORD-2025-00002 just now New total ₱54.00 → ₱55.00, by rx Mute'")).await;
    assert_eq!(browser.script("document.querySelector('.bell-panel li a').pathname").await, "/orders/orders/2/");
    assert_ne!(browser.script("document.querySelector('.bell-panel li [data-age]').title").await, "");
    unread(&browser, "").await;
    // what comes while it is open is in it, and read
    set(&database, "total_amount = 56", 2).await;
    browser.until(&format!("{newest}.includes('₱55.00 → ₱56.00')")).await;
    browser.until("document.querySelectorAll('.bell-panel li').length === 50").await;
    browser.devtools("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": "Escape", "code": "Escape" })).await;
    browser.until("document.querySelector('.bell-panel').hidden && document.activeElement === document.querySelector('.ring')").await;
    assert_eq!(browser.script("document.querySelector('.ring').getAttribute('aria-expanded')").await, "false");

    browser.client.switch_to_window(second).await.unwrap();
    unread(&browser, "").await;
    // on another machine when somebody comes back to its page
    eventually("it is read elsewhere", async || {
        look(&elsewhere, false).await;
        look(&elsewhere, true).await;
        (elsewhere.script("document.title").await == "My Orders · OnCare Live").then_some(())
    })
    .await;
    unread(&elsewhere, "").await;
    elsewhere.close().await;
    browser.close().await;
}

#[tokio::test]
async fn the_open_bell_moves_under_no_pointer_and_what_it_does_not_list_is_not_read() {
    let Scene { database, browser, service, .. } = Scene::new().await;
    let ana = service.signed_in("ana").await;
    let unread_of_account = async || {
        let changes: Value = ana.get("/orders/api/sales-rep/changes/").await.json().await.unwrap();
        changes["unread"].clone()
    };
    ready(&browser).await;
    set(&database, "total_amount = 5", 1).await;
    unread(&browser, "(1) ").await;
    browser.click(".ring").await;
    unread(&browser, "").await;
    // else it would be counted still beside the next one, as a list that lacks that is not read
    eventually("it is read", async || (unread_of_account().await == 0).then_some(())).await;
    let mute = point_at(&browser, ".bell-panel li button").await;
    let before = browser.script(ENTRIES).await;
    set(&database, "total_amount = 6", 2).await;
    unread(&browser, "(1) ").await;
    assert_eq!(browser.script(ENTRIES).await, before);
    mouse(&browser, "mousePressed", &mute).await;
    mouse(&browser, "mouseReleased", &mute).await;
    browser.until(&format!("{ENTRIES}.startsWith('ORD-2025-00001 muted')")).await;
    assert_eq!(database.value("select array_agg((user_id, order_id)) from live.muted_order").await, "{\"(1,1)\"}");
    assert_eq!(unread_of_account().await, 1);
    mouse(&browser, "mouseMoved", &Value::Null).await;
    browser.until(&format!("{ENTRIES}.startsWith('ORD-2025-00002 new; ORD-2025-00001 muted')")).await;
    unread(&browser, "").await;
    eventually("it is read", async || (unread_of_account().await == 0).then_some(())).await;
    browser.close().await;
}

/// Stands in for what a test can't hear or see.
const STAND_INS: &str = "(() => {
    window.notes = 0; window.shown = [];
    class Node { connect(other) { return other; } start() { window.notes += 1; } stop() {}
        gain = { setValueAtTime() {}, exponentialRampToValueAtTime() {} }; }
    window.OscillatorNode = class extends Node {}; window.GainNode = class extends Node {};
    window.AudioContext = class { state = window.silent ? 'suspended' : 'running'; currentTime = 0; resume() { return new Promise(() => {}); } };
    window.Notification = class extends EventTarget { static permission = window.answer ?? 'granted';
        static async requestPermission() { Notification.permission = 'denied'; }
        constructor(title, { body, tag }) { super(); window.shown.push(`${title}: ${body} (${tag.split(' ')[0]})`); window.last = this; }
        close() { window.closed = true; } };
    return true; })()";

/// Opens the list in two windows, with the stand-ins, and the first one with something more. The second is driven then.
async fn two_pages(browser: &Browser, of_first: &str) -> [WindowHandle; 2] {
    let first = browser.client.window().await.unwrap();
    browser.goto("/orders/orders/").await;
    ready(browser).await;
    browser.script(of_first).await;
    browser.script(STAND_INS).await;
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second.clone()).await.unwrap();
    browser.goto("/orders/orders/").await;
    ready(browser).await;
    browser.script(STAND_INS).await;
    [first, second]
}

#[tokio::test]
async fn a_sound_comes_from_one_page_and_the_desktop_tells_while_none_is_in_sight() {
    let Scene { database, browser, proxy, service: _service } = Scene::new().await;
    database
        .sql(
            "insert into live.account (user_id, sound, desktop, version) values (1, true, true, 9)
        on conflict (user_id) do update set sound = true, desktop = true, version = 9",
        )
        .await;
    let windows = two_pages(&browser, "true").await;
    look(&browser, true).await;

    // in one commit, so that however slow the machine is, the pages hear of both at about the same time
    let both = "update orders_order set status = 'processing' where id = 1;
        update orders_order set status = 'shipped' where id = 2";
    rx(&database, both).await;
    let toasts = ["ORD-2025-00001: Pending → Processing, by rx", "ORD-2025-00002: Processing → Shipped, by rx"];
    until_toasted(&browser, &toasts).await;
    for window in &windows {
        browser.client.switch_to_window(window.clone()).await.unwrap();
        browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Shipped").await;
    }
    eventually("two notes sound, of one page, and the other one has given up", async || {
        let notes = in_all(&browser, &windows, "window.notes").await;
        let turns =
            "navigator.locks.query().then(({ pending }) => pending.filter(({ name }) => name.includes('sound')))";
        let waiting = browser.script(turns).await;
        (notes == [0, 2] && waiting == json!([])).then_some(())
    })
    .await;
    assert_eq!(in_all(&browser, &windows, "window.shown.length").await, [0, 0], "somebody looks at one of them");

    // nobody looks any more
    for window in &windows {
        browser.client.switch_to_window(window.clone()).await.unwrap();
        look(&browser, false).await;
    }
    set(&database, "status = 'delivered'", 1).await;
    let told = "ORD-2025-00001: Processing → Delivered, by rx (change)";
    for window in &windows {
        browser.client.switch_to_window(window.clone()).await.unwrap();
        // pages that show it both do so under one tag
        browser.until(&format!("JSON.stringify(window.shown) === JSON.stringify(['{told}'])")).await;
        assert_eq!(browser.script("window.toasted.filter((text) => text.includes('Delivered')).length").await, 0);
    }

    // also while only polls tell
    proxy.block_streams();
    browser.until("document.getElementById('live-badge').dataset.state !== 'live'").await;
    set(&database, "status = 'returned'", 1).await;
    browser.until("window.shown.some((text) => text.includes('Delivered → Returned'))").await;
    browser.script("window.last.dispatchEvent(new Event('click'))").await;
    browser.until("location.pathname === '/orders/orders/1/'").await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_may_not_play_is_not_in_the_way_of_one_that_may() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    database.sql("insert into live.account (user_id, sound, version) values (1, true, 9) on conflict (user_id) do update set sound = true, version = 9").await;
    // hidden, its timers are slow as well
    let silent = "(() => { window.silent = true; const real = setTimeout;
        setTimeout = (f, ms) => real(f, ms === 300 ? 10_000 : ms); return true; })()";
    let [first, _] = two_pages(&browser, silent).await;
    set(&database, "status = 'processing'", 1).await;
    browser.until("window.notes === 2").await;
    browser.client.switch_to_window(first).await.unwrap();
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Processing").await;
    assert_eq!(browser.script("window.notes").await, 0);
    browser.close().await;
}

/// What the windows answer, the least first.
async fn in_all(browser: &Browser, windows: &[WindowHandle; 2], expression: &str) -> [Value; 2] {
    let mut answers = Vec::new();
    for window in windows {
        browser.client.switch_to_window(window.clone()).await.unwrap();
        answers.push(browser.script(expression).await);
    }
    answers.sort_by_key(Value::as_i64);
    answers.try_into().unwrap()
}

#[tokio::test]
async fn the_preferences_say_what_this_browser_makes_of_them_and_are_the_same_in_every_browser() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let browser = Browser::whole(&service.base()).await;
    browser.sign_in("ana").await;
    browser.goto("/orders/orders/").await;
    browser.click(".preferences-link").await;
    browser.script(&format!("(window.silent = true, window.answer = 'default', {STAND_INS})")).await;
    browser.click("#play").await;
    browser.wait_for_text("#sound-state", "The browser does not let this page play a sound.").await;
    browser.wait_for_text("#desktop-state", "This browser has not been asked.").await;
    assert!(browser.hidden("#ask").await, "nobody wants it");
    browser.click("[name=desktop]").await;
    let forbidden = "This browser forbids it: allow notifications for this site in its settings.";
    browser.wait_for_text("#desktop-state", forbidden).await;
    assert!(browser.hidden("#ask").await, "it has answered");
    browser.click("[name=sound]").await;
    browser.click("[name=toasts]").await;
    browser.click("#preferences .primary").await;
    browser.wait_for_text(".saved", "Saved, for every browser in which you sign in.").await;

    // chosen in one browser, it is asked for in another
    browser.goto("/accounts/preferences/").await;
    browser.until("!document.getElementById('ask').hidden").await;
    browser.script(&format!("(window.answer = 'default', {STAND_INS})")).await;
    browser.click("#ask").await;
    browser.wait_for_text("#desktop-state", forbidden).await;
    assert!(browser.hidden("#ask").await);
    assert_eq!(browser.script("document.activeElement.name").await, "desktop");

    let elsewhere = Browser::without_javascript(&service.base()).await;
    elsewhere.sign_in("ana").await;
    elsewhere.goto("/accounts/preferences/").await;
    let checked = elsewhere.client.source().await.unwrap().matches("checked=\"\"").count();
    assert_eq!(checked, 10, "sound, desktop and every status");
    for button in ["#play", "#ask"] {
        assert!(elsewhere.hidden(button).await, "nothing is offered that does nothing");
    }
    elsewhere.close().await;
    browser.close().await;
}

/// A tap of a finger, after which a browser goes on to say that the place is pointed at.
async fn tap(browser: &Browser, css: &str) {
    let place = format!(
        "(box => ({{ x: box.x + 5, y: box.y + box.height / 2 }}))(document.querySelector({}).getBoundingClientRect())",
        json!(css)
    );
    let place = browser.script(&place).await;
    browser.devtools("Input.dispatchTouchEvent", json!({ "type": "touchStart", "touchPoints": [place] })).await;
    browser.devtools("Input.dispatchTouchEvent", json!({ "type": "touchEnd", "touchPoints": [] })).await;
    browser.until(&format!("document.querySelector({}).matches(':hover')", json!(css))).await;
}

#[tokio::test]
async fn a_tap_holds_neither_toasts_nor_the_bell() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    browser.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": true, "maxTouchPoints": 1 })).await;
    browser.goto("/orders/orders/").await;
    ready(&browser).await;
    set(&database, "total_amount = 5", 1).await;
    browser.until("document.querySelectorAll('.toast').length === 1").await;
    tap(&browser, ".toast").await;
    browser.until("document.querySelectorAll('.toast').length === 0").await;
    unread(&browser, "(1) ").await;

    browser.click(".ring").await;
    unread(&browser, "").await;
    tap(&browser, ".bell-panel li .what").await;
    set(&database, "total_amount = 6", 2).await;
    browser.until(&format!("{ENTRIES}.startsWith('ORD-2025-00002 new; ORD-2025-00001 new')")).await;
    unread(&browser, "").await;
    browser.close().await;
}

#[tokio::test]
async fn the_open_bell_is_in_sight_however_far_the_page_is_scrolled_and_the_browser_closes_it() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    let more: Vec<String> = (10..30).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&more.join(", ")).await;
    for width in [1280, 390] {
        browser.resize(width).await;
        browser.goto("/orders/orders/").await;
        ready(&browser).await;
        browser.script("scrollTo(0, document.documentElement.scrollHeight) ?? true").await;
        browser.script("document.querySelector('.ring').click() ?? true").await;
        let seen = "(box => box.top >= 0 && box.left >= 0 && box.right <= innerWidth && box.height > 40)(
            document.querySelector('.bell-panel').getBoundingClientRect())";
        browser.until(seen).await;
        assert_eq!(browser.script("document.querySelector('.bell-panel').matches(':popover-open')").await, true);
        mouse(&browser, "mousePressed", &Value::Null).await;
        mouse(&browser, "mouseReleased", &Value::Null).await;
        browser.until("document.querySelector('.bell-panel').hidden").await;
        browser.until("document.querySelector('.ring').getAttribute('aria-expanded') === 'false'").await;
    }
    // a second click on the button closes it as well
    browser.script("scrollTo(0, 0) ?? true").await;
    for open in [true, false] {
        browser.click(".ring").await;
        browser.until(&format!("document.querySelector('.bell-panel').hidden === {}", !open)).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn an_order_entered_with_its_items_is_one_piece_of_news() {
    let Scene { database, browser, service, proxy } = Scene::new().await;
    let ana = service.signed_in("ana").await;
    ready(&browser).await;
    let enter = async |id: i64| {
        let item = format!(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
             created_at) select {id}, n, 1, 'boxes', 1, 1, '', now() from generate_series(1, 2) n"
        );
        let order = crate::harness::database::order_sql(&format!("({id}, 1, 'pending', 'paid', 1)"));
        rx(&database, &format!("begin; {order}; {item}; commit")).await;
    };
    enter(11).await;
    until_toasted(&browser, &["ORD-2025-00011: new, by rx"]).await;
    unread(&browser, "(1) ").await;
    proxy.block_streams();
    browser.state("polling").await;
    enter(12).await;
    unread(&browser, "(2) ").await;
    let answer: Value = ana.get("/orders/api/sales-rep/changes/").await.json().await.unwrap();
    let listed: Vec<String> =
        answer["changes"].as_array().unwrap().iter().take(2).map(|c| c["operation"].to_string()).collect();
    assert_eq!((listed, &answer["unread"]), (vec!["\"insert\"".to_owned(); 2], &json!(2)));
    browser.click(".ring").await;
    let newest = "document.querySelector('.bell-panel li .what').innerText.replace(/\\s+/g, ' ')";
    browser.until(&format!("{newest} === 'New order entered, by rx'")).await;
    // items that come later are news of their own
    rx(&database, "delete from orders_orderitem where order_id = 11").await;
    browser.until(&format!("{newest} === 'New items -2, by rx'")).await;
    browser.close().await;
}

#[tokio::test]
async fn nothing_is_claimed_of_notifications_that_a_browser_refuses_to_show() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let browser = Browser::open(&service.base()).await;
    browser.sign_in("ana").await;
    let refusing = "window.Notification = class { static permission = 'granted';
        constructor() { throw new TypeError('Illegal constructor. Use a service worker.'); } }";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": refusing })).await;
    browser.goto("/accounts/preferences/").await;
    let said = "document.getElementById('desktop-state').textContent";
    browser
        .until(&format!("{said} === 'This browser has given its permission. Show one now to see whether it arrives.'"))
        .await;
    browser.click("#try").await;
    let unable = "This browser can't show notifications of a page, or the page did not come by HTTPS.";
    browser.wait_for_text("#desktop-state", unable).await;
    assert!(browser.hidden("#try").await && browser.hidden("#ask").await);
    // it is known from then on
    browser.goto("/accounts/preferences/").await;
    browser.wait_for_text("#desktop-state", unable).await;
    browser.close().await;
}

#[tokio::test]
async fn somebody_elses_page_in_sight_keeps_no_notification_back() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    database.sql("insert into live.account (user_id, desktop, version) values (2, true, 9) on conflict (user_id) do update set desktop = true, version = 9").await;
    ready(&browser).await;
    // ana's page stays in sight, signed out
    look(&browser, true).await;
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    browser.goto("/orders/orders/").await;
    browser.follow(".person form button").await;
    browser.fill_in_login("ben").await;
    browser.goto("/orders/orders/").await;
    ready(&browser).await;
    browser.script(STAND_INS).await;
    look(&browser, false).await;
    set(&database, "status = 'shipped'", 3).await;
    browser.until("window.shown.length === 1").await;
    browser.close().await;
}

#[tokio::test]
async fn marking_and_scrolling_measure_nothing_again_and_again() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    ready(&browser).await;
    browser.script(STAY).await;
    let count = "(() => { const real = Element.prototype.getBoundingClientRect; window.measured = 0;
        Element.prototype.getBoundingClientRect = function () { window.measured += 1; return real.call(this); }; return true; })()";
    browser.script(count).await;
    set(&database, "status = 'shipped', total_amount = 5", 1).await;
    browser.until("document.querySelectorAll('.toast').length === 1").await;
    let marked = "document.querySelector(\"tr[data-order-id='1'] [data-cell=total]\").getAnimations()
        .filter((animation) => animation.effect.getKeyframes()[0].backgroundColor !== undefined).length";
    browser.until(&format!("{marked} === 1")).await;
    // the toast is placed, and nothing else is measured
    browser.until("window.measured > 0").await;
    let scrolled = "(async () => { await new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame))); window.measured = 0;
        for (let n = 0; n < 50; n += 1) dispatchEvent(new Event('scroll'));
        await new Promise((frame) => requestAnimationFrame(() => requestAnimationFrame(frame))); return window.measured; })()";
    let measured = browser.script(scrolled).await.as_i64().unwrap();
    assert!(measured <= 3, "{measured} measurements for 50 scrolls in one frame");
    // where less motion is wanted, nothing is marked
    let still = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    browser.devtools("Emulation.setEmulatedMedia", still).await;
    browser.script("document.getAnimations().forEach((animation) => animation.cancel()) ?? true").await;
    set(&database, "total_amount = 6", 1).await;
    browser.wait_for_text("tr[data-order-id='1'] [data-cell=total]", "₱6.00").await;
    assert_eq!(browser.script(marked).await, 0);
    browser.close().await;
}

/// Has every page lose an element before its scripts run.
async fn without(browser: &Browser, css: &str) -> Value {
    let source = format!(
        "new MutationObserver(() => document.querySelector({})?.remove()).observe(document, {{ childList: true, subtree: true }})",
        json!(css)
    );
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": source })).await["identifier"].clone()
}

#[tokio::test]
async fn an_element_that_is_missing_costs_nothing_but_itself() {
    let Scene { database, browser, service: _service, .. } = Scene::new().await;
    let news = ["#bell", ".ring", ".bell-panel", ".bell-panel ol", "#bell-entry", "#toasts", "#toast", "#toast-more"];
    let order = ["#back", "#order-gone", "#viewing", "#live-region", "#live-badge", ".mute", "[data-part=actions]"];
    let mut total = 100;
    for css in news.into_iter().chain(order) {
        let script = without(&browser, css).await;
        browser.goto("/orders/orders/1/").await;
        browser.until("document.readyState === 'complete'").await;
        assert_eq!(browser.script(&format!("document.querySelector({})", json!(css))).await, Value::Null, "{css}");
        if css != "#live-badge" {
            browser.state("live").await;
        }
        total += 1;
        set(&database, &format!("total_amount = {total}"), 1).await;
        browser.wait_for_text("[data-total]", &format!("₱{total}.00")).await;
        if news[1..].contains(&css) {
            browser.until(&format!("document.title.startsWith('({}) ')", total - 100)).await;
        }
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", json!({ "identifier": script })).await;
    }
    browser.close().await;
}
