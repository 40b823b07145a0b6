//! The pharmacists' queue in a real Chromium.

use std::ops::RangeInclusive;

use fantoccini::Locator;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;
use crate::harness::ways::Ways;

const ORDERS: &str =
    "(1, 1, 'pending', 'pending', 10), (2, 2, 'pending', 'paid', 20), (3, 1, 'shipped', 'pending', 30)";
const IDS: &str = "[...document.querySelectorAll('#orders-table-tbody tr')].map(tr => tr.dataset.orderId).join()";

const QUEUE: &str = "/orders/pharmacist/orders/";

/// How often the page has asked the API.
const READS: &str = "performance.getEntriesByType('resource').filter(e => e.name.includes('dashboard/?')).length";

/// Orders of ana's in one status.
fn orders(ids: RangeInclusive<i64>, status: &str) -> String {
    ids.map(|id| format!("({id}, 1, '{status}', 'paid', 10)")).collect::<Vec<_>>().join(", ")
}

/// Their ids, the newest first.
fn newest(ids: RangeInclusive<i64>) -> String {
    ids.rev().map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

async fn queue(base: &str) -> Browser {
    let browser = Browser::open(base).await;
    browser.sign_in("rx").await;
    browser.goto(QUEUE).await;
    browser.state("live").await;
    browser
}

#[tokio::test]
async fn new_orders_come_at_the_top_unless_somebody_is_at_the_list() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    assert_eq!(browser.script(IDS).await, "2,1,3");
    database.orders("(4, 2, 'pending', 'paid', 40)").await;
    browser.until(&format!("{IDS} === '4,2,1,3'")).await;
    browser.state("live").await;
    browser.wait_for_text("#stat-total-orders", "4").await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    database.orders("(5, 1, 'pending', 'paid', 50)").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    assert_eq!(browser.script(IDS).await, "4,2,1,3", "nothing moves under the focus");
    browser.script("document.activeElement.blur() ?? true").await;
    browser.until(&format!("{IDS} === '5,4,2,1,3'")).await;
    browser.close().await;
}

#[tokio::test]
async fn of_more_new_orders_than_a_page_has_each_is_where_it_belongs() {
    let ways = Ways::new().await;
    for way in ways.both() {
        ways.database.sql("truncate orders_order cascade").await;
        ways.database.orders(ORDERS).await;
        let browser = way.browser("rx", QUEUE).await;
        ways.database.orders(&orders(4..=28, "processing")).await;
        // a stream tells all of them; of what a poll tells, a page's end may be missing, and the list is read anew
        let (all, range) = match way.state {
            "live" => (format!("2,1,{},3", newest(4..=28)), "1–28 of 28"),
            _ => (format!("2,1,{}", newest(11..=28)), "1–20 of 28"),
        };
        browser.wait_for_ids(&all).await;
        browser.wait_for_text(".paging .range", range).await;
        browser.wait_for_text(".paging .page", "Page 1 of 2").await;
        browser.until("document.getElementById('list-notice').hidden").await;
        browser.point_at("tr[data-order-id='28'] [data-cell=customer]").await;
        ways.database.orders(&orders(29..=53, "pending")).await;
        browser
            .until("/^\\d+\\+? orders entered · Update$/.test(document.getElementById('list-notice').textContent)")
            .await;
        browser.point_at("h1, .bar").await;
        let all = if way.state == "live" { format!("{},{all}", newest(29..=53)) } else { newest(34..=53) };
        browser.wait_for_ids(&all).await;
        browser.until("document.getElementById('list-notice').hidden").await;
        browser.state(way.state).await;
        browser.close().await;
    }
}

