//! One order's page in a real Chromium: it is live, two people see each other on it, and none overwrites the other.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::harness::browser::{AT_ONCE, Browser};
use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::scene::Scene;
use crate::harness::service::Service;

const ORDERS: &str = "(1, 1, 'pending', 'pending', 1500), (2, 1, 'processing', 'paid', 20)";
const PAGE: &str = "/orders/orders/1/";

const TOTAL: &str = "[data-total]";
const NEWEST: &str = "document.querySelector('.timeline li').textContent.replaceAll(/\\s+/g, ' ')";

/// How soon a page notices by the heartbeat what nothing else tells, and how soon it knows who else is there: it looks every five
/// seconds, so that this is before it looks again.
const BEAT: Duration = Duration::from_secs(9);

async fn some_orders() -> (Database, Service) {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    let service = Service::start(&database).await;
    (database, service)
}

/// The first order's page of somebody, live.
async fn order_page(service: &Service, username: &str) -> Browser {
    let browser = Browser::open(&service.base()).await;
    browser.sign_in(username).await;
    browser.goto(PAGE).await;
    browser.state("live").await;
    browser
}

async fn item(database: &Database, medicine: i64) {
    let columns = "order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at";
    let item = format!("(1, {medicine}, 2, 'box', 7, 14, '', now())");
    database.sql(&format!("insert into orders_orderitem ({columns}) values {item}")).await;
}

/// The text beside a term of the customer's panel.
fn beside(term: &str) -> String {
    format!(
        "[...document.querySelectorAll('dt')].find(dt => dt.textContent === '{term}')?.nextElementSibling.textContent"
    )
}

