//! What is left of somebody in a browser that others use after them, in a real Chromium.

use serde_json::{Value, json};

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::service::Service;

/// Whatever a page can keep, by its names, and what it has in it of orders.
const REMAINS: &str = r#"(async () => ({
    tab: Object.keys(sessionStorage).sort(),
    browser: Object.keys(localStorage).sort(),
    caches: "caches" in window ? await caches.keys() : [],
    databases: (await indexedDB.databases()).map(({ name }) => name),
    workers: (await navigator.serviceWorker?.getRegistrations() ?? []).length,
    cookies: document.cookie,
    state: history.state,
    shown: document.documentElement.outerHTML.match(/ORD-\d+|Customer \d|Tester/g),
}))()"#;

/// A page of nobody's, of somebody who left this about the machine.
fn nothing(of_machine: &[&str]) -> Value {
    json!({ "tab": [], "browser": of_machine, "caches": [], "databases": [], "workers": 0, "cookies": "", "state": null, "shown": null })
}

/// Stands in for the desktop, and counts what is shown on it.
const DESKTOP: &str = "(() => { window.onDesktop = new Set();
    window.Notification = class extends EventTarget { static permission = 'granted';
        constructor(title) { super(); window.onDesktop.add(title); this.title = title; }
        close() { window.onDesktop.delete(this.title); this.dispatchEvent(new Event('close')); } };
    return true; })()";

async fn type_note(browser: &Browser, path: &str) {
    browser.goto(path).await;
    browser.state("live").await;
    browser.fill_in("#change [name=note]", "for Maria only").await;
}

/// Goes back until the page of an order is asked for again.
async fn back_to(browser: &Browser, path: &str) -> String {
    browser.client.back().await.unwrap();
    browser.until(&format!("location.pathname === {} || location.pathname === '/accounts/login/'", json!(path))).await;
    browser.until("document.readyState === 'complete'").await;
    browser.script("location.pathname").await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_of_somebody_is_left_in_the_browser_for_the_next() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 1), (2, 1, 'pending', 'pending', 1)").await;
    database.sql("insert into live.account (user_id, desktop, version) values (3, true, 9)").await;
    let service = Service::start(&database).await;
    let browser = Browser::open(&service.base()).await;
    browser.sign_in("rx").await;

    // a tab with a selection, one that has come from a filtered list to an order and notes something there
    browser.goto("/orders/pharmacist/orders/").await;
    browser.knows_what_is_news().await;
    browser.script(DESKTOP).await;
    browser.script("document.querySelector('[name=order]').click() ?? true").await;
    browser.fill_in("#selection [name=note]", "for Maria only").await;
    // nobody sees the page
    browser.script("(Object.defineProperty(document, 'visibilityState', { value: 'hidden' }), document.dispatchEvent(new Event('visibilitychange')))").await;
    database.sql("update orders_order set total_amount = 2 where id = 2").await;
    browser.until("window.onDesktop.size === 1").await;
    let list = browser.client.window().await.unwrap();
    let order = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(order).await.unwrap();
    browser.goto("/accounts/preferences/").await;
    browser.click("#keys-on").await;
    browser.goto("/orders/pharmacist/orders/?status=pending").await;
    browser.follow("tr[data-order-id='1'] a").await;
    type_note(&browser, "/orders/orders/1/").await;
    let kept = browser.script(REMAINS).await;
    assert_eq!(kept["tab"].as_array().unwrap().len(), 4, "there is something to leave: {kept}");
    browser.follow(".person form button").await;
    let shortcuts = ["oncare-live shortcuts of 3"];
    assert_eq!(browser.script(REMAINS).await, nothing(&shortcuts));
    browser.client.switch_to_window(list.clone()).await.unwrap();
    browser.state("signed_out").await;
    browser.until("document.title === 'Signed out'").await;
    assert_eq!(browser.script(REMAINS).await, nothing(&shortcuts));
    assert_eq!(browser.script("window.onDesktop.size").await, 0);
    // no way back
    browser.goto("/accounts/login/").await;
    assert_eq!(back_to(&browser, "/orders/pharmacist/orders/").await, "/accounts/login/");

    // somebody else, without a word of the first
    browser.sign_in("rx").await;
    type_note(&browser, "/orders/orders/1/").await;
    browser.goto("/orders/pharmacist/orders/").await;
    browser.client.delete_all_cookies().await.unwrap();
    browser.sign_in("boss").await;
    assert_eq!(back_to(&browser, "/orders/orders/1/").await, "/orders/orders/1/");
    browser.state("live").await;
    assert_eq!(
        browser.script("document.querySelector('#change [name=note]').value").await,
        "",
        "what the browser itself restores"
    );
    let keys = browser.script(REMAINS).await;
    assert!(!keys["tab"].to_string().contains("of 3"), "{keys}");
    // the same person's own is still there
    type_note(&browser, "/orders/orders/1/").await;
    browser.goto("/orders/pharmacist/orders/").await;
    back_to(&browser, "/orders/orders/1/").await;
    browser.until("document.querySelector('#change [name=note]').value === 'for Maria only'").await;
    browser.close().await;
}
