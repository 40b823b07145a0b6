//! The shop's own pages, which know nothing of us, with our script in place of theirs, in a real Chromium.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::harness::browser::{AT_ONCE, Browser};
use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;

const ORDERS: &str = "/orders/orders/";
const PHARMACIST: &str = "/orders/pharmacist/dashboard/";
const SCRIPT: &str = "/static/js/realtime_salesrep_dashboard.6b6907b51162.js";
const POLLING: &str = "/shop/polling.js";

/// What the shop forbids in its page, as strictly as it can; but its own script makes markup of texts.
const STRICT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'";
const TRUSTED: &str = "; require-trusted-types-for 'script'; trusted-types 'none'";

/// A shop and this service behind one address: the shop has its pages, the service what two rules of a proxy lead to it.
pub struct Shop {
    pub database: Database,
    /// As long as this is, the service runs.
    _service: Service,
    pub proxy: Proxy,
    pub base: String,
    /// Whether whatever is asked of the API fails, and how much has.
    api_fails: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Front {
    api_fails: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    target: String,
    client: reqwest::Client,
    orders: Arc<String>,
}

impl Shop {
    /// With these orders, a page that the shop made with these rows, and our script on it.
    pub async fn new(orders: &str, rows: &str) -> Self {
        Self::with(orders, &page(rows)).await
    }

    async fn with(orders: &str, page: &str) -> Self {
        Self::told(orders, page, &[]).await
    }

    /// Whose addresses the service is told.
    async fn told(orders: &str, page: &str, addresses: &[&str]) -> Self {
        let database = Database::new().await;
        database.orders(orders).await;
        let service =
            Service::start_beside_host(&database.url, &[&["--poll-interval", "1s"], addresses].concat()).await;
        let proxy = Proxy::start(service.web).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let (api_fails, failed) = (Arc::new(AtomicBool::default()), Arc::new(AtomicUsize::default()));
        let front = Front {
            api_fails: Arc::clone(&api_fails),
            failed: Arc::clone(&failed),
            target: format!("http://{}", proxy.address),
            client,
            orders: Arc::new(page.to_owned()),
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer).with_state(front)).await });
        Self { database, _service: service, proxy, base, api_fails, failed }
    }

    /// A window of somebody with that page.
    async fn open(&self, username: &str, path: &str) -> Browser {
        let browser = Browser::open(&self.base).await;
        browser.sign_in(username).await;
        browser.goto(path).await;
        browser
    }

    /// The same, live.
    async fn live(&self, username: &str, path: &str) -> Browser {
        let browser = self.open(username, path).await;
        browser.state("live").await;
        browser
    }
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let html = |page: String| {
        let policy = format!("{STRICT}{}", if page.contains(POLLING) { "" } else { TRUSTED });
        ([(header::CONTENT_TYPE, "text/html".to_owned()), (header::CONTENT_SECURITY_POLICY, policy)], page)
    };
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        ORDERS => html(asked(&front.orders, query)).into_response(),
        PHARMACIST => html(PHARMACIST_PAGE.to_owned()).into_response(),
        POLLING => {
            ([(header::CONTENT_TYPE, "text/javascript")], include_str!("../pages/shop_polling.js")).into_response()
        }
        path if path.starts_with("/orders/api/") && front.api_fails.load(Ordering::SeqCst) => {
            front.failed.fetch_add(1, Ordering::SeqCst);
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        _ => forward(&front, request).await.unwrap_or_else(|_| StatusCode::BAD_GATEWAY.into_response()),
    }
}

const PHARMACIST_PAGE: &str = include_str!("../pages/shop_pharmacist.html");

async fn forward(front: &Front, request: Request) -> reqwest::Result<Response> {
    let (parts, body) = request.into_parts();
    let url = format!("{}{}", front.target, parts.uri);
    let forwarded = front.client.request(parts.method, url).headers(parts.headers);
    let answer = forwarded.body(reqwest::Body::wrap_stream(body.into_data_stream())).send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = (status, Body::from_stream(answer.bytes_stream())).into_response();
    *response.headers_mut() = headers;
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    Ok(response)
}

/// The shop's page with its filter and its pagination as they were asked for.
fn asked(page: &str, query: &str) -> String {
    let value = |name: &str| {
        let pair = url::form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
        pair.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let number = value("page");
    let number = if number.is_empty() { "1" } else { &number };
    let mut page = page.replace("<!-- page -->", number);
    let option = format!("<option value=\"{}\"", value("status"));
    page = page.replace(&option, &format!("{option} selected"));
    for day in ["date_from", "date_to"] {
        page = page.replace(&format!("name=\"{day}\" value=\"\""), &format!("name=\"{day}\" value=\"{}\"", value(day)));
    }
    page
}

fn page(rows: &str) -> String {
    include_str!("../pages/shop_orders.html").replace("<!-- rows -->", rows).replace("<!-- script -->", SCRIPT)
}

/// A row as the shop writes it, of an order that is pending and paid.
fn row(id: i64) -> String {
    format!(
        r##"<tr>
        <td>
            <a href="/orders/orders/{id}/" class="text-decoration-none">
                #{id}
            </a>
        </td>
        <td>Jan 01, 2025 00:{id:02}</td>
        <td><span class="badge bg-warning">
            Pending
        </span></td>
        <td><span class="badge bg-success">Paid</span></td>
        <td>0 items</td>
        <td>₱5.00</td>
        <td>
            <a href="/orders/orders/{id}/" class="btn btn-sm btn-outline-primary"><i class="fas fa-eye"></i> View</a>
            <a href="/orders/orders/{id}/edit/" class="btn btn-sm btn-outline-warning edit-of-shop"><i class="fas fa-edit"></i> Edit</a>
            <a href="/orders/orders/{id}/cancel/" class="btn btn-sm btn-outline-danger"><i class="fas fa-times"></i> Cancel</a>
        </td>
        </tr>"##
    )
}

fn rows(ids: impl IntoIterator<Item = i64>) -> String {
    ids.into_iter().map(row).collect::<Vec<_>>().join("\n")
}

fn orders(ids: impl IntoIterator<Item = i64>) -> String {
    ids.into_iter().map(|id| format!("({id}, 1, 'pending', 'paid', 5)")).collect::<Vec<_>>().join(", ")
}

/// The texts of the row that leads to an order, from the left, the badges with their colours.
fn texts(id: i64) -> String {
    let text = "cell => { const badge = cell.querySelector('.badge'); const text = cell.textContent.trim().replace(/\\s+/g, ' ');
        return badge ? `${text} ${badge.className}` : text; }";
    format!("[...document.querySelector('tr:has(a[href*=\"/orders/{id}/\"])')?.cells ?? []].map({text}).join(' | ')")
}

