//! Two instances behind nginx are restarted one after the other, under streams that behave as pages do, updates, and ordinary requests:
//! how late anybody was told of anything, and that no request failed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use crate::harness::crowd::{FIRST_REP, allow_files, sign_in};
use crate::harness::database::{Database, connect, temporary_folder};
use crate::harness::http::EVENTS;
use crate::harness::instance::{Instance, free_address};
use crate::harness::supervised::Supervised;
use crate::harness::{eventually, eventually_within};

/// A page that must reconnect waits between half of this and all of it: `FIRST_BACKOFF` of `static/js/live/stream.js`.
const BACKOFF: Duration = Duration::from_secs(1);

/// How much of everything there is.
struct Size {
    reps: i64,
    streams_a_rep: i64,
    /// Updates a second, in all.
    updates: u32,
    writers: i64,
    /// How long all goes on before, between and after the restarts.
    calm: Duration,
    /// How late anybody may be told of a change.
    latest: Duration,
    arguments: &'static [&'static str],
}

/// What is found out. Of each rep's order the total counts the updates.
struct Found {
    /// When each of the rep's updates was sent to the database.
    sent: Vec<Mutex<Vec<Instant>>>,
    /// How late each reader was told of each update.
    lateness: Mutex<Vec<Duration>>,
    /// Updates that a reader was not told of, and states of which it was not told what led to them.
    untold: AtomicU64,
    /// What was answered otherwise than it should be.
    failures: Mutex<Vec<String>>,
    /// Requests that were answered, beside the streams.
    answered: AtomicU64,
    /// How often a stream was opened.
    opened: AtomicU64,
    stop: AtomicBool,
}

/// A page: it streams, and when the stream ends it opens another from where it stands.
async fn read(front: SocketAddr, rep: i64, found: Arc<Found>) {
    let (mut cursor, mut told) = (String::new(), 0);
    while !found.stop.load(SeqCst) {
        if let Err(why) = stream(front, rep, &mut cursor, &mut told, &found).await {
            found.failures.lock().unwrap().push(why);
        }
        let share = rand::rng().random_range(0.5..1.0);
        sleep(BACKOFF.mul_f64(share)).await;
    }
}

/// One stream, to its end.
async fn stream(
    front: SocketAddr,
    rep: i64,
    cursor: &mut String,
    told: &mut usize,
    found: &Found,
) -> Result<(), String> {
    let mut socket = TcpStream::connect(front).await.map_err(|error| format!("connect: {error}"))?;
    // of HTTP/1.0, so that the body comes as it is
    let since = if cursor.is_empty() { String::new() } else { format!("last-event-id: {cursor}\r\n") };
    let request =
        format!("GET {EVENTS}?rep={rep} HTTP/1.0\r\nhost: x\r\n{since}cookie: oncare_live_session={rep:064x}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.map_err(|error| format!("ask for the stream: {error}"))?;
    let mut unread = Vec::with_capacity(8_192);
    let mut has_begun = false;
    loop {
        let read = tokio::select! {
            read = socket.read_buf(&mut unread) => read.map_err(|error| format!("read the stream: {error}"))?,
            () = sleep(Duration::from_secs(1)), if found.stop.load(SeqCst) => return Ok(()),
        };
        if read == 0 {
            return if has_begun { Ok(()) } else { Err("a stream ended before it began".to_owned()) };
        }
        if !has_begun {
            let head = String::from_utf8_lossy(&unread).into_owned();
            let Some((head, _)) = head.split_once("\r\n\r\n") else { continue };
            if head.split(' ').nth(1).is_none_or(|status| status != "200") {
                return Err(format!("a stream: {}", head.lines().next().unwrap_or_default()));
            }
            unread.drain(..head.len() + 4);
            found.opened.fetch_add(1, SeqCst);
            has_begun = true;
        }
        // only whole events end so
        if !unread.ends_with(b"\n\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut unread)).unwrap();
        for block in text.split("\n\n") {
            let is_first = cursor.is_empty();
            if let Some(id) = block.strip_prefix("id: ").and_then(|block| block.lines().next()) {
                id.clone_into(cursor);
            }
            if block.contains("event: sync") && block.contains("\"missed\":null") && !is_first {
                found.untold.fetch_add(1, SeqCst);
            }
            tell(block, rep, told, found);
            if block.contains("event: bye") {
                return Ok(());
            }
        }
    }
}

/// Notes how late each update is told that an event tells of, in their order.
fn tell(block: &str, rep: i64, told: &mut usize, found: &Found) {
    let now = Instant::now();
    for change in block.split("\"field\":\"total_amount\"").skip(1) {
        let to = change.split("\"to\":\"").nth(1).and_then(|to| to.split('.').next()).unwrap();
        let update: usize = to.parse().unwrap();
        if update != *told + 1 {
            found.untold.fetch_add(1, SeqCst);
        }
        *told = update;
        let sent = found.sent[(rep - FIRST_REP) as usize].lock().unwrap()[update - 1];
        found.lateness.lock().unwrap().push(now - sent);
    }
}

/// Updates the orders of some reps in turn, so many a second.
async fn write(url: String, reps: Vec<i64>, a_second: f64, found: Arc<Found>) {
    let client = connect(&url).await;
    let update = "update orders_order set total_amount = total_amount + 1 where id = $1";
    let update = client.prepare(update).await.unwrap();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / a_second));
    for rep in reps.iter().cycle() {
        ticks.tick().await;
        if found.stop.load(SeqCst) {
            return;
        }
        found.sent[(rep - FIRST_REP) as usize].lock().unwrap().push(Instant::now());
        client.execute(&update, &[rep]).await.unwrap();
    }
}