#[tokio::test]
async fn a_psql_update_shows_at_once_in_every_part() {
    let (database, service) = some_orders().await;
    let browser = order_page(&service, "ana").await;
    let began = Instant::now();
    database
        .sql(
            "set application_name = 'psql';
             update orders_order set status = 'confirmed', payment_status = 'paid', total_amount = 1600,
                 customer_address = '2 Luna St', delivery_method = 'delivery' where id = 1",
        )
        .await;
    browser.wait_for_text(".status-badge", "Confirmed").await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    for (css, text) in [(".payment-badge", "Paid"), (TOTAL, "₱1,600.00")] {
        assert_eq!(browser.script(&format!("document.querySelector('{css}').textContent")).await, text);
    }
    assert_eq!(browser.script(&beside("Address")).await, "2 Luna St");
    assert_eq!(browser.script(&beside("Delivery")).await, "Delivery");
    // what it was is beside it for a moment, and what may be done has changed with it
    let was = "[...document.querySelectorAll('[data-was-shown]')].map(({ dataset }) => dataset.was)";
    assert_eq!(browser.script(was).await, json!(["Pending", "Pending", "₱1,500.00"]));
    assert_eq!(browser.script("document.querySelectorAll('.timeline [data-changed]').length").await, 1);
    assert_eq!(browser.script("document.querySelector('.actions a[href$=\"edit/\"]')").await, Value::Null);
    let newest = browser.script(NEWEST).await.as_str().unwrap().to_owned();
    for part in [
        "Status: Pending → Confirmed",
        "Payment: Pending → Paid",
        "Total: ₱1,500.00 → ₱1,600.00",
        "from psql",
        "just now",
    ] {
        assert!(newest.contains(part), "{part}: {newest}");
    }
    browser.until("document.getElementById('live-region').textContent.includes('Status: Pending → Confirmed')").await;

    let began = Instant::now();
    item(&database, 3).await;
    browser.until("document.querySelector('.items tbody').textContent.includes('Medicine 32 box₱7.00₱14.00')").await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    database
        .sql("select set_config('app.user', 'maria', false); update orders_order set status = 'shipped' where id = 1")
        .await;
    browser.until(&format!("{NEWEST}.includes('by maria')")).await;
    assert_eq!(browser.script("document.querySelectorAll('.timeline li').length").await, 4);
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn without_a_stream_it_is_as_true_a_poll_later() {
    let scene = Scene::new().await;
    let browser = &scene.browser;
    browser.goto(PAGE).await;
    browser.state("live").await;
    scene.proxy.block_streams();
    browser.state("polling").await;
    let began = Instant::now();
    scene.database.sql("update orders_order set status = 'shipped', total_amount = 17 where id = 1").await;
    browser.wait_for_text(".status-badge", "Shipped").await;
    assert!(began.elapsed() < BEAT, "{:?}", began.elapsed());
    browser.wait_for_text(TOTAL, "₱17.00").await;
    // the list is told as well, in its own place
    browser.until(&format!("{NEWEST}.includes('Status: Pending → Shipped')")).await;
    scene.proxy.unblock();
    browser.state("live").await;
    scene.database.sql("update orders_order set payment_status = 'paid' where id = 1").await;
    browser.wait_for_text(".payment-badge", "Paid").await;
    scene.browser.close().await;
}

/// Nor is there a time of writing to tell it by: psql keeps none.
#[tokio::test]
async fn what_no_event_tells_is_noticed_by_the_heartbeat() {
    let (database, service) = some_orders().await;
    item(&database, 3).await;
    let browser = order_page(&service, "ana").await;
    let began = Instant::now();
    database.sql("update orders_order set customer_address = '3 Mabini St' where id = 1").await;
    browser.until(&format!("{} === '3 Mabini St'", beside("Address"))).await;
    assert!(began.elapsed() < BEAT, "{:?}", began.elapsed());
    database.sql("update orders_orderitem set quantity = 5").await;
    browser.until("document.querySelector('.items tbody').textContent.includes('5 box')").await;
    database.sql("insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status,
        new_payment_status, notes, changed_by_id, changed_at) values (1, 'pending', 'pending', 'pending', 'pending', 'rang twice', 3, now())").await;
    browser.until(&format!("{NEWEST}.includes('rang twice')")).await;
    assert!(browser.script(NEWEST).await.as_str().unwrap().contains("by rx"));
    browser.close().await;
}

#[tokio::test]
async fn people_at_one_order_see_each_other() {
    let (_database, service) = some_orders().await;
    let (ana, again) = (order_page(&service, "ana").await, order_page(&service, "ana").await);
    let rx = order_page(&service, "rx").await;
    let began = Instant::now();
    rx.wait_for_text("#viewing", "ana is viewing").await;
    ana.wait_for_text("#viewing", "rx is viewing").await;
    assert!(began.elapsed() < BEAT, "{:?}", began.elapsed());
    let boss = order_page(&service, "boss").await;
    ana.wait_for_text("#viewing", "boss and rx are viewing").await;
    boss.wait_for_text("#viewing", "ana and rx are viewing").await;
    let began = Instant::now();
    boss.goto("/orders/pharmacist/orders/").await;
    rx.goto("/orders/orders/2/").await;
    ana.wait_for_text("#viewing", "").await;
    again.wait_for_text("#viewing", "").await;
    assert!(began.elapsed() < BEAT, "{:?}", began.elapsed());
    for browser in [ana, again, rx, boss] {
        browser.close().await;
    }
}

async fn choose_shipped(browser: &Browser) {
    browser.click("#change [name=status][value=shipped]").await;
    browser.client.find(Locator::Css("#change [name=note]")).await.unwrap().send_keys("by noon").await.unwrap();
}

const NOTE: &str = "document.querySelector('#change [name=note]').value";
const VERSION: &str = "document.querySelector('#change [name=version]').value";

#[tokio::test]
async fn an_untouched_form_becomes_the_new_one() {
    let (database, service) = some_orders().await;
    let browser = order_page(&service, "rx").await;
    browser.script("document.querySelector('#change [name=note]').focus() ?? true").await;
    database.sql("update orders_order set status = 'processing' where id = 1").await;
    browser.until(&format!("{VERSION} === 'processing:pending'")).await;
    assert!(browser.hidden("#change-overtaken").await);
    assert_eq!(browser.script("document.activeElement.name").await, "note");
    assert_eq!(browser.script("document.querySelector('#change [value=confirmed]').disabled").await, true);
    choose_shipped(&browser).await;
    browser.click("#change [type=submit]").await;
    browser.wait_for_text(".status-badge", "Shipped").await;
    browser.until(&format!("{NEWEST}.includes('by noon')")).await;
    assert_eq!(database.value("select status from orders_order where id = 1").await, "shipped");
    browser.close().await;
}

#[tokio::test]
async fn a_form_that_is_filled_in_is_kept_and_says_what_overtook_it() {
    let (_database, service) = some_orders().await;
    let browser = order_page(&service, "rx").await;
    let boss = service.signed_in("boss").await;
    choose_shipped(&browser).await;
    assert_eq!(boss.post("/orders/orders/1/status/", &[("status", "processing")]).await.status(), 303);
    browser.until("!document.getElementById('change-overtaken').hidden").await;
    let said = browser.text("#change-overtaken").await;
    for part in [
        "boss changed this order to Processing, payment Pending while you were filling this in.",
        "When you began\nPending, payment Pending",
        "You want\nShipped",
        "Now\nProcessing, payment Pending",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(browser.script(NOTE).await, "by noon");
    browser.wait_for_text(".status-badge", "Processing").await;
    // who sends it now has been told, and is not asked again
    assert_eq!(browser.script(VERSION).await, "processing:pending");
    browser.click("#change [type=submit]").await;
    browser.wait_for_text(".status-badge", "Shipped").await;
    browser.until(&format!("{NEWEST}.includes('by noon')")).await;
    browser.until(&format!("{VERSION} === 'shipped:pending'")).await;

    // what was chosen and can't be any more is chosen no more, and nothing else is lost
    browser.click("#change [name=status][value=delivered]").await;
    browser.client.find(Locator::Css("#change [name=note]")).await.unwrap().send_keys("at the door").await.unwrap();
    assert_eq!(boss.post("/orders/orders/1/status/", &[("status", "returned")]).await.status(), 303);
    browser.until("document.querySelector('#change-overtaken [data-text=wanted]').textContent === 'Delivered'").await;
    assert_eq!(browser.script("document.querySelector('#change [name=status]:checked').value").await, "");
    assert_eq!(browser.script(NOTE).await, "at the door");
    browser.close().await;
}

#[tokio::test]
async fn an_order_that_goes_is_no_error_and_comes_back() {
    let (database, service) = some_orders().await;
    let (ana, rx) = (order_page(&service, "ana").await, order_page(&service, "rx").await);
    database.sql("update orders_order set sales_rep_id = 2 where id = 1").await;
    ana.until("document.getElementById('order-gone').textContent.startsWith('This order is no longer yours')").await;
    assert_eq!(ana.script("document.querySelector('.actions').inert").await, true);
    assert_eq!(ana.text(".status-badge").await, "Pending");
    ana.state("live").await;
    rx.until(&format!("{} === 'ben Tester'", beside("Representative"))).await;
    assert!(rx.hidden("#order-gone").await);
    database.sql("update orders_order set sales_rep_id = 1, status = 'confirmed' where id = 1").await;
    ana.wait_for_text(".status-badge", "Confirmed").await;
    assert!(ana.hidden("#order-gone").await);
    assert_eq!(ana.script("document.querySelector('.actions').inert").await, false);

    database.sql("delete from orders_order where id = 1").await;
    for browser in [&ana, &rx] {
        browser.until("!document.getElementById('order-gone').hidden").await;
        browser.state("live").await;
    }
    assert_eq!(rx.script("document.getElementById('change').inert").await, true);
    assert!(rx.text("#order-gone").await.starts_with("This order is deleted."));
    database.orders("(1, 1, 'shipped', 'paid', 5)").await;
    for browser in [ana, rx] {
        browser.wait_for_text(".status-badge", "Shipped").await;
        assert!(browser.hidden("#order-gone").await);
        browser.close().await;
    }
}

#[tokio::test]
async fn what_does_not_change_stays_where_it_is() {
    let (database, service) = some_orders().await;
    for medicine in 1..=9 {
        item(&database, medicine).await;
    }
    database.sql("update orders_order set customer_address = 'Old' where id = 1").await;
    let browser = order_page(&service, "ana").await;
    browser.resize(390).await;
    let begin = "(() => {
        document.querySelector('.actions a').focus();
        getSelection().selectAllChildren(document.querySelector('.items tbody tr:nth-child(5)'));
        window.scrollTo(0, 200);
        window.entry = document.querySelector('.timeline li');
        return [document.activeElement.href, String(getSelection()), window.scrollY];
    })()";
    let before = browser.script(begin).await;
    assert_eq!(before[2], 200);
    database
        .sql("update orders_order set payment_status = 'paid', total_amount = 3, customer_address = 'New' where id = 1")
        .await;
    browser.wait_for_text(TOTAL, "₱3.00").await;
    browser.until(&format!("{} === 'New'", beside("Address"))).await;
    let now = "[document.activeElement.href, String(getSelection()), window.scrollY]";
    assert_eq!(browser.script(now).await, before);
    assert_eq!(browser.script("window.entry === document.querySelector('.timeline li:nth-child(2)')").await, true);
    browser.close().await;
}