fn figure(id: &str, text: &str) -> String {
    format!("(document.getElementById('{id}')?.textContent === '{text}')")
}

/// Waits until a page shows that after a change, and says how long it took, by the page's own look at it.
async fn took(browser: &Browser, shown: &str, change: impl Future<Output = ()>) -> Duration {
    // no longer for what was waited for before
    let watch = format!(
        "(() => {{ window.watch?.disconnect(); window.shownAt = 0;
            const look = () => {{ if (window.shownAt === 0 && ({shown})) window.shownAt = Date.now(); }};
            const all = {{ subtree: true, childList: true, characterData: true, attributes: true }};
            window.watch = new MutationObserver(look); window.watch.observe(document.body, all); return true; }})()"
    );
    browser.script(&watch).await;
    change.await;
    let committed = SystemTime::now();
    browser.until("window.shownAt > 0").await;
    let shown_at = browser.script("window.shownAt").await.as_u64().unwrap();
    // it may be shown before the writer hears of its commit
    (UNIX_EPOCH + Duration::from_millis(shown_at)).duration_since(committed).unwrap_or_default()
}

/// The orders of the list from the top.
const IDS: &str = "[...document.querySelectorAll('tbody tr')].map(row => /\\/(\\d+)\\//.exec(row.querySelector('a')?.getAttribute('href'))?.[1]).join()";

#[tokio::test]
async fn the_shops_page_shows_a_change_at_once() {
    let shop = Shop::new(&orders([1, 2, 3]), &rows([3, 2, 1])).await;
    let browser = shop.live("ana", ORDERS).await;
    // what the shop wrote is as it was
    assert_eq!(
        browser.script(&texts(2)).await,
        "#2 | Jan 01, 2025 00:02 | Pending badge bg-warning | Paid badge bg-success | 0 items | ₱5.00 | View Edit Cancel"
    );
    assert_eq!(browser.script("document.querySelectorAll('.edit-of-shop').length").await, 3);
    browser.until(&[figure("stat-total-orders", "3"), figure("status-count-pending", "3")].join(" && ")).await;
    for (status, payment, label, total, actions) in [
        ("shipped", "failed", "Shipped badge bg-info | Failed badge bg-danger", "1234.5", "View"),
        ("delivered", "paid", "Delivered badge bg-dark | Paid badge bg-success", "1234567.89", "View"),
        ("on_hold", "iou", "On Hold badge bg-secondary | Iou badge bg-secondary", "0", "View"),
        (
            "pending",
            "partially_refunded",
            "Pending badge bg-warning | Partially Refunded badge bg-info",
            "5",
            "View Edit Cancel",
        ),
    ] {
        let update = format!(
            "update orders_order set status = '{status}', payment_status = '{payment}', total_amount = {total} where id = 2"
        );
        let amount: f64 = total.parse().unwrap();
        let expected = format!("#2 | Jan 01, 2025 00:02 | {label} | 0 items | ₱{amount:.2} | {actions}");
        let revenue = if status == "delivered" { format!("₱{amount:.2}") } else { "₱0.00".to_owned() };
        let (pending, delivered) = (if status == "pending" { 3 } else { 2 }, i32::from(status == "delivered"));
        let shown = [
            format!("{} === {}", texts(2), json!(expected)),
            figure("stat-total-revenue", &revenue),
            figure("stat-pending-orders", &pending.to_string()),
            figure("status-count-pending", &pending.to_string()),
            figure("stat-delivered-orders", &delivered.to_string()),
            figure("status-count-shipped", if status == "shipped" { "1" } else { "0" }),
        ];
        let took = took(&browser, &shown.join(" && "), shop.database.sql(&update)).await;
        assert!(took < AT_ONCE, "{status}: it took {took:?}");
    }
    // what was taken away is given back as the shop has it
    assert_eq!(
        browser.script("document.querySelectorAll('a.edit-of-shop[href=\"/orders/orders/2/edit/\"]').length").await,
        1
    );
    shop.database
        .sql(
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
                 prescription_notes, created_at) values (1, 1, 1, 'boxes', 1, 1, '', now())",
        )
        .await;
    browser.until(&format!("{}.includes('| 1 item |')", texts(1))).await;
    // text is text
    shop.database.sql("update orders_order set status = '<b>x</b>' where id = 3").await;
    browser
        .until(&format!(
            "{}.includes('<B>x</b> badge bg-secondary') || {0}.includes('<b>x</b> badge bg-secondary')",
            texts(3)
        ))
        .await;
    assert_eq!(browser.script("document.querySelector('tbody b')").await, json!(null));
    browser.close().await;
}