#[tokio::test]
async fn a_queue_grows_no_further_than_the_server_answers_for() {
    let database = Database::new().await;
    database.orders(&orders(1..=20, "pending")).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    for [before, after] in [[20, 39], [39, 58], [58, 77], [77, 96], [96, 99]] {
        database.orders(&orders(before + 1..=after, "pending")).await;
        browser.wait_for_ids(&newest(1..=after)).await;
    }
    browser.state("live").await;
    database.orders(&orders(100..=101, "pending")).await;
    browser.wait_for_text("#list-notice", "2 orders entered · Update").await;
    // what is told later finds them still offered, and the page still true
    let reads = browser.script(READS).await;
    browser.script("window.dispatchEvent(new Event('online')) ?? true").await;
    browser.until(&format!("{READS} > {reads}")).await;
    browser.state("live").await;
    assert_eq!(browser.ids().await, newest(1..=99));
    assert_eq!(browser.text("#list-notice").await, "2 orders entered · Update");
    browser.click("#list-notice").await;
    browser.wait_for_ids(&newest(82..=101)).await;
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn of_more_offered_orders_than_can_be_asked_for_none_is_offered_that_is_gone() {
    let database = Database::new().await;
    database.orders(&orders(1..=20, "pending")).await;
    let service = Service::start_with(&database, &["--poll-interval", "1s"]).await;
    let proxy = Proxy::start(service.web).await;
    let browser = queue(&format!("http://{}", proxy.address)).await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    database.orders(&orders(21..=140, "pending")).await;
    browser.wait_for_text("#list-notice", "120 orders entered · Update").await;
    proxy.block_streams();
    browser.state("polling").await;
    // the newest are on the page as it would be read, the oldest are asked for, and others are neither
    database.sql("delete from orders_order where id > 100").await;
    browser.wait_for_text("#list-notice", "80+ orders entered · Update").await;
    browser.click("#list-notice").await;
    browser.wait_for_ids(&newest(81..=100)).await;
    browser.close().await;
}

#[tokio::test]
async fn a_list_that_was_read_anew_goes_on_to_take_in_new_orders() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    database.orders("(4, 2, 'pending', 'paid', 40)").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    // not by the pointer, which may come to stand on the list
    browser.script("document.getElementById('list-notice').click() ?? true").await;
    browser.wait_for_ids("4,2,1,3").await;
    browser.until("document.activeElement.id === 'orders-list'").await;
    database.orders("(5, 2, 'pending', 'paid', 40)").await;
    browser.wait_for_ids("5,4,2,1,3").await;
    browser.close().await;
}

/// Has the page note how often it asks for what, how its badge turns, and when rows come.
const RECORD: &str = "(() => {
    const badge = document.getElementById('live-badge');
    Object.assign(window, { asked: [], turned: [], grown: [] });
    const fetched = window.fetch;
    window.fetch = (...asked) => { window.asked.push(String(asked[0])); return fetched(...asked); };
    window.EventSource = class extends EventSource { constructor(...asked) { super(...asked); window.asked.push('stream'); } };
    new MutationObserver(() => window.turned.push(badge.dataset.state)).observe(badge, { attributes: true, attributeFilter: ['data-state'] });
    new MutationObserver(() => window.grown.push(performance.now()))
        .observe(document.getElementById('orders-table-tbody'), { childList: true });
    return true; })()";

#[tokio::test]
async fn what_enters_comes_with_what_is_told_and_is_added_once_a_second() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    database.sql("update orders_order set customer_name = 'Ana' where id = 1").await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    browser.script(RECORD).await;
    for id in 4..=43 {
        database.orders(&format!("({id}, {}, 'pending', 'paid', {id}.5)", 1 + id % 2)).await;
    }
    browser.wait_for_ids(&format!("{},2,1,3", newest(4..=43))).await;
    browser.wait_for_text("#stat-total-orders", "43").await;
    browser.wait_for_text(".paging .range", "1–43 of 43").await;
    let of_list = "window.asked.filter((url) => url.includes('dashboard/') || url.includes('pharmacist/orders/') || url === 'stream').join()";
    assert_eq!(browser.script(of_list).await, "", "neither the page nor the API is read for it, nor a stream opened");
    assert_eq!(
        browser.script("window.turned.filter((state) => state !== 'live').join()").await,
        "",
        "it was live all the time"
    );
    let most = "window.grown.length <= 2 + (window.grown.at(-1) - window.grown[0]) / 1000";
    assert_eq!(browser.script(most).await, true);
    // a row that came is as the server has it
    let row = "(() => {
        const copy = document.querySelector('tr[data-order-id=\"42\"]').cloneNode(true);
        copy.querySelectorAll('[data-age]').forEach((place) => place.replaceChildren());
        for (const part of [copy, ...copy.querySelectorAll('*')]) ['title', 'data-changed'].forEach((name) => part.removeAttribute(name));
        return copy.outerHTML; })()";
    browser.until("document.querySelector('#orders-table-tbody [data-changed]') === null").await;
    let came = browser.script(row).await;
    browser.goto(QUEUE).await;
    browser.state("live").await;
    assert_eq!(browser.script(row).await, came);
    browser.close().await;
}

