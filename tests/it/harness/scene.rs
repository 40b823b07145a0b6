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
        let database = Database::new().await;
        database
            .orders(
                "(1, 1, 'pending', 'pending', 1500), (2, 1, 'processing', 'paid', 20), (3, 2, 'pending', 'paid', 9)",
            )
            .await;
        let service = Service::start(&database).await;
        let proxy = Proxy::start(service.web).await;
        let browser = Browser::live_dashboard(&format!("http://{}", proxy.address), "ana", "").await;
        Self { database, service, proxy, browser }
    }
}
