//! Very many pages at once, each a socket with a stream.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::database::Database;
use super::eventually;
use super::http::EVENTS;
use super::instance::Instance;

pub const OPEN: &str = "oncare_live_streams_open{role=\"sales_rep\"}";

/// Reps that have signed in, each with a session of the same number.
pub const FIRST_REP: i64 = 1_000;

/// Signs so many reps in.
pub async fn sign_in(database: &Database, reps: i64) {
    let last = FIRST_REP + reps - 1;
    database
        .sql(&format!(
            "insert into accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
                 date_joined, role, phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at)
             select n, 'x', false, 'rep' || n, '', '', '', false, true, now(), 'sales_rep', '', '', '', '', '', '', true, now(),
                 now() from generate_series({FIRST_REP}, {last}) n;
             insert into live.session (token_hash, user_id, password_digest, expires_at)
             select sha256(convert_to(lpad(to_hex(n), 64, '0'), 'UTF8')), n, sha256('x'), now() + interval '1 day'
             from generate_series({FIRST_REP}, {last}) n;
             analyze accounts_user, live.session"
        ))
        .await;
}

/// As many open files as may be: each stream is one here and one in the service, which inherits the limit.
pub fn allow_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    assert!(maximum.is_none_or(|maximum| maximum >= 6_000), "these tests need 6,000 open files: raise ulimit -Hn");
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A stream on a socket of its own.
pub struct Stream {
    pub socket: TcpStream,
    pub read: Vec<u8>,
}

impl Stream {
    pub async fn open(instance: &Instance, rep: i64) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?.connect(instance.web).await?;
        Self::request(socket, rep).await
    }

    pub async fn request(mut socket: TcpStream, rep: i64) -> std::io::Result<Self> {
        let request = format!("GET {EVENTS} HTTP/1.1\r\nhost: x\r\ncookie: oncare_live_session={rep:064x}\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        Ok(Self { socket, read: Vec::new() })
    }

    /// Reads on past some text, and gives what was before it.
    pub async fn until(&mut self, what: &str) -> std::io::Result<String> {
        let mut searched = 0;
        loop {
            let read = str::from_utf8(&self.read).expect("what is told here is ASCII");
            if let Some(place) = read[searched..].find(what) {
                let before = read[..searched + place].to_owned();
                self.read.drain(..before.len() + what.len());
                return Ok(before);
            }
            searched = (read.len() + 1).saturating_sub(what.len());
            if self.socket.read_buf(&mut self.read).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// Memory of a process with its share of what it shares, in kB.
pub fn memory(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

pub async fn ready(database: &Database) -> Instance {
    ready_with(database, &[]).await
}

pub async fn ready_with(database: &Database, arguments: &[&str]) -> Instance {
    let instance = Instance::start_with_arguments(&database.url, arguments, None);
    eventually("the service is ready", async || instance.is_ready().await).await;
    instance
}

/// Changes of a rep's orders, and their readers.
pub struct Rounds<'a> {
    pub database: &'a Database,
    pub told: usize,
}

impl Rounds<'_> {
    /// Changes all orders of a rep, and returns when each reader has it.
    pub async fn tell(&mut self, rep: i64, readers: &mut [Stream]) {
        self.told += 1;
        let name = format!("C{}{}", self.told, "-".repeat(80));
        let update = format!("update orders_order set total_amount = {}.25, customer_name = '{name}'", self.told);
        self.database.sql(&format!("{update} where sales_rep_id = {rep}")).await;
        let told = format!("\"to\":\"{name}\"");
        join_all(readers.iter_mut().map(|reader| async { reader.until(&told).await.unwrap() })).await;
    }

    /// Does so again and again: how long it took at worst until the last reader had it.
    pub async fn worst(&mut self, rep: i64, readers: &mut [Stream], count: usize) -> Duration {
        self.spread(rep, readers, count).await.1
    }

    /// The same at best and at worst.
    pub async fn spread(&mut self, rep: i64, readers: &mut [Stream], count: usize) -> (Duration, Duration) {
        let (mut best, mut worst) = (Duration::MAX, Duration::ZERO);
        for _ in 0..count {
            let began = Instant::now();
            self.tell(rep, readers).await;
            best = best.min(began.elapsed());
            worst = worst.max(began.elapsed());
        }
        (best, worst)
    }
}

/// The open files of a process.
pub fn files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