/// A queue of sixty orders, of which the page shows all.
async fn long_queue() -> (Database, Service, Browser) {
    let database = Database::new().await;
    database.orders(&orders(1..=20, "pending")).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    database.orders(&orders(21..=60, "pending")).await;
    browser.wait_for_ids(&newest(1..=60)).await;
    (database, service, browser)
}

/// As many new orders as would fill the page come, and are offered alone.
async fn is_offered_alone(database: &Database, browser: &Browser) {
    database.orders(&orders(61..=85, "pending")).await;
    browser.wait_for_text("#list-notice", "25 orders entered · Update").await;
    database.sql("update orders_order set status = 'confirmed' where id = 30").await;
    browser.wait_for_text("tr[data-order-id='30'] .status-badge", "Confirmed").await;
    assert_eq!(browser.ids().await, newest(1..=60));
}

#[tokio::test]
async fn the_row_that_somebody_has_scrolled_to_stays_where_it_is() {
    let (database, _service, browser) = long_queue().await;
    browser.point_at(".bar").await;
    browser.script("window.scrollTo(0, 5000) ?? true").await;
    browser.until("window.scrollY > 1000").await;
    let places = "JSON.stringify([window.scrollY, document.querySelector('tr[data-order-id=\"5\"]').getBoundingClientRect().top])";
    let before = browser.script(places).await;
    is_offered_alone(&database, &browser).await;
    assert_eq!(browser.script(places).await, before);
    // at the top again, nobody is in the midst of the list
    browser.script("window.scrollTo(0, 0) ?? true").await;
    browser.wait_for_ids(&newest(1..=85)).await;
    browser.close().await;
}

#[tokio::test]
async fn a_list_that_was_touched_waits_for_whoever_touched_it() {
    let (database, _service, browser) = long_queue().await;
    browser.devtools("Emulation.setTouchEmulationEnabled", serde_json::json!({ "enabled": true })).await;
    // the finger goes on to elsewhere, so that nothing of the list is pointed at any more
    for css in ["tr[data-order-id='58'] [data-cell=items]", ".breakdown"] {
        let place =
            format!("(({{ x, y }}) => [x + 4, y + 4])(document.querySelector(\"{css}\").getBoundingClientRect())");
        let place = browser.script(&place).await;
        let touch = |kind: &str, points: serde_json::Value| serde_json::json!({ "type": kind, "touchPoints": points });
        let points = serde_json::json!([{ "x": place[0], "y": place[1] }]);
        browser.devtools("Input.dispatchTouchEvent", touch("touchStart", points)).await;
        browser.devtools("Input.dispatchTouchEvent", touch("touchEnd", serde_json::json!([]))).await;
    }
    browser.until("!document.getElementById('orders-list').matches(':hover')").await;
    browser.script("document.activeElement.blur() ?? true").await;
    is_offered_alone(&database, &browser).await;
    assert_eq!(browser.script("window.scrollY").await, 0);
    browser.script("document.getElementById('list-notice').click() ?? true").await;
    browser.wait_for_ids(&newest(66..=85)).await;
    browser.close().await;
}

/// Holds what the page asks for when it reads its list anew.
const HOLD_PAGE: &str = "(() => { const fetched = window.fetch; window.held = [];
    window.fetch = async (...asked) => {
        const response = await fetched(...asked);
        if (String(asked[0]).includes('pharmacist/orders/')) await new Promise((go) => window.held.push(go));
        return response; };
    return true; })()";

