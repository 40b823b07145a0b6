//! The service, through the door that production uses, on free ports.

use std::net::SocketAddr;
use std::sync::Arc;

use oncare_live::config::{self, Command, Service as Settings};
use oncare_live::server::{Listeners, run};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::database::Database;
use super::http::{Browserless, metric};
use super::{PATIENCE, eventually};

/// A running service. Dropping it stops it.
pub struct Service {
    pub web: SocketAddr,
    pub ops: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Service {
    /// On free ports, ready.
    pub async fn start(database: &Database) -> Self {
        let service = Self::start_unready(&database.url, &[]).await;
        service.ready().await;
        service
    }

    pub async fn start_with(database: &Database, arguments: &[&str]) -> Self {
        let service = Self::start_unready(&database.url, arguments).await;
        service.ready().await;
        service
    }

    /// With forms of its own, as it serves where no other application manages the orders.
    pub async fn start_unready(url: &str, arguments: &[&str]) -> Self {
        Self::started(url, &["--own-forms"], arguments).await
    }

    /// As it serves by default: beside the application that manages the orders. Ready.
    pub async fn start_beside_host(url: &str, arguments: &[&str]) -> Self {
        let service = Self::started(url, &[], arguments).await;
        service.ready().await;
        service
    }

    async fn started(url: &str, flags: &[&str], arguments: &[&str]) -> Self {
        let fixed =
            ["oncare-live", "serve", "--database-url", url, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
        // what a test writes into the tables of events is no change of an order, and an audit would mend it
        let unaudited = ["--audit-every", "0s"];
        let mut all: Vec<&str> = fixed.iter().chain(&unaudited).chain(flags).copied().collect();
        for pair in arguments.chunks(2) {
            match all.iter().position(|argument| argument == &pair[0]) {
                Some(place) => all[place + 1] = pair[1],
                None => all.extend(pair),
            }
        }
        let loaded = config::load(all.into_iter().map(Into::into), []).unwrap();
        let Command::Serve(serve) = loaded.cli.command else { unreachable!() };
        let settings: Settings = serve.service;
        let listeners = Listeners::bind(&settings).unwrap();
        let (web, ops) = (listeners.web.local_addr().unwrap(), listeners.ops.local_addr().unwrap());
        let serving = Arc::clone(&listeners.serving);
        let (stop, stopped) = oneshot::channel();
        let url = serve.database.url().unwrap();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            run(url, settings, listeners, shutdown).await.unwrap();
        });
        // before that nobody is heard there
        timeout(PATIENCE, serving.wait()).await.expect("it serves");
        Self { web, ops, stop: Some(stop), task }
    }

    pub async fn ready(&self) {
        eventually("the service is ready", async || self.get_ops("/readyz").await.0.eq(&200).then_some(())).await;
    }

    /// Tells it to stop, as SIGTERM does, and waits until it has.
    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        (&mut self.task).await.unwrap();
    }

    pub fn begin_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.web)
    }

    /// Status and text of an ops route.
    pub async fn get_ops(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.ops)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of a metric, named with its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get_ops("/metrics").await;
        metric(&text, name)
    }

    pub async fn is_listener_awake(&self) -> bool {
        self.metric("oncare_live_listener_awake").await == 1.0
    }

    /// Waits until the listener is awake, or sleeps and must be notified.
    pub async fn until_listener_is_awake(&self, awake: bool) {
        let what = if awake { "the listener rises" } else { "the listener sleeps" };
        eventually(what, async || (self.is_listener_awake().await == awake).then_some(())).await;
    }

    /// A client with nobody signed in.
    pub fn anonymous(&self) -> Browserless {
        Browserless::new(self.base())
    }

    /// A client with somebody signed in.
    pub async fn signed_in(&self, username: &str) -> Browserless {
        let client = self.anonymous();
        client.sign_in(username).await;
        client
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let ended_by_itself = self.stop.is_some() && self.task.is_finished();
        self.task.abort();
        assert!(!ended_by_itself || std::thread::panicking(), "the service ended though nobody told it to");
    }
}
