//! Every page as a person comes to it, for the tests that look at all of them.

use serde_json::json;

use super::browser::Browser;
use super::database::Database;
use super::service::Service;

/// A page in one of its states.
pub struct Exhibit {
    /// What its pictures are called.
    pub name: &'static str,
    /// Who looks at it; empty for nobody.
    pub who: &'static str,
    pub path: String,
    /// What is done to it then.
    pub then: Option<Then>,
    /// Whether it keeps itself true.
    pub is_live: bool,
}

/// What is done to a page, and what is true when it is done.
#[derive(Debug, Clone, Copy)]
pub struct Then {
    /// What another client writes to the database.
    sql: &'static str,
    script: &'static str,
    until: &'static str,
}

/// How a browser shows it.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub scheme: &'static str,
    pub is_touched: bool,
}

pub const SCHEMES: [&str; 2] = ["light", "dark"];

/// A phone, a tablet and a desk's screen.
pub const WIDTHS: [(u32, u32, bool); 3] = [(390, 844, true), (820, 1180, true), (1_280, 900, false)];

/// The two thousand orders of the demonstration, with people of the tests' own.
pub async fn demonstration() -> (Database, Service) {
    let database = Database::new().await;
    let demonstration = include_str!("../../../sql/demo_data.sql");
    database.sql(&format!("begin; delete from inventory_medicine; {demonstration}; commit")).await;
    database
        .sql(
            "update accounts_user set first_name = 'Ana', last_name = 'Bautista' where username = 'ana';
             update accounts_user set first_name = 'Rosa', last_name = 'Mercado' where username = 'rx';
             update accounts_user set username = 'jose' where username = 'gone'",
        )
        .await;
    // the demonstration takes away the events of its making
    database.store().rebuild_statistics().await.unwrap();
    let service = Service::start(&database).await;
    (database, service)
}

/// Every page of the service, of an order in each state that has a page of its own.
pub async fn exhibits(database: &Database) -> Vec<Exhibit> {
    let an_order = async |condition: &str| {
        let query = format!("select min(id) from orders_order where sales_rep_id = 1 and {condition}");
        database.value(&query).await
    };
    let pending = an_order("status = 'pending' and payment_status = 'pending'").await;
    let shipped = an_order("status = 'shipped' and payment_status = 'paid'").await;
    let exhibit = |name, who, path: &str, then, is_live| Exhibit { name, who, path: path.to_owned(), then, is_live };
    vec![
        exhibit("login", "", "/accounts/login/", None, false),
        exhibit("my-orders", "ana", "/orders/orders/", None, true),
        exhibit("my-orders-nothing-found", "ana", "/orders/orders/?q=nobody", None, true),
        exhibit(
            "my-orders-wrong-filter",
            "ana",
            "/orders/orders/?date_from=2025-13-01&total_min=lots&page=x",
            None,
            true,
        ),
        exhibit(
            "my-orders-filters",
            "ana",
            "/orders/orders/?status=pending,processing&sort=-total_amount",
            Some(OPEN_MORE),
            true,
        ),
        exhibit("my-orders-views", "ana", "/orders/orders/?status=shipped", Some(OPEN_VIEWS), true),
        exhibit("my-orders-keys", "ana", "/orders/orders/", Some(OPEN_KEYS), true),
        exhibit("my-orders-told", "ana", "/orders/orders/", Some(TELL), true),
        exhibit("my-orders-bell", "ana", "/orders/orders/", Some(OPEN_BELL), true),
        exhibit("order", "ana", &format!("/orders/orders/{shipped}/"), None, true),
        exhibit("order-edit", "ana", &format!("/orders/orders/{pending}/edit/"), None, false),
        exhibit("order-cancel", "ana", &format!("/orders/orders/{pending}/cancel/"), None, false),
        exhibit("pharmacy", "rx", "/orders/pharmacist/dashboard/", None, true),
        exhibit("queue", "rx", "/orders/pharmacist/orders/", None, true),
        exhibit("queue-selection", "rx", "/orders/pharmacist/orders/?status=shipped", Some(SELECT), true),
        exhibit("queue-order", "rx", &format!("/orders/pharmacist/orders/{shipped}/"), None, true),
        exhibit("preferences", "ana", "/accounts/preferences/", None, false),
        exhibit("not-found", "ana", "/orders/orders/999999/", None, false),
    ]
}