#[tokio::test]
async fn while_a_list_is_read_anew_what_is_offered_stays_so() {
    let ways = Ways::new().await;
    let [_, poll] = ways.both();
    ways.database.orders(ORDERS).await;
    let browser = poll.browser("rx", QUEUE).await;
    browser.script(HOLD_PAGE).await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    ways.database.orders(&orders(4..=28, "pending")).await;
    let notice = "document.getElementById('list-notice').textContent";
    browser.until(&format!("{notice}.endsWith('entered · Update')")).await;
    // nobody is at the list: it is read for what is new, and meanwhile somebody comes back
    browser.script("document.activeElement.blur() ?? true").await;
    browser.until("window.held.length === 1").await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    browser.until(&format!("{notice}.endsWith('entered · Update')")).await;
    // and asks for it before it is there
    browser.script("document.getElementById('list-notice').focus() ?? true").await;
    browser.script("document.getElementById('list-notice').click() ?? true").await;
    assert_eq!(browser.script("document.activeElement.id").await, "list-notice", "it keeps the focus");
    assert_eq!(browser.script(&format!("{notice}.endsWith('entered · Update')")).await, true);
    assert_eq!(browser.script("window.held.length").await, 1, "it is being read already");
    browser.script("window.held[0]() ?? true").await;
    browser.wait_for_ids(&newest(9..=28)).await;
    browser.until("document.activeElement.id === 'orders-list'").await;
    browser.close().await;
}

#[tokio::test]
async fn what_changed_while_a_list_was_read_anew_is_right_in_it() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    browser.script(HOLD_PAGE).await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    database.orders("(4, 2, 'pending', 'paid', 40)").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    browser.script("document.getElementById('list-notice').click() ?? true").await;
    browser.until("window.held.length === 1").await;
    // the page was made before this, and arrives after it was told
    database.sql("update orders_order set status = 'confirmed' where id = 4").await;
    browser.wait_for_text("#status-count-confirmed", "1").await;
    let record = "(() => { window.seen = [];
        new MutationObserver(() => window.seen.push(document.querySelector('tr[data-order-id=\"4\"] .status-badge')?.textContent))
            .observe(document.querySelector('.dashboard'), { childList: true, subtree: true }); return true; })()";
    browser.script(record).await;
    browser.script("window.held[0]() ?? true").await;
    browser.wait_for_text("tr[data-order-id='4'] .status-badge", "Confirmed").await;
    assert_eq!(browser.script("window.seen.includes('Pending')").await, false, "it is never seen as it was");
    browser.close().await;
}

#[tokio::test]
async fn a_selection_is_changed_in_place_and_what_was_refused_says_why() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    for path in ["/orders/pharmacist/orders/", "/orders/pharmacist/dashboard/"] {
        let browser = queue(&service.base()).await;
        browser.goto(path).await;
        browser.state("live").await;
        database.sql("update orders_order set status = 'shipped'").await;
        browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Shipped").await;
        assert!(browser.hidden("#selection").await, "nothing is selected");
        for id in [1, 2] {
            browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
        }
        assert_eq!(browser.text("#selection .count").await, "2 orders selected");
        let status = browser.client.find(Locator::Css("#selection select[name=status]")).await.unwrap();
        status.select_by_value("delivered").await.unwrap();
        let note = browser.client.find(Locator::Css("#selection input[name=note]")).await.unwrap();
        note.send_keys("handed over").await.unwrap();
        browser.click("#selection button").await;
        browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Delivered").await;
        browser.until("document.querySelectorAll('#selection-outcome p').length === 2").await;
        let outcome = browser.text("#selection-outcome").await;
        assert!(outcome.contains("1 order changed.") && outcome.contains("ORD-2025-00001"), "{outcome}");
        browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
        assert_eq!(
            database
                .value("select string_agg(distinct order_id || old_status || new_status || notes, ',') from orders_orderstatushistory")
                .await,
            "2shippeddeliveredhanded over"
        );
        browser.close().await;
    }
}

