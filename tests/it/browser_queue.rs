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
    browser.wait_for_text("#list-notice", "1 entered: refresh").await;
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
        browser.wait_for_ids(&format!("2,1,{}", newest(11..=28))).await;
        browser.wait_for_text(".paging .page", "Page 1 of 2").await;
        browser.until("document.getElementById('list-notice').hidden").await;
        browser.point_at("tr[data-order-id='28'] [data-cell=customer]").await;
        ways.database.orders(&orders(29..=53, "pending")).await;
        browser.until("/^\\d+ entered: refresh$/.test(document.getElementById('list-notice').textContent)").await;
        browser.point_at("h1, .bar").await;
        browser.wait_for_ids(&newest(34..=53)).await;
        browser.until("document.getElementById('list-notice').hidden").await;
        browser.state(way.state).await;
        browser.close().await;
    }
}

#[tokio::test]
async fn an_order_that_enters_further_down_than_a_page_reaches_is_offered_until_it_is_asked_for() {
    let database = Database::new().await;
    database.orders(&orders(1..=18, "processing")).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    database.orders(&orders(19..=28, "pending")).await;
    browser.wait_for_ids(&newest(1..=28)).await;
    browser.state("live").await;
    database.orders(&orders(29..=29, "shipped")).await;
    browser.wait_for_text("#list-notice", "1 entered: refresh").await;
    let reads = browser.script(READS).await;
    database.orders(&orders(30..=30, "pending")).await;
    browser.wait_for_ids(&format!("30,{}", newest(1..=28))).await;
    browser.until(&format!("{READS} > {reads}")).await;
    browser.state("live").await;
    assert_eq!(browser.text("#list-notice").await, "1 entered: refresh");
    let fetches = "(() => { const fetched = window.fetch; let count = 0;
        window.fetch = (...asked) => { count += 1; return fetched(...asked); };
        document.getElementById('orders-list').dispatchEvent(new PointerEvent('pointerout', { bubbles: true }));
        window.fetch = fetched; return count; })()";
    assert_eq!(browser.script(fetches).await, 0, "what was looked for in vain is not looked for again");
    database.sql("delete from orders_order where id = 29").await;
    browser.until("document.getElementById('list-notice').hidden").await;
    database.orders(&orders(31..=31, "shipped")).await;
    browser.wait_for_text("#list-notice", "1 entered: refresh").await;
    browser.click("#list-notice").await;
    browser.wait_for_ids(&format!("30,{}", newest(10..=28))).await;
    browser.until("document.getElementById('list-notice').hidden").await;
    browser.close().await;
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
    browser.wait_for_text("#list-notice", "2 entered: refresh").await;
    // what is told later finds them still offered, and the page still true
    let reads = browser.script(READS).await;
    browser.script("window.dispatchEvent(new Event('online')) ?? true").await;
    browser.until(&format!("{READS} > {reads}")).await;
    browser.state("live").await;
    assert_eq!(browser.ids().await, newest(1..=99));
    assert_eq!(browser.text("#list-notice").await, "2 entered: refresh");
    browser.click("#list-notice").await;
    browser.wait_for_ids(&newest(82..=101)).await;
    browser.state("live").await;
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
    browser.wait_for_text("#list-notice", "1 entered: refresh").await;
    // not by the pointer, which may come to stand on the list
    browser.script("document.getElementById('list-notice').click() ?? true").await;
    browser.wait_for_ids("4,2,1,3").await;
    browser.until("document.activeElement.id === 'orders-list'").await;
    database.orders("(5, 2, 'pending', 'paid', 40)").await;
    browser.wait_for_ids("5,4,2,1,3").await;
    browser.close().await;
}

#[tokio::test]
async fn nothing_moves_under_a_focus_that_came_while_the_list_was_read() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let browser = queue(&service.base()).await;
    // the first page is held; whether rows came while one had the focus is recorded
    let hold = "(() => { const fetched = window.fetch; window.held = []; window.read = 0; window.disturbed = 0;
        window.fetch = async (...asked) => {
            const response = await fetched(...asked);
            if (!String(asked[0]).includes('pharmacist/orders/')) return response;
            await new Promise((go) => window.held.push(go));
            const text = await response.text();
            response.text = async () => { setTimeout(() => { window.read += 1; }); return text; };
            return response; };
        const body = document.getElementById('orders-table-tbody');
        new MutationObserver(() => { if (body.contains(document.activeElement)) window.disturbed += 1; })
            .observe(body, { childList: true });
        return true; })()";
    browser.script(hold).await;
    database.orders("(4, 2, 'pending', 'paid', 40)").await;
    browser.until("window.held.length === 1").await;
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    browser.script("window.held[0]() ?? true").await;
    browser.until("window.read === 1").await;
    assert_eq!(browser.ids().await, "2,1,3");
    browser.wait_for_text("#list-notice", "1 entered: refresh").await;
    browser.script("document.activeElement.blur() ?? true").await;
    browser.until("window.held.length === 2").await;
    browser.script("window.held[1]() ?? true").await;
    browser.wait_for_ids("4,2,1,3").await;
    assert_eq!(browser.script("window.disturbed").await, 0);
    browser.close().await;
}

#[tokio::test]
async fn a_row_that_changed_while_it_was_on_its_way_is_right() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    let proxy = Proxy::start(service.web).await;
    let browser = queue(&format!("http://{}", proxy.address)).await;
    // the page with the new row was made before the change, and arrives after it was told
    let hold = "(() => { const fetched = window.fetch; window.held = []; window.fetch = async (...asked) => {
        const response = await fetched(...asked);
        if (String(asked[0]).includes('pharmacist/orders/')) await new Promise((go) => window.held.push(go));
        return response; }; return true; })()";
    browser.script(hold).await;
    database.orders("(4, 2, 'pending', 'paid', 40)").await;
    browser.until("window.held.length === 1").await;
    database.sql("update orders_order set status = 'confirmed' where id = 4").await;
    browser.wait_for_text("#status-count-confirmed", "1").await;
    browser.script("window.held[0]() ?? true").await;
    browser.wait_for_text("tr[data-order-id='4'] .status-badge", "Confirmed").await;
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
    assert_eq!(offered("delivered").await, "Delivered: 0 of 1, the rest must be paid");
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
    browser.wait_for_text("#list-notice", "1 entered: refresh").await;
    browser.click("#list-notice").await;
    browser.wait_for_ids("4,2,1,3").await;
    assert_eq!(browser.script(SELECTED).await, "2,1");
    assert_eq!(browser.script(ALL).await, "some");
    assert_eq!(browser.text("#selection .count").await, "2 orders selected");

    browser.click("#select-all").await;
    assert_eq!(browser.script(SELECTED).await, "4,2,1,3");
    browser.script("document.activeElement.blur() ?? true").await;
    browser.point_at("h1, .bar").await;
    database.orders("(5, 1, 'pending', 'paid', 40)").await;
    browser.wait_for_ids("5,4,2,1,3").await;
    assert_eq!(browser.script(ALL).await, "some");
    assert_eq!(browser.script(SELECTED).await, "4,2,1,3");

    database.orders(&orders(6..=30, "pending")).await;
    browser.wait_for_text("#list-notice", "25 entered: refresh").await;
    database.sql("update orders_order set status = 'confirmed' where id = 5").await;
    browser.wait_for_text("tr[data-order-id='5'] .status-badge", "Confirmed").await;
    assert_eq!(browser.ids().await, "5,4,2,1,3", "a list is not exchanged under a selection");
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