#[tokio::test]
async fn orders_come_and_go_on_the_shops_page() {
    let shop = Shop::new(&orders(1..=21), &rows((2..=21).rev())).await;
    let browser = shop.live("ana", ORDERS).await;
    let ids = |ids: Vec<i64>| {
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        format!("{IDS} === '{}'", ids.join(","))
    };
    browser.until(&ids((2..=21).rev().collect())).await;
    browser.until("document.querySelector('.active .page-link').textContent === 'Page 1 of 2'").await;
    let took = took(&browser, &ids((3..=22).rev().collect()), shop.database.orders(&orders([22]))).await;
    assert!(took < AT_ONCE, "it came after {took:?}");
    assert_eq!(
        browser.script(&texts(22)).await,
        "#22 | Jan 01, 2025 00:22 | Pending badge bg-warning | Paid badge bg-success | 0 items | ₱5.00 | View Edit Cancel"
    );
    // to another rep, away, and to another place
    shop.database
        .sql("update orders_order set sales_rep_id = 2 where id = 10; delete from orders_order where id = 11")
        .await;
    let mut left: Vec<i64> = (1..=22).rev().filter(|id| !matches!(id, 10 | 11)).collect();
    browser.until(&ids(left.clone())).await;
    browser.until("document.querySelector('.active .page-link').textContent === 'Page 1 of 1'").await;
    shop.database.sql("update orders_order set status = 'cancelled' where id = 22").await;
    left.rotate_left(1);
    browser.until(&ids(left)).await;
    // what stands where it should keeps the focus
    browser.script("document.querySelector('a[href=\"/orders/orders/5/edit/\"]').focus() ?? true").await;
    shop.database.sql("delete from orders_order where id <> 5").await;
    browser.until(&ids(vec![5])).await;
    assert_eq!(browser.script("document.activeElement.getAttribute('href')").await, "/orders/orders/5/edit/");
    shop.database.sql("delete from orders_order").await;
    browser.wait_for_text("tbody", "No orders found").await;
    shop.database.orders(&orders([6])).await;
    browser.until(&ids(vec![6])).await;
    browser.close().await;
}

#[tokio::test]
async fn where_the_shop_made_no_table_for_no_orders_those_that_come_are_offered() {
    let (before, table) =
        page("").split_once("<table").map(|(before, rest)| (before.to_owned(), rest.to_owned())).unwrap();
    let (_, after) = table.split_once("</table>").unwrap();
    let shop = Shop::with(&orders([1]), &format!("{before}<p>No orders found</p>{after}")).await;
    shop.database.sql("delete from orders_order").await;
    let browser = shop.live("ana", ORDERS).await;
    shop.database.orders(&orders([2])).await;
    browser.wait_for_text(".oncare-live-pill a", "Orders have come in · Show them").await;
    browser.until(&figure("stat-total-orders", "1")).await;
    browser.follow(".oncare-live-pill a").await;
    browser.close().await;
}

