//! The lists in a real Chromium, worked by hand: what is asked for, what is saved, what is exported, and what is announced.

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::service::Service;
use crate::harness::ways::Ways;

const REP: &str = "/orders/orders/";

/// Six orders of ana's that differ in everything that a list can be sorted by, and one of ben's.
async fn different_orders(database: &Database) {
    database
        .orders(
            "(1, 1, 'pending', 'iou', 80), (2, 1, 'processing', 'failed', 10), (3, 1, 'shipped', 'pending', 50),
             (4, 1, 'delivered', 'paid', 1500), (5, 1, 'cancelled', 'refunded', 30),
             (6, 1, 'confirmed', 'partially_refunded', 60), (7, 2, 'pending', 'paid', 70)",
        )
        .await;
    // day and month are the same, so that nobody can type them the wrong way round
    database
        .sql(
            "update orders_order set created_at = make_timestamptz(2025, id::int, id::int, 12, 0, 0, 'UTC'), customer_name =
                 (array['Maria Santos', 'José Reyes', 'Ana Cruz', 'Maria Cruz', 'Ben Dizon', 'Zoe Lim', 'Ben Cruz'])[id];
             insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
                 created_at)
             select o.id, m.id, 1, 'boxes', 1, 1, '', now() from orders_order o
                 join inventory_medicine m on m.id <= (array[3, 0, 1, 5, 2, 4, 6])[o.id]",
        )
        .await;
}

const ALL: &str = "1,2,6,3,5,4";

/// What the filter's fields say, as the address would.
const FIELDS: &str = "[...new FormData(document.querySelector('form.filter'))].filter(([, value]) => value !== '')
    .map(pair => pair.join('=')).join('&')";

const APPLY: &str = "form.filter > button[type=submit]";
const STATUS: &str = "button[aria-labelledby~=told-status]";
const MORE: &str = "button[aria-labelledby~=told-more]";

async fn tick(browser: &Browser, name: &str, codes: &[&str]) {
    for code in codes {
        browser.click(&format!("form.filter input[name={name}][value={code}]")).await;
    }
}

/// A day as a person types it.
async fn type_day(browser: &Browser, name: &str, digits: &str, day: &str) {
    let field = format!("form.filter input[name={name}]");
    let element = browser.client.find(fantoccini::Locator::Css(&field)).await.unwrap();
    element.send_keys(digits).await.unwrap();
    assert_eq!(browser.script(&format!("document.querySelector('{field}').value")).await, day);
}

