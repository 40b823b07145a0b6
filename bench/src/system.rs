//! The servers that are measured.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::databases::Kind;
use crate::fleet::First;
use crate::http::Http;
use crate::session::{FIRST_OF_HOT_REP, STREAMS_PER_SESSION, cookie};

/// Where the service has its streams.
pub const EVENTS: &str = "/orders/api/sales-rep/events/";

/// How long a server may take to be ready, or to close the connections of a fleet that is gone.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// OnCare Live.
    Service,
    /// The least that can deliver an event.
    Floor,
    /// As tutorials have it.
    Tutorial,
    /// The same in Node.js.
    Node,
}

impl System {
    /// All of them, in the order of the tables.
    const ALL: [Self; 4] = [Self::Service, Self::Floor, Self::Tutorial, Self::Node];

    /// As the tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Floor => "floor",
            Self::Tutorial => "tutorial",
            Self::Node => "node",
        }
    }

    /// The database that it listens to.
    pub fn database(self) -> Kind {
        if self == Self::Service { Kind::Service } else { Kind::Peers }
    }
}

/// Whose streams.
#[derive(Debug, Clone, Copy)]
pub enum Reps {
    /// One of each rep from 1 to this.
    Each(usize),
    /// One of each so many-th rep: this many, this far apart.
    Apart(usize, usize),
    /// All of one rep, this one.
    One(i64, usize),
}

/// The script of the Node.js peer.
const NODE_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node/server.js");

/// The programs.
pub struct Programs {
    service: PathBuf,
    folder: PathBuf,
    /// What the Node.js peer needs, if it is installed.
    node_modules: Option<PathBuf>,
}

impl Programs {
    /// Those beside this program, or another service, and what is installed among the peers.
    ///
    /// # Errors
    /// Names the program that is missing.
    pub fn find(service: Option<PathBuf>, peers: &Path) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("could not tell where this program is")?;
        let folder = own.parent().context("this program is nowhere")?.to_owned();
        let service = service.unwrap_or_else(|| folder.join("oncare-live"));
        let node_modules = peers.join("node/node_modules").canonicalize().ok();
        let programs = Self { service, folder, node_modules };
        let built = programs.systems().into_iter().filter(|system| *system != System::Node);
        for path in built.map(|system| programs.path(system)) {
            anyhow::ensure!(path.is_file(), "{} is missing; build the whole workspace with --release", path.display());
        }
        Ok(programs)
    }

    /// The systems of which there are programs.
    pub fn systems(&self) -> Vec<System> {
        let has_node = self.node_modules.is_some();
        System::ALL.into_iter().filter(|system| has_node || *system != System::Node).collect()
    }

    fn path(&self, system: System) -> PathBuf {
        match system {
            System::Service => self.service.clone(),
            System::Node => "node".into(),
            built => self.folder.join(built.name()),
        }
    }

    fn command(&self, system: System) -> Command {
        let mut command = Command::new(self.path(system));
        if let (System::Node, Some(modules)) = (system, &self.node_modules) {
            command.arg(NODE_SCRIPT).env("NODE_PATH", modules);
        }
        command
    }
}

/// A running server. Dropping it kills it.
pub struct Server {
    system: System,
    child: Child,
    address: SocketAddr,
    ops: SocketAddr,
}

impl Server {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// If it ends at once or does not become ready.
    pub async fn start(programs: &Programs, system: System, url: &str) -> anyhow::Result<Self> {
        Self::start_with(programs, system, url, &[], &[]).await
    }

    /// The same, with more arguments and variables.
    ///
    /// # Errors
    /// If it ends at once or does not become ready.
    pub async fn start_with(
        programs: &Programs,
        system: System,
        url: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let (address, ops) = (free_address()?, free_address()?);
        let mut command = programs.command(system);
        if system == System::Service {
            command.arg("serve").args(["--log", "warn", "--ops-listen", &ops.to_string()]);
            // one rep of the plan has thousands
            command.args(["--streams-per-user", "1000000"]);
        }
        command.args(["--database-url", url, "--listen", &address.to_string()]);
        command.args(arguments).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("could not start {}", system.name()))?;
        let mut server = Self { system, child, address, ops };
        let deadline = Instant::now() + PATIENCE;
        while !server.is_ready().await {
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended at once: {status}", system.name());
            }
            anyhow::ensure!(Instant::now() < deadline, "{} did not become ready", system.name());
            tokio::time::sleep(POLL).await;
        }
        Ok(server)
    }

    async fn is_ready(&self) -> bool {
        if self.system != System::Service {
            return TcpStream::connect(self.address).await.is_ok();
        }
        let Ok(mut ops) = Http::connect(self.ops, "").await else { return false };
        ops.get_ok("/readyz").await.is_ok()
    }

    /// Ends it.
    ///
    /// # Errors
    /// If it can't be ended.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("could not end the server")
    }

    /// Its process.
    ///
    /// # Errors
    /// If it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().with_context(|| format!("{} has ended", self.system.name()))
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What makes a stream of it count as open.
    pub fn first(&self) -> First {
        if self.system == System::Service { First::Sync } else { First::Head }
    }

    /// The requests that open those streams.
    pub fn requests(&self, reps: Reps) -> Vec<Vec<u8>> {
        match reps {
            Reps::Each(count) => (1..=count).map(|rep| self.request(rep as i64, rep as u64)).collect(),
            Reps::Apart(count, distance) => {
                (0..count).map(|n| 1 + n * distance).map(|rep| self.request(rep as i64, rep as u64)).collect()
            }
            Reps::One(rep, count) => (0..count)
                .map(|stream| self.request(rep, FIRST_OF_HOT_REP + (stream / STREAMS_PER_SESSION) as u64))
                .collect(),
        }
    }

    fn request(&self, rep: i64, session: u64) -> Vec<u8> {
        match self.system {
            System::Service => self.request_with(&cookie(session)),
            _ => self.request_for(&format!("/events?rep={rep}"), ""),
        }
    }

    /// The request that opens the service's stream for whoever has that cookie.
    pub fn request_with(&self, cookie: &str) -> Vec<u8> {
        self.request_for(EVENTS, &format!("Cookie: {cookie}\r\n"))
    }

    fn request_for(&self, path: &str, identity: &str) -> Vec<u8> {
        let host = self.address;
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n{identity}\r\n").into_bytes()
    }

    /// A number of `/metrics` of the service.
    ///
    /// # Errors
    /// If there is none of that name.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let answer = Http::connect(self.ops, "").await?.get_ok("/metrics").await?;
        let text = String::from_utf8_lossy(&answer.body);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).with_context(|| format!("there is no metric {name}"))
    }

    /// Waits until it has let go of the connections that its clients closed.
    ///
    /// # Errors
    /// If it does not in half a minute.
    pub async fn settle(&self) -> anyhow::Result<()> {
        const FEW: usize = 50;
        let deadline = Instant::now() + PATIENCE;
        while std::fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count() > FEW {
            anyhow::ensure!(Instant::now() < deadline, "{} holds connections that were closed", self.system.name());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

/// Of a port that was free just now.
///
/// # Errors
/// If there is none.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not find a free port")?;
    Ok(listener.local_addr()?)
}
