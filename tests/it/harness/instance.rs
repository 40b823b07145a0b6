//! The service as a process of its own, which can be killed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::eventually;
use super::http::metric;

/// One process of the service. Dropping it kills it.
pub struct Instance {
    pub web: SocketAddr,
    pub ops: SocketAddr,
    database_url: String,
    arguments: Vec<String>,
    files: Option<u32>,
    clock: Option<Clock>,
    child: Child,
}

/// A clock that can be stepped: by a library that stands before the system's, and reads from a file how late it is.
struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    fn find() -> Option<Self> {
        let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let folders = folders.chain([PathBuf::from("/usr/lib64")]);
        let library = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())?;
        let file = std::env::temp_dir().join(format!("oncare-live-clock.{:016x}", rand::random::<u64>()));
        std::fs::write(&file, "+0").ok()?;
        Some(Self { library, file })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Ports below those that the system gives to connections: nobody has one by chance before the server that is meant listens there.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// An address for a server that is started later, or again. No other test is given it.
pub fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::random_range(PORTS)));
        if std::net::TcpListener::bind(address).is_ok() && GIVEN.lock().unwrap().insert(address.port()) {
            return address;
        }
    }
}

/// The program that is tested.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_oncare-live"))
}

impl Instance {
    pub fn start(database_url: &str) -> Self {
        Self::start_with(database_url, &[], None, None)
    }

    /// With a clock that can be stepped, where this machine has what that needs.
    pub fn start_with_clock(database_url: &str) -> Self {
        Self::start_with(database_url, &[], None, Clock::find())
    }

    /// With further arguments, and with no more open files than so many, where that is said.
    pub fn start_with_arguments(database_url: &str, arguments: &[&str], files: Option<u32>) -> Self {
        Self::start_with(database_url, arguments, files, None)
    }

    fn start_with(database_url: &str, arguments: &[&str], files: Option<u32>, clock: Option<Clock>) -> Self {
        let (web, ops) = (free_address(), free_address());
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = Self::spawn(database_url, web, ops, &arguments, files, clock.as_ref());
        Self { web, ops, database_url: database_url.to_owned(), arguments, files, clock, child }
    }

    /// Sets its clock so many seconds forward or back, of the true time. Whether it can be set. That it goes forward is
    /// waited for; of a step back an HTTP server's date tells nothing, as it is kept until it is over.
    pub async fn set_clock(&self, seconds: i64) -> bool {
        let Some(clock) = &self.clock else { return false };
        std::fs::write(&clock.file, format!("{seconds:+}")).unwrap();
        if seconds > 0 {
            eventually("its clock is stepped", async || {
                let answer = reqwest::get(format!("http://{}/healthz", self.ops)).await.ok()?;
                let date = httpdate::parse_http_date(answer.headers()["date"].to_str().unwrap()).unwrap();
                (date > SystemTime::now() + Duration::from_secs(seconds as u64 - 3)).then_some(())
            })
            .await;
        }
        true
    }

    fn spawn(
        database_url: &str,
        web: SocketAddr,
        ops: SocketAddr,
        arguments: &[String],
        files: Option<u32>,
        clock: Option<&Clock>,
    ) -> Child {
        let mut command = match files {
            None => Command::new(program()),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(program());
                shell
            }
        };
        command.args(["serve", "--own-forms", "--log", "error", "--database-url", database_url]);
        command.args(["--listen", &web.to_string(), "--ops-listen", &ops.to_string()]);
        command.args(arguments);
        if let Some(Clock { library, file }) = clock {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_CACHE_DURATION", "1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits until it has ended by itself, and whether it ended well.
    pub async fn ended(&mut self) -> bool {
        timeout(4 * super::PATIENCE, self.child.wait()).await.expect("it ends").unwrap().success()
    }

    /// On the same addresses.
    pub fn start_again(&mut self) {
        let Self { web, ops, .. } = *self;
        self.child = Self::spawn(&self.database_url, web, ops, &self.arguments, self.files, self.clock.as_ref());
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

    /// The most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs on Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// The value of a metric, named with its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.ops("/metrics").await.expect("the metrics are there");
        metric(&text, name)
    }
}
