//! What a row says beside its order: how long the order has been in its status, and what a changed cell said before.

use fantoccini::Locator;
use serde_json::json;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;
use crate::harness::ways::Ways;

const IN_STATUS: &str = "tr[data-order-id='1'] .in-status";

/// Has the page take it for so many minutes later: by its own clock, and by the server's, of which its stream's pings tell.
async fn later(browser: &Browser, minutes: u32) {
    let script = format!(
        "(() => {{
            window.real ??= {{ now: Date.now, parse: JSON.parse }};
            Date.now = () => window.real.now.call(Date) + {minutes} * 60_000;
            JSON.parse = (...of) => {{
                const read = window.real.parse(...of);
                if (read?.next_ms) read.time = new Date(Date.parse(read.time) + {minutes} * 60_000).toISOString();
                return read;
            }};
            return true;
        }})()"
    );
    browser.script(&script).await;
}

async fn is_late(browser: &Browser) -> bool {
    browser.script(&format!("document.querySelector(\"{IN_STATUS}\").hasAttribute('data-late')")).await == true
}

/// Two orders of ana's: one that came into its status some time ago, as its history says, and one without an end.
async fn some_orders(ago: &str) -> Database {
    let database = Database::new().await;
    database.orders("(1, 1, 'processing', 'paid', 1500), (2, 1, 'delivered', 'paid', 20)").await;
    database
        .sql(&format!(
            "insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status,
                 notes, changed_by_id, changed_at)
             values (1, 'pending', 'processing', 'paid', 'paid', '', 3, now() - interval '{ago}')"
        ))
        .await;
    database
}

#[tokio::test]
async fn without_javascript_each_row_says_how_long_its_order_has_been_in_its_status() {
    let database = some_orders("49 hours").await;
    for (arguments, words) in [
        (vec![], "for 2 days, late"),
        (vec!["--late-after", "processing=3days"], "for 2 days"),
        (vec!["--late-after", ""], "for 2 days"),
    ] {
        let service = Service::start_with(&database, &arguments).await;
        let browser = Browser::without_javascript(&service.base()).await;
        browser.sign_in("ana").await;
        browser.goto("/orders/orders/").await;
        assert_eq!(browser.text(IN_STATUS).await, words);
        assert_eq!(browser.text("tr[data-order-id='2'] .in-status").await, "", "nobody waits for what is delivered");
        let since =
            "to_char((select changed_at from orders_orderstatushistory) at time zone 'UTC', 'Mon DD, YYYY HH24:MI')";
        let place = browser.client.find(Locator::Css(IN_STATUS)).await.unwrap();
        let title = place.attr("title").await.unwrap().unwrap();
        assert_eq!(title, format!("since {}", database.value(since).await));
        browser.close().await;
    }
}

#[tokio::test]
async fn the_time_in_a_status_ticks_and_begins_anew_with_each_change() {
    let database = some_orders("3 hours").await;
    let service = Service::start_with(&database, &["--late-after", "processing=4h,shipped=2h"]).await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    assert_eq!(browser.text(IN_STATUS).await, "for 3 h");
    assert!(!is_late(&browser).await);
    let rows =
        "[...document.querySelectorAll('#orders-table-tbody tr')].map(row => row.getBoundingClientRect().top).join()";
    let before = browser.script(rows).await;

    // by the stream
    database.sql("update orders_order set status = 'shipped', payment_status = 'failed' where id = 1").await;
    browser.wait_for_text(IN_STATUS, "just now").await;
    let exact = format!("document.querySelector(\"{IN_STATUS}\").title.startsWith('since ')");
    assert_eq!(browser.script(&exact).await, true);
    // something else of it changes nothing of that
    let since = format!("document.querySelector(\"{IN_STATUS}\").dateTime");
    let before_it = browser.script(&since).await;
    database.sql("update orders_order set payment_status = 'paid' where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .payment-badge", "Paid").await;
    assert_eq!(browser.script(&since).await, before_it);
    // it ticks by itself
    later(&browser, 2).await;
    browser.wait_for_text(IN_STATUS, "for 2 min").await;
    later(&browser, 119).await;
    database.sql("update orders_order set status = 'processing' where id = 2").await;
    browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Processing").await;
    browser.wait_for_text("tr[data-order-id='2'] .in-status", "for 1 h").await;
    assert!(!is_late(&browser).await);
    later(&browser, 121).await;
    // each patch writes its own row; this one has nothing but its row's time to write
    database.sql("update orders_order set payment_status = 'failed' where id = 1").await;
    browser.wait_for_text(IN_STATUS, "for 2 h, late").await;
    assert!(is_late(&browser).await);
    assert_eq!(browser.script(rows).await, before, "nothing moved");

    // by a poll
    later(&browser, 0).await;
    proxy.block_streams();
    browser.state("polling").await;
    database.sql("update orders_order set status = 'delivered' where id = 1").await;
    database.sql("update orders_order set status = 'pending' where id = 2").await;
    browser.wait_for_text("tr[data-order-id='2'] .status-badge", "Pending").await;
    browser.wait_for_text("tr[data-order-id='2'] .in-status", "just now").await;
    browser.wait_for_text(IN_STATUS, "").await;
    browser.close().await;
}

