//! The whole way of an order, by hand: a pharmacist takes it through its statuses, in the queue and on its page, and its rep
//! watches.

use serde_json::{Value, json};

use crate::harness::browser::{AT_ONCE, Browser};
use crate::harness::database::Database;
use crate::harness::ways::Ways;

const QUEUE: &str = "/orders/pharmacist/orders/";

/// Where the pharmacist makes a change.
#[derive(Clone, Copy)]
enum Place {
    Queue,
    Page,
}

/// What a page shows: cards, breakdown, and of one order the badges and which of "Edit" and "Cancel" can be seen.
fn shown(id: i64) -> String {
    format!(
        "[
            [...document.querySelectorAll('.cards .figure')].map(figure => figure.textContent),
            [...document.querySelectorAll('.counts .count')].map(count => count.textContent),
            [...document.querySelectorAll('tr[data-order-id=\"{id}\"] .badge')].map(badge => badge.textContent),
            [...document.querySelectorAll('tr[data-order-id=\"{id}\"] [data-while]')].map(link => link.checkVisibility()),
        ]"
    )
}

/// What it should show, as the orders are: all of them, or those of ana.
async fn stored(database: &Database, id: i64, is_queue: bool) -> Value {
    let whose = if is_queue { "true" } else { "sales_rep_id = 1" };
    let counts = |codes: &[&str]| {
        let count = |code: &&str| format!("(count(*) filter (where status = '{code}'))::text");
        codes.iter().map(count).collect::<Vec<_>>().join(", ")
    };
    let revenue = "coalesce(sum(total_amount) filter (where status = 'delivered' and payment_status = 'paid'), 0)";
    let figures = format!(
        "select json_build_array(
             json_build_array(count(*)::text, {}, '₱' || to_char({revenue}, 'FM999,990.00')), json_build_array({}))
         from orders_order where {whose}",
        counts(&["pending", "processing", "delivered", "cancelled"]),
        counts(&[
            "pending",
            "confirmed",
            "processing",
            "ready_for_pickup",
            "shipped",
            "delivered",
            "cancelled",
            "returned"
        ]),
    );
    let badges = format!(
        "select json_build_array(
             case status when 'ready_for_pickup' then 'Ready for Pickup' else initcap(status) end, initcap(payment_status))
         from orders_order where id = {id}"
    );
    let status = database.value(&format!("select status from orders_order where id = {id}")).await;
    let (may_edit, may_cancel) = (status == "pending", ["pending", "confirmed"].contains(&&*status));
    let read = async |query: &str| -> Value { serde_json::from_str(&database.value(query).await).unwrap() };
    let (figures, badges) = (read(&figures).await, read(&badges).await);
    let links = if is_queue { json!([]) } else { json!([may_edit, may_cancel]) };
    json!([figures[0], figures[1], badges, links])
}

/// Has the page write down when it shows what.
async fn record(browser: &Browser, id: i64) {
    let script = format!(
        "(() => {{ window.recorder?.disconnect(); window.states = []; const look = () => {{ const state = JSON.stringify({});
             if (state !== window.states.at(-1)?.[1]) window.states.push([Date.now(), state]); }};
             look(); window.recorder = new MutationObserver(look); window.recorder.observe(document.querySelector('.dashboard'),
             {{ subtree: true, childList: true, characterData: true, attributes: true }}); return true; }})()",
        shown(id)
    );
    browser.script(&script).await;
}

/// Waits until the page shows what it should, and tells since when, in milliseconds.
async fn shows(browser: &Browser, expected: &Value) -> f64 {
    browser.until(&format!("window.states.at(-1)[1] === JSON.stringify({expected})")).await;
    browser.script("window.states.at(-1)[0]").await.as_f64().unwrap()
}