/// Has the page's reads of itself counted, and kept on their way until they are let go.
const HOLD: &str =
    "(() => { const fetched = window.fetch; window.reads = 0; window.held = []; window.fetch = async (...asked) => {
    const response = await fetched(...asked);
    if (String(asked[0]).endsWith('/orders/orders/1/')) {
        window.reads += 1;
        await new Promise((go) => window.held ? window.held.push(go) : go());
    }
    return response; }; return true; })()";
const LET_GO: &str =
    "(() => { const held = window.held; window.held = null; held.forEach((go) => go()); return true; })()";

#[tokio::test]
async fn of_many_changes_at_once_few_are_read_and_the_newest_stays() {
    let (database, service) = some_orders().await;
    let browser = order_page(&service, "ana").await;
    browser.script(HOLD).await;
    database.sql("update orders_order set total_amount = 1 where id = 1").await;
    browser.until("window.held.length === 1").await;
    for total in 2..=30 {
        database.sql(&format!("update orders_order set total_amount = {total} where id = 1")).await;
    }
    // the sentinel: the last of them was heard of before the first read is let go
    browser.until("window.held.length === 1").await;
    browser.script(LET_GO).await;
    browser.wait_for_text(TOTAL, "₱30.00").await;
    let reads = browser.script("window.reads").await.as_u64().unwrap();
    assert!((2..=6).contains(&reads), "{reads}");
    browser.close().await;
}