#[tokio::test]
async fn the_shops_filter_and_page_are_kept_to() {
    let shop = Shop::new(&orders(1..=25), "").await;
    shop.database.sql("update orders_order set status = 'shipped' where id <= 22").await;
    let browser = shop.live("ana", &format!("{ORDERS}?status=shipped&page=2")).await;
    browser.until(&format!("{IDS} === '2,1'")).await;
    browser.until("document.querySelector('.active .page-link').textContent === 'Page 2 of 2'").await;
    shop.database.sql("update orders_order set status = 'delivered' where id = 22").await;
    browser.until(&format!("{IDS} === '1'")).await;
    shop.database.sql("update orders_order set status = 'shipped' where id = 25").await;
    browser.until(&format!("{IDS} === '2,1'")).await;
    browser.until(&figure("status-count-shipped", "22")).await;
    // what is asked for by the address alone, as the shop's filter does not have it
    shop.database.sql("update orders_order set status = 'returned' where id = 3").await;
    browser.goto(&format!("{ORDERS}?status=returned")).await;
    browser.until(&format!("{IDS} === '3'")).await;
    browser.state("live").await;
    browser.goto(&format!("{ORDERS}?status=shipped&page=2")).await;
    browser.until(&format!("{IDS} === '1'")).await;
    browser.state("live").await;
    // what is chosen is listed, from its first page on
    browser.choose("#status", "pending").await;
    browser.until(&format!("{IDS} === '24,23'")).await;
    browser.choose("#status", "").await;
    browser.until(&format!("{IDS}.startsWith('24,23,25,21,')")).await;
    browser.state("live").await;
    browser.goto(&format!("{ORDERS}?date_from=2025-01-02")).await;
    browser.wait_for_text("tbody", "No orders found").await;
    shop.database.sql("update orders_order set status = 'on_hold' where id = 7").await;
    browser.goto(&format!("{ORDERS}?status=on_hold&date_from=yesterday")).await;
    browser.until(&format!("{IDS} === '7'")).await;
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn without_a_stream_the_shops_page_polls_and_says_so() {
    let shop = Shop::new(&orders([1, 2]), &rows([2, 1])).await;
    let browser = shop.live("ana", ORDERS).await;
    assert_eq!(browser.text("#live-badge .oncare-live-word").await, "Live");
    shop.proxy.block_streams();
    browser.state("polling").await;
    assert_eq!(browser.text("#live-badge .oncare-live-word").await, "Polling every 1 s");
    shop.database.sql("update orders_order set status = 'shipped' where id = 1").await;
    shop.database.orders(&orders([3])).await;
    browser.until(&format!("{IDS} === '3,2,1' && {}.includes('Shipped badge bg-info')", texts(1))).await;
    shop.proxy.unblock();
    browser.state("live").await;
    shop.database.sql("update orders_order set status = 'delivered' where id = 1").await;
    browser.until(&format!("{}.includes('Delivered badge bg-dark')", texts(1))).await;
    shop.proxy.block_everything();
    browser.state("stale").await;
    assert!(browser.text("#live-badge .oncare-live-word").await.starts_with("Stale since "));
    assert!(
        browser.script("document.getElementById('sales-rep-orders-dashboard').hasAttribute('data-stale')").await
            == true
    );
    shop.database.sql("update orders_order set status = 'cancelled' where id = 1").await;
    // in vain: once it is reached the page may have found that out before
    browser.click("#live-badge button").await;
    shop.proxy.unblock();
    browser.state("live").await;
    browser.until(&format!("{}.includes('Cancelled badge bg-danger')", texts(1))).await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_that_is_loaded_while_the_service_is_down_begins_when_it_is_back() {
    let shop = Shop::new(&orders([1]), &rows([1])).await;
    let browser = shop.live("ana", ORDERS).await;
    shop.api_fails.store(true, Ordering::SeqCst);
    browser.goto(ORDERS).await;
    eventually("the page asks", async || (shop.failed.load(Ordering::SeqCst) > 0).then_some(())).await;
    browser.state("connecting").await;
    assert!(browser.script(&texts(1)).await.as_str().unwrap().contains("Pending"), "the shop's page is as it was");
    shop.database.sql("update orders_order set status = 'shipped'").await;
    shop.api_fails.store(false, Ordering::SeqCst);
    browser.state("live").await;
    browser.until(&format!("{}.includes('Shipped badge bg-info')", texts(1))).await;
    browser.close().await;
}

#[tokio::test]
async fn what_the_shops_page_lacks_costs_itself_alone() {
    const ROW: Option<&str> = Some("Shipped badge bg-info | Paid badge bg-success | 0 items | ₱7.00 | View");
    // each is taken away in turn, and all figures but that must go on, and of the row as much as there is of it
    let parts = [
        ("document.getElementById('stat-total-orders').remove()", "stat-total-orders", ROW),
        ("document.getElementById('status-count-shipped').remove()", "status-count-shipped", ROW),
        ("document.querySelector('.pagination').remove()", "", ROW),
        ("document.querySelector('form').remove()", "", ROW),
        ("document.querySelector('thead').remove()", "", ROW),
        ("document.querySelector('thead th').remove()", "", ROW),
        ("document.querySelector('tbody').remove()", "", None),
        ("document.querySelector('tbody').removeAttribute('id')", "", None),
        (
            "document.querySelectorAll('tbody td:nth-child(3)').forEach(cell => cell.textContent = 'x')",
            "",
            Some("| x | Paid badge bg-success | 0 items | ₱7.00 | View"),
        ),
        (
            "document.querySelectorAll('tbody td:nth-child(n + 4)').forEach(cell => cell.remove())",
            "",
            Some("#1 | Jan 01, 2025 00:01 | Shipped badge bg-info"),
        ),
        (
            "document.querySelectorAll('tbody td:first-child a').forEach(link => link.replaceWith(link.textContent))",
            "",
            ROW,
        ),
        ("document.querySelectorAll('tbody a').forEach(link => link.remove())", "", None),
        ("document.getElementById('sales-rep-orders-dashboard').removeAttribute('id')", "", ROW),
        ("document.querySelector('nav').remove()", "", ROW),
    ];
    let shop = Shop::new(&orders([1, 2]), &rows([2, 1])).await;
    let browser = shop.live("ana", ORDERS).await;
    for (part, gone, row) in parts {
        shop.database.sql("update orders_order set status = 'pending', total_amount = 5").await;
        let taken =
            format!("document.addEventListener('DOMContentLoaded', () => {{ {part}; window.isTaken = true; }})");
        let added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": taken })).await;
        browser.goto(ORDERS).await;
        browser.until("window.isTaken").await;
        browser.state("live").await;
        shop.database.sql("update orders_order set status = 'shipped', total_amount = 7 where id = 1").await;
        let figures = [("stat-pending-orders", "1"), ("stat-total-orders", "2"), ("status-count-shipped", "1")];
        let mut shown: Vec<String> =
            figures.into_iter().filter(|(id, _)| *id != gone).map(|(id, text)| figure(id, text)).collect();
        if let Some(row) = row {
            shown.push(format!("{}.includes({})", texts(1), json!(row)));
        }
        eventually(part, async || (browser.script(&shown.join(" && ")).await == true).then_some(())).await;
        browser.devtools("Page.removeScriptToEvaluateOnNewDocument", added).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn what_others_changed_is_told_on_the_shops_page_in_styles_of_our_own() {
    let shop = Shop::new(&orders([1, 2]), &rows([2, 1])).await;
    let browser = shop.live("ana", ORDERS).await;
    shop.database
        .sql("begin; select set_config('app.user', 'rx', true); update orders_order set status = 'shipped' where id = 1; commit")
        .await;
    browser.wait_for_text(".oncare-live-toast a", "ORD-2025-00001: Pending → Shipped, by rx").await;
    assert_eq!(
        browser.script("document.querySelector('.oncare-live-toast a').getAttribute('href')").await,
        "/orders/orders/1/"
    );
    let styles = "[getComputedStyle(document.querySelector('.oncare-live-notices')).position,
        getComputedStyle(document.getElementById('live-badge')).position, document.querySelectorAll('style').length].join()";
    assert_eq!(browser.script(styles).await, "fixed,fixed,0");
    browser.click(".oncare-live-toast button").await;
    browser.until("!document.querySelector('.oncare-live-toast')").await;
    // what they did themselves is no news: what comes later says that nothing was told of it
    shop.database
        .sql("begin; select set_config('app.user', 'ana', true); update orders_order set status = 'shipped' where id = 2; commit")
        .await;
    browser.until(&format!("{}.includes('Shipped')", texts(2))).await;
    shop.database
        .sql("begin; select set_config('app.user', 'rx', true); delete from orders_order where id = 2; commit")
        .await;
    let told = "[...document.querySelectorAll('.oncare-live-toast a')].map(toast => toast.textContent).join()";
    browser.until(&format!("{told}.includes('deleted')")).await;
    assert_eq!(browser.script(told).await, "ORD-2025-00002: deleted, by rx");
    browser.close().await;
}

#[tokio::test]
async fn who_signs_out_keeps_the_shops_page_and_is_told_nothing_more() {
    let shop = Shop::new(&orders([1]), &rows([1])).await;
    let browser = shop.live("ana", ORDERS).await;
    shop.database.sql("delete from live.session").await;
    browser.state("signed_out").await;
    assert!(!browser.hidden("h1").await, "the page is the shop's");
    assert!(!browser.hidden("#live-badge a").await, "the way back is offered");
    browser.goto(ORDERS).await;
    browser.state("signed_out").await;
    // a pharmacist at a rep's page has no part in it
    let rx = shop.open("rx", ORDERS).await;
    rx.until("document.querySelector('[data-oncare-live]') && !document.getElementById('live-badge')").await;
    rx.close().await;
    browser.close().await;
}

#[tokio::test]
async fn the_shops_page_is_not_live_for_long_while_its_list_can_not_be_read() {
    let shop = Shop::new(&orders([1, 2]), &rows([2, 1])).await;
    let browser = shop.live("ana", ORDERS).await;
    // the stream goes on
    shop.api_fails.store(true, Ordering::SeqCst);
    // of what moves no row nothing need be read
    shop.database.sql("update orders_order set payment_status = 'failed' where id = 1").await;
    browser.until(&format!("{}.includes('Failed badge bg-danger')", texts(1))).await;
    let record = "(() => { const badge = document.getElementById('live-badge'); window.changedAt = Date.now(); window.notLiveAt = 0;
        new MutationObserver(() => { if (badge.dataset.state !== 'live') window.notLiveAt ||= Date.now(); })
            .observe(badge, { attributes: true, attributeFilter: ['data-state'] }); return badge.dataset.state; })()";
    assert_eq!(browser.script(record).await, "live");
    shop.database.orders(&orders([3])).await;
    browser.until(&figure("stat-total-orders", "3")).await;
    browser.state("connecting").await;
    let took = async || browser.script("window.notLiveAt - window.changedAt").await.as_u64().unwrap();
    let failing = took().await;
    assert!((1_500..4_000).contains(&failing), "it said live for {failing} ms");
    // and goes on to be tried
    shop.api_fails.store(false, Ordering::SeqCst);
    browser.until(&format!("{IDS} === '3,2,1'")).await;
    browser.state("live").await;
    // where an answer does not come, nor a refusal
    shop.proxy.hold_answers();
    assert_eq!(browser.script(record).await, "live");
    shop.database.sql("delete from orders_order where id = 3").await;
    browser.state("connecting").await;
    let silent = took().await;
    assert!((1_500..4_000).contains(&silent), "it said live for {silent} ms");
    // what nobody can read for long is old
    browser.state("stale").await;
    shop.proxy.release_answers();
    browser.until(&format!("{IDS} === '2,1'")).await;
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn what_is_asked_for_before_the_first_answer_is_listed() {
    let shop = Shop::new(&orders(1..=25), "").await;
    shop.database.sql("update orders_order set status = 'shipped' where id <= 4").await;
    let browser = shop.live("ana", ORDERS).await;
    // while the answer is on its way, from the second page on
    shop.proxy.hold_answers();
    browser.goto(&format!("{ORDERS}?page=2")).await;
    eventually("the page asks", async || (shop.proxy.held_answers() > 0).then_some(())).await;
    browser.choose("#status", "shipped").await;
    shop.proxy.release_answers();
    browser.until(&format!("{IDS} === '4,3,2,1'")).await;
    browser.state("live").await;
    shop.database.sql("update orders_order set status = 'shipped' where id = 9").await;
    browser.until(&format!("{IDS} === '9,4,3,2,1'")).await;
    // what the shop's filter had asked for is given up
    shop.proxy.hold_answers();
    browser.goto(&format!("{ORDERS}?status=shipped")).await;
    eventually("the page asks", async || (shop.proxy.held_answers() > 0).then_some(())).await;
    browser.choose("#status", "").await;
    shop.proxy.release_answers();
    browser.until(&format!("{IDS}.startsWith('25,24,')")).await;
    browser.state("live").await;
    // a form that is given back its first values
    browser.script("document.querySelector('form').reset() ?? true").await;
    browser.until(&format!("{IDS} === '9,4,3,2,1'")).await;
    browser.state("live").await;
    // before there was a script, as where it comes late or a browser gives a field what it had
    shop.database.orders(&orders(26..=30)).await;
    let early =
        "document.addEventListener('DOMContentLoaded', () => { document.getElementById('status').value = 'pending'; })";
    let added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": early })).await;
    browser.goto(&format!("{ORDERS}?page=2")).await;
    browser.until(&format!("{IDS}.startsWith('30,29,')")).await;
    browser.state("live").await;
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", added).await;
    browser.close().await;
}

#[tokio::test]
async fn links_lead_where_the_service_is_told_that_the_shop_has_its_pages() {
    let addresses = ["--host-edit-path", "/shop/o-{id}/edit/", "--host-cancel-path", "/shop/cancel?order={id}"];
    let own = |id: i64| row(id).replace("/orders/orders/", "/shop/o-").replace("-outline-warning", "-own");
    let own =
        |id: i64| own(id).replace(&format!("/shop/o-{id}/cancel/"), &format!("/shop/cancel?order={id}&amp;back=1"));
    // a row is known by where it leads: what the shop calls it is another thing
    let own = |id: i64| own(id).replace(&format!("#{id}"), &format!("No. {id}"));
    let shop = Shop::told(&orders([1, 2]), &page(&(own(2) + &own(1))), &addresses).await;
    let browser = shop.live("ana", ORDERS).await;
    let links = |id: i64| {
        format!(
            "[...document.querySelectorAll('tbody tr:has(a[href=\"/shop/o-{id}/\"]) a')].map(link => link.getAttribute('href')).join(' ')"
        )
    };
    let of_shop = |id: i64| format!("/shop/o-{id}/ /shop/o-{id}/ /shop/o-{id}/edit/ /shop/cancel?order={id}");
    assert_eq!(browser.script(&links(2)).await, format!("{}&back=1", of_shop(2)), "what the shop wrote is as it was");
    assert_eq!(browser.script("document.querySelectorAll('tbody tr').length").await, 2);
    shop.database.orders(&orders([3])).await;
    browser.until(&format!("{} === '{}&back=1'", links(3), of_shop(3))).await;
    // what the shop offers in other rows is offered as there
    shop.database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.until(&format!("{} === '/shop/o-1/ /shop/o-1/'", links(1))).await;
    shop.database.sql("update orders_order set status = 'pending' where id = 1").await;
    browser.until(&format!("{} === '{}&back=1'", links(1), of_shop(1))).await;
    browser.until("document.querySelectorAll('a.btn-own[href=\"/shop/o-1/edit/\"]').length === 1").await;
    browser.until("document.querySelector('.oncare-live-toast a[href=\"/shop/o-1/\"]') !== null").await;
    browser.close().await;
}

#[tokio::test]
async fn the_shops_script_is_another_one_where_the_service_is_told_other_addresses() {
    let database = Database::new().await;
    let path = "/static/js/realtime_dashboard.6b6907b51162.js";
    let mut tags = Vec::new();
    for order in ["/orders/pharmacist/orders/{id}/", "https://shop.example/desk/{id}"] {
        let service = Service::start_beside_host(&database.url, &["--host-order-path", order]).await;
        let response = service.anonymous().get(path).await;
        tags.push(response.headers()["etag"].clone());
        assert!(response.text().await.unwrap().contains(&format!("\"pharmacist_order\":\"{order}\"")));
        // what a browser has of the other one is asked for anew
        let first = service.anonymous().get_with(path, &[("if-none-match", tags[0].to_str().unwrap())]).await;
        assert_eq!(first.status(), if tags.len() == 1 { 304 } else { 200 });
        service.stop().await;
    }
    assert_ne!(tags[0], tags[1]);
}

#[tokio::test]
async fn the_shops_pagination_leads_to_the_pages_that_there_are() {
    // as the shop makes it on the second of three pages, and with one page not at all
    let (before, rest) = page("").split_once("<ul").map(|(before, rest)| (before.to_owned(), rest.to_owned())).unwrap();
    let (_, after) = rest.split_once("</ul>").unwrap();
    let item = |words: &str, page: i64| {
        format!(r#"<li class="page-item"><a class="page-link" href="?status=&page={page}">{words}</a></li>"#)
    };
    let active = r#"<li class="page-item active"><span class="page-link">Page <!-- page --> of 3</span></li>"#;
    let list =
        [item("« First", 1), item("Previous", 1), active.to_owned(), item("Next", 3), item("Last »", 3)].concat();
    let shop = Shop::with(&orders(1..=41), &format!("{before}<ul class=\"pagination\">{list}</ul>{after}")).await;
    let browser = shop.live("ana", &format!("{ORDERS}?page=2")).await;
    const SHOWN: &str = "[...document.querySelectorAll('.pagination .page-item')].filter(item => item.checkVisibility()).map(item =>
        item.textContent.trim().replace(/\\s+/g, ' ') + (item.querySelector('a')?.getAttribute('href') ?? '')).join(' ')";
    let shown = async |text: &str| browser.until(&format!("{SHOWN} === {}", json!(text))).await;
    // what is as it should be is not touched
    shown("« First?status=&page=1 Previous?status=&page=1 Page 2 of 3 Next?status=&page=3 Last »?status=&page=3").await;
    shop.database.orders(&orders(42..=61)).await;
    shown("« First?status=&page=1 Previous?status=&page=1 Page 2 of 4 Next?status=&page=3 Last »?status=&page=4").await;
    shop.database.sql("delete from orders_order where id > 40").await;
    shown("« First?status=&page=1 Previous?status=&page=1 Page 2 of 2").await;
    shop.database.orders(&orders([41])).await;
    shown("« First?status=&page=1 Previous?status=&page=1 Page 2 of 3 Next?status=&page=3 Last »?status=&page=3").await;
    // other orders are asked for
    shop.database.sql("update orders_order set status = 'shipped' where id <= 21").await;
    browser.choose("#status", "shipped").await;
    shown("Page 1 of 2 Next?status=shipped&page=2 Last »?status=shipped&page=2").await;
    browser.follow(".pagination .page-item:nth-child(4) a").await;
    browser.state("live").await;
    browser.until(&format!("{IDS} === '1'")).await;
    // the only page has none; and one that comes has a way to it
    let none = "document.addEventListener('DOMContentLoaded', () => document.querySelector('[aria-label]').remove())";
    let added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": none })).await;
    browser.goto(&format!("{ORDERS}?status=pending")).await;
    browser.state("live").await;
    assert_eq!(browser.script(SHOWN).await, "");
    shop.database.sql("update orders_order set status = 'pending' where id <= 2").await;
    shown("Page 1 of 2 Next?status=pending&page=2").await;
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", added).await;
    // by numbers
    let numbers = "document.addEventListener('DOMContentLoaded', () => document.querySelectorAll('.page-item').forEach((item, at) => {
        if (at === 2 || at === 1) item.querySelector('.page-link').textContent = at; else item.remove(); }))";
    let added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": numbers })).await;
    browser.goto(&format!("{ORDERS}?status=pending&page=2")).await;
    shown("1?status=pending&page=1 2").await;
    browser.choose("#status", "shipped").await;
    browser.until("document.querySelector('.page-item.active').textContent === '1'").await;
    shop.database.sql("update orders_order set status = 'shipped' where id in (30, 31)").await;
    shown("1?status=shipped&page=1 2?status=shipped&page=2").await;
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", added).await;
    browser.close().await;
}

