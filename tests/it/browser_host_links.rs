//! Links to the pages of the application that manages the orders, and the way back from them, in a real Chromium.

use axum::Router;
use axum::http::Uri;
use axum::response::Html;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::service::Service;

/// The other application, which shows the address that it was asked for.
async fn host() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let page = |uri: Uri| async move { Html(format!("<!doctype html><title>Shop</title><h1>{}</h1>", uri.path())) };
    let app = Router::new().fallback(page);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    base
}

/// A service beside it, with 30 orders of ana's.
async fn beside_host() -> (Database, Service) {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=30).map(|id| format!("({id}, 1, 'pending', 'pending', 10)")).collect();
    database.orders(&orders.join(", ")).await;
    let host = host().await;
    let [edit, cancel, order] = ["edit/{id}", "cancel/{id}", "order/{id}"].map(|path| format!("{host}/{path}"));
    let paths = ["--host-edit-path", &edit, "--host-cancel-path", &cancel, "--host-order-path", &order];
    let service = Service::start_beside_host(&database.url, &paths).await;
    (database, service)
}

/// A low window, so that lists are longer than it.
async fn low(browser: &Browser) {
    let metrics = serde_json::json!({ "width": 1280, "height": 500, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
}

#[tokio::test]
async fn on_the_way_back_from_the_hosts_page_the_list_is_live_where_it_was() {
    let (database, service) = beside_host().await;
    let browser = Browser::open(&service.base()).await;
    low(&browser).await;
    browser.sign_in("ana").await;
    browser.goto("/orders/orders/?status=pending&page=1").await;
    browser.state("live").await;
    for (deed, order) in [("Edit", 15), ("Cancel", 14)] {
        let row = format!("tr[data-order-id='{order}']");
        browser
            .script(&format!("document.querySelector(\"{row}\").scrollIntoView({{ block: 'center' }}) ?? true"))
            .await;
        browser.until("scrollY > 200").await;
        let place = browser.script("scrollY").await;
        browser.click(&format!("{row} a[aria-label='{deed} ORD-2025-000{order}']")).await;
        browser.wait_for_text("h1", &format!("/{}/{order}", deed.to_lowercase())).await;
        // what the person does there
        database.sql(&format!("update orders_order set payment_status = 'paid' where id = {order}")).await;
        browser.client.back().await.unwrap();
        browser.wait_for_text(&format!("{row} .payment-badge"), "Paid").await;
        browser.state("live").await;
        assert_eq!(browser.asked().await, "status=pending&page=1");
        browser.until(&format!("Math.abs(scrollY - {place}) < 2")).await;
        // live
        database.sql(&format!("update orders_order set payment_status = 'failed' where id = {order}")).await;
        browser.wait_for_text(&format!("{row} .payment-badge"), "Failed").await;
    }
    // what may not be edited any more is not offered any more
    database.sql("update orders_order set status = 'confirmed' where id = 15").await;
    browser.until("document.querySelector('tr[data-order-id=\"15\"] a[aria-label^=Edit]').hidden").await;
    browser.close().await;
}

#[tokio::test]
async fn a_pharmacist_changes_orders_on_the_hosts_page_and_comes_back_to_the_queue() {
    let (database, service) = beside_host().await;
    let browser = Browser::open(&service.base()).await;
    browser.sign_in("rx").await;
    browser.goto("/orders/pharmacist/orders/?status=pending,confirmed").await;
    browser.state("live").await;
    assert_eq!(browser.script("document.querySelectorAll('#selection, [type=checkbox][form]').length").await, 0);
    // one that enters while the page is open is made by the page
    database.orders("(31, 2, 'pending', 'pending', 10)").await;
    let link = "tr[data-order-id='31'] a[aria-label='Change ORD-2025-00031']";
    browser.until(&format!("document.querySelector(\"{link}\") !== null")).await;
    browser.click(link).await;
    browser.wait_for_text("h1", "/order/31").await;
    database.sql("update orders_order set payment_status = 'paid' where id = 31").await;
    browser.client.back().await.unwrap();
    browser.wait_for_text("tr[data-order-id='31'] .payment-badge", "Paid").await;
    browser.state("live").await;
    assert_eq!(browser.asked().await, "status=pending,confirmed");
    browser.close().await;
}

#[tokio::test]
async fn an_orders_page_leads_to_the_hosts_and_is_live_on_the_way_back() {
    let (database, service) = beside_host().await;
    for (who, list, link, leads) in [
        ("ana", "/orders/orders/?status=pending", "Edit", "/edit/7"),
        ("ana", "/orders/orders/?status=pending", "Cancel order", "/cancel/7"),
        ("rx", "/orders/pharmacist/orders/?status=pending", "Change status", "/order/7"),
    ] {
        let browser = Browser::open(&service.base()).await;
        browser.sign_in(who).await;
        browser.goto(&format!("{list}&page=2")).await;
        browser.state("live").await;
        browser.follow("tr[data-order-id='7'] .number").await;
        browser.state("live").await;
        assert_eq!(browser.script("document.getElementById('change')").await, serde_json::Value::Null);
        let found = format!(
            "[...document.querySelectorAll('.heading .actions a')].find((link) => link.textContent === '{link}')"
        );
        browser.script(&format!("{found}.setAttribute('data-found', '') ?? true")).await;
        browser.click("[data-found]").await;
        browser.wait_for_text("h1", leads).await;
        database.sql("update orders_order set payment_status = 'paid' where id = 7").await;
        browser.client.back().await.unwrap();
        browser.wait_for_text(".badges .payment-badge", "Paid").await;
        browser.state("live").await;
        database.sql("update orders_order set payment_status = 'pending' where id = 7").await;
        browser.wait_for_text(".badges .payment-badge", "Pending").await;
        browser.follow("#back").await;
        assert_eq!(browser.asked().await, "status=pending&page=2");
        browser.close().await;
    }
}