#[tokio::test]
async fn it_is_not_live_while_it_cant_read_what_changed() {
    let (database, service) = some_orders().await;
    let browser = order_page(&service, "ana").await;
    let fail = "(() => { window.fetched = window.fetch; window.fetch = (...asked) => String(asked[0]).endsWith('/orders/orders/1/')
        ? Promise.reject(new TypeError('no way')) : window.fetched(...asked); return true; })()";
    browser.script(fail).await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.until("document.getElementById('live-badge').dataset.state !== 'live'").await;
    browser.state("stale").await;
    browser.script("(window.fetch = window.fetched, true)").await;
    browser.wait_for_text(".status-badge", "Shipped").await;
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn it_leads_back_to_the_list_as_it_was_filtered() {
    let (_database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "?status=pending").await;
    browser.click("tr[data-order-id='1'] .number").await;
    browser.until("document.getElementById('back')?.search === '?status=pending'").await;
    browser.close().await;
    let browser = order_page(&service, "rx").await;
    assert_eq!(browser.text("#back").await, "Orders");
    assert_eq!(
        browser.script("document.getElementById('back').pathname + location.search").await,
        "/orders/pharmacist/orders/"
    );
    browser.close().await;
}

#[tokio::test]
async fn whoever_signs_out_hears_no_more_of_it() {
    let (database, service) = some_orders().await;
    let browser = order_page(&service, "rx").await;
    browser.script("(window.fetched = 0, window.ask = window.fetch, window.fetch = (...asked) => (window.fetched += 1, window.ask(...asked)), true)").await;
    database.sql("delete from live.session").await;
    browser.state("signed_out").await;
    let asked = browser.script("window.fetched").await;
    browser.script("document.dispatchEvent(new Event('visibilitychange'))").await;
    database.sql("update orders_order set status = 'shipped' where id = 1").await;
    assert_eq!(browser.text("#viewing").await, "");
    assert!(browser.script("document.getElementById('order').hasAttribute('data-stale')").await == true);
    assert_eq!(browser.script("document.querySelector('.status-badge').textContent").await, "Pending");
    assert_eq!(browser.script("window.fetched").await, asked);
    browser.close().await;
}

const HOSTILE: &str = "</p></td><script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\">'";