#[tokio::test]
async fn what_is_asked_for_by_hand_is_in_the_address_and_comes_back_with_it() {
    let ways = Ways::new().await;
    different_orders(&ways.database).await;
    let [stream, poll] = ways.both();
    let browser = stream.browser("ana", REP).await;
    let mut visited = vec![(browser.asked().await, browser.ids().await)];
    assert_eq!(visited[0], (String::new(), ALL.to_owned()));
    let steps: [(&str, &str); 9] = [
        ("q=00004", "4"),
        ("q=CRUZ maria", "4"),
        ("q=cruz", "3,4"),
        ("q=cruz&status=pending&status=shipped", "3"),
        ("payment_status=failed&payment_status=refunded", "2,5"),
        ("date_from=2025-02-02&date_to=2025-04-04", "2,3,4"),
        ("total_min=30&total_max=60", "6,3,5"),
        (
            "q=cruz&status=shipped&status=delivered&payment_status=pending&payment_status=paid&date_from=2025-02-02&date_to=2025-04-04&total_min=50.00&total_max=1500&sort=-total_amount",
            "4,3",
        ),
        ("sort=total_amount", "2,5,3,6,1,4"),
    ];
    for (step, (asked, ids)) in steps.into_iter().enumerate() {
        // each of the first adds to the one before, the others begin anew
        if step > 3 {
            browser.follow("form.filter a.button").await;
            assert_eq!((browser.asked().await, browser.ids().await), (String::new(), ALL.to_owned()), "{asked}");
            visited.push((String::new(), ALL.to_owned()));
        }
        let parts = |name: &str| -> Vec<&str> {
            asked.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).collect()
        };
        if let [words] = parts("q")[..] {
            browser.fill_in("form.filter [name=q]", words).await;
        }
        if !parts("status").is_empty() {
            browser.click(STATUS).await;
            tick(&browser, "status", &parts("status")).await;
            assert_eq!(browser.text("#told-status").await, "2 of 8", "told before it is applied");
        }
        if step > 3 {
            browser.click(MORE).await;
            tick(&browser, "payment_status", &parts("payment_status")).await;
            for (name, digits) in [("date_from", "02022025"), ("date_to", "04042025")] {
                if let [day] = parts(name)[..] {
                    type_day(&browser, name, digits, day).await;
                }
            }
            for name in ["total_min", "total_max"] {
                if let [amount] = parts(name)[..] {
                    browser.fill_in(&format!("form.filter [name={name}]"), amount).await;
                }
            }
            if let [sort] = parts("sort")[..] {
                browser.choose("form.filter [name=sort]", sort).await;
            }
        }
        browser.follow(APPLY).await;
        assert_eq!((browser.asked().await, browser.ids().await), (asked.to_owned(), ids.to_owned()));
        visited.push((asked.to_owned(), ids.to_owned()));
    }

    // the address alone brings it to anybody of the account
    let fresh = poll.browser("ana", REP).await;
    for (asked, ids) in &visited {
        poll.open(&fresh, &format!("{REP}?{}", asked.replace(' ', "+"))).await;
        assert_eq!(fresh.ids().await, *ids, "{asked}");
        assert_eq!(fresh.script(FIELDS).await, *asked, "the fields say what is shown");
    }
    fresh.close().await;
    // and the way back leads through all of it
    visited.pop();
    for (asked, ids) in visited.iter().rev() {
        browser.client.back().await.unwrap();
        browser.wait_for_ids(ids).await;
        assert_eq!(browser.asked().await, *asked);
        browser.state("live").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn each_heading_sorts_one_way_then_the_other_then_not_at_all() {
    let ways = Ways::new().await;
    different_orders(&ways.database).await;
    for way in ways.both() {
        let browser = way.browser("ana", REP).await;
        for (column, first, direction, ids) in [
            ("order_number", "", "ascending", "1,2,3,4,5,6"),
            ("created_at", "-", "descending", "6,5,4,3,2,1"),
            ("customer_name", "", "ascending", "3,5,2,4,1,6"),
            ("status", "", "ascending", "1,6,2,3,4,5"),
            ("payment_status", "", "ascending", "3,4,2,5,6,1"),
            ("items_count", "-", "descending", "4,6,1,5,3,2"),
            ("total_amount", "-", "descending", "4,1,6,3,5,2"),
        ] {
            let heading = format!("th[data-column={column}]");
            let shown = async || {
                browser.state(way.state).await;
                let sorted = browser.script(&format!("document.querySelector('{heading}').ariaSort")).await;
                (browser.asked().await, sorted, browser.ids().await)
            };
            let (second, other) = if first.is_empty() { ("-", "descending") } else { ("", "ascending") };
            let reversed = ids.split(',').rev().collect::<Vec<_>>().join(",");
            browser.follow(&format!("{heading} a")).await;
            assert_eq!(shown().await, (format!("sort={first}{column}"), json!(direction), ids.to_owned()));
            browser.follow(&format!("{heading} a")).await;
            assert_eq!(shown().await, (format!("sort={second}{column}"), json!(other), reversed));
            browser.follow(&format!("{heading} a")).await;
            assert_eq!(shown().await, (String::new(), Value::Null, ALL.to_owned()));
        }
        browser.close().await;
    }
}

#[tokio::test]
async fn what_does_not_parse_is_said_beside_its_field_and_hides_no_order() {
    let ways = Ways::new().await;
    different_orders(&ways.database).await;
    let [stream, poll] = ways.both();
    let browser = stream.browser("ana", REP).await;
    browser.click(MORE).await;
    browser.fill_in("form.filter [name=total_min]", "cheap").await;
    browser.fill_in("form.filter [name=total_max]", "60").await;
    browser.follow(APPLY).await;
    assert_eq!(browser.ids().await, ALL);
    assert_eq!(
        browser.text("#error-total_min").await,
        "“cheap” is no amount. Write it as 1500 or 99.95, without commas."
    );
    assert_eq!(browser.script(FIELDS).await, "total_min=cheap&total_max=60", "nothing that was typed is lost");
    // it is mended where it stands
    browser.fill_in("form.filter [name=total_min]", "30").await;
    browser.follow(APPLY).await;
    assert_eq!(
        (browser.asked().await, browser.ids().await),
        ("total_min=30&total_max=60".to_owned(), "6,3,5".to_owned())
    );
    browser.close().await;

    let browser = poll.browser("ana", REP).await;
    let long = "x".repeat(101);
    for (name, value) in [
        ("q", long.as_str()),
        ("status", "lost"),
        ("payment_status", "broke"),
        ("date_from", "2025-13-01"),
        ("date_to", "2025-02-30"),
        ("total_min", "-1"),
        ("total_max", "1e3"),
        ("sort", "password"),
        ("page", "abc"),
    ] {
        poll.open(&browser, &format!("{REP}?status=pending&{name}={value}")).await;
        // a page that is none leaves the filter as it is
        assert_eq!(browser.ids().await, if name == "page" { "1" } else { ALL }, "{name}");
        assert!(!browser.hidden(&format!("#error-{name}")).await, "{name}");
        let beside = format!(
            "document.getElementById('error-{name}').closest('.field, form').querySelector('[name={name}]') !== null"
        );
        assert_eq!(browser.script(&beside).await, name != "page", "{name}");
        let elsewhere = format!("document.querySelectorAll('.filter .problem:not(#error-{name})').length");
        assert_eq!(browser.script(&elsewhere).await, 0, "{name}");
    }
    browser.close().await;
}

#[tokio::test]
async fn each_card_and_each_count_is_the_way_to_its_orders() {
    let ways = Ways::new().await;
    different_orders(&ways.database).await;
    for way in ways.both() {
        let browser = way.browser("ana", &format!("{REP}?q=cruz&sort=total_amount")).await;
        let cards = [("", ALL), ("status=pending", "1"), ("status=processing", "2"), ("status=delivered", "4")];
        let last = [("status=cancelled", "5"), ("status=delivered&payment_status=paid", "4")];
        for ((asked, ids), place) in cards.into_iter().chain(last).zip(1..) {
            let card = format!(".cards .card:nth-child({place})");
            browser.follow(&card).await;
            browser.state(way.state).await;
            assert_eq!((browser.asked().await, browser.ids().await), (asked.to_owned(), ids.to_owned()));
            let current = "[...document.querySelectorAll('.card')].findIndex(card => card.ariaCurrent === 'true') + 1";
            let marked = "document.querySelectorAll('.card[aria-current]').length";
            assert_eq!(
                (browser.script(current).await, browser.script(marked).await),
                (place.into(), 1.into()),
                "{asked}"
            );
        }
        for (status, ids) in [
            ("pending", "1"),
            ("confirmed", "6"),
            ("processing", "2"),
            ("ready_for_pickup", ""),
            ("shipped", "3"),
            ("delivered", "4"),
            ("cancelled", "5"),
            ("returned", ""),
        ] {
            browser.follow(&format!(".counts a[data-status={status}]")).await;
            browser.state(way.state).await;
            assert_eq!((browser.asked().await, browser.ids().await), (format!("status={status}"), ids.to_owned()));
            let current =
                "[...document.querySelectorAll('.counts [aria-current]')].map(link => link.dataset.status).join()";
            assert_eq!(browser.script(current).await, status);
            assert_eq!(browser.text(&format!("#status-count-{status}")).await, if ids.is_empty() { "0" } else { "1" });
        }
        browser.close().await;
    }
}

const VIEWS: &str = "button[aria-labelledby~=told-views]";
const SAVED: &str = "[...document.querySelectorAll('.views a')].map(link => link.textContent).join()";

#[tokio::test]
async fn a_view_that_was_saved_is_there_in_every_browser_of_the_account_until_it_is_deleted() {
    let ways = Ways::new().await;
    different_orders(&ways.database).await;
    for (way, other_way) in [(0, 1), (1, 0)] {
        let (way, other_way) = (&ways.both()[way], &ways.both()[other_way]);
        let browser = way.browser("ana", &format!("{REP}?q=cruz&sort=-total_amount")).await;
        assert_eq!(browser.ids().await, "4,3");
        browser.click(VIEWS).await;
        browser.fill_in(".save [name=name]", "Cruz, <b>dear</b> first").await;
        browser.follow(".save button").await;
        assert_eq!(
            (browser.asked().await, browser.ids().await),
            ("q=cruz&sort=-total_amount".to_owned(), "4,3".to_owned())
        );
        assert_eq!(browser.text("#told-views").await, "Cruz, <b>dear</b> first");

        let other = other_way.browser("ana", REP).await;
        assert_eq!(other.text("#told-views").await, "Choose");
        other.click(VIEWS).await;
        assert_eq!(other.text(".views a").await, "Cruz, <b>dear</b> first");
        other.follow(".views a").await;
        other.state(other_way.state).await;
        assert_eq!(
            (other.asked().await, other.ids().await),
            ("q=cruz&sort=-total_amount".to_owned(), "4,3".to_owned())
        );
        // somebody else in the same browser has none of it
        other.client.delete_all_cookies().await.unwrap();
        other.sign_in("ben").await;
        other.goto(REP).await;
        assert_eq!((other.ids().await, other.script(SAVED).await), ("7".to_owned(), json!("")));
        other.close().await;

        browser.click(VIEWS).await;
        browser.follow(".views button").await;
        assert_eq!((browser.ids().await, browser.script(SAVED).await), ("4,3".to_owned(), json!("")));
        browser.goto(REP).await;
        assert_eq!(browser.script(SAVED).await, "");
        browser.close().await;
    }
}

#[tokio::test]
async fn the_export_that_a_page_links_to_is_its_whole_list() {
    let ways = Ways::new().await;
    ways.database.sql(&thirty()).await;
    for (username, page, query, wanted, order) in [
        ("ana", REP, "", "sales_rep_id = 1", "id desc"),
        (
            "ana",
            REP,
            "?total_min=50&sort=total_amount&page=2",
            "sales_rep_id = 1 and total_amount >= 50",
            "total_amount",
        ),
        ("ana", REP, "?q=customer+2&status=shipped", "false", "id"),
        ("rx", QUEUE, "?q=tomer+0002&sort=-customer_name", "order_number like '%0002%'", "customer_name desc"),
    ] {
        for browser in ways.browsers(username, &format!("{page}{query}")).await {
            let exported = "fetch(document.querySelector('a[download]').href).then(answer => answer.text())
                .then(text => text.trim().split('\\r\\n').slice(1).map(line => line.split(',')[0]).join())";
            let numbers = ways
                .database
                .value(&format!("select coalesce(string_agg(order_number, ',' order by {order}), '') from orders_order where {wanted}"))
                .await;
            assert_eq!(browser.script(exported).await, numbers, "{page}{query}");
            browser.close().await;
        }
    }
}

const QUEUE: &str = "/orders/pharmacist/orders/";

/// Twenty-four orders of ana's and six of ben's, all alike but in their totals: ten times the id.
fn thirty() -> String {
    let orders: Vec<String> =
        (1..=30).map(|id| format!("({id}, {}, 'pending', 'paid', {id}0)", if id <= 24 { 1 } else { 2 })).collect();
    crate::harness::database::order_sql(&orders.join(", "))
}

/// Changes of a list by which an order enters it, another leaves it, and a third moves.
struct Case {
    query: &'static str,
    /// What makes four orders the list.
    prepared: &'static str,
    before: &'static str,
    changes: &'static str,
    after: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        query: "?q=reyes",
        prepared: "update orders_order set customer_name = 'Reyes ' || id where id <= 4",
        before: "4,3,2,1",
        changes: "update orders_order set customer_name = 'Reyes 9' where id = 9;
                  update orders_order set customer_name = 'Cruz' where id = 2;
                  update orders_order set status = 'shipped' where id = 4",
        after: "9,3,1,4",
    },
    Case {
        query: "?payment_status=failed",
        prepared: "update orders_order set payment_status = 'failed' where id <= 4",
        before: "4,3,2,1",
        changes: "update orders_order set payment_status = 'failed' where id = 9;
                  update orders_order set payment_status = 'paid' where id = 2;
                  update orders_order set status = 'shipped' where id = 4",
        after: "9,3,1,4",
    },
    Case {
        query: "?status=pending&status=shipped",
        prepared: "update orders_order set status = case when id = 4 then 'shipped' when id > 4 then 'delivered' else status end",
        before: "3,2,1,4",
        changes: "update orders_order set status = 'shipped' where id = 9;
                  update orders_order set status = 'cancelled' where id = 2;
                  update orders_order set status = 'shipped' where id = 3",
        after: "1,9,4,3",
    },
    Case {
        query: "?date_from=2025-01-02&date_to=2025-01-03",
        prepared: "update orders_order set created_at = created_at + interval '1 day' where id <= 4",
        before: "4,3,2,1",
        changes: "update orders_order set created_at = '2025-01-03 23:59Z' where id = 9;
                  update orders_order set created_at = '2025-01-01 23:59Z' where id = 2;
                  update orders_order set created_at = '2025-01-02 12:00Z' where id = 1",
        after: "9,1,4,3",
    },
    Case {
        query: "?total_min=1000&total_max=2000",
        prepared: "update orders_order set total_amount = 1000 + id where id <= 4",
        before: "4,3,2,1",
        changes: "update orders_order set total_amount = 2000 where id = 9;
                  update orders_order set total_amount = 2000.01 where id = 2;
                  update orders_order set status = 'shipped' where id = 4",
        after: "9,3,1,4",
    },
    Case {
        query: "?status=pending&sort=-total_amount",
        prepared: "update orders_order set status = 'delivered' where id > 4",
        before: "4,3,2,1",
        changes: "update orders_order set status = 'pending' where id = 9;
                  update orders_order set status = 'delivered' where id = 2;
                  update orders_order set total_amount = 35 where id = 1",
        after: "9,4,1,3",
    },
    Case {
        query: "?status=pending&sort=customer_name",
        prepared: "update orders_order set status = 'delivered' where id > 4",
        before: "1,2,3,4",
        changes: "update orders_order set status = 'pending' where id = 9;
                  update orders_order set status = 'delivered' where id = 2;
                  update orders_order set customer_name = 'Zamora' where id = 1",
        after: "3,4,9,1",
    },
    Case {
        query: "?page=2",
        prepared: "",
        before: "4,3,2,1",
        changes: "update orders_order set status = 'shipped' where id = 20;
                  update orders_order set sales_rep_id = 2 where id = 2;
                  update orders_order set status = 'shipped' where id = 3",
        after: "1,20,3",
    },
    Case {
        query: "?sort=total_amount&page=2",
        prepared: "",
        before: "21,22,23,24",
        changes: "update orders_order set total_amount = 235 where id = 1;
                  update orders_order set sales_rep_id = 2 where id = 22;
                  update orders_order set total_amount = 225 where id = 24",
        after: "24,23,1",
    },
];

