//! A private PostgreSQL: made, started and stopped by this program, also when the program is killed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The only role. It may do everything, and only from this machine, with this password.
const ROLE: &str = "oncare";
const PASSWORD: &str = "oncare";

/// The environment variable that names the folder of the server's programs, where they are not looked for.
const PROGRAMS: &str = "POSTGRES_BIN";

/// How long the server may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(25);

/// Why there is no private PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The server's programs are not there.
    #[error(
        "PostgreSQL's server programs were not found on the PATH nor in /usr/lib/postgresql. Install them (Debian, \
         Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql) and \
         try again, or name their folder in POSTGRES_BIN"
    )]
    NotInstalled,
    /// The programs are not where the environment says.
    #[error("POSTGRES_BIN names {0}, where initdb, postgres and pg_ctl are not all to be found")]
    NotThere(PathBuf),
    /// The programs refuse to run as root, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root and there is no user postgres or nobody to run it as; run this as another user"
    )]
    NobodyToRunAs,
    /// The folder can't be used.
    #[error("could not {attempted} {path}")]
    Folder {
        /// What was attempted.
        attempted: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// Which.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// The server did not answer in time.
    #[error("PostgreSQL did not answer within 60 s: {said} (its log is {log})")]
    Silent {
        /// What it said last.
        said: String,
        /// Where to look.
        log: PathBuf,
    },
    /// The server ended before it answered.
    #[error("PostgreSQL did not start: {said} (its log is {log})")]
    Ended {
        /// What it said last.
        said: String,
        /// Where to look.
        log: PathBuf,
    },
    /// The server of an earlier run goes on.
    #[error("the PostgreSQL of an earlier run still runs in {0} and could not be stopped")]
    Leftover(PathBuf, #[source] Box<ClusterError>),
    /// The server refused a statement.
    #[error("the private PostgreSQL refused a statement")]
    Refused(#[from] tokio_postgres::Error),
}

/// Whether commits wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Full,
    /// They don't: for tests, whose data nobody misses.
    None,
}

/// A running private PostgreSQL.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    programs: PathBuf,
    owner: Option<Owner>,
    supervisor: Child,
}

/// The user that the server runs as where this program is root.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// Starts the server of a folder on 127.0.0.1, and makes the folder first where there is none. Takes another port
    /// where the given one is taken. A server that an earlier, killed run left behind is stopped first.
    ///
    /// # Errors
    /// If the programs are missing, the folder can't be used, or the server does not start.
    pub async fn start(folder: &Path, port: u16, durability: Durability) -> Result<Self, ClusterError> {
        Self::start_in(folder, port, durability, &[]).await
    }

    /// The same, with variables added to the server's environment.
    ///
    /// # Errors
    /// Those of [`Cluster::start`].
    pub async fn start_in(
        folder: &Path,
        port: u16,
        durability: Durability,
        environment: &[(String, String)],
    ) -> Result<Self, ClusterError> {
        let programs = programs()?;
        let folder = prepare_folder(folder)?;
        let owner = owner_of(&folder)?;
        if !folder.join("PG_VERSION").exists() {
            init(&programs, &folder, owner).await?;
        } else {
            stop_leftover(&programs, &folder, owner).await?;
        }
        let port = free_port(port).await?;
        let said_before = std::fs::metadata(log(&folder)).map_or(0, |log| log.len());
        let supervisor = supervise(&programs, &folder, owner, port, durability, environment)?;
        let mut cluster = Self { folder, port, programs, owner, supervisor };
        cluster.wait_until_ready(said_before).await?;
        Ok(cluster)
    }

    /// The URL of a database in it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// A shell command that connects to a database in it.
    #[must_use]
    pub fn psql(&self, database: &str) -> String {
        format!("psql {}", self.url(database))
    }

    /// Creates a database where there is none of that name.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn create_database(&self, name: &str) -> Result<(), ClusterError> {
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), tokio_postgres::NoTls).await?;
        let driver = tokio::spawn(connection);
        if client.query_opt("select from pg_database where datname = $1", &[&name]).await?.is_none() {
            client.batch_execute(&format!("create database \"{name}\"")).await?;
        }
        drop(client);
        driver.abort();
        Ok(())
    }

    /// Stops the server as a shutdown of the machine would: connections are ended, nothing is lost.
    ///
    /// # Errors
    /// If it does not stop.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        self.pg_ctl(&["stop", "-m", "fast", "-w"]).await?;
        // the supervisor ends with the server; its exit status says nothing more
        let _ = self.supervisor.wait().await;
        Ok(())
    }

    /// Runs `pg_ctl` on the server's folder, as its owner.
    ///
    /// # Errors
    /// If it fails.
    pub async fn pg_ctl(&self, arguments: &[&str]) -> Result<(), ClusterError> {
        let mut command = program(&self.programs, "pg_ctl", self.owner);
        run("pg_ctl", command.arg("-D").arg(&self.folder).args(arguments)).await
    }

    /// The server's log had so many bytes before.
    async fn wait_until_ready(&mut self, said_before: u64) -> Result<(), ClusterError> {
        let deadline = Instant::now() + PATIENCE;
        let url = self.url("postgres");
        let log = log(&self.folder);
        while tokio_postgres::connect(&url, tokio_postgres::NoTls).await.is_err() {
            // the supervisor ends with the server
            if matches!(self.supervisor.try_wait(), Ok(Some(_))) {
                return Err(ClusterError::Ended { said: last_said(&log, said_before), log });
            }
            if Instant::now() > deadline {
                return Err(ClusterError::Silent { said: last_said(&log, said_before), log });
            }
            sleep(POLL).await;
        }
        Ok(())
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// The last line of a log after so many bytes, or the last that says why the server ended.
fn last_said(log: &Path, before: u64) -> String {
    let mut said = Vec::new();
    let read = File::open(log).and_then(|mut log| {
        log.seek(SeekFrom::Start(before))?;
        log.read_to_end(&mut said)
    });
    if let Err(error) = read {
        return format!("its log can't be read: {error}");
    }
    let said = String::from_utf8_lossy(&said);
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let fatal = lines().rfind(|line| line.contains("FATAL: ") || line.contains("PANIC: "));
    fatal.or_else(|| lines().next_back()).unwrap_or("it said nothing").to_owned()
}

/// Those that the environment names, of whatever version, and else the newest that are installed.
fn programs() -> Result<PathBuf, ClusterError> {
    match std::env::var_os(PROGRAMS).filter(|named| !named.is_empty()).map(PathBuf::from) {
        Some(named) if has_programs(&named) => std::path::absolute(&named).map_err(|_| ClusterError::NotThere(named)),
        Some(named) => Err(ClusterError::NotThere(named)),
        None => find_programs().ok_or(ClusterError::NotInstalled),
    }
}

fn has_programs(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file())
}