#[tokio::test]
async fn the_shops_page_tells_what_the_person_wants_to_be_told() {
    let shop = Shop::new(&orders([1, 2]), &rows([2, 1])).await;
    let browser = shop.open("ana", "/accounts/preferences/").await;
    let by_rx = async |change: &str| {
        let sql = format!("begin; select set_config('app.user', 'rx', true); {change}; commit");
        shop.database.sql(&sql).await;
    };
    let mute = async |order: i64, muted: &str| {
        let request = format!(
            "fetch('/orders/api/orders/{order}/mute/', {{ method: 'POST', headers: {{ accept: 'application/json' }},
                body: new URLSearchParams({{ user: 1, muted: '{muted}' }}) }}).then(({{ ok }}) => window.isMuted = ok), true"
        );
        browser.script(&format!("window.isMuted = false, {request}")).await;
        browser.until("window.isMuted").await;
    };
    mute(1, "1").await;
    browser.click("[name=status][value=delivered]").await;
    browser.follow("#preferences .primary").await;
    browser.until("document.querySelector('[name=status][value=delivered]')?.checked === false").await;
    browser.goto(ORDERS).await;
    browser.state("live").await;
    let told = "[...document.querySelectorAll('.oncare-live-toast a')].map(toast => toast.textContent).join()";
    // of a muted order, and what they want to be told nothing of; what comes later says that nothing was told
    by_rx("update orders_order set status = 'shipped' where id = 1").await;
    by_rx("update orders_order set status = 'delivered' where id = 2").await;
    by_rx("update orders_order set status = 'shipped' where id = 2").await;
    browser.until(&format!("{told}.includes('Delivered → Shipped')")).await;
    assert_eq!(browser.script(told).await, "ORD-2025-00002: Delivered → Shipped, by rx");
    // what changes in the account meanwhile holds when the page is seen again
    mute(1, "").await;
    mute(2, "1").await;
    browser.script("document.dispatchEvent(new Event('visibilitychange'))").await;
    let asked = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/changes/')).length >= 2";
    browser.until(asked).await;
    browser.until(&format!("{told} === ''")).await;
    by_rx("update orders_order set status = 'pending' where id = 2").await;
    by_rx("update orders_order set status = 'pending' where id = 1").await;
    browser.until(&format!("{told}.includes('ORD-2025-00001: Shipped → Pending')")).await;
    assert_eq!(browser.script(told).await, "ORD-2025-00001: Shipped → Pending, by rx");
    // while there is no stream, an answer tells it
    shop.proxy.block_streams();
    browser.state("polling").await;
    browser.until(&format!("{told} === ''")).await;
    by_rx("update orders_order set payment_status = 'failed' where id in (1, 2)").await;
    browser.until(&format!("{told} === 'ORD-2025-00001: payment Paid → Failed, by rx'")).await;
    shop.proxy.unblock();
    browser.state("live").await;
    // nothing at all
    browser.goto("/accounts/preferences/").await;
    browser.click("[name=toasts]").await;
    browser.follow("#preferences .primary").await;
    browser.until("document.querySelector('[name=toasts]')?.checked === false").await;
    browser.goto(ORDERS).await;
    browser.state("live").await;
    browser.until("performance.getEntriesByType('resource').some(({ name }) => name.includes('/changes/'))").await;
    by_rx("update orders_order set status = 'shipped' where id = 1").await;
    browser.until(&format!("{}.includes('Shipped')", texts(1))).await;
    assert_eq!(browser.script(told).await, "");
    browser.close().await;
}