#[tokio::test]
async fn hostile_text_that_arrives_stays_text() {
    let (database, service) = some_orders().await;
    item(&database, 1).await;
    database
        .sql(
            "do $$ declare c record; begin
            for c in select table_name t, column_name n from information_schema.columns
                where table_schema = 'public' and data_type in ('text', 'character varying')
                    and (table_name like 'orders%' or (table_name, column_name) in (('inventory_medicine', 'name'), ('accounts_user', 'username'))) loop
                execute format('alter table %I alter column %I type text', c.t, c.n);
            end loop; end $$",
        )
        .await;
    let browser = order_page(&service, "rx").await;
    let boss = order_page(&service, "boss").await;
    browser.wait_for_text("#viewing", "boss is viewing").await;
    choose_shipped(&browser).await;
    let hostile = HOSTILE.replace('\'', "''");
    database.sql(&format!("select set_config('app.user', '{hostile}', false);
        update accounts_user set username = '{hostile}', first_name = '<b>', last_name = '' where id = 4;
        update inventory_medicine set name = '{hostile}';
        update orders_orderitem set unit = '{hostile}', prescription_notes = '{hostile}';
        update orders_order set order_number = '{hostile}', customer_name = '{hostile}', customer_phone = '{hostile}',
            customer_address = '{hostile}', delivery_method = '{hostile}', delivery_address = '{hostile}', status = '{hostile}',
            payment_status = '{hostile}', delivery_instructions = '{hostile}', customer_notes = '{hostile}', internal_notes = '{hostile}' where id = 1;
        insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status, notes,
            changed_by_id, changed_at) values (1, '{hostile}', 'x', '{hostile}', 'x', '{hostile}', 4, now() - interval '1 day')")).await;
    // codes that nobody knows are shown with capitals
    for css in [
        "h1",
        ".status-badge",
        ".payment-badge",
        "#change-overtaken strong",
        ".items tbody",
        ".timeline",
        "dl",
        "#live-region",
    ] {
        browser
            .until(&format!(
                "document.querySelector('{css}').textContent.toLowerCase().includes({})",
                json!(HOSTILE.to_lowercase())
            ))
            .await;
    }
    browser
        .until(&format!(
            "document.getElementById('viewing').textContent === {}",
            json!(format!("{HOSTILE} is viewing"))
        ))
        .await;
    let hacked = "'hacked' in window || document.querySelector('script:not([src]), img, b') !== null";
    assert_eq!(browser.script(hacked).await, false);
    browser.close().await;
    boss.close().await;
}

/// Told by another tab, sends the form of a field again and again for as long as the page is there, and keeps count.
fn keep_sending(field: &str) -> String {
    format!(
        "(window.leaving = true, addEventListener('storage', () => setInterval(() => {{
            document.querySelector('main [name={field}]').form.querySelector('[type=submit]').click();
            localStorage.sent = 1 + Number(localStorage.sent); }}, 50), {{ once: true }})) ?? true"
    )
}

#[tokio::test]
async fn however_often_it_is_clicked_a_form_is_sent_once() {
    let (database, service) = some_orders().await;
    let browser = Browser::open(&service.base()).await;
    browser.sign_in("rx").await;
    let page = browser.client.window().await.unwrap();
    let other = browser.client.new_window(true).await.unwrap().handle;
    let forms = [
        (PAGE, "note", "called them", "select count(*) from orders_orderstatushistory where notes = 'called them'"),
        (
            "/orders/orders/1/edit/",
            "customer_name",
            "Maria Cruz",
            "select count(*) from orders_order where customer_name = 'Maria Cruz'",
        ),
        (
            "/orders/orders/1/cancel/",
            "reason",
            "twice",
            "select count(*) from orders_orderstatushistory where notes like '%twice%'",
        ),
    ];
    for (path, field, text, written) in forms {
        browser.client.switch_to_window(page.clone()).await.unwrap();
        browser.goto(path).await;
        browser.fill_in(&format!("main [name={field}]"), text).await;
        browser.script(&keep_sending(field)).await;
        browser.client.switch_to_window(other.clone()).await.unwrap();
        browser.goto("/accounts/preferences/").await;
        // what is sent is written; the page that answers it waits
        let client = database.client().await;
        client.batch_execute("begin; lock table live.muted_order in access exclusive mode").await.unwrap();
        browser.script("localStorage.sent = 0").await;
        eventually("it is written", async || (database.value(written).await != "0").then_some(())).await;
        let sent = browser.script("Number(localStorage.sent)").await;
        browser.until(&format!("localStorage.sent >= {sent} + 3")).await;
        client.batch_execute("rollback").await.unwrap();
        browser.client.switch_to_window(page.clone()).await.unwrap();
        browser.until("!('leaving' in window) && document.readyState === 'complete'").await;
        assert_eq!(browser.script("location.pathname").await, PAGE);
        assert_eq!(database.value(written).await, "1", "{path}");
        assert_eq!(browser.script("document.querySelector('.conflict strong')?.textContent ?? ''").await, "", "{path}");
    }
    browser.close().await;
}