fn find_programs() -> Option<PathBuf> {
    let on_path =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut versions: Vec<PathBuf> = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path().join("bin")))
        .collect();
    // the newest first; /usr/lib/postgresql/9.6 is older than 15
    versions.sort_by_key(|folder| {
        let name = folder.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let digits = name.unwrap_or_default().trim_start_matches("postgresql@").parse::<f64>().unwrap_or_default();
        std::cmp::Reverse((digits * 10.0) as i64)
    });
    on_path.into_iter().chain([PathBuf::from("/usr/pgsql/bin")]).chain(versions).find(|folder| has_programs(folder))
}

fn prepare_folder(folder: &Path) -> Result<PathBuf, ClusterError> {
    let failed = |attempted| move |source| ClusterError::Folder { attempted, path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed("create the folder"))?;
    std::fs::canonicalize(folder).map_err(failed("find the folder"))
}

/// The server refuses to run as root: then the folder is given to another user.
fn owner_of(folder: &Path) -> Result<Option<Owner>, ClusterError> {
    let failed = |attempted| move |source| ClusterError::Folder { attempted, path: folder.to_owned(), source };
    let present = std::fs::metadata(folder).map_err(failed("look at"))?;
    if !is_root() {
        return Ok(None);
    }
    let owner = user("postgres").or_else(|| user("nobody")).ok_or(ClusterError::NobodyToRunAs)?;
    if present.uid() != owner.uid {
        chown(folder, Some(owner.uid), Some(owner.gid)).map_err(failed("give to the user postgres"))?;
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed("close"))?;
    for parent in folder.ancestors().skip(1) {
        let mode = std::fs::metadata(parent).map_err(failed("look at"))?.mode();
        if mode & 0o001 == 0 {
            let why = format!("{} may not be entered by other users; give --data-dir another folder", parent.display());
            return Err(failed("let the user postgres into")(io::Error::other(why)));
        }
    }
    Ok(Some(owner))
}

/// A new file of this process belongs to whom the process runs as.
fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .map_or_else(|_| std::env::var("USER").is_ok_and(|user| user == "root"), |me| me.uid() == 0)
}

