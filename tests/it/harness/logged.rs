//! The program, serving, with all that it logs.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::eventually;
use super::instance::{free_address, program};

/// One process of the service. Dropping it kills it.
pub struct Logged {
    pub web: SocketAddr,
    pub ops: SocketAddr,
    child: Child,
    /// Read all the time, so that a full pipe stops nothing.
    log: JoinHandle<String>,
}

impl Logged {
    /// With forms of its own. It listens.
    pub async fn start(url: &str, arguments: &[&str]) -> Self {
        let (web, ops) = (free_address(), free_address());
        let mut child = Command::new(program())
            .args(["serve", "--own-forms", "--database-url", url])
            .args(["--listen", &web.to_string(), "--ops-listen", &ops.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut log = Vec::new();
            stderr.read_to_end(&mut log).await.unwrap();
            String::from_utf8(log).unwrap()
        });
        eventually("it listens", async || TcpStream::connect(web).await.ok().map(drop)).await;
        Self { web, ops, child, log }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.web)
    }

    /// The value of a metric, named with its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let scrape = reqwest::get(format!("http://{}/metrics", self.ops)).await.unwrap();
        super::http::metric(&scrape.text().await.unwrap(), name)
    }

    /// Ends it, and gives what it said.
    pub async fn log(self) -> String {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.log.await.unwrap()
    }
}
