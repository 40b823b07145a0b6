//! The service as a process of its own, which can be killed.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

/// One process of the service. Dropping it kills it.
pub struct Instance {
    pub web: SocketAddr,
    pub ops: SocketAddr,
    database_url: String,
    child: Child,
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Instance {
    pub fn start(database_url: &str) -> Self {
        let (web, ops) = (free_address(), free_address());
        let child = Self::spawn(database_url, web, ops);
        Self { web, ops, database_url: database_url.to_owned(), child }
    }

    fn spawn(database_url: &str, web: SocketAddr, ops: SocketAddr) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oncare-live"));
        command.args(["serve", "--log", "error", "--database-url", database_url]);
        command.args(["--listen", &web.to_string(), "--ops-listen", &ops.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// On the same addresses.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(&self.database_url, self.web, self.ops);
    }

    /// Status and text of an ops route, if it answers.
    pub async fn ops(&self, path: &str) -> Option<(u16, String)> {
        let answer = timeout(Duration::from_secs(5), reqwest::get(format!("http://{}{path}", self.ops))).await.ok()?;
        let answer = answer.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    pub async fn is_ready(&self) -> Option<()> {
        self.ops("/readyz").await.filter(|(status, _)| *status == 200).map(|_| ())
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.ops("/metrics").await.expect("the metrics are there");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}