#[tokio::test]
async fn since_when_an_order_is_in_its_status_is_asked_where_no_change_tells_it() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1500), (2, 1, 'pending', 'paid', 20)").await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    database.sql("update orders_order set created_at = now() - interval '3 hours' where id = 1").await;
    browser.wait_for_text(IN_STATUS, "for 3 h").await;
    // what happens to an order of somebody else nobody is told
    database.sql("update orders_order set sales_rep_id = 2 where id = 1").await;
    browser.until("document.querySelector('tr[data-order-id=\"1\"]').hasAttribute('data-removed')").await;
    database.sql("update orders_order set status = 'processing' where id = 1").await;
    database.sql("update orders_order set sales_rep_id = 1 where id = 1").await;
    browser.wait_for_text("tr[data-order-id='1'] .status-badge", "Processing").await;
    browser.wait_for_text(IN_STATUS, "just now").await;
    browser.state("live").await;
    browser.close().await;
}

/// What the cell of the first order says it said before, if that is shown.
fn was(cell: &str) -> String {
    format!(
        "(cell => {{ const before = getComputedStyle(cell, '::after'); return before.visibility === 'visible' && before.opacity === '1'
             ? cell.dataset.was : null; }})(document.querySelector('tr[data-order-id=\"1\"] [data-cell={cell}]'))"
    )
}

#[tokio::test]
async fn a_changed_cell_says_for_a_while_what_it_said_before_and_then_whoever_asks() {
    let database = some_orders("3 hours").await;
    let service = Service::start(&database).await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
    let places = "[...document.querySelectorAll('#orders-table-tbody td')].map(cell => { const box = cell.getBoundingClientRect();
        return [box.top, box.left, box.width, box.height].join(); }).join(';')";
    let before = browser.script(places).await;
    database
        .sql(
            "update orders_order set status = 'shipped', payment_status = 'failed', total_amount = 1600, customer_name = 'New name',
                 order_number = 'ORD-9' where id = 1;
             insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
                 created_at) values (1, 1, 1, 'boxes', 1, 1, '', now())",
        )
        .await;
    let changes = [
        ("status", "Processing", "Shipped"),
        ("payment", "Paid", "Failed"),
        ("total", "₱1,500.00", "₱1,600.00"),
        ("customer", "Customer 1", "New name"),
        ("order", "ORD-2025-00001", "ORD-9"),
        ("items", "0", "1"),
    ];
    for (cell, from, to) in changes {
        browser.until(&format!("{} === '{from}'", was(cell))).await;
        let title = format!("document.querySelector('tr[data-order-id=\"1\"] [data-cell={cell}]').title");
        let title = browser.script(&title).await;
        let title = title.as_str().unwrap();
        assert!(
            title.starts_with(&format!("{from} → {to}, ")) && title.ends_with(|c: char| c.is_ascii_digit()),
            "{title}"
        );
    }
    assert_eq!(browser.script(places).await, before, "nothing moved");
    // it goes, and comes back for whoever has the focus in the row
    for (cell, ..) in changes {
        browser.until(&format!("{} === null", was(cell))).await;
    }
    browser.script("document.querySelector('tr[data-order-id=\"1\"] .number').focus() ?? true").await;
    for (cell, from, _) in changes {
        browser.until(&format!("{} === '{from}'", was(cell))).await;
    }
    browser.script("document.activeElement.blur() ?? true").await;
    // or points at the cell
    let at = browser.script("(box => [box.x + 5, box.y + 5])(document.querySelector('tr[data-order-id=\"1\"] [data-cell=payment]').getBoundingClientRect())").await;
    browser.until(&format!("{} === null", was("payment"))).await;
    browser.devtools("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": at[0], "y": at[1] })).await;
    browser.until(&format!("{} === 'Paid'", was("payment"))).await;
    browser.until(&format!("{} === null", was("status"))).await;

    // by a poll it is the same
    proxy.block_streams();
    browser.state("polling").await;
    database.sql("update orders_order set status = 'delivered' where id = 1").await;
    browser.until(&format!("{} === 'Shipped'", was("status"))).await;
    browser.close().await;
}