#[tokio::test]
async fn what_is_entered_while_a_selection_is_changed_is_kept() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    // goes on to the server when it is told so, or is answered by what it is told
    let hold = "(() => { const fetched = window.fetch; window.held = []; window.fetch = async (...asked) => {
        if (!String(asked[0]).includes('orders/status/')) return fetched(...asked);
        return (await new Promise((go) => window.held.push(go))) ?? fetched(...asked); }; return true; })()";
    browser.script(hold).await;
    let select = async |id: i64| browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
    let selected =
        "[...document.querySelectorAll('input[name=order]:checked')].map((box) => box.value.split(':')[0]).join()";
    let note = "document.querySelector('#selection [name=note]').value";
    let on_button = "document.activeElement === document.querySelector('#selection button')";
    select(2).await;
    browser.choose("#selection [name=status]", "confirmed").await;
    browser.click("#selection button").await;
    browser.click("#selection button").await;
    browser.until("window.held.length > 0").await;
    assert_eq!(browser.script(on_button).await, true);
    assert_eq!(browser.script("document.querySelector('#selection button').ariaDisabled").await, "true");
    select(3).await;
    browser.fill_in("#selection [name=note]", "call first").await;
    browser.script("window.held.forEach((go) => go()) ?? true").await;
    browser.wait_for_text("#selection-outcome", "1 order changed.").await;
    assert_eq!(browser.script(selected).await, "3");
    assert_eq!(browser.script(note).await, "call first");
    assert_eq!(browser.script("window.held.length").await, 1, "a second click sends nothing");

    // an error without a word
    browser.choose("#selection [name=status]", "returned").await;
    browser.click("#selection button").await;
    browser.until("window.held.length === 2").await;
    browser.script("window.held[1](new Response('', { status: 500 })) ?? true").await;
    browser.until("document.getElementById('selection-outcome').textContent.startsWith('No answer.')").await;
    browser.click("#selection button").await;
    browser.until("window.held.length === 3").await;
    browser.script("window.held[2]() ?? true").await;
    browser.wait_for_text("#selection-outcome", "1 order changed.").await;
    assert_eq!(browser.script(selected).await, "");
    assert_eq!(browser.script(note).await, "", "nothing was entered meanwhile");
    assert_eq!(browser.script(on_button).await, true);
    let stand = "select string_agg(id || status, ',' order by id) from orders_order";
    assert_eq!(database.value(stand).await, "1pending,2confirmed,3returned");
    browser.close().await;
}

#[tokio::test]
async fn a_selection_is_told_which_of_its_orders_can_be_given_which_status() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    database.orders("(4, 1, 'on hold', 'paid', 40)").await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    let select = async |id: i64| browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
    let offered = async |status: &str| {
        browser.script(&format!("(({{ text, disabled }}) => text + (disabled ? ' (off)' : ''))(document.querySelector('#selection [name=status] [value={status}]'))")).await
    };
    select(3).await;
    assert_eq!(offered("confirmed").await, "Confirmed: it can't (off)");
    assert_eq!(offered("returned").await, "Returned");
    assert_eq!(offered("delivered").await, "Delivered: must be paid first");
    select(1).await;
    assert_eq!(offered("confirmed").await, "Confirmed: 1 of 2");
    let payment = browser.client.find(Locator::Css("#selection select[name=payment_status]")).await.unwrap();
    payment.select_by_value("paid").await.unwrap();
    assert_eq!(offered("delivered").await, "Delivered");
    select(4).await;
    assert_eq!(offered("confirmed").await, "Confirmed: 2 of 3", "nobody knows what a foreign status leads to");
    select(4).await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Shipped").await;
    browser.script("document.querySelector('#selection [name=note]').focus() ?? true").await;
    assert_eq!(offered("confirmed").await, "Confirmed: none of them can (off)", "of the orders as they are now");
    browser.close().await;
}

const SELECTED: &str =
    "[...document.querySelectorAll('input[name=order]:checked')].map(box => box.value.split(':')[0]).join()";

/// What the box that selects all says.
const ALL: &str =
    "(({ hidden, checked, indeterminate }) => hidden ? 'none' : indeterminate ? 'some' : String(checked))(
    document.getElementById('select-all'))";