#[tokio::test]
async fn a_page_whose_proxy_leads_to_the_shops_own_api_says_that_it_is_old() {
    let shop = Shop::new(&orders([1]), &rows([1])).await;
    let browser = shop.open("ana", ORDERS).await;
    browser.state("live").await;
    let own =
        "window.fetch = async () => new Response(JSON.stringify({ statistics: {}, orders_by_status: {}, orders: [],
        pagination: { current_page: 1, total_pages: 1 } }))";
    let added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": own })).await;
    browser.goto(ORDERS).await;
    browser.state("stale").await;
    assert!(browser.script(&texts(1)).await.as_str().unwrap().contains("Pending"), "the shop's page is as it was");
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", added).await;
    browser.close().await;
}

#[tokio::test]
async fn what_the_shops_own_script_writes_beside_ours_is_put_right() {
    let both = page(&rows([2, 1])).replace("</body>", &format!("<script src=\"{POLLING}\"></script></body>"));
    let shop = Shop::with(&orders([1, 2]), &both).await;
    let browser = shop.live("ana", ORDERS).await;
    for status in ["delivered", "shipped", "cancelled"] {
        shop.database.sql(&format!("update orders_order set status = '{status}' where id = 1")).await;
        browser.until(&figure(&format!("status-count-{status}"), "1")).await;
    }
    // older than what is known, as an answer that comes late
    let late = "document.getElementById('stat-total-orders').textContent = '9',
        document.querySelector('tbody tr:last-child').cells[2].innerHTML = '<span class=\"badge bg-info\">Pending</span>', true";
    browser.script(late).await;
    shop.database.sql("update orders_order set status = 'returned' where id = 2").await;
    let right = [figure("stat-total-orders", "2"), format!("{}.includes('Cancelled badge bg-danger')", texts(1))];
    browser.until(&right.join(" && ")).await;
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn the_shops_page_is_live_in_every_tab_and_on_the_way_back() {
    let shop = Shop::new(&orders([1, 2]), &rows([2, 1])).await;
    let browser = shop.live("ana", ORDERS).await;
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second.clone()).await.unwrap();
    browser.goto(ORDERS).await;
    browser.state("live").await;
    shop.database.sql("update orders_order set status = 'shipped' where id = 1").await;
    for tab in [&first, &second] {
        browser.client.switch_to_window(tab.clone()).await.unwrap();
        browser.until(&format!("{}.includes('Shipped badge bg-info')", texts(1))).await;
        browser.state("live").await;
    }
    // they share one stream, which goes on when the tab that has it is closed
    browser.client.switch_to_window(first).await.unwrap();
    browser.client.close_window().await.unwrap();
    browser.client.switch_to_window(second).await.unwrap();
    shop.database.sql("update orders_order set status = 'delivered' where id = 1").await;
    browser.until(&format!("{}.includes('Delivered badge bg-dark')", texts(1))).await;
    browser.state("live").await;
    // at an order's page, and kept by the browser or not
    browser.goto("/accounts/preferences/").await;
    shop.database.sql("update orders_order set status = 'cancelled' where id = 1").await;
    browser.client.back().await.unwrap();
    browser.until(&format!("{}.includes('Cancelled badge bg-danger')", texts(1))).await;
    browser.state("live").await;
    browser.script("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))").await;
    shop.database.sql("delete from orders_order where id = 1").await;
    browser.script("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))").await;
    browser.until(&format!("{IDS} === '2'")).await;
    browser.state("live").await;
    browser.close().await;
}

