//! The peer for polling: the same dashboard as a Django shop has it, see `bench/django/dashboard.py`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::process::{Child, Command};

use crate::http::Http;
use crate::system::free_address;

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Threads of each process. A process with threads keeps connections open; gunicorn's default does not.
const THREADS: usize = 2;

/// Where the application is.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/django");

/// What signs the sessions of Django's, as a variable of the environment of whoever reads or makes them.
pub const KEY: (&str, &str) = ("DJANGO_SECRET_KEY", "of the benchmark and of nobody else, (#1)");

/// Signs everybody in at a Django that has that database, see `bench/django/sessions.py`.
///
/// # Errors
/// If it can't.
pub async fn sign_in(program: &Path, url: &str) -> anyhow::Result<()> {
    let python = program.canonicalize()?.with_file_name("python");
    let script = Path::new(SOURCE).join("sessions.py");
    let variables = [("DATABASE_URL", url), ("SECRET_KEY", KEY.1), ("PYTHONDONTWRITEBYTECODE", "1")];
    let status = Command::new(python).arg(script).envs(variables).status().await.context("could not start Python")?;
    ensure!(status.success(), "Django made no sessions: {status}");
    Ok(())
}

/// A running gunicorn. Dropping it ends it.
pub struct Django {
    child: Child,
    address: SocketAddr,
}

impl Django {
    /// The program, if it is among the installed peers.
    pub fn program(folder: &Path) -> Option<PathBuf> {
        let program = folder.join("django/bin/gunicorn");
        program.is_file().then_some(program)
    }

    /// Starts it on a database, and waits until it answers the path.
    ///
    /// # Errors
    /// If it ends at once or does not become ready.
    pub async fn start(program: &Path, url: &str, path: &str, cookie: &str) -> anyhow::Result<Self> {
        let address = free_address()?;
        // as gunicorn's documentation advises
        let workers = 2 * std::thread::available_parallelism()?.get() + 1;
        let child = Command::new(program.canonicalize()?)
            .args(["--chdir", SOURCE, "--bind", &address.to_string(), "--workers", &workers.to_string()])
            .args(["--worker-class", "gthread", "--threads", &THREADS.to_string(), "--keep-alive", "75"])
            .args(["--log-level", "error", "dashboard:application"])
            .env("DATABASE_URL", url)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("could not start gunicorn")?;
        let mut django = Self { child, address };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(mut http) = Http::connect(address, cookie).await {
                let answer = http.get(path, None).await?;
                ensure!(answer.status == 200, "Django answered {}", answer.status);
                return Ok(django);
            }
            if let Some(status) = django.child.try_wait()? {
                bail!("gunicorn ended at once: {status}");
            }
            ensure!(Instant::now() < deadline, "gunicorn did not become ready");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its process, whose children serve.
    ///
    /// # Errors
    /// If it has ended.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("gunicorn has ended")
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and its processes, which end with it.
    ///
    /// # Errors
    /// If it can't be told to.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        Command::new("kill").arg(pid.to_string()).status().await.context("could not tell gunicorn to stop")?;
        self.child.wait().await.context("could not wait for gunicorn")?;
        Ok(())
    }
}