const EDIT: &str = "/orders/orders/1/edit/";
const NAME: &str = "document.querySelector('[name=customer_name]').value";
const ANSWER: &str = "(document.querySelector('[data-answer]')?.textContent ?? '')";

#[tokio::test]
async fn a_form_that_is_not_taken_keeps_what_was_entered() {
    let Scene { database, browser, proxy, service: _service } = Scene::new().await;
    browser.goto(EDIT).await;
    browser.fill_in("[name=customer_name]", "Maria Cruz").await;
    browser.fill_in("[name=customer_phone]", "01234567890123456").await;
    browser.script("(window.loaded = true)").await;
    // refused: it says what is wrong, beside the field
    browser.click("#content [type=submit]").await;
    browser.wait_for_text("#error-customer_phone", "At most 15 characters; this has 17.").await;
    assert_eq!(browser.script("document.activeElement.name").await, "customer_phone");
    browser
        .wait_for_text("form.panel > .problem", "Nothing is saved yet. Correct the marked fields and save again.")
        .await;
    assert_eq!(browser.script(NAME).await, "Maria Cruz");
    browser.fill_in("[name=customer_phone]", "0917").await;
    // an outage: nobody knows whether it is saved
    proxy.block_everything();
    browser.click("#content [type=submit]").await;
    browser.until(&format!("{ANSWER}.startsWith('There was no answer')")).await;
    proxy.unblock();
    assert_eq!(browser.script(NAME).await, "Maria Cruz");
    // signed out
    let sessions = "create table kept as table live.session; delete from live.session";
    database.sql(sessions).await;
    browser.click("#content [type=submit]").await;
    browser.until(&format!("{ANSWER}.startsWith('You are signed out')")).await;
    let way = "(() => {
        const { left, top } = document.querySelector('[data-answer] a[target=_blank]').getBoundingClientRect();
        return document.elementFromPoint(left + 5, top + 5)?.pathname;
    })()";
    assert_eq!(browser.script(way).await, "/accounts/login/", "it is in sight");
    database.sql("insert into live.session select * from kept").await;
    // the order's database is away
    let away = database.take_away().await;
    browser.click("#content [type=submit]").await;
    browser.until(&format!("{ANSWER}.startsWith('The database is unavailable')")).await;
    away.give_back().await;
    assert_eq!(browser.script("window.loaded").await, true, "the page was never left");
    assert_eq!(browser.script(NAME).await, "Maria Cruz");
    assert_eq!(database.value("select customer_name from orders_order where id = 1").await, "Customer 1");
    eventually("it can be saved again", async || {
        browser.script("document.querySelector('#content [type=submit]')?.click() ?? true").await;
        (browser.script("location.pathname").await == PAGE).then_some(())
    })
    .await;
    assert_eq!(
        database.value("select customer_name || ' ' || customer_phone from orders_order where id = 1").await,
        "Maria Cruz 0917"
    );
    browser.close().await;
}

const CANCEL: &str = "/orders/orders/1/cancel/";

