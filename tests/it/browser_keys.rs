//! The dashboard by keyboard.

use fantoccini::key::Key;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::service::Service;

const FOCUSED: &str = "document.activeElement.textContent";

async fn press(browser: &Browser, keys: &str) {
    browser.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
}

/// Thirty orders of ana's, of which her page shows twenty, the newest first.
async fn dashboard() -> (Database, Service, Browser) {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=30).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    let service = Service::start(&database).await;
    let browser = Browser::live_dashboard(&service.base(), "ana", "").await;
    (database, service, browser)
}

#[tokio::test]
async fn a_cursor_goes_through_the_rows_and_opens_one() {
    let (_database, _service, browser) = dashboard().await;
    for (keys, order) in [("j", 30), ("j", 29), ("jj", 27), ("k", 28), ("kkkkk", 30)] {
        press(&browser, keys).await;
        assert_eq!(browser.script(FOCUSED).await, format!("ORD-2025-000{order}"), "{keys}");
    }
    assert_eq!(browser.script("document.activeElement.matches(':focus-visible')").await, true, "it is seen");
    // nothing that sticks to the window's edge covers the cursor, up or down
    browser.resize(1280).await;
    browser.script("document.querySelector('.filter').style.paddingBottom = '120px'").await;
    let row = "document.activeElement.closest('tr').getBoundingClientRect()";
    for keys in ["j".repeat(19), "k".repeat(12), "j".repeat(3), "k".repeat(30)] {
        press(&browser, &keys).await;
        let seen = format!(
            "{row}.top >= document.querySelector('.controls').getBoundingClientRect().bottom && {row}.bottom <= innerHeight"
        );
        assert_eq!(browser.script(&seen).await, true, "{keys}");
    }
    // it goes on from where it was when the focus is elsewhere
    press(&browser, "jj").await;
    browser.script("document.activeElement.blur() ?? true").await;
    press(&browser, "j").await;
    assert_eq!(browser.script(FOCUSED).await, "ORD-2025-00027");
    press(&browser, &Key::Enter.to_string()).await;
    browser.wait_for_text("h1", "ORD-2025-00027").await;
    // and from the row that somebody came back from, whichever way
    for way in ["history.back()", "document.getElementById('back').click()"] {
        browser.script(&format!("{way} ?? true")).await;
        browser.state("live").await;
        browser.until("document.getElementById('orders-table-tbody') !== null").await;
        press(&browser, "j").await;
        assert_eq!(browser.script(FOCUSED).await, "ORD-2025-00026", "{way}");
        press(&browser, "k").await;
        press(&browser, &Key::Enter.to_string()).await;
        browser.wait_for_text("h1", "ORD-2025-00027").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn the_keys_are_told_by_a_key_and_by_a_button() {
    let (_database, _service, browser) = dashboard().await;
    let is_open = "document.getElementById('keys').open";
    press(&browser, "?").await;
    assert_eq!(browser.script(is_open).await, true);
    // behind an open dialog nothing moves
    let untouched = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'j', bubbles: true, cancelable: true }))";
    assert_eq!(browser.script(untouched).await, true);
    assert_eq!(browser.script("document.activeElement.closest('dialog') !== null").await, true);
    press(&browser, &Key::Escape.to_string()).await;
    browser.until(&format!("!{is_open}")).await;
    browser.click("#keys-button").await;
    assert_eq!(browser.script(is_open).await, true);
    browser.click("#keys button").await;
    browser.until(&format!("!{is_open}")).await;
    assert_eq!(browser.script("document.activeElement.id").await, "keys-button", "the focus is where it was");
    browser.close().await;
}

#[tokio::test]
async fn where_a_key_is_text_or_a_command_of_the_browser_it_is_left_alone() {
    let (_database, _service, browser) = dashboard().await;
    browser.script("document.querySelector('[type=search]').value = 'old'").await;
    press(&browser, "/").await;
    assert_eq!(browser.script("document.activeElement.type").await, "search");
    press(&browser, "jk/?").await;
    assert_eq!(browser.script("document.activeElement.value").await, "jk/?", "it was selected");
    assert_eq!(browser.script("document.getElementById('keys').open").await, false);
    browser.script("document.activeElement.blur() ?? true").await;
    for modifier in ["ctrlKey", "metaKey", "altKey"] {
        let untouched = format!(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'j', {modifier}: true, bubbles: true, cancelable: true }}))"
        );
        assert_eq!(browser.script(&untouched).await, true, "{modifier}");
    }
    // a page without a field for searching
    browser.script("document.querySelector('[type=search]').remove() ?? true").await;
    press(&browser, "/").await;
    assert_eq!(browser.script("document.activeElement === document.body").await, true);
    browser.close().await;
}