#[tokio::test]
async fn a_change_is_shown_in_the_row_of_its_own_order_however_large_the_ids_are() {
    let ways = Ways::new().await;
    ways.database.orders("(1, 1, 'pending', 'paid', 10)").await;
    // as numbers these two are one to a browser
    let (one, other) = ("9007199254740993", "9007199254740992");
    for id in [one, other] {
        ways.database
            .sql(&format!(
                "insert into orders_order select (jsonb_populate_record(o, '{{\"id\": {id}, \"order_number\": \"ORD-{id}\"}}')).*
                 from orders_order o where id = 1"
            ))
            .await;
    }
    for way in ways.both() {
        for (username, page) in [("ana", "/orders/orders/"), ("rx", "/orders/pharmacist/orders/")] {
            ways.database.sql("update orders_order set status = 'pending'").await;
            let browser = way.browser(username, page).await;
            for (id, status, neighbour, before) in
                [(one, "Shipped", other, "Pending"), (other, "Confirmed", one, "Shipped")]
            {
                let code = status.to_lowercase();
                ways.database.sql(&format!("update orders_order set status = '{code}' where id = {id}")).await;
                browser.wait_for_text(&format!("tr[data-order-id='{id}'] .status-badge"), status).await;
                browser.wait_for_text(&format!("#status-count-{code}"), "1").await;
                let of_neighbour = browser.text(&format!("tr[data-order-id='{neighbour}'] .status-badge")).await;
                assert_eq!(of_neighbour, before, "{username} {}", way.state);
            }
            ways.database.sql(&format!("update orders_order set customer_name = 'Gone soon' where id = {one}")).await;
            browser.wait_for_text(&format!("tr[data-order-id='{one}'] [data-text=customer_name]"), "Gone soon").await;
            browser.close().await;
        }
    }
}

/// What a browser does that translates a page: each text stands in an element of its own, and is another.
const TRANSLATE: &str = "(() => {
    const texts = document.createTreeWalker(document.getElementById('orders-list').closest('.dashboard'), NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) if (texts.currentNode.data.trim() !== '') found.push(texts.currentNode);
    for (const text of found) {
        const font = document.createElement('font');
        font.textContent = `«${text.data.trim()}»`;
        text.replaceWith(font);
    }
    window.marked = [];
    new MutationObserver((all) => { for (const { target } of all) if (target.matches('[data-changed], [data-was]'))
        window.marked.push(target.dataset.cell ?? target.textContent.trim()); })
        .observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-changed', 'data-was'] });
    return true; })()";

#[tokio::test]
async fn on_a_page_that_the_browser_translates_only_what_changed_is_marked() {
    let ways = Ways::new().await;
    ways.database.orders("(1, 1, 'processing', 'paid', 1500), (2, 1, 'delivered', 'paid', 20)").await;
    for way in ways.both() {
        ways.database.sql("update orders_order set payment_status = 'paid'").await;
        let browser = way.browser("ana", "/orders/orders/").await;
        browser.script(TRANSLATE).await;
        ways.database.sql("update orders_order set payment_status = 'failed' where id = 1").await;
        browser.wait_for_text("tr[data-order-id='1'] .payment-badge", "Failed").await;
        browser.until("window.marked.includes('payment')").await;
        let others = "window.marked.filter((cell) => cell !== 'payment').join()";
        assert_eq!(browser.script(others).await, "", "{}", way.state);
        let before = "document.querySelector('tr[data-order-id=\"1\"] [data-cell=payment]').dataset.was";
        assert_eq!(browser.script(before).await, "Paid", "{}: what the order was, not what the page said", way.state);
        let untouched = "document.querySelector('tr[data-order-id=\"2\"] .number').textContent";
        assert_eq!(browser.script(untouched).await, "«ORD-2025-00002»", "{}", way.state);
        browser.close().await;
    }
}

/// Texts of one row that are over each other.
const OVER_EACH_OTHER: &str = "(() => {
        const box = (element) => {
            const range = document.createRange();
            range.selectNodeContents(element);
            return range.getBoundingClientRect();
        };
        return [...document.querySelectorAll('#orders-table-tbody tr')].flatMap((row) => {
            const texts = [...row.querySelectorAll('[data-text], .in-status, .action:not([hidden])')].filter((text) => text.textContent);
            return texts.flatMap((one, at) => texts.slice(at + 1).filter((other) => {
                const [a, b] = [box(one), box(other)];
                const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                return width > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2;
            }).map((other) => `${one.textContent} / ${other.textContent}`));
        });
    })()";

#[tokio::test]
async fn however_long_its_texts_are_a_row_has_each_in_its_place_and_is_no_wider_than_the_page() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'partially_refunded', 12345678.90), (2, 1, 'pending', 'partially_refunded', 99999999.99)").await;
    database.sql("update orders_order set order_number = repeat('W', 20) where id = 1").await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    for (at, (width, is_touched)) in
        [(1_280, false), (1_160, false), (1_159, false), (820, true), (640, false), (390, true)].into_iter().enumerate()
    {
        browser
            .devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": is_touched, "maxTouchPoints": 1 }))
            .await;
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": is_touched });
        browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let name = format!("{at} Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft");
        database.sql(&format!("update orders_order set customer_name = '{name}' where id = 1")).await;
        browser.wait_for_text("tr[data-order-id='1'] [data-text=customer_name]", &name).await;
        assert_eq!(browser.script(OVER_EACH_OTHER).await, json!([]), "at {width}");
        assert_eq!(
            browser.script(&format!("document.documentElement.scrollWidth <= {width}")).await,
            true,
            "at {width}"
        );
    }
    browser.close().await;
}
