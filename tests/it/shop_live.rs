//! Attached to a real shop that signs people on, and whose own pages are kept true: what its users see in a browser through nginx.

use std::time::Duration;

use oncare_live::proxy::{Proxy, snippet};
use serde_json::{Value, json};

use crate::harness::browser::{Browser, NOTICED};
use crate::harness::database::PASSWORD;
use crate::harness::http::API;
use crate::harness::nginx::Nginx;
use crate::harness::service::Service;
use crate::harness::shop::{Customer, Shop, ZONE};
use crate::harness::{PATIENCE, eventually, eventually_within};
use crate::shop::{WAYS, enter_a_few, sign_in_at_admin};

/// How soon a page says that its session is over: sessions are looked at every five seconds, and machines are busy.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// The page as the shop's user sees it: each row's order, status, payment status, number of items and total, and the figures.
const SHOWN: &str = "({
    rows: [...document.querySelectorAll('#orders-table-tbody tr')].filter(row => row.cells.length === 7).map(row => [
        Number(/(\\d+)\\/$/.exec(row.querySelector('a').href)[1]), row.cells[2].innerText.trim(), row.cells[3].innerText.trim(),
        parseInt(row.cells[4].innerText), row.cells[5].innerText.trim()]).sort((a, b) => a[0] - b[0]),
    figures: ['total', 'pending', 'processing', 'delivered', 'cancelled'].map(
        name => Number(document.getElementById(`stat-${name}-orders`).innerText)),
    revenue: document.getElementById('stat-total-revenue').innerText,
    shipped: Number(document.getElementById('status-count-shipped').innerText),
})";

/// The same as the shop would write it now.
fn would_show(old: &Value) -> Value {
    let row = |row: &Value| {
        let total = format!("₱{:.2}", row["total_amount"].as_f64().unwrap());
        json!([row["id"], row["status_display"], row["payment_status_display"], row["items_count"], total])
    };
    let mut rows: Vec<Value> = old["orders"].as_array().unwrap().iter().map(row).collect();
    rows.sort_by_key(|row| row[0].as_i64());
    let statistics = &old["statistics"];
    let figures = ["total", "pending", "processing", "delivered", "cancelled"];
    json!({
        "rows": rows,
        "figures": figures.map(|name| statistics[format!("{name}_orders")].clone()),
        "revenue": format!("₱{:.2}", statistics["total_revenue"].as_f64().unwrap()),
        "shipped": old["orders_by_status"]["shipped"]["count"],
    })
}

/// The service beside a shop whose users it takes.
async fn attach(shop: &Shop, arguments: &[&str]) -> Service {
    let key = shop.folder.join("key");
    std::fs::write(&key, format!("{}\n", Shop::SECRET_KEY)).unwrap();
    let signed_on = ["--django-secret-key-file", key.to_str().unwrap(), "--poll-interval", "1s"];
    shop.attach(&[&signed_on, arguments].concat()).await
}

/// What `doctor --proxy nginx` prints for a service that listens there.
fn rules(service: &Service) -> String {
    snippet(Proxy::Nginx, service.web, "/live/")
}

/// A window of somebody who signed in at the shop, with the shop's own list.
pub async fn at_the_shop(browser: Browser, username: &str) -> Browser {
    browser.goto("/accounts/login/").await;
    sign_in_there(&browser, username).await;
    browser.goto("/orders/orders/").await;
    browser
}