#[tokio::test]
async fn the_scripts_that_browsers_have_kept_work_on_our_api() {
    let shop = Shop::with(&orders([1, 2]), &page(&rows([2, 1])).replace(SCRIPT, POLLING)).await;
    let browser = shop.open("ana", &format!("{ORDERS}?page=0")).await;
    browser.until(&figure("stat-total-orders", "2")).await;
    shop.database.sql("update orders_order set status = 'delivered', total_amount = 1234.5 where id = 1").await;
    let shown = [
        figure("stat-total-revenue", "₱1234.50"),
        figure("status-count-delivered", "1"),
        format!("{}.includes('| Delivered badge bg-info | Paid')", texts(1)),
    ];
    browser.until(&shown.join(" && ")).await;
    shop.database.sql("update orders_order set status = 'on_hold' where id = 1").await;
    browser.goto(&format!("{ORDERS}?status=on_hold&page=-1")).await;
    browser.until(&format!("{}.includes('| On Hold badge bg-info |')", texts(1))).await;
    browser.close().await;
}

#[tokio::test]
async fn the_pharmacists_page_of_the_shop_is_kept_true() {
    let shop = Shop::new(&orders(1..=12), "").await;
    let browser = shop.live("rx", PHARMACIST).await;
    let newest = |first: i64| (first - 9..=first).rev().map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    browser.until(&format!("{IDS} === '{}'", newest(12))).await;
    assert_eq!(
        browser.script(&texts(12)).await,
        "ORD-2025-00012 | Customer 12 | Pending badge bg-warning | Paid badge bg-success | ₱5.00 | Jan 01, 2025 00:12 | View Update"
    );
    let shown = [
        format!("{}.startsWith('ORD-2025-00012 | Maria | Ready for Pickup badge bg-success')", texts(12)),
        figure("stat-ready-orders", "1"),
        figure("stat-pending-orders", "11"),
        figure("status-count-pending", "11"),
    ];
    let update = "update orders_order set status = 'ready_for_pickup', customer_name = 'Maria' where id = 12";
    let took = took(&browser, &shown.join(" && "), shop.database.sql(update)).await;
    assert!(took < AT_ONCE, "it took {took:?}");
    shop.database.orders("(13, 2, 'pending', 'paid', 5)").await;
    browser.until(&format!("{IDS} === '{}'", newest(13))).await;
    assert_eq!(
        browser
            .script(
                "[...document.querySelectorAll('tbody tr:first-child a')].map(link => link.getAttribute('href')).join()"
            )
            .await,
        "/orders/pharmacist/orders/13/,/orders/pharmacist/orders/13/,/orders/orders/13/status/"
    );
    shop.proxy.block_streams();
    browser.state("polling").await;
    shop.database.orders("(14, 2, 'pending', 'paid', 5)").await;
    browser.until(&format!("{IDS} === '{}'", newest(14))).await;
    browser.close().await;
}