fn user(name: &str) -> Option<Owner> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<&str> = passwd.lines().find(|line| line.split(':').next() == Some(name))?.split(':').collect();
    Some(Owner { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
}

fn program(programs: &Path, name: &str, owner: Option<Owner>) -> Command {
    as_owner(std::process::Command::new(programs.join(name)), owner)
}

fn as_owner(mut command: std::process::Command, owner: Option<Owner>) -> Command {
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    if let Some(Owner { uid, gid }) = owner {
        command.uid(uid).gid(gid);
    }
    command.into()
}

async fn run(name: &'static str, command: &mut Command) -> Result<(), ClusterError> {
    let failed = |said: String| ClusterError::Program { program: name, said };
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(failed(String::from_utf8_lossy(&said).trim().to_owned()))
}

async fn init(programs: &Path, folder: &Path, owner: Option<Owner>) -> Result<(), ClusterError> {
    // a pipe of ours can't be opened by another user, a file of theirs can
    // beside the folder, which must be empty; what follows the name's last dot tells it from others
    let mut password = folder.as_os_str().to_owned();
    password.push(".password");
    let password = PathBuf::from(password);
    let failed = |source| ClusterError::Folder { attempted: "write", path: password.clone(), source };
    std::fs::write(&password, PASSWORD).map_err(failed)?;
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    chown(&password, owner.map(|owner| owner.uid), owner.map(|owner| owner.gid)).map_err(failed)?;
    let mut command = program(programs, "initdb", owner);
    command.arg("-D").arg(folder).args(["-U", ROLE, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
    command.arg("--pwfile").arg(&password);
    let outcome = run("initdb", &mut command).await;
    std::fs::remove_file(&password).map_err(failed)?;
    outcome
}

/// Stops the server of a run that was killed. A pid file that such a server left may name a process of somebody else's by now, which
/// must get no signal, and for which a new server would not start: such a file is removed.
async fn stop_leftover(programs: &Path, folder: &Path, owner: Option<Owner>) -> Result<(), ClusterError> {
    let file = folder.join("postmaster.pid");
    let said = std::fs::read_to_string(&file).unwrap_or_default();
    let pid = said.lines().next().and_then(|line| line.trim().parse().ok());
    // one that names no process is not in a new server's way, which looks itself for what the old one left
    let Some(command) = pid.and_then(command_of) else { return Ok(()) };
    // every way of starting a server names its folder to it
    if !command.contains(&format!(" -D {} ", folder.display())) {
        let failed = |source| ClusterError::Folder { attempted: "remove the stale", path: file.clone(), source };
        return std::fs::remove_file(&file).map_err(failed);
    }
    let mut stop = program(programs, "pg_ctl", owner);
    match run("pg_ctl", stop.arg("-D").arg(folder).args(["stop", "-m", "fast", "-w"])).await {
        // it may have ended by itself meanwhile
        Err(error) if file.exists() => Err(ClusterError::Leftover(folder.to_owned(), Box::new(error))),
        _ => Ok(()),
    }
}

/// The program and the arguments of a process, with a space after each; `None` where there is no such process.
fn command_of(pid: u32) -> Option<String> {
    if Path::new("/proc/self").exists() {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&command).replace('\0', " "));
    }
    let listed = std::process::Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).output().ok()?;
    let command = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    (!command.is_empty()).then(|| format!("{command} "))
}

async fn free_port(wanted: u16) -> Result<u16, ClusterError> {
    let bound = match TcpListener::bind(("127.0.0.1", wanted)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await,
    };
    bound.and_then(|listener| listener.local_addr()).map(|address| address.port()).map_err(|source| {
        ClusterError::Folder { attempted: "find a free port on", path: PathBuf::from("127.0.0.1"), source }
    })
}

/// Starts the server and waits for two things: the end of its standard input, which is a pipe from this process and
/// closes however this process ends, and then has the server shut down; and the end of the server.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" >>"$LOG" 2>&1 </dev/null 3<&- &
server=$!
( read -r line <&3; kill -INT $server ) 2>/dev/null &
reader=$!
exec 3<&- </dev/null
wait $server
kill $reader 2>/dev/null
"#;

fn supervise(
    programs: &Path,
    folder: &Path,
    owner: Option<Owner>,
    port: u16,
    durability: Durability,
    environment: &[(String, String)],
) -> Result<Child, ClusterError> {
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", SUPERVISOR]);
    command.arg("supervisor").arg(programs.join("postgres")).arg("-D").arg(folder);
    command.env("LOG", log(folder));
    let lasting = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"];
    let careless = ["fsync=off", "full_page_writes=off", "synchronous_commit=off"];
    let careless = careless.iter().filter(|_| durability == Durability::None);
    for setting in lasting.iter().chain(careless) {
        command.arg("-c").arg(setting);
    }
    command.arg("-c").arg(format!("port={port}"));
    // of its own group, so that Ctrl-C reaches only this program, which then stops the server in order
    command.process_group(0);
    let mut command = as_owner(command, owner);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| ClusterError::Program { program: "sh", said: error.to_string() })
}