#[tokio::test]
async fn a_form_says_at_once_what_others_do_with_its_order_and_keeps_what_was_entered() {
    let (database, service) = some_orders().await;
    let base = service.base();
    let (ana, rx) = (Browser::open(&base).await, Browser::open(&base).await);
    for (name, browser) in [("ana", &ana), ("rx", &rx)] {
        browser.sign_in(name).await;
        browser.goto(EDIT).await;
        browser.state("live").await;
        browser.fill_in("[name=customer_phone]", "0999").await;
    }
    let boss = service.signed_in("boss").await;
    let told = |words: &str| format!("document.getElementById('meanwhile').textContent.includes('{words}')");
    assert_eq!(boss.post(EDIT, &[("customer_name", "Maria Cruz")]).await.status(), 303);
    assert_eq!(boss.post("/orders/orders/1/status/", &[("status", "processing")]).await.status(), 303);
    // a rep can't edit it any more, and sees why
    ana.until(&told("This order is processing now; it can be edited only while it is pending (changed by boss")).await;
    assert_eq!(ana.script("document.querySelector('main [type=submit]').disabled").await, true);
    // what nobody touched is what it is now; what was entered stays, and what is there stands below it
    rx.until(&told("boss changed this order to Processing, payment Pending while you were typing. Other now")).await;
    rx.until(&format!("{NAME} === 'Maria Cruz'")).await;
    database.sql("update orders_order set customer_phone = '0918' where id = 1").await;
    rx.until(&told("Other now: Customer\\'s name, Phone.")).await;
    rx.wait_for_text("[name=customer_phone] + .problem", "Now there: “0918”").await;
    for browser in [&ana, &rx] {
        assert_eq!(browser.script("document.querySelector('[name=customer_phone]').value").await, "0999");
    }
    // who saves it has been told, and is not asked again
    rx.click("main [type=submit]").await;
    rx.until(&format!("location.pathname === '{PAGE}'")).await;
    let written = "select customer_name || ' ' || customer_phone from orders_order where id = 1";
    assert_eq!(database.value(written).await, "Maria Cruz 0999");

    rx.goto(CANCEL).await;
    rx.state("live").await;
    rx.fill_in("[name=reason]", "twice").await;
    assert_eq!(boss.post("/orders/orders/1/status/", &[("payment_status", "paid")]).await.status(), 303);
    rx.until(&told("boss changed this order to Processing, payment Paid while you were typing.")).await;
    assert!(rx.text("[data-follows=what]").await.contains("with payment Paid"));
    rx.click("main [type=submit]").await;
    rx.wait_for_text(".status-badge", "Cancelled").await;
    rx.until(&format!("{NEWEST}.includes('twice')")).await;
    for browser in [ana, rx] {
        browser.close().await;
    }
}

#[tokio::test]
async fn on_the_way_back_what_was_entered_is_still_there() {
    let (database, service) = some_orders().await;
    let browser = Browser::open(&service.base()).await;
    browser.sign_in("rx").await;
    // a browser that keeps no page for the way back
    browser
        .devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": "addEventListener('unload', () => {})" }))
        .await;
    for (path, field, text) in [
        (PAGE, "note", "by noon"),
        (EDIT, "customer_name", "Maria Cruz"),
        ("/orders/orders/1/cancel/", "reason", "twice"),
    ] {
        browser.goto(path).await;
        browser.fill_in(&format!("main [name={field}]"), text).await;
        browser.goto("/orders/pharmacist/orders/").await;
        browser.client.back().await.unwrap();
        browser
            .until(&format!(
                "location.pathname === '{path}' && document.querySelector('main [name={field}]')?.value === '{text}'"
            ))
            .await;
        // whoever comes by another way begins anew
        browser.goto("/orders/pharmacist/orders/").await;
        browser.goto(path).await;
        browser.until("document.readyState === 'complete'").await;
        assert_ne!(
            browser.script(&format!("document.querySelector('main [name={field}]').value")).await,
            text,
            "{path}"
        );
    }
    // what the form was made from comes back with it: nobody's change is overwritten
    browser.goto(PAGE).await;
    choose_shipped(&browser).await;
    browser.goto("/orders/pharmacist/orders/").await;
    database.sql("update orders_order set status = 'ready_for_pickup' where id = 1").await;
    browser.client.back().await.unwrap();
    browser.until(&format!("location.pathname === '{PAGE}' && {NOTE} === 'by noon'")).await;
    browser.click("#change [type=submit]").await;
    browser.until("document.querySelector('#change > .conflict strong')?.textContent.startsWith('Somebody changed this order')").await;
    // once it is saved, there is nothing to bring back
    browser.follow("#change [type=submit]").await;
    browser.wait_for_text(".status-badge", "Shipped").await;
    browser.goto("/orders/pharmacist/orders/").await;
    browser.client.back().await.unwrap();
    browser
        .until(&format!("location.pathname === '{PAGE}' && document.readyState === 'complete' && {NOTE} === ''"))
        .await;
    browser.close().await;
}