/// Waits until the page shows what the shop would.
pub async fn shows_what_the_shop_would(browser: &Browser, old: &Customer, what: &str) {
    let expected = would_show(&old.browser.dashboard("").await);
    let mut shown = Value::Null;
    eventually(&format!("{what}: {expected}"), async || {
        shown = browser.script(SHOWN).await;
        (shown == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn in_a_browser_the_shops_page_shows_at_once_whatever_django_writes() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let service = attach(&shop, &[]).await;
    let nginx = Nginx::before(&shop, &service, &rules(&service)).await;
    let old = Customer::signed_in(&format!("http://{}", nginx.shop), "ana").await;
    let plain = at_the_shop(Browser::open(&nginx.base()).await, "ana").await;
    let over_tls = at_the_shop(Browser::trusting(&format!("https://{}", nginx.tls)).await, "ana").await;
    for browser in [&plain, &over_tls] {
        browser.state("live").await;
        shows_what_the_shop_would(browser, &old, "at first").await;
        browser.note_changes().await;
    }
    assert_eq!(over_tls.script("performance.getEntriesByType('navigation')[0].nextHopProtocol").await, "h2");
    for (way, python, _) in WAYS {
        shop.deed(python).await;
        for browser in [&plain, &over_tls] {
            shows_what_the_shop_would(browser, &old, way).await;
            browser.assert_at_once(&shop.database, way).await;
        }
    }
    // neither was read anew, and both were told by the stream
    for browser in [plain, over_tls] {
        assert_eq!(browser.script("document.getElementById('live-badge').dataset.state").await, "live");
        browser.close().await;
    }
}

#[tokio::test]
async fn in_a_browser_who_signs_out_at_the_shop_is_told_nothing_more() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let service = attach(&shop, &[]).await;
    let nginx = Nginx::before(&shop, &service, &rules(&service)).await;
    let browser = at_the_shop(Browser::open(&nginx.base()).await, "ana").await;
    browser.state("live").await;
    // in another window
    let page = browser.client.window().await.unwrap();
    let other = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(other).await.unwrap();
    browser.goto("/orders/").await;
    browser.follow("#sign-out").await;
    browser.client.switch_to_window(page).await.unwrap();
    eventually_within(ENDS_WITHIN, "the page says so", async || {
        let said = browser.script("document.getElementById('live-badge').dataset.state").await;
        (said == "signed_out").then_some(())
    })
    .await;
    assert_eq!(service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await, 0.0);
    shop.deed("Order.objects.filter(id=1).update(status='shipped')").await;
    assert!(browser.script(SHOWN).await["shipped"] == 0);

    // and is back where they sign in again
    let browser = at_the_shop(browser, "ana").await;
    browser.state("live").await;
    assert!(browser.script(SHOWN).await["shipped"] == 1);
    browser.close().await;
}

/// Signs in on the page that asks for it, and waits for the one to which the shop leads everybody.
async fn sign_in_there(browser: &Browser, username: &str) {
    browser.fill_in("[name=username]", username).await;
    browser.fill_in("[name=password]", PASSWORD).await;
    browser.follow("#login button").await;
    assert_eq!(browser.script("location.pathname").await, "/orders/");
}

#[tokio::test]
async fn in_a_browser_our_page_leads_to_the_shops_sign_out_and_says_when_it_was_used() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let service = attach(&shop, &[]).await;
    let nginx = Nginx::before(&shop, &service, &rules(&service)).await;
    let browser = at_the_shop(Browser::open(&nginx.base()).await, "ana").await;
    browser.goto("/live/orders/orders/").await;
    browser.state("live").await;
    let page = browser.client.window().await.unwrap();
    let other = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(other).await.unwrap();
    browser.goto("/live/orders/orders/?status=pending").await;
    browser.state("live").await;
    let sign_out = "[...document.links].find(link => link.textContent.trim() === 'Sign out at the shop')";
    browser.script(&format!("{sign_out}.setAttribute('data-found', '') ?? true")).await;
    browser.follow("[data-found]").await;
    // the shop's page, with its form
    assert_eq!(browser.script("location.pathname").await, "/orders/");
    browser.follow("#sign-out").await;
    browser.client.switch_to_window(page).await.unwrap();
    eventually_within(ENDS_WITHIN, "the page says so", async || {
        let said = browser.script("document.getElementById('live-badge').dataset.state").await;
        (said == "signed_out").then_some(())
    })
    .await;
    assert_eq!(service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await, 0.0);
    browser.goto("/live/orders/orders/").await;
    assert_eq!(
        browser.script("location.pathname + location.search").await,
        "/accounts/login/?next=%2Flive%2Forders%2Forders%2F"
    );
    browser.close().await;
}

#[tokio::test]
async fn in_a_browser_who_signs_in_at_the_shop_gets_back_to_the_page_they_wanted() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let service = attach(&shop, &[]).await;
    let nginx = Nginx::before(&shop, &service, &rules(&service)).await;
    for (who, wanted) in [("ana", "/live/orders/orders/?status=pending"), ("rx", "/live/orders/orders/3/")] {
        let browser = Browser::open(&nginx.base()).await;
        browser.goto(wanted).await;
        assert_eq!(browser.script("location.pathname").await, "/accounts/login/");
        sign_in_there(&browser, who).await;
        // their link or bookmark of the service
        browser.goto("/live/").await;
        assert_eq!(browser.script("location.pathname + location.search").await, wanted);
        browser.state("live").await;
        // once: then it leads to their work
        browser.goto("/live/").await;
        let work = if who == "ana" { "/live/orders/orders/" } else { "/live/orders/pharmacist/dashboard/" };
        assert_eq!(browser.script("location.pathname + location.search").await, work);
        browser.close().await;
    }
}

/// The pharmacy's page as its user sees it: each of the newest orders, from the top, and the figures.
const SHOWN_TO_PHARMACIST: &str = "({
    rows: [...document.querySelectorAll('#recent-orders-tbody tr')].map(row => [
        Number(/(\\d+)\\/$/.exec(row.querySelector('a').href)[1]), ...[...row.cells].slice(0, 6).map(cell => cell.innerText.trim())]),
    figures: ['total', 'pending', 'processing', 'ready', 'delivered', 'cancelled'].map(
        name => Number(document.getElementById(`stat-${name}-orders`).innerText)),
    shipped: Number(document.getElementById('status-count-shipped').innerText),
})";