/// Changes an order as a pharmacist does who has the queue open, or the order's page.
async fn change(browser: &Browser, id: i64, (status, payment, note): (&str, &str, &str), place: Place) {
    let (form, button) = match place {
        Place::Queue => {
            browser.click(&format!("tr[data-order-id='{id}'] input[name=order]")).await;
            browser.choose("#selection [name=status]", status).await;
            ("#selection", "#selection button[type=submit]")
        }
        Place::Page => {
            browser.goto(&format!("{QUEUE}{id}/")).await;
            browser.click(&format!("#change [name=status][value={status}]")).await;
            ("#change", "#change button[type=submit]")
        }
    };
    browser.choose(&format!("{form} [name=payment_status]"), payment).await;
    browser.fill_in(&format!("{form} [name=note]"), note).await;
    browser.click(button).await;
    match place {
        Place::Queue => browser.wait_for_text("#selection-outcome", "1 order changed.").await,
        Place::Page => {
            let reached = format!("document.querySelector('[data-part=badges]')?.dataset.status === '{status}'");
            browser.until(&reached).await;
        }
    }
}

#[tokio::test]
async fn a_pharmacist_takes_an_order_all_the_way_and_its_rep_sees_each_step_at_once() {
    let ways = Ways::new().await;
    ways.database
        .orders(
            "(1, 1, 'pending', 'pending', 1500), (2, 1, 'pending', 'pending', 250.5), (3, 1, 'delivered', 'paid', 20),
             (4, 2, 'pending', 'paid', 9)",
        )
        .await;
    let [stream, _] = ways.both();
    let [rep, polling_rep] = ways.browsers("ana", "/orders/orders/").await;
    let [queue, polling_queue] = ways.browsers("rx", QUEUE).await;
    let desk = stream.browser("rx", QUEUE).await;
    let steps = [
        ("confirmed", "", "called the customer"),
        ("processing", "", ""),
        ("ready_for_pickup", "", "shelf 7"),
        ("shipped", "", "with the courier"),
        ("delivered", "paid", "cash, signed by the customer"),
    ];
    for (id, places) in [(1, [Place::Queue, Place::Page]), (2, [Place::Page, Place::Queue])] {
        for browser in [&rep, &polling_rep, &queue, &polling_queue] {
            record(browser, id).await;
        }
        for (step, place) in steps.into_iter().zip(places.into_iter().cycle()) {
            let hand = if let Place::Queue = place { &queue } else { &desk };
            change(hand, id, step, place).await;
            let committed = ways
                .database
                .value(&format!("select 1000 * extract(epoch from max(changed_at)) from orders_orderstatushistory where order_id = {id}"))
                .await;
            let committed: f64 = committed.parse().unwrap();
            for (live, polling, is_queue) in [(&rep, &polling_rep, false), (&queue, &polling_queue, true)] {
                let expected = stored(&ways.database, id, is_queue).await;
                let took = shows(live, &expected).await - committed;
                assert!(took < AT_ONCE.as_secs_f64() * 1000.0, "{step:?} took {took} ms");
                shows(polling, &expected).await;
            }
        }
        let history = format!(
            "select json_agg(json_build_array(old_status, new_status, old_payment_status, new_payment_status, notes, changed_by_id)
                 order by changed_at, id) from orders_orderstatushistory where order_id = {id}"
        );
        let history: Value = serde_json::from_str(&ways.database.value(&history).await).unwrap();
        let (mut status, mut payment) = ("pending", "pending");
        let expected: Vec<Value> = steps
            .into_iter()
            .map(|(next, paid, note)| {
                let next_payment = if paid.is_empty() { payment } else { paid };
                let entry = json!([status, next, payment, next_payment, note, 3]);
                (status, payment) = (next, next_payment);
                entry
            })
            .collect();
        assert_eq!(history, json!(expected));
    }
    assert_eq!(rep.text("#stat-total-revenue").await, "₱1,770.50");
    for browser in [rep, polling_rep, queue, polling_queue, desk] {
        browser.close().await;
    }
}