#[tokio::test]
async fn the_list_that_one_person_filtered_is_not_where_another_is_led_back_to() {
    let (_database, service) = some_orders().await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "?status=pending").await;
    browser.click("tr[data-order-id='1'] .number").await;
    browser.until("document.getElementById('back')?.search === '?status=pending'").await;
    browser.follow(".person form button").await;
    browser.fill_in_login("ben").await;
    service.signed_in("boss").await.post("/orders/orders/1/edit/", &[]).await;
    _database.sql("update orders_order set sales_rep_id = 2 where id = 1").await;
    browser.goto(PAGE).await;
    browser.state("live").await;
    assert_eq!(browser.script("document.getElementById('back').search").await, "");
    browser.close().await;
}

/// What somebody beyond the ocean finds: each clock on the pages, by where it stands.
#[tokio::test]
async fn every_clock_on_a_page_is_the_pharmacys() {
    let database = Database::new().await;
    database.orders(ORDERS).await;
    database.sql("update orders_order set created_at = '2025-01-15 10:30Z' where id = 1").await;
    let service = Service::start_with(&database, &["--time-zone", "Asia/Manila"]).await;
    let proxy = crate::harness::proxy::Proxy::start(service.web).await;
    let browser = Browser::open(&format!("http://{}", proxy.address)).await;
    browser.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": "Pacific/Honolulu" })).await;
    browser.sign_in("rx").await;
    // each time of day in a text is within ten minutes of now in the zone
    let now = "((text) => { const times = String(text).match(/\\d\\d:\\d\\d/g) ?? [];
        const minutes = (time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
        const now = minutes(new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Manila', hour: '2-digit', minute: '2-digit' }).format());
        return times.length > 0 && times.every((time) => Math.abs(((minutes(time) - now + 2160) % 1440) - 720) < 10); })";
    let placed = ["Jan 15, 2025 18:30", "15 Jan 2025, 18:30:00 GMT+8"];
    let row = "document.querySelector(\"tr[data-order-id='1'] ";
    browser.goto("/orders/pharmacist/orders/").await;
    browser.state("live").await;
    assert_eq!(browser.script("document.documentElement.dataset.timeZone").await, "Asia/Manila");
    database.sql("update orders_order set total_amount = 7 where id = 1").await;
    browser.until(&format!("{row}[data-cell=total][data-was]\") !== null")).await;
    for (place, expected) in [
        ("time\").textContent", placed[0]),
        ("[data-age]\").title", placed[1]),
        (".in-status\").title", &format!("since {}", placed[1])),
    ] {
        assert_eq!(browser.script(&format!("{row}{place}")).await, expected, "{place}");
    }
    browser.click(".ring").await;
    browser.until("document.querySelectorAll('.bell-panel li').length > 0").await;
    let clocks = [
        format!("{row}[data-cell=total]\").title.split(', ').at(-1)"),
        "document.getElementById('live-badge').title".to_owned(),
        "document.querySelector('.bell-panel li [data-age]').title".to_owned(),
    ];
    for clock in clocks {
        assert_eq!(browser.script(&format!("{now}({clock})")).await, true, "{clock}: {}", browser.script(&clock).await);
    }
    browser.goto(PAGE).await;
    browser.state("live").await;
    for (place, expected) in [
        ("document.querySelector('[data-part=placed] time').textContent", placed[0]),
        ("document.documentElement.dataset.timeZone", "Asia/Manila"),
    ] {
        assert_eq!(browser.script(place).await, expected, "{place}");
    }
    proxy.block_everything();
    browser.state("stale").await;
    for clock in [
        "document.querySelector('.timeline time').title",
        "document.querySelector('.timeline .exact').textContent",
        "document.querySelector('.timeline [data-age]').title",
        "document.getElementById('live-badge').title",
        "document.querySelector('#live-badge .word').textContent",
    ] {
        assert_eq!(browser.script(&format!("{now}({clock})")).await, true, "{clock}: {}", browser.script(clock).await);
    }
    assert_eq!(browser.script("document.querySelector('.timeline time').title === document.querySelector('.timeline [data-age]').title").await, true);
    browser.close().await;
}