/// What the rows say, but for those that are no longer ana's.
const ROWS: &str = "[...document.querySelectorAll('#orders-table-tbody tr:not([data-removed])')].map(row => [
    Number(row.dataset.orderId), row.dataset.status, row.dataset.paymentStatus,
    row.querySelector('[data-text=total_amount]').textContent, row.querySelector('[data-text=customer_name]').textContent,
]).sort(([one], [other]) => one - other)";

#[tokio::test]
async fn what_entered_left_and_moved_is_counted_in_any_list_and_shown_when_asked_for() {
    let ways = Ways::new().await;
    let windows = ways.browsers("ana", REP).await;
    for Case { query, prepared, before, changes, after } in CASES {
        ways.database.sql(&format!("truncate orders_order cascade; {}; {prepared}", thirty())).await;
        for (browser, way) in windows.iter().zip(ways.both()) {
            way.open(browser, &format!("{REP}{query}")).await;
            assert_eq!(browser.ids().await, before, "{query}");
            assert_eq!(browser.script("document.getElementById('list-notice').hidden").await, true, "{query}");
        }
        ways.database.sql(changes).await;
        let rows = format!(
            "select json_agg(json_build_array(id, status, payment_status, '₱' || to_char(total_amount, 'FM999,990.00'), customer_name)
                 order by id) from orders_order where id in ({before}) and sales_rep_id = 1"
        );
        let rows: Value = serde_json::from_str(&ways.database.value(&rows).await).unwrap();
        for (browser, way) in windows.iter().zip(ways.both()) {
            println!("{query} {}", way.state);
            browser.wait_for_text("#list-notice", "1 order entered, 1 no longer matches and 1 moved · Update").await;
            browser.until(&format!("JSON.stringify({ROWS}) === JSON.stringify({rows})")).await;
            assert_eq!(browser.ids().await, before, "{query}: rows stay until asked for");
            browser.click("#list-notice").await;
            browser.wait_for_ids(after).await;
            browser.until("document.getElementById('list-notice').hidden").await;
            browser.state(way.state).await;
        }
    }
    for browser in windows {
        browser.close().await;
    }
}