#[tokio::test]
async fn what_is_selected_stays_so_when_rows_come() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    assert_eq!(browser.script(ALL).await, "none", "there is nothing to select");
    database.orders(ORDERS).await;
    browser.wait_for_ids("2,1,3").await;
    browser.until(&format!("{ALL} === 'false'")).await;
    for id in [1, 2] {
        browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
    }
    database.orders("(4, 1, 'pending', 'paid', 40)").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    browser.click("#list-notice").await;
    browser.wait_for_ids("4,2,1,3").await;
    assert_eq!(browser.script(SELECTED).await, "2,1");
    assert_eq!(browser.script(ALL).await, "some");
    assert_eq!(browser.text("#selection .count").await, "2 orders selected");

    browser.click("#select-all").await;
    assert_eq!(browser.script(SELECTED).await, "4,2,1,3");
    browser.script("document.activeElement.blur() ?? true").await;
    browser.point_at("h1, .bar").await;
    database.orders(&orders(5..=30, "pending")).await;
    browser.wait_for_text("#list-notice", "26 orders entered · Update").await;
    database.sql("update orders_order set status = 'confirmed' where id = 4").await;
    browser.wait_for_text("tr[data-order-id='4'] .status-badge", "Confirmed").await;
    assert_eq!(browser.ids().await, "4,2,1,3", "a list stays as it is under a selection");
    browser.click("#select-all").await;
    browser.script("document.activeElement.blur() ?? true").await;
    browser.point_at("h1, .bar").await;
    browser.wait_for_ids(&format!("{},4,2,1,3", newest(5..=30))).await;
    browser.close().await;
}

#[tokio::test]
async fn an_order_that_is_deleted_is_said_to_be_and_is_selected_no_more() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    browser.click("#select-all").await;
    database.sql("delete from orders_order where id = 2").await;
    browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Deleted").await;
    browser.wait_for_text("#selection .count", "2 orders selected").await;
    assert_eq!(browser.script(SELECTED).await, "1,3");
    assert_eq!(browser.script(ALL).await, "true", "all that there are");
    browser.click("tr[data-order-id='2'] input[name=order]").await;
    assert_eq!(browser.script(SELECTED).await, "1,3");
    database.orders("(2, 2, 'pending', 'paid', 20)").await;
    browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Pending").await;
    browser.until(&format!("{ALL} === 'some'")).await;
    browser.click("tr[data-order-id='2'] input[name=order]").await;
    assert_eq!(browser.script(SELECTED).await, "2,1,3");
    browser.close().await;
}

/// What the outcome says, the groups closed.
const OUTCOME: &str = "[...document.querySelectorAll('#selection-outcome :is(p, summary)')].map((said) => said.className + ': ' + said.textContent).join('; ')";

#[tokio::test]
async fn an_order_is_changed_as_it_was_seen_when_it_was_selected() {
    let ways = Ways::new().await;
    for way in ways.both() {
        ways.database.sql("truncate orders_order cascade").await;
        ways.database.orders(ORDERS).await;
        let browser = way.browser("rx", QUEUE).await;
        browser.click("tr[data-order-id='1'] input[name=order]").await;
        // it changes under the selection, where the person may not have looked
        ways.database.sql("update orders_order set payment_status = 'failed' where id = 1").await;
        browser.wait_for_text("tr[data-order-id='1'] .payment-badge", "Failed").await;
        browser.click("tr[data-order-id='2'] input[name=order]").await;
        browser.choose("#selection [name=status]", "confirmed").await;
        browser.fill_in("#selection [name=note]", "by phone").await;
        browser.click("#selection button").await;
        browser.until("document.querySelectorAll('#selection-outcome > *').length === 2").await;
        let outcome = browser.script(OUTCOME).await;
        let outcome = outcome.as_str().unwrap();
        assert!(
            outcome.starts_with(
                "done: 1 order changed.; problem: ORD-2025-00001 was Pending, and is Pending, payment Failed now"
            ) || outcome.contains("problem: ORD-2025-00001 was "),
            "{outcome}"
        );
        let stand = "select string_agg(id || status, ',' order by id) from orders_order";
        assert_eq!(ways.database.value(stand).await, "1pending,2confirmed,3shipped");
        assert_eq!(browser.script(SELECTED).await, "1");
        assert_eq!(browser.script("document.querySelector('#selection [name=note]').value").await, "by phone");
        // now that it was told, it is meant
        browser.click("#selection button").await;
        browser.wait_for_text("#selection-outcome", "1 order changed.").await;
        assert_eq!(ways.database.value(stand).await, "1confirmed,2confirmed,3shipped");
        browser.close().await;
    }
}