/// The same as the shop would write it now.
fn would_show_to_pharmacist(old: &Value) -> Value {
    let row = |row: &Value| {
        let total = format!("₱{:.2}", row["total_amount"].as_f64().unwrap());
        let rep = row["sales_rep"].as_str().unwrap_or("-");
        json!([
            row["id"],
            row["order_number"],
            row["customer_name"],
            rep,
            row["status_display"],
            row["payment_status_display"],
            total
        ])
    };
    let rows: Vec<Value> = old["recent_orders"].as_array().unwrap().iter().map(row).collect();
    let figures = ["total", "pending", "processing", "ready", "delivered", "cancelled"];
    json!({
        "rows": rows,
        "figures": figures.map(|name| old["statistics"][format!("{name}_orders")].clone()),
        "shipped": old["orders_by_status"]["shipped"]["count"],
    })
}

#[tokio::test]
async fn in_a_browser_the_pharmacys_page_shows_at_once_whatever_the_shop_writes() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let service = attach(&shop, &[]).await;
    let nginx = Nginx::before(&shop, &service, &rules(&service)).await;
    let old = Customer::signed_in(&format!("http://{}", nginx.shop), "rx").await;
    let browser = Browser::open(&nginx.base()).await;
    browser.goto("/accounts/login/").await;
    sign_in_there(&browser, "rx").await;
    browser.goto("/orders/pharmacist/dashboard/").await;
    browser.state("live").await;
    browser.note_changes().await;
    let shows = async |what: &str| {
        let expected = would_show_to_pharmacist(&old.browser.json("/orders/api/pharmacist/dashboard/").await.1);
        let mut shown = Value::Null;
        let is_shown = async {
            while shown != expected {
                shown = browser.script(SHOWN_TO_PHARMACIST).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, is_shown).await.is_ok();
        assert!(in_time, "{what}: {shown} and not {expected}");
        browser.assert_at_once(&shop.database, what).await;
    };
    for (way, python, _) in WAYS {
        shop.deed(python).await;
        shows(way).await;
    }
    // in another window
    let other = Browser::open(&nginx.base()).await;
    sign_in_at_admin(&other).await;
    other.goto("/admin/orders/order/3/change/").await;
    other.choose("[name=status]", "processing").await;
    other.click("[name=_save]").await;
    other.until("location.pathname === '/admin/orders/order/'").await;
    other.close().await;
    assert_eq!(shop.deed("result = Order.objects.get(id=3).status").await, "processing");
    shows("the admin's form").await;
    assert_eq!(browser.script("document.getElementById('live-badge').dataset.state").await, "live");
    browser.close().await;
}

#[tokio::test]
async fn in_a_browser_the_shop_goes_on_without_the_service() {
    let shop = Shop::open().await;
    enter_a_few(&shop).await;
    let service = attach(&shop, &[]).await;
    let address = service.web.to_string();
    let without_streams = format!("location ~ /events/$ {{ return 503; }}\n{}", rules(&service));
    let (nginx, deaf) = (
        Nginx::before(&shop, &service, &rules(&service)).await,
        Nginx::before(&shop, &service, &without_streams).await,
    );
    let old = Customer::signed_in(&format!("http://{}", nginx.shop), "ana").await;

    // without the stream it polls
    let polling = at_the_shop(Browser::open(&deaf.base()).await, "ana").await;
    polling.state("polling").await;
    shop.deed("Order.objects.filter(id=1).update(status='processing')").await;
    shows_what_the_shop_would(&polling, &old, "polled").await;
    polling.close().await;

    // without the service it says so, and the shop does what it always did
    let browser = at_the_shop(Browser::open(&nginx.base()).await, "ana").await;
    browser.state("live").await;
    service.stop().await;
    eventually_within(2 * NOTICED, "the page says that it is stale", async || {
        let said = browser.script("document.getElementById('live-badge').dataset.state").await;
        (said == "stale").then_some(())
    })
    .await;
    let rx = Customer::signed_in(&nginx.base(), "rx").await;
    let paid = [("status", "confirmed"), ("payment_status", "paid")];
    assert_eq!(rx.send("/orders/pharmacist/orders/2/", &paid).await.status(), 302);
    let made = "result = [Medicine.objects.get(id=1).stock_quantity, PaymentTransaction.objects.count()]";
    assert_eq!(shop.deed(made).await, json!([95, 1]));
    assert_eq!(rx.browser.get("/orders/orders/2/").await.status(), 200);

    // and is live again when it is back, with what was missed
    let key = shop.folder.join("key").display().to_string();
    let again = ["--listen", &address, "--time-zone", ZONE, "--django-secret-key-file", &key, "--poll-interval", "1s"];
    let _service = Service::start_beside_host(&shop.url_of_service(), &again).await;
    browser.state("live").await;
    shows_what_the_shop_would(&browser, &old, "after the service came back").await;
    assert_eq!(old.browser.json(API).await.0, 200);
    browser.close().await;
}