#[tokio::test]
async fn the_shops_script_is_one_classic_script_that_is_asked_for_each_time() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let anybody = service.anonymous();
    let folder = crate::harness::database::temporary_folder("oncare-live-scripts");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, class) in
        [("realtime_salesrep_dashboard", "RealtimeSalesRepDashboard"), ("realtime_dashboard", "RealtimeDashboard")]
    {
        let path = format!("/static/js/{name}.js");
        let response = anybody.get(&path).await;
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(headers["cache-control"], "no-cache");
        let text = response.text().await.unwrap();
        let hashed = anybody.get(&format!("/static/js/{name}.6b6907b51162.js")).await;
        assert_eq!(hashed.headers()["cache-control"], "no-cache");
        assert_eq!(hashed.text().await.unwrap(), text);
        for tag in [headers["etag"].to_str().unwrap().to_owned(), format!("W/{}", headers["etag"].to_str().unwrap())] {
            let known = anybody.get_with(&path, &[("if-none-match", &tag)]).await;
            assert_eq!((known.status().as_u16(), &known.headers()["cache-control"]), (304, &headers["cache-control"]));
        }
        assert!(text.contains(class));
        let compressed = anybody.get_with(&path, &[("accept-encoding", "gzip")]).await.bytes().await.unwrap().len();
        assert!(compressed < 24_000, "{name}: {compressed} bytes");
        // as a script, not as a module
        let file = folder.join(format!("{name}.cjs"));
        std::fs::write(&file, &text).unwrap();
        let checked = std::process::Command::new("node").arg("--check").arg(&file).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let scripts = ["realtime_salesrep_dashboard", "realtime_dashboard"]
        .map(|name| format!("<script src=\"/static/js/{name}.js\"></script>"))
        .concat();
    let shop =
        Shop::with("(1, 1, 'pending', 'paid', 5)", &format!("<!doctype html><title>Shop</title>{scripts}")).await;
    let browser = shop.open("ana", ORDERS).await;
    browser.until("typeof RealtimeSalesRepDashboard === 'function' && typeof RealtimeDashboard === 'function'").await;
    assert_eq!(
        browser.script("document.getElementById('live-badge')").await,
        json!(null),
        "other pages are left alone"
    );
    browser.close().await;
}