/// Asks for the list and writes to the account, again and again, on connections that are kept.
async fn ask(front: SocketAddr, rep: i64, found: Arc<Found>) {
    let client = reqwest::Client::new();
    let cookie = format!("oncare_live_session={rep:064x}");
    while !found.stop.load(SeqCst) {
        let list = client.get(format!("http://{front}/orders/api/sales-rep/dashboard/?rep={rep}"));
        let mute = client.post(format!("http://{front}/orders/api/orders/{rep}/mute/")).form(&[("muted", "1")]);
        for (what, request) in [("the list", list), ("muting", mute)] {
            let request = request.header("cookie", &cookie).header("accept", "application/json");
            match timeout(Duration::from_secs(10), request.send()).await {
                Ok(Ok(answer)) if answer.status() == 200 => _ = found.answered.fetch_add(1, SeqCst),
                Ok(Ok(answer)) => found.failures.lock().unwrap().push(format!("{what}: {}", answer.status())),
                Ok(Err(error)) => found.failures.lock().unwrap().push(format!("{what}: {error:?}")),
                Err(_) => found.failures.lock().unwrap().push(format!("{what}: no answer in 10 s")),
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// A real nginx before the instances. It sees by itself, and only when it asks, which of them is not to be asked.
async fn nginx(instances: &[Instance; 2]) -> (SocketAddr, Supervised) {
    let (front, folder) = (free_address(), temporary_folder("oncare-live-rolling"));
    let folder = folder.join(front.port().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let shown = folder.display();
    let servers: String = instances.iter().map(|instance| format!("server {} max_fails=0;", instance.web)).collect();
    let text = format!(
        "daemon off;
        user root;
        pid {shown}/nginx.pid;
        worker_rlimit_nofile 32768;
        events {{ worker_connections 16384; }}
        http {{
            access_log off;
            client_body_temp_path {shown}/body;
            proxy_temp_path {shown}/proxy;
            fastcgi_temp_path {shown}/fastcgi;
            uwsgi_temp_path {shown}/uwsgi;
            scgi_temp_path {shown}/scgi;
            upstream live {{ {servers} keepalive 32; }}
            server {{
                listen {front} backlog=4096;
                location / {{
                    proxy_pass http://live;
                    proxy_http_version 1.1;
                    proxy_set_header Connection '';
                    proxy_set_header Host $http_host;
                    proxy_next_upstream error timeout http_503;
                    proxy_connect_timeout 2s;
                }}
            }}
        }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let program = if std::path::Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    let mut command = Command::new(program);
    command.args(["-p".as_ref(), folder.as_os_str(), "-c".as_ref(), file.as_os_str()]);
    command.args(["-e".as_ref(), folder.join("error.log").as_os_str()]);
    let server = Supervised::start(&command, &folder.join("nginx.log"));
    let login = format!("http://{front}/accounts/login/");
    eventually("nginx leads to the service", async || reqwest::get(&login).await.ok().filter(|a| a.status() == 200))
        .await;
    (front, server)
}

async fn roll(size: Size) {
    let database = Database::new().await;
    sign_in(&database, size.reps).await;
    let reps: Vec<i64> = (FIRST_REP..FIRST_REP + size.reps).collect();
    // each rep has an order of the same number
    let orders: Vec<String> = reps.iter().map(|rep| format!("({rep}, {rep}, 'pending', 'paid', 0)")).collect();
    database.orders(&orders.join(", ")).await;
    let mut instances = std::array::from_fn(|_| Instance::start_with_arguments(&database.url, size.arguments, None));
    for instance in &instances {
        eventually("it is ready", async || instance.is_ready().await).await;
    }
    let (front, _nginx) = nginx(&instances).await;
    let found = Arc::new(Found {
        sent: reps.iter().map(|_| Mutex::default()).collect(),
        lateness: Mutex::default(),
        untold: AtomicU64::default(),
        failures: Mutex::default(),
        answered: AtomicU64::default(),
        opened: AtomicU64::default(),
        stop: AtomicBool::default(),
    });

    let mut tasks = JoinSet::new();
    for rep in &reps {
        (0..size.streams_a_rep).for_each(|_| _ = tasks.spawn(read(front, *rep, Arc::clone(&found))));
    }
    let streams = (size.reps * size.streams_a_rep) as u64;
    let patience = Duration::from_secs(60);
    eventually_within(patience, "all streams are open", async || (found.opened.load(SeqCst) >= streams).then_some(()))
        .await;
    for writer in 0..size.writers {
        let own = reps.iter().copied().filter(|rep| rep % size.writers == writer).collect();
        let a_second = f64::from(size.updates) / size.writers as f64;
        tasks.spawn(write(database.url.clone(), own, a_second, Arc::clone(&found)));
    }
    reps.iter().take(4).for_each(|rep| _ = tasks.spawn(ask(front, *rep, Arc::clone(&found))));

    sleep(size.calm).await;
    for instance in &mut instances {
        instance.terminate();
        assert!(instance.ended().await, "it ends well");
        instance.start_again();
        eventually("it is ready again", async || instance.is_ready().await).await;
        sleep(size.calm).await;
    }
    found.stop.store(true, SeqCst);
    let (mut sent, mut due) = (0, 0);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for updates in &found.sent {
        let updates = updates.lock().unwrap().len() as u64;
        sent += updates;
        due += updates * size.streams_a_rep as u64;
    }
    let mut lateness = std::mem::take(&mut *found.lateness.lock().unwrap());
    lateness.sort_unstable();
    let share = |share: f64| lateness[((lateness.len() - 1) as f64 * share) as usize];
    let failures = found.failures.lock().unwrap();
    println!(
        "{streams} streams, opened {} times; {sent} updates, told {} times, of {due}; late by {:?} (half), {:?} (99 of 100), {:?} (at \
         worst), {} over 2 s; {} other requests, {} failures; {} untold",
        found.opened.load(SeqCst),
        lateness.len(),
        share(0.5),
        share(0.99),
        share(1.0),
        lateness.iter().filter(|late| **late > Duration::from_secs(2)).count(),
        found.answered.load(SeqCst),
        failures.len(),
        found.untold.load(SeqCst),
    );
    assert!(failures.is_empty(), "{} failures, as {:?}", failures.len(), &failures[..failures.len().min(5)]);
    assert_eq!(found.untold.load(SeqCst), 0);
    assert!(share(1.0) < size.latest, "somebody was told {:?} late", share(1.0));
    assert!(found.opened.load(SeqCst) > 2 * streams, "each was moved about twice");
    assert!(found.answered.load(SeqCst) > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_behind_nginx_fails_no_request_and_tells_everybody_soon() {
    allow_files();
    let calm = Duration::from_millis(800);
    // a page waits for up to a second. Here much may go on at the same time, above all while an instance starts: how late it is by itself
    // says `make rolling`
    let latest = Duration::from_secs(12);
    let arguments = &["--drain-notice", "200ms", "--drain-for", "1s"];
    roll(Size { reps: 20, streams_a_rep: 10, updates: 50, writers: 2, calm, latest, arguments }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes the machine for itself: make rolling"]
async fn a_rolling_restart_under_5000_streams_and_500_updates_a_second() {
    allow_files();
    let (calm, latest) = (Duration::from_secs(8), Duration::from_secs(2));
    let arguments = &["--drain-notice", "1s", "--drain-for", "10s"];
    roll(Size { reps: 500, streams_a_rep: 10, updates: 500, writers: 4, calm, latest, arguments }).await;
}
