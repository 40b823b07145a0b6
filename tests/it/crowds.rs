//! Thousands of pages at once: one that stops reading, some that vanish, all of them dropped together.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use rand::Rng;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use crate::harness::crowd::{FIRST_REP, OPEN, Rounds, Stream, allow_files, files, memory, ready, ready_with, sign_in};
use crate::harness::database::Database;
use crate::harness::http::{API, Browserless};
use crate::harness::instance::Instance;
use crate::harness::{PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_that_stops_costs_a_thousand_others_nothing_and_is_cut() {
    /// What the service may need for a reader that stopped, in kB: its kernel's buffers are not among it. An allocator keeps some
    /// megabytes more or less at any time.
    const LITTLE: u64 = 10_000;
    const READERS: i64 = 1_000;
    const STOPPED: i64 = FIRST_REP + 55;
    /// One write may take 5 s, and what kernels keep comes before it.
    const CUT_WITHIN: Duration = Duration::from_secs(40);
    allow_files();
    let database = Database::new().await;
    sign_in(&database, 60).await;
    let order = |id, rep| format!("({id}, {rep}, 'delivered', 'paid', 1)");
    let orders = (1..=40).map(|id| order(id, FIRST_REP)).chain((1_001..=1_100).map(|id| order(id, STOPPED)));
    database.orders(&orders.collect::<Vec<_>>().join(", ")).await;
    // several sessions of one rep, as each may have but some streams
    database.sql(&format!("update live.session set user_id = {FIRST_REP} where user_id <> {STOPPED}")).await;
    let instance = ready_with(&database, &["--streams-per-user", "2000", "--client-patience", "5s"]).await;
    let opened = join_all((0..READERS).map(|n| Stream::open(&instance, FIRST_REP + n / 20))).await;
    let mut readers: Vec<Stream> = opened.into_iter().map(Result::unwrap).collect();
    // reads what the one that stops does not
    let mut reader = [Stream::open(&instance, STOPPED).await.unwrap()];
    join_all(readers.iter_mut().chain(&mut reader).map(|reader| async { reader.until("event: sync").await.unwrap() }))
        .await;
    let mut rounds = Rounds { database: &database, told: 0 };
    rounds.worst(STOPPED, &mut reader, 40).await;
    let alone = rounds.worst(FIRST_REP, &mut readers, 40).await;
    // what each round, and each look at the metrics, costs by itself is no part of it
    let mut before = Vec::new();
    for _ in 0..60 {
        assert_eq!(instance.metric(OPEN).await, READERS as f64 + 1.0);
        rounds.tell(STOPPED, &mut reader).await;
        before.push(memory(instance.pid()));
    }

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let stopped = Stream::request(socket.connect(instance.web).await.unwrap(), STOPPED).await.unwrap();
    let all = READERS as f64 + 1.0;
    eventually("it is counted", async || (instance.metric(OPEN).await == all + 1.0).then_some(())).await;
    let began = Instant::now();
    let beside = rounds.worst(FIRST_REP, &mut readers, 10).await;
    let mut while_it_stood = Vec::new();
    while instance.metric(OPEN).await > all {
        assert!(began.elapsed() < CUT_WITHIN, "it is cut in bounded time");
        rounds.tell(STOPPED, &mut reader).await;
        while_it_stood.push(memory(instance.pid()));
    }
    assert!(instance.metric("oncare_live_mailboxes_overrun_total").await > 0.0, "it is overrun");
    // what is kept for it is kept until it is cut; what a round needs for a moment is not meant
    let [before, beside_it] = [before, while_it_stood].map(|mut each| {
        each.sort_unstable();
        each[each.len() / 2]
    });
    let more = beside_it.saturating_sub(before);
    assert!(more < LITTLE, "{more} kB more");
    assert_eq!(instance.metric("oncare_live_clients_too_slow_total{what=\"answer\"}").await, 1.0);
    println!("last of {READERS} receivers: {alone:?} at worst, and {beside:?} beside one that stopped; {more} kB more");
    drop(stopped);
    // exact when it comes back
    let mut again = Stream::open(&instance, STOPPED).await.unwrap();
    let total =
        database.value(&format!("select sum(total_amount) from orders_order where sales_rep_id = {STOPPED}")).await;
    again.until("\"total_revenue\":").await.unwrap();
    assert_eq!(again.until("}").await.unwrap(), total);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_slow_readers_of_a_large_patch_share_it() {
    const READERS: i64 = 100;
    const ORDERS: i64 = 3_000;
    /// What the service may need for all of them, in kB: to make the patch, and to keep it once. A hundred copies would be
    /// some hundred megabytes.
    const LITTLE: u64 = 40_000;
    allow_files();
    let database = Database::new().await;
    sign_in(&database, 10).await;
    let orders: Vec<String> = (1..=ORDERS).map(|id| format!("({id}, {FIRST_REP}, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    database.sql(&format!("update live.session set user_id = {FIRST_REP}")).await;
    let instance = ready(&database).await;
    let open = async |n: i64| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = Stream::request(socket.connect(instance.web).await?, FIRST_REP + n / 10).await?;
        stream.until("event: ping").await?;
        std::io::Result::Ok(stream)
    };
    let mut readers: Vec<Stream> = join_all((0..READERS).map(open)).await.into_iter().map(Result::unwrap).collect();
    let mut measured = Stream::open(&instance, FIRST_REP).await.unwrap();
    measured.until("event: ping").await.unwrap();
    let before = memory(instance.pid());
    database.sql(&format!("update orders_order set customer_name = '{}'", "C".repeat(100))).await;
    measured.until("event: patch").await.unwrap();
    let size = measured.until("\n\n").await.unwrap().len() as u64 / 1_000;
    // each has got some of it, and takes no more
    join_all(readers.iter_mut().map(|reader| async { reader.until("event: patch").await.unwrap() })).await;
    let more = memory(instance.pid()).saturating_sub(before);
    println!("{READERS} slow readers of {size} kB: {more} kB more");
    assert_eq!(instance.metric(OPEN).await, READERS as f64 + 1.0, "all are there");
    assert!(size > 1_500, "{size} kB is a large patch");
    assert!(more < LITTLE, "{more} kB more");
}

/// Has every read of sessions wait while somebody holds a lock.
const SESSIONS_IN_TURNS: &str = "
    alter function pg_catalog.sha256(bytea) rename to sha256_at_once;
    create function pg_catalog.sha256(bytea) returns bytea language plpgsql volatile as $$
    begin
        perform pg_advisory_xact_lock_shared(77);
        return sha256_at_once($1);
    end $$";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_left_is_not_answered_before_whoever_waits() {
    /// More than are answered by the reads that may be under way at the same time.
    const LEAVING: usize = 850;
    allow_files();
    let database = Database::new().await;
    sign_in(&database, 1).await;
    database.sql(SESSIONS_IN_TURNS).await;
    let instance = ready(&database).await;
    let ask = async || {
        let mut socket = TcpSocket::new_v4().unwrap().connect(instance.web).await.unwrap();
        let request = format!("GET {API} HTTP/1.1\r\nhost: x\r\ncookie: oncare_live_session={FIRST_REP:064x}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Stream { socket, read: Vec::new() }
    };
    let wait = async |what: &str, mode: &str, count: i64| {
        let waiting = format!(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database
             where not l.granted and l.locktype = 'advisory' and l.mode = '{mode}' and d.datname = current_database()"
        );
        let is_there = async || database.value(&waiting).await.parse::<i64>().unwrap() >= count;
        eventually(what, async || is_there().await.then_some(())).await;
    };
    // the reads are let through in turns
    let mut turns = Vec::new();
    for _ in 0..3 {
        turns.push(database.client().await);
    }
    let lock = "select pg_advisory_lock(77)";
    turns[0].batch_execute(lock).await.unwrap();
    let first = ask().await;
    wait("it is looked for the first one's session", "ShareLock", 1).await;
    let second = ask().await;
    wait("and for the second one's", "ShareLock", 2).await;
    let (second_turn, third_turn) = (turns[1].batch_execute(lock), turns[2].batch_execute(lock));
    tokio::pin!(second_turn, third_turn);
    tokio::select! {
        _ = &mut second_turn => panic!("it is not its turn"),
        () = wait("the second turn waits", "ExclusiveLock", 1) => {}
    }
    let before = files(instance.pid());
    let leaving = join_all((0..LEAVING).map(|_| ask())).await;
    eventually("all have come", async || (files(instance.pid()) >= before + LEAVING).then_some(())).await;
    // and have asked, as whoever comes after them is answered
    let stranger = Browserless::new(format!("http://{}", instance.web));
    for _ in 0..20 {
        assert_eq!(stranger.get("/accounts/login/").await.status(), 200);
    }
    drop(leaving);
    eventually("all have left", async || (files(instance.pid()) < before + LEAVING / 10).then_some(())).await;
    let mut patient = ask().await;

    turns[0].batch_execute("select pg_advisory_unlock(77)").await.unwrap();
    second_turn.await.unwrap();
    wait("the next read waits", "ShareLock", 1).await;
    tokio::select! {
        _ = &mut third_turn => panic!("it is not its turn"),
        () = wait("the third turn waits", "ExclusiveLock", 1) => {}
    }
    turns[1].batch_execute("select pg_advisory_unlock(77)").await.unwrap();
    third_turn.await.unwrap();
    // while the reads wait again
    timeout(PATIENCE, patient.until("HTTP/1.1 200")).await.expect("whoever waits is in the next read").unwrap();
    drop((first, second));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_of_one_session_at_once_are_as_few_as_one_after_the_other() {
    const COME: usize = 1_000;
    /// What one session may have.
    const STAY: usize = 24;
    allow_files();
    let database = Database::new().await;
    sign_in(&database, 1).await;
    let instance = ready(&database).await;
    let streams = join_all((0..COME).map(|_| Stream::open(&instance, FIRST_REP))).await;
    let ends = streams.into_iter().map(|stream| async {
        let mut stream = stream.unwrap();
        stream.until("event: bye\ndata: {\"reason\":\"replaced\"}").await.unwrap();
    });
    let mut ends: FuturesUnordered<_> = ends.collect();
    let told = timeout(PATIENCE, (&mut ends).take(COME - STAY).count()).await;
    assert_eq!(told.expect("those that are too many are told so"), COME - STAY);
    eventually("the others stay", async || (instance.metric(OPEN).await == STAY as f64).then_some(())).await;
    let replaced = "oncare_live_streams_closed_total{role=\"sales_rep\",reason=\"replaced\"}";
    assert_eq!(instance.metric(replaced).await, (COME - STAY) as f64);
}

/// An address of this machine that packets do not reach any more. Needs the right to administer the network.
struct Unreachable(Ipv4Addr);

impl Unreachable {
    fn route(change: &str, address: Ipv4Addr) -> bool {
        let mut ip = std::process::Command::new("ip");
        let ip = ip.args(["route", change, "blackhole", &address.to_string(), "table", "local"]);
        ip.status().is_ok_and(|status| status.success())
    }

    fn make(address: Ipv4Addr) -> Self {
        assert!(Self::route("add", address), "whoever runs this may change routes, as root may, and has iproute2's ip");
        Self(address)
    }
}

impl Drop for Unreachable {
    fn drop(&mut self) {
        Self::route("del", self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the right to change routes: `make test` runs it for root, and says so for others"]
async fn who_vanishes_without_a_word_is_no_longer_counted() {
    const NOTICED: Duration = Duration::from_secs(30);
    // of no other run's
    let address = Ipv4Addr::new(127, 77, rand::random(), rand::random_range(1..255));
    let database = Database::new().await;
    sign_in(&database, 2).await;
    let instance = ready(&database).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let mut vanishing = Stream::request(socket.connect(instance.web).await.unwrap(), FIRST_REP).await.unwrap();
    let mut staying = Stream::open(&instance, FIRST_REP + 1).await.unwrap();
    vanishing.until("event: ping").await.unwrap();
    staying.until("event: ping").await.unwrap();
    assert_eq!(instance.metric(OPEN).await, 2.0);
    let _vanished = Unreachable::make(address);
    let began = Instant::now();
    while instance.metric(OPEN).await > 1.0 {
        assert!(began.elapsed() < NOTICED, "it is noticed in time");
        sleep(Duration::from_millis(100)).await;
    }
    println!("noticed after {:?}", began.elapsed());
    staying.until("event: ping").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_equals_the_open_sockets_after_any_mix_of_ends() {
    allow_files();
    let database = Database::new().await;
    sign_in(&database, 300).await;
    let instance = ready(&database).await;
    let mut random = rand::rng();
    let mut open: Vec<Stream> = Vec::new();
    for _ in 0..4 {
        let opened = join_all((0..300).map(|n| Stream::open(&instance, FIRST_REP + n))).await;
        for (n, stream) in opened.into_iter().enumerate() {
            let mut stream = stream.unwrap();
            // some go before they are answered
            if n % 3 > 0 {
                stream.until("event: sync").await.unwrap();
                open.push(stream);
            }
        }
        for _ in 0..open.len() / 2 {
            let stream = open.swap_remove(random.random_range(0..open.len()));
            if random.random_bool(0.5) {
                // ends with a reset
                stream.socket.set_zero_linger().unwrap();
            }
        }
    }
    let expected = open.len() as f64;
    eventually("the count is right", async || (instance.metric(OPEN).await == expected).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_pages_that_are_dropped_at_once_come_back() {
    const PAGES: i64 = 5_000;
    /// Where nothing else happens it takes two seconds.
    const ALL_BACK: Duration = Duration::from_secs(120);
    /// The pool, the listener and its canary.
    const MOST_CONNECTIONS: i64 = 10;
    /// Where nobody is in a storm it takes some milliseconds.
    const PATIENCE: Duration = Duration::from_secs(10);
    allow_files();
    let database = Database::new().await;
    sign_in(&database, PAGES).await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let mut instance = ready(&database).await;
    let retries = {
        let streams = join_all((0..PAGES).map(|n| come(&instance, n))).await;
        streams.into_iter().map(|(_, retry)| retry).collect::<HashSet<_>>()
    };
    assert!(retries.len() > 1_000, "the times to wait are spread: {}", retries.len());
    eventually("all have gone", async || (instance.metric(OPEN).await == 0.0).then_some(())).await;

    let mut streams = join_all((0..PAGES).map(|n| come(&instance, n))).await;
    instance.kill().await;
    join_all(streams.iter_mut().map(|(stream, _)| async { stream.until("never").await.unwrap_err() })).await;
    drop(streams);
    instance.start_again();
    eventually("it is ready again", async || instance.is_ready().await).await;
    let began = Instant::now();
    let client = database.client().await;
    let watch = async {
        let mut most = 0;
        while instance.metric(OPEN).await < PAGES as f64 {
            let sql = "select count(*) from pg_stat_activity
                where datname = current_database() and application_name like 'oncare-live%'";
            let row = client.query_one(sql, &[]).await.unwrap();
            most = most.max(row.get::<_, i64>(0));
            let asked = Instant::now();
            let ana = Browserless::new(format!("http://{}", instance.web));
            ana.sign_in("ana").await;
            ana.dashboard("").await;
            assert!(asked.elapsed() < PATIENCE, "logins and polls are answered meanwhile");
        }
        most
    };
    let come_back = join_all((0..PAGES).map(|n| come(&instance, n)));
    let all = async { tokio::join!(come_back, watch) };
    let (streams, most) = timeout(ALL_BACK, all).await.expect("all come back in time");
    println!("{} pages were back after {:?}; {most} connections to the database", streams.len(), began.elapsed());
    assert!(most <= MOST_CONNECTIONS, "{most} connections");
}

/// A page opens its stream, as often as it must. It comes with the time after which a browser is to try again.
async fn come(instance: &Instance, page: i64) -> (Stream, String) {
    let pause = rand::rng().random_range(0..1_000);
    loop {
        sleep(Duration::from_millis(pause)).await;
        let Ok(mut stream) = Stream::open(instance, FIRST_REP + page).await else { continue };
        let Ok(_) = stream.until("retry: ").await else { continue };
        let Ok(retry) = stream.until("\n").await else { continue };
        if stream.until("event: sync").await.is_ok() {
            return (stream, retry);
        }
    }
}