#[tokio::test]
async fn what_a_failed_read_would_have_told_is_told_by_the_next() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10), (2, 1, 'pending', 'paid', 20)").await;
    database.sql("update orders_order set customer_name = 'Reyes' where id = 1").await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "?q=reyes").await;
    let fail = "(() => { const fetched = window.fetch; window.failed = 0;
        window.fetch = (...asked) => {
            if (window.failed === 2 || !String(asked[0]).includes('dashboard/?')) return fetched(...asked);
            window.failed += 1;
            return Promise.resolve(new Response('', { status: 503 })); };
        return true; })()";
    browser.script(fail).await;
    database.sql("update orders_order set customer_name = 'Reyes' where id = 2").await;
    browser.until("window.failed === 2").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    browser.state("live").await;
    browser.close().await;
}

/// Has each page that is opened from now on lack what fits a selector, from before its scripts run.
async fn without(browser: &Browser, css: &str, before: Option<Value>) -> Value {
    if let Some(before) = before {
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", before).await;
    }
    let script = format!(
        "new MutationObserver(() => document.querySelectorAll({}).forEach((part) => part.remove()))
             .observe(document, {{ childList: true, subtree: true }})",
        json!(css)
    );
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await
}

#[tokio::test]
async fn what_a_page_lacks_costs_that_alone() {
    let ways = Ways::new().await;
    let [stream, _] = ways.both();
    ways.database.orders("(1, 1, 'delivered', 'paid', 10), (2, 1, 'pending', 'paid', 20)").await;
    let mut total = 10;
    let mut known = Vec::new();
    for (username, page) in [("rx", QUEUE), ("ana", REP)] {
        let browser = stream.browser(username, page).await;
        let ids = "[...document.querySelectorAll('.bar [id], .dashboard [id], .dashboard ~ [id], template')].map((part) => '#' + part.id)";
        let ids = browser.script(ids).await;
        let ids = ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
        let others = [
            "thead",
            "caption",
            ".in-status",
            "[data-text]",
            "time",
            "rect",
            ".paging",
            ".controls",
            ".notices",
            ".bar",
        ];
        let parts: Vec<String> = ids.chain(others.map(str::to_owned)).collect();
        assert!(parts.len() > 30, "{parts:?}");
        let mut before = None;
        for part in parts {
            if known.contains(&part) {
                continue;
            }
            before = Some(without(&browser, &part, before).await);
            browser.goto(page).await;
            // its badge may be what it lacks: it is connected when it has asked for a stream and shows what comes
            browser.until("performance.getEntriesByType('resource').some(({ name }) => name.includes('modulepreload') || name.includes('news.js'))").await;
            total += 1;
            ways.database.sql(&format!("update orders_order set total_amount = {total} where id = 1")).await;
            let shown = format!(
                "(() => {{ const shown = ['tr[data-order-id=\"1\"] [data-text=total_amount]', '#stat-total-revenue']
                     .map((css) => document.querySelector(css)).filter((place) => place !== null);
                   return shown.length > 0 && shown.every((place) => place.textContent === '₱{total}.00'); }})()"
            );
            println!("{username} without {part}");
            browser.until(&shown).await;
            let is_live = "(document.getElementById('live-badge')?.dataset.state ?? 'live') === 'live'";
            browser.until(is_live).await;
            known.push(part);
        }
        browser.close().await;
    }
}