#[tokio::test]
async fn many_refusals_are_one_line_for_each_reason_and_success_is_no_problem() {
    let database = Database::new().await;
    database.orders(&orders(1..=12, "shipped")).await;
    database.sql("update orders_order set payment_status = 'pending' where id > 2; update orders_order set status = 'cancelled' where id in (9, 10)").await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    for width in [390, 1280] {
        browser.resize(width).await;
        browser.script("document.getElementById('select-all').click() ?? true").await;
        let inside = "[...document.querySelectorAll('#selection, #selection :is(input, select, button)')].filter((part) => part.type !== 'hidden')
            .every((part) => (({ left, right }) => left >= 0 && right <= innerWidth)(part.getBoundingClientRect()))";
        assert_eq!(browser.script(inside).await, true, "{width}");
        if width == 390 {
            browser.script("document.getElementById('select-all').click() ?? true").await;
        }
    }
    browser.choose("#selection [name=status]", "delivered").await;
    browser.click("#selection button").await;
    browser.until("document.querySelectorAll('#selection-outcome > *').length === 3").await;
    assert_eq!(
        browser.script(OUTCOME).await,
        "done: 2 orders changed.; problem: 8 not paid; problem: 2 already Cancelled"
    );
    let colours = "['.done', '.problem'].map((css) => getComputedStyle(document.querySelector(`#selection-outcome ${css}`)).color)";
    let colours = browser.script(colours).await;
    assert_ne!(colours[0], colours[1], "success is not red");
    browser.click("#selection-outcome summary").await;
    let behind = "document.querySelectorAll('#selection-outcome details[open] li').length";
    assert_eq!(browser.script(behind).await, 8);
    browser.close().await;
}

#[tokio::test]
async fn cancelling_is_asked_about_first() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    let cancelled = "select count(*) from orders_order where status = 'cancelled'";
    for id in [1, 2] {
        browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
    }
    browser.choose("#selection [name=status]", "cancelled").await;
    browser.fill_in("#selection [name=note]", "by mistake").await;
    for answer in ["Escape", "Keep", "Cancel 2 orders"] {
        browser.click("#selection button").await;
        browser.until("document.getElementById('selection-confirm').open").await;
        assert_eq!(browser.text("#selection-confirm h2").await, "Cancel 2 orders?");
        assert_eq!(database.value(cancelled).await, "0", "{answer}");
        if answer == "Escape" {
            browser.client.active_element().await.unwrap().send_keys("\u{e00c}").await.unwrap();
        } else {
            browser
                .script(&format!("[...document.querySelectorAll('#selection-confirm button')].find(({{ textContent }}) => textContent === '{answer}').click() ?? true"))
                .await;
        }
        browser.until("!document.getElementById('selection-confirm').open").await;
        if answer != "Cancel 2 orders" {
            assert_eq!(browser.script("document.querySelector('#selection [name=note]').value").await, "by mistake");
        }
    }
    browser.wait_for_text("#selection-outcome", "2 orders changed.").await;
    assert_eq!(database.value(cancelled).await, "2");
    browser.close().await;
}

#[tokio::test]
async fn what_is_selected_and_filled_in_is_there_on_the_way_back() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    for id in [1, 2] {
        browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
    }
    browser.choose("#selection [name=status]", "confirmed").await;
    browser.fill_in("#selection [name=note]", "call first").await;
    browser.follow("tr[data-order-id='3'] .number").await;
    browser.wait_for_text("h1", "ORD-2025-00003").await;
    database.sql("update orders_order set payment_status = 'failed' where id = 2").await;
    browser.client.back().await.unwrap();
    browser.state("live").await;
    browser.until(&format!("{SELECTED} === '2,1'")).await;
    assert_eq!(browser.text("#selection .count").await, "2 orders selected");
    let fields = "['status', 'note'].map((name) => document.querySelector(`#selection [name=${name}]`).value).join()";
    assert_eq!(browser.script(fields).await, "confirmed,call first");
    // as it was seen when it was selected
    browser.click("#selection button").await;
    browser.until("document.querySelectorAll('#selection-outcome > *').length === 2").await;
    let stand = "select string_agg(id || status, ',' order by id) from orders_order";
    assert_eq!(database.value(stand).await, "1confirmed,2pending,3shipped");
    browser.close().await;
}
