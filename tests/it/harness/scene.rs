//! What a test of a page on a broken way begins with.

use super::browser::Browser;
use super::database::Database;
use super::proxy::Proxy;
use super::service::Service;

/// A live page of ana's that reaches its service through a proxy.
pub struct Scene {
    pub database: Database,
    pub service: Service,
    pub proxy: Proxy,
    pub browser: Browser,
}

impl Scene {
    pub async fn new() -> Self {
        Self::in_browser(async |base| Browser::open(base).await).await
    }

    /// The same in a browser whose tabs come to the front one after the other.
    pub async fn of_tabs() -> Self {
        Self::in_browser(async |base| Browser::whole(base).await).await
    }

    async fn in_browser(open: impl AsyncFnOnce(&str) -> Browser) -> Self {
        let database = Database::new().await;
        database
            .orders(
                "(1, 1, 'pending', 'pending', 1500), (2, 1, 'processing', 'paid', 20), (3, 2, 'pending', 'paid', 9)",
            )
            .await;
        let service = Service::start(&database).await;
        let proxy = Proxy::start(service.web).await;
        let browser = open(&format!("http://{}", proxy.address)).await.on_live_dashboard("ana", "").await;
        Self { database, service, proxy, browser }
    }
}