#[tokio::test]
async fn which_orders_are_shown_of_how_many_follows_each_change() {
    let ways = Ways::new().await;
    ways.database.sql(&thirty()).await;
    ways.database.sql("update orders_order set payment_status = 'failed' where id <= 22").await;
    for way in ways.both() {
        for (query, before, changes, after) in [
            ("", "1–20 of 24", "update orders_order set sales_rep_id = 2 where id = 1", "1–20 of 23"),
            ("?status=pending", "1–20 of 24", "update orders_order set status = 'shipped' where id = 1", "1–20 of 23"),
            (
                "?payment_status=failed",
                "1–20 of 22",
                "update orders_order set payment_status = 'paid' where id in (1, 2)",
                "1–20 of 20",
            ),
            ("?payment_status=failed", "1–20 of 22", "delete from orders_order where id = 1", "1–20 of 21"),
            (
                "?payment_status=failed&date_from=2025-01-01",
                "1–20 of 22",
                "update orders_order set payment_status = 'failed' where id = 23",
                "1–20 of 23",
            ),
            (
                "?sort=total_amount&page=2",
                "21–24 of 24",
                "update orders_order set sales_rep_id = 1 where id = 30",
                "21–24 of 25",
            ),
            ("?page=2", "21–24 of 24", "update orders_order set sales_rep_id = 2 where id <= 5", "0 of 19"),
            ("?q=customer+1", "1–12 of 12", "update orders_order set customer_name = 'X' where id = 11", "1–11 of 11"),
        ] {
            ways.database
                .sql(&format!(
                    "delete from orders_order; {}; update orders_order set payment_status = 'failed' where id <= 22",
                    thirty()
                ))
                .await;
            let browser = way.browser("ana", &format!("{REP}{query}")).await;
            println!("{query} {}", way.state);
            assert_eq!(browser.text(".paging .range").await, before);
            ways.database.sql(changes).await;
            browser.wait_for_text(".paging .range", after).await;
            if query == "?page=2" {
                assert_eq!(browser.text(".paging .page").await, "Page 2 of 2");
            }
            browser.close().await;
        }
    }
}

