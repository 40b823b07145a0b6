//! The two ways by which a page hears of changes: the stream, and the poll that stands in for it.

use super::browser::Browser;
use super::database::Database;
use super::proxy::Proxy;
use super::service::Service;

/// A service that is reached directly, and through a proxy that lets no stream pass.
pub struct Ways {
    pub database: Database,
    pub service: Service,
    /// As long as this is, the second way is open.
    proxy: Proxy,
}

/// One of the two ways.
#[derive(Debug, Clone)]
pub struct Way {
    base: String,
    /// What the badge of a page says that came by it.
    pub state: &'static str,
}

impl Ways {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(arguments: &[&str]) -> Self {
        let database = Database::new().await;
        let service = Service::start_with(&database, &[&["--poll-interval", "1s"], arguments].concat()).await;
        let proxy = Proxy::start(service.web).await;
        proxy.block_streams();
        Self { database, service, proxy }
    }

    /// The stream first.
    pub fn both(&self) -> [Way; 2] {
        let polling = Way { base: format!("http://{}", self.proxy.address), state: "polling" };
        [Way { base: self.service.base(), state: "live" }, polling]
    }

    /// A window of somebody for each way, with that page.
    pub async fn browsers(&self, username: &str, page: &str) -> [Browser; 2] {
        let [stream, poll] = self.both();
        [stream.browser(username, page).await, poll.browser(username, page).await]
    }
}

impl Way {
    /// A window of somebody with that page, connected.
    pub async fn browser(&self, username: &str, page: &str) -> Browser {
        let browser = Browser::open(&self.base).await;
        browser.sign_in(username).await;
        self.open(&browser, page).await;
        browser
    }

    /// Opens a page and waits until it is connected.
    pub async fn open(&self, browser: &Browser, page: &str) {
        browser.goto(page).await;
        browser.state(self.state).await;
    }
}
