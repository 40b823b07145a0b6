//! Somebody else signs in while a page is open, in a real Chromium: it tells and shows nothing of theirs, and does nothing in
//! their name.

use serde_json::json;

use crate::harness::browser::Browser;
use crate::harness::database::PASSWORD;
use crate::harness::scene::Scene;
use crate::harness::ways::Ways;

/// Signs in as another tab would.
async fn become_another(browser: &Browser, username: &str) {
    let body = json!({ "username": username, "password": PASSWORD });
    let sent = format!(
        "fetch('/accounts/login/', {{ method: 'POST', body: new URLSearchParams({body}) }}).then(answer => answer.ok)"
    );
    assert_eq!(browser.script(&sent).await, true);
}

#[tokio::test]
async fn a_list_that_is_asked_for_anew_is_not_that_of_whoever_signed_in_meanwhile() {
    let Scene { database, service: _service, proxy, browser } = Scene::new().await;
    database.orders("(4, 1, 'pending', 'paid', 1)").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    proxy.block_streams();
    browser.state("polling").await;
    // the page does not hear of it before it is asked
    proxy.hold_answers();
    become_another(&browser, "ben").await;
    browser.click("#list-notice").await;
    let pages =
        "performance.getEntriesByType('resource').filter(({ name }) => new URL(name).pathname === '/orders/orders/')";
    browser.until(&format!("{pages}.length === 1")).await;
    proxy.release_answers();
    browser.state("signed_out").await;
    assert_eq!(browser.ids().await, "1,2");
    browser.close().await;
}

#[tokio::test]
async fn a_page_whose_session_is_over_offers_and_asks_nothing() {
    let Scene { database, service: _service, proxy: _proxy, browser } = Scene::new().await;
    database.orders("(4, 1, 'pending', 'paid', 1)").await;
    browser.wait_for_text("#list-notice", "1 order entered · Update").await;
    browser.script("fetch('/accounts/logout/', { method: 'POST' }).then(() => true)").await;
    browser.state("signed_out").await;
    browser.until("document.getElementById('list-notice').hidden").await;
    let asked = "(() => { const fetched = window.fetch; let count = 0;
        window.fetch = (...asked) => { count += 1; return fetched(...asked); };
        document.getElementById('list-notice').click();
        window.fetch = fetched; return count; })()";
    assert_eq!(browser.script(asked).await, 0);
    browser.close().await;
}

#[tokio::test]
async fn a_pharmacists_page_is_not_anothers() {
    let ways = Ways::new().await;
    ways.database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let [_, poll] = ways.both();
    for page in ["/orders/pharmacist/orders/", "/orders/orders/1/"] {
        let browser = poll.browser("rx", page).await;
        become_another(&browser, "boss").await;
        browser.state("signed_out").await;
        browser.close().await;
    }
}

#[tokio::test]
async fn a_page_has_nothing_left_in_it_as_soon_as_another_persons_is_opened_in_the_same_browser() {
    let Scene { database: _database, service: _service, proxy, browser } = Scene::new().await;
    let anas = browser.client.window().await.unwrap();
    let bens = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(bens).await.unwrap();
    browser.goto("/accounts/login/").await;
    // a login would end the session whose cookie it replaces: hers is lost before, and goes on with her stream
    browser.client.delete_all_cookies().await.unwrap();
    become_another(&browser, "ben").await;
    browser.goto("/orders/orders/").await;
    browser.state("live").await;
    proxy.black_hole();
    browser.client.switch_to_window(anas).await.unwrap();
    browser.state("signed_out").await;
    browser.until("document.title === 'Signed out'").await;
    assert_eq!(browser.script("document.documentElement.outerHTML.match(/ORD-|Customer/)").await, json!(null));
    browser.close().await;
}