#[tokio::test]
async fn of_more_orders_than_are_known_it_is_said_that_they_are_more() {
    let ways = Ways::new().await;
    let entering: Vec<String> = (11..=40).map(|id| format!("({id}, 1, 'pending', 'paid', 10)")).collect();
    for way in ways.both() {
        for query in ["", "?q=customer"] {
            ways.database.sql("truncate orders_order cascade").await;
            ways.database.orders("(1, 1, 'pending', 'paid', 10)").await;
            let browser = way.browser("ana", &format!("{REP}{query}")).await;
            // a stream tells all of them, where the page knows what is on its list; an answer has a page of them
            let is_told_all = way.state == "live" && query.is_empty();
            if is_told_all {
                // the first change may be told as a state
                ways.database.sql("update orders_order set total_amount = 11 where id = 1").await;
                browser.until("document.querySelector('tr[data-order-id=\"1\"]').textContent.includes('11.00')").await;
            }
            ways.database.orders(&entering.join(", ")).await;
            let words = if is_told_all { "30 orders entered · Update" } else { "20+ orders entered · Update" };
            browser.wait_for_text("#list-notice", words).await;
            browser.close().await;
        }
    }
}

#[tokio::test]
async fn a_list_that_only_the_server_can_order_is_read_once_a_second_however_much_changes() {
    let database = Database::new().await;
    database.sql(&thirty()).await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "?sort=-total_amount").await;
    let reads = "performance.getEntriesByType('resource').filter((e) => e.name.includes('dashboard/?')).length";
    let began = std::time::Instant::now();
    for total in 1..=50 {
        database.sql(&format!("update orders_order set total_amount = {total} where id = 1")).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let seconds = began.elapsed().as_secs();
    let reads = browser.script(reads).await.as_u64().unwrap();
    assert!((2..=seconds + 2).contains(&reads), "{reads} reads in {seconds} s");
    browser.close().await;
}

#[tokio::test]
async fn a_list_passes_into_the_next_only_where_motion_is_wanted() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10)").await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    let count = "(() => { window.passed = 0; const start = document.startViewTransition.bind(document);
        document.startViewTransition = (update) => { window.passed += 1; return start(update); }; return true; })()";
    browser.script(count).await;
    for (id, motion, passed) in [(2, "no-preference", 1), (3, "reduce", 1)] {
        let media = json!({ "features": [{ "name": "prefers-reduced-motion", "value": motion }] });
        browser.devtools("Emulation.setEmulatedMedia", media).await;
        database.orders(&format!("({id}, 1, 'pending', 'paid', 10)")).await;
        browser.wait_for_text("#list-notice", "1 order entered · Update").await;
        browser.click("#list-notice").await;
        browser.until(&format!("document.querySelector('#orders-table-tbody tr').dataset.orderId === '{id}'")).await;
        assert_eq!(browser.script("window.passed").await, passed, "{motion}");
        browser.until("document.getElementById('list-notice').hidden").await;
    }
    browser.close().await;
}