const NO_SQL: &str = "";

const OPEN_MORE: Then = Then {
    sql: NO_SQL,
    script: "document.querySelector('[popovertarget=pick-more]').click() ?? true",
    until: "document.querySelector('#pick-more:popover-open') !== null",
};

const OPEN_VIEWS: Then = Then {
    sql: NO_SQL,
    script: "document.querySelector('[popovertarget=pick-views]').click() ?? true",
    until: "document.querySelector('#pick-views:popover-open') !== null",
};

const OPEN_KEYS: Then = Then {
    sql: NO_SQL,
    script: "document.dispatchEvent(new KeyboardEvent('keydown', { key: '?', bubbles: true }))",
    until: "document.querySelector('dialog[open]') !== null",
};

const SELECT: Then = Then {
    sql: NO_SQL,
    script: "[...document.querySelectorAll('[name=order]')].slice(0, 2).forEach((box) => box.click())",
    until: "document.querySelector('#selection .count').textContent.includes('2')",
};

/// Five changes that toasts tell, on cells of the list and beyond it.
const TELL: Then = Then {
    sql:
        "select set_config('app.user', 'rx', false);
        update orders_order set total_amount = total_amount + 10 where id in (
            select id from orders_order where sales_rep_id = 1 and status = 'pending' order by created_at desc limit 5)",
    script: "",
    until: "(toasts => toasts.length === 3 && toasts.every((toast) => toast.getAnimations().length === 0))(
        [...document.querySelectorAll('.toast')])",
};

const OPEN_BELL: Then = Then {
    script: "document.querySelector('#bell .ring').click()",
    until: "document.querySelectorAll('.bell-panel li[data-unread]').length > 0",
    ..TELL
};

impl Exhibit {
    /// A browser that visited it last, and where only the scheme was another, looks at it in this one.
    pub async fn look_again(&self, database: &Database, browser: &Browser, look: Look) {
        // what was told is gone after a while
        if self.then.is_some_and(|then| then.sql != NO_SQL) {
            return self.visit(database, browser, look).await;
        }
        prefer(browser, look.scheme).await;
        browser.until("!document.getAnimations().some((animation) => animation instanceof CSSTransition)").await;
    }

    /// The browser comes to the page, and waits until it is as it stays.
    pub async fn visit(&self, database: &Database, browser: &Browser, look: Look) {
        prefer(browser, look.scheme).await;
        let touch = json!({ "enabled": look.is_touched, "maxTouchPoints": 1 });
        browser.devtools("Emulation.setTouchEmulationEnabled", touch).await;
        let metrics =
            json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.is_touched });
        browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        browser.goto(&self.path).await;
        if self.is_live {
            browser.state("live").await;
        }
        if let Some(Then { sql, script, until }) = self.then {
            database.sql(sql).await;
            browser.client.execute(script, Vec::new()).await.unwrap();
            browser.until(until).await;
        }
    }
}

/// The person at the browser prefers that scheme from now on.
async fn prefer(browser: &Browser, scheme: &str) {
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.devtools("Emulation.setEmulatedMedia", media).await;
}

/// Goes to every page, as those who see it, each in a browser of theirs.
pub async fn walk(service: &Service, exhibits: &[Exhibit], mut look: impl AsyncFnMut(&Browser, &Exhibit)) {
    for who in ["", "ana", "rx"] {
        let browser = browser_of(service, who).await;
        for exhibit in exhibits.iter().filter(|exhibit| exhibit.who == who) {
            look(&browser, exhibit).await;
        }
        browser.close().await;
    }
}

/// A browser of somebody, or of nobody.
pub async fn browser_of(service: &Service, who: &str) -> Browser {
    let browser = Browser::open(&service.base()).await;
    if !who.is_empty() {
        browser.sign_in(who).await;
    }
    browser
}
