//! What clients may hold, and for how long: heads, bodies, answers, connections, streams, and the files that they all take.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, select_all};
use futures_util::stream::{self, StreamExt};
use reqwest::{Body, Client};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, sleep, timeout};

use crate::harness::crowd::{FIRST_REP, OPEN, Rounds, Stream, allow_files, files, ready_with, sign_in};
use crate::harness::database::{Database, PASSWORD};
use crate::harness::http::EVENTS;
use crate::harness::instance::Instance;
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

const LOGIN: &str = "/accounts/login/";
const EXPORT: &str = "/orders/orders/export.csv";

fn too_slow(what: &str) -> String {
    format!("oncare_live_clients_too_slow_total{{what=\"{what}\"}}")
}

fn refused(reason: &str) -> String {
    format!("oncare_live_connections_refused_total{{reason=\"{reason}\"}}")
}

fn closed(reason: &str) -> String {
    format!("oncare_live_streams_closed_total{{role=\"sales_rep\",reason=\"{reason}\"}}")
}

/// A connection from one of this machine's many addresses, whose kernel takes little of what nobody reads.
async fn connect(from: u8, to: SocketAddr) -> TcpStream {
    connect_taking(4_096, from, to).await
}

async fn connect_taking(unread: u32, from: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(unread).unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, from), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn asking(from: u8, to: SocketAddr, request: &[u8]) -> TcpStream {
    let mut socket = connect(from, to).await;
    socket.write_all(request).await.unwrap();
    socket
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes()
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let kind = "content-type: application/x-www-form-urlencoded\r\n";
    format!("POST {path} HTTP/1.1\r\nhost: x\r\n{kind}{headers}\r\n{body}").into_bytes()
}

/// What comes until the connection is closed, which it must be.
async fn until_closed(what: &str, socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // one that is closed while something is on its way ends with an error
    let ended = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "{what} holds its connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The head of an answer that is expected at once.
async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, socket.read_u8()).await.expect("it is answered").expect("it is answered"));
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

/// Over HTTP/2 alone, granting so few bytes of each answer as long as nobody reads it.
fn http2(window: u32) -> Client {
    Client::builder().http2_prior_knowledge().http2_initial_stream_window_size(window).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_half_a_request_or_none_is_not_waited_for() {
    let database = Database::new().await;
    let service = Service::start_with(&database, &["--client-patience", "1s"]).await;
    let cookie = format!("cookie: {}\r\n", service.signed_in("ana").await.cookies());
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let (web, ops) = (service.web, service.ops);
    let length = "content-length: 1000\r\n";
    let (late, any) = ("HTTP/1.1 408 ", "");
    let cases: Vec<(&str, SocketAddr, Vec<u8>, &str)> = vec![
        ("nothing", web, vec![], any),
        ("nothing for ops", ops, vec![], any),
        ("half a method", web, b"P".to_vec(), any),
        ("half a preface", web, settings[..16].to_vec(), any),
        ("a preface", web, settings[..24].to_vec(), any),
        ("an unused connection of HTTP/2", web, settings.to_vec(), any),
        ("half a head of HTTP/2", web, [&settings[..], b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat(), any),
        ("half a head", web, b"GET / HTTP/1.1\r\nhost: x\r\n".to_vec(), late),
        ("half a head for ops", ops, b"GET /healthz HTTP/1.1\r\n".to_vec(), late),
        ("half a second head", web, [get(LOGIN, ""), b"GET / ".to_vec()].concat(), "HTTP/1.1 200 "),
        ("an unused connection", web, get(LOGIN, ""), "HTTP/1.1 200 "),
        ("no body", web, post(LOGIN, length, ""), late),
        ("half a body", web, post(LOGIN, length, "username=ana&pass"), late),
        ("half a chunk", web, post(LOGIN, "transfer-encoding: chunked\r\n", "5\r\nuser"), late),
        (
            "half a form that is written to its end",
            web,
            post("/accounts/preferences/", &format!("{length}{cookie}"), "a"),
            late,
        ),
        ("a body nobody reads", web, get(LOGIN, length), "HTTP/1.1 200 "),
        ("a body of nobody", web, post("/accounts/preferences/", length, ""), any),
    ];
    join_all(cases.iter().map(async |(what, to, said, expected)| {
        let answer = until_closed(what, &mut asking(1, *to, said).await).await;
        assert!(answer.starts_with(expected), "{what}: {answer}");
    }))
    .await;
    // what comes bit by bit has no more time
    let bit_by_bit = async |what: &str, head: Vec<u8>| {
        let (mut reads, mut writes) = asking(1, web, &head).await.into_split();
        let dribble = async {
            while writes.write_all(b"a").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let mut answer = Vec::new();
        let ended = timeout(PATIENCE, async { tokio::join!(reads.read_to_end(&mut answer), dribble) }).await;
        assert!(ended.is_ok(), "{what} holds its connection");
    };
    tokio::join!(
        bit_by_bit("a head that dribbles", b"GET / HTTP/1.1\r\nhost: ".to_vec()),
        bit_by_bit("a body that dribbles", post(LOGIN, length, "")),
    );
    let client = http2(65_535);
    let endless = stream::once(async { Ok::<_, std::io::Error>("user") }).chain(stream::pending());
    let request = client.post(format!("{}{LOGIN}", service.base()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(Body::wrap_stream(endless));
    assert_eq!(timeout(PATIENCE, request.send()).await.expect("it is answered").unwrap().status(), 408);
    let again = client.get(format!("{}{LOGIN}", service.base())).send().await.unwrap();
    assert_eq!(again.status(), 200, "others on the connection do not mind");
    drop((client, again));
    eventually("nothing is left", async || (service.metric("oncare_live_connections_open").await == 0.0).then_some(()))
        .await;
    assert_eq!(service.metric(&too_slow("body")).await, 6.0);
}

/// Orders of ana's whose export is far more than kernels keep for a client.
#[tokio::test]
async fn who_is_answered_before_they_have_sent_all_is_told_that_the_connection_ends() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let client = reqwest::Client::new();
    for (length, status, ends) in [(30, 401, false), (300_000, 413, true), (30, 401, false)] {
        let form = client.post(format!("{}{LOGIN}", service.base())).header("accept", "application/json");
        let form = form.header("content-type", "application/x-www-form-urlencoded").body(vec![b'a'; length]);
        let answer = form.send().await.unwrap();
        let said = answer.headers().get("connection").is_some_and(|what| what == "close");
        assert_eq!((answer.status().as_u16(), said), (status, ends), "{length} bytes");
    }
}

async fn many_orders(database: &Database) {
    let orders: Vec<String> = (1..=6_000).map(|id| format!("({id}, 1, 'pending', 'paid', 1)")).collect();
    database.orders(&orders.join(", ")).await;
    database.sql(&format!("update orders_order set customer_name = '{}'", "C".repeat(100))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_ends_and_one_that_is_read_slowly_does_not() {
    let database = Database::new().await;
    many_orders(&database).await;
    let service = Service::start_with(&database, &["--client-patience", "1s"]).await;
    let ana = service.signed_in("ana").await;
    let cookie = format!("cookie: {}\r\n", ana.cookies());
    let whole = ana.get(EXPORT).await.bytes().await.unwrap().len();
    assert!(whole > 600_000, "{whole}");

    let mut unread = asking(1, service.web, &get(EXPORT, &cookie)).await;
    // somebody else's: one person has two exports at once
    let rx = service.signed_in("rx").await;
    let http2 = http2(1_000);
    let paths = ["/orders/pharmacist/orders/export.csv", "/orders/pharmacist/orders/", "/static/css/oncare.css"];
    let unread2 = join_all(paths.map(|path| {
        http2.get(format!("{}{path}", service.base())).header("cookie", rx.cookies()).send().map(Result::unwrap)
    }))
    .await;
    // last, as it must not wait for the others
    let mut slow = connect_taking(40_000, 1, service.web).await;
    slow.write_all(&get(EXPORT, &format!("{cookie}connection: close\r\n"))).await.unwrap();
    let reads_slowly = async {
        let (mut read, mut buffer, mut pause) = (0, vec![0; 20_000], interval(Duration::from_millis(50)));
        loop {
            pause.tick().await;
            match slow.read(&mut buffer).await.unwrap() {
                0 => return read,
                length => read += length,
            }
        }
    };
    let is_noticed = eventually("those that do not read are given up", async || {
        (service.metric(&too_slow("answer")).await >= 4.0).then_some(())
    });
    let (read, ()) = tokio::join!(reads_slowly, is_noticed);
    assert!(read > whole, "who reads slowly gets all: {read} of {whole}");
    let got = until_closed("an unread answer", &mut unread).await;
    assert!(got.starts_with("HTTP/1.1 200") && got.len() < whole, "the rest is not kept");
    for (path, response) in paths.iter().zip(unread2) {
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "{path} was reset");
    }
    assert_eq!(service.metric(&too_slow("answer")).await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_http2_that_is_not_read_ends_in_time_and_at_once_where_it_is_ended() {
    let database = Database::new().await;
    for (patience, reason) in [("1s", "client_gone"), ("10min", "signed_out")] {
        let service = Service::start_with(&database, &["--client-patience", patience]).await;
        let ana = service.signed_in("ana").await;
        let http2 = http2(16);
        let open = || http2.get(format!("{}{EVENTS}", service.base())).header("cookie", ana.cookies()).send();
        let stalled = open().await.unwrap();
        assert_eq!(stalled.status(), 200);
        if reason == "signed_out" {
            assert_eq!(service.metric(OPEN).await, 1.0);
            database.sql("delete from live.session").await;
        }
        eventually("it ends", async || (service.metric(OPEN).await == 0.0).then_some(())).await;
        assert_eq!(service.metric(&closed(reason)).await, 1.0, "{reason}");
        let expected = if reason == "client_gone" { 1.0 } else { 0.0 };
        assert_eq!(service.metric(&too_slow("answer")).await, expected, "{reason}");
        drop(stalled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_a_proxy_is_none() {
    const MOST: usize = 20;
    let database = Database::new().await;
    let arguments = ["--connections-per-address", "20", "--trusted-proxy", "127.0.0.9"];
    let service = Service::start_with(&database, &arguments).await;
    let web = service.web;
    let cookie = format!("cookie: {}\r\n", service.signed_in("ana").await.cookies());
    let open = async |count: usize| {
        eventually("they are counted", async || {
            (service.metric("oncare_live_connections_open").await == count as f64).then_some(())
        })
        .await;
    };
    open(0).await;
    let mut held = join_all((0..MOST).map(|_| connect(2, web))).await;
    open(MOST).await;
    let answer = until_closed("who is refused", &mut asking(2, web, &get(LOGIN, "")).await).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    assert!(head(&mut asking(3, web, &get(LOGIN, "")).await).await.starts_with("http/1.1 200"));
    held.pop();
    let comes_again = async || {
        let answer = until_closed("either", &mut asking(2, web, &get(LOGIN, "connection: close\r\n")).await).await;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    eventually("there is room again", comes_again).await;
    drop(held);
    open(0).await;

    let proxied =
        |path: &str, client: u8, more: &str| get(path, &format!("{more}x-forwarded-for: 198.51.100.{client}\r\n"));
    let stream = proxied(EVENTS, 1, &cookie);
    let mut streams = join_all((0..MOST).map(|_| asking(9, web, &stream))).await;
    for stream in &mut streams {
        assert!(head(stream).await.starts_with("http/1.1 200"));
    }
    let mut refused_one = asking(9, web, &proxied(LOGIN, 1, "")).await;
    assert!(head(&mut refused_one).await.starts_with("http/1.1 503"), "its client has what it may");
    for _ in 0..MOST {
        let mut other = asking(9, web, &proxied(LOGIN, 2, "")).await;
        assert!(head(&mut other).await.starts_with("http/1.1 200"), "others have nothing yet");
    }
    streams.clear();
    eventually("there is room again", async || {
        let mut again = asking(9, web, &proxied(LOGIN, 1, "")).await;
        head(&mut again).await.starts_with("http/1.1 200").then_some(())
    })
    .await;
    assert!(service.metric(&refused("address")).await >= 2.0);
    assert_eq!(service.metric(&refused("all")).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_leave_connections_for_whoever_signs_in_and_all_have_an_end() {
    /// Of 40 a quarter is for others.
    const STREAMS: usize = 30;
    let database = Database::new().await;
    sign_in(&database, 40).await;
    let instance = ready_with(&database, &["--max-connections", "40"]).await;
    let mut streams: Vec<Stream> = Vec::new();
    for rep in FIRST_REP..FIRST_REP + STREAMS as i64 {
        streams.push(Stream::open(&instance, rep).await.unwrap());
    }
    join_all(streams.iter_mut().map(|stream| async { stream.until("event: sync").await.unwrap() })).await;
    let mut refused_one = Stream::open(&instance, FIRST_REP + STREAMS as i64).await.unwrap();
    let answer = head(&mut refused_one.socket).await;
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: "), "{answer}");
    drop(refused_one);
    let page = get(LOGIN, "");
    assert!(head(&mut asking(1, instance.web, &page).await).await.starts_with("http/1.1 200"));
    let mut held = Vec::new();
    eventually("those that say nothing make room for others", async || {
        held.push(connect(1, instance.web).await);
        (instance.metric(&refused("displaced")).await > 0.0).then_some(())
    })
    .await;
    // one that is closed after its answer, where there are so many
    assert!(head(&mut asking(2, instance.web, &page).await).await.starts_with("http/1.1 200"));
    let all = async || (instance.metric("oncare_live_connections_open").await == 39.0).then_some(());
    eventually("all others stay", all).await;
    assert_eq!(instance.metric(OPEN).await, STREAMS as f64);
    drop(held);
    eventually("there is room again", async || {
        let mut again = asking(1, instance.web, &get(LOGIN, "connection: close\r\n")).await;
        until_closed("either", &mut again).await.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

/// Opens what a flood opens: some of it is closed at once.
async fn begin(from: u8, to: SocketAddr, request: &[u8]) -> TcpStream {
    let mut socket = connect(from, to).await;
    let _ = socket.write_all(request).await;
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_makes_room_for_whoever_comes_and_no_stream_nor_answer_does() {
    const ALL: usize = 60;
    const STREAMS: i64 = 10;
    let database = Database::new().await;
    sign_in(&database, STREAMS).await;
    database.orders(&format!("(1, {FIRST_REP}, 'pending', 'paid', 1)")).await;
    database.sql(&format!("update live.session set user_id = {FIRST_REP}")).await;
    let arguments = ["--max-connections", "60", "--connections-per-address", "15", "--client-patience", "10min"];
    let instance = ready_with(&database, &arguments).await;
    let web = instance.web;
    let mut readers = Vec::new();
    for rep in FIRST_REP..FIRST_REP + STREAMS {
        let mut reader = Stream::open(&instance, rep).await.unwrap();
        // what changes from now on is told as a change
        reader.until("event: sync").await.unwrap();
        readers.push(reader);
    }
    let mut rounds = Rounds { database: &database, told: 0 };
    rounds.tell(FIRST_REP, &mut readers).await;

    // one whose answer waits for somebody else
    let locked = database.client().await;
    locked.batch_execute("begin; lock table live.saved_view in access exclusive mode").await.unwrap();
    let cookie = format!("cookie: oncare_live_session={FIRST_REP:064x}\r\n");
    let mut answered = asking(2, web, &get("/orders/orders/", &cookie)).await;
    let waits = "select count(*) from pg_locks where not granted and relation = 'live.saved_view'::regclass";
    eventually("it waits", async || (database.value(waits).await != "0").then_some(())).await;

    let kept_alive = get(LOGIN, "");
    let whole_of_http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let half = [
        b"GET / HTTP/1.1\r\nhost: ".to_vec(),
        post(LOGIN, "content-length: 1000\r\n", "user"),
        kept_alive,
        whole_of_http2,
    ];
    let flood = (1..=5).map(|from| {
        let half = half.clone();
        tokio::spawn(async move {
            // more than one address may have, the newest of which stay
            let mut held = VecDeque::new();
            for n in 0.. {
                held.push_back(begin(from, web, &half[n % half.len()]).await);
                if held.len() > 20 {
                    held.pop_front();
                }
                sleep(Duration::from_millis(5)).await;
            }
        })
    });
    let flood: Vec<_> = flood.collect();
    eventually("there is no room", async || {
        let (displaced, all) = (instance.metric(&refused("displaced")).await, instance.metric(&refused("all")).await);
        (displaced + all > 50.0).then_some(())
    })
    .await;
    let body = format!("username=ana&password={PASSWORD}");
    let length = format!("content-length: {}\r\nconnection: close\r\n", body.len());
    let login = post(LOGIN, &length, &body.replace(' ', "+"));
    let began = Instant::now();
    for _ in 0..20 {
        let head = head(&mut asking(77, web, &login).await).await;
        assert!(head.starts_with("http/1.1 303"), "{head}");
    }
    println!("20 logins beside a flood took {:?}", began.elapsed());
    assert!(flood.iter().all(|flood| !flood.is_finished()), "it goes on");
    assert!(instance.metric("oncare_live_connections_open").await > ALL as f64 - 10.0, "it holds what there is");

    locked.batch_execute("commit").await.unwrap();
    assert!(head(&mut answered).await.starts_with("http/1.1 200"));
    rounds.tell(FIRST_REP, &mut readers).await;
    assert_eq!(instance.metric(OPEN).await, STREAMS as f64);
    flood.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_an_address_have_so_many_streams_however_fast_they_come() {
    let database = Database::new().await;
    sign_in(&database, 20).await;
    // half of them are sessions of one user
    database.sql(&format!("update live.session set user_id = {FIRST_REP} where user_id < {}", FIRST_REP + 10)).await;
    for (arguments, first, sessions, stay) in [
        (["--streams-per-user", "30"], FIRST_REP, 10, 30.0),
        (["--connections-per-address", "40"], FIRST_REP + 10, 10, 40.0),
    ] {
        let service = Service::start_with(&database, &arguments).await;
        // each of them on one connection of HTTP/2
        let clients: Vec<Client> = (0..sessions).map(|_| http2(65_535)).collect();
        let opened = join_all((0..20 * sessions).map(|n| {
            let session = n % sessions;
            let cookie = format!("oncare_live_session={:064x}", first + session);
            clients[session as usize].get(format!("{}{EVENTS}", service.base())).header("cookie", cookie).send()
        }))
        .await;
        assert!(opened.iter().all(|stream| stream.as_ref().is_ok_and(|response| response.status() == 200)));
        eventually("the newest stay", async || (service.metric(OPEN).await == stay).then_some(())).await;
        let replaced = 20.0 * sessions as f64 - stay;
        assert_eq!(service.metric(&closed("replaced")).await, replaced, "{arguments:?}");
        // the end of one that was replaced
        let ends = opened.into_iter().map(|response| response.unwrap().text().boxed());
        let (told, ..) = timeout(PATIENCE, select_all(ends)).await.unwrap();
        assert!(told.unwrap().contains("event: bye\ndata: {\"reason\":\"replaced\"}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_live_on_where_there_is_no_file_left() {
    const FILES: u32 = 400;
    const STREAMS: i64 = 40;
    allow_files();
    let database = Database::new().await;
    sign_in(&database, STREAMS).await;
    database.orders(&format!("(1, {FIRST_REP}, 'pending', 'paid', 1)")).await;
    // many streams of one rep, who gets the news
    database.sql(&format!("update live.session set user_id = {FIRST_REP}")).await;
    let instance = Instance::start_with_arguments(&database.url, &[], Some(FILES));
    eventually("the service is ready", async || instance.is_ready().await).await;
    let opened = join_all((0..STREAMS).map(|n| Stream::open(&instance, FIRST_REP + n))).await;
    let mut readers: Vec<Stream> = opened.into_iter().map(Result::unwrap).collect();
    join_all(readers.iter_mut().map(|reader| async { reader.until("event: ping").await.unwrap() })).await;
    let mut rounds = Rounds { database: &database, told: 0 };
    rounds.tell(FIRST_REP, &mut readers).await;

    let ops_answer = async || {
        assert_eq!(instance.ops("/healthz").await.expect("it is answered").0, 200);
        assert_eq!(instance.ops("/readyz").await.expect("it is answered").0, 200);
    };
    let half = post(LOGIN, "content-length: 1000\r\n", "");
    let flood = join_all((0..2 * FILES).map(|n| begin(n as u8 % 200 + 1, instance.web, &half))).await;
    eventually("many are closed", async || (instance.metric(&refused("displaced")).await > 100.0).then_some(())).await;
    rounds.tell(FIRST_REP, &mut readers).await;
    ops_answer().await;
    let used = files(instance.pid());
    assert!(used < FILES as usize - 40, "some files are left for the database, ops and others: {used} of {FILES}");
    drop(flood);

    // and where there is really none
    let pid = Pid::from_raw(instance.pid() as i32);
    let limit = |files: u64| {
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(files), maximum: Some(FILES.into()) }).unwrap();
    };
    eventually("they have gone", async || (files(instance.pid()) < 150).then_some(())).await;
    limit(STREAMS as u64);
    let unheard = join_all((0..50).map(|_| asking(1, instance.web, &half))).await;
    rounds.tell(FIRST_REP, &mut readers).await;
    assert!(instance.ops("/healthz").await.is_none(), "there is no file to answer with");
    rounds.tell(FIRST_REP, &mut readers).await;
    drop(unheard);
    limit(FILES.into());
    eventually("it answers again", async || instance.is_ready().await).await;
    ops_answer().await;
    assert!(head(&mut asking(1, instance.web, &get(LOGIN, "")).await).await.starts_with("http/1.1 200"));
    assert_eq!(instance.metric(OPEN).await, STREAMS as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_are_as_fast_beside_slow_clients_floods_and_storms_of_logins() {
    const READERS: i64 = 1_000;
    const OTHER: i64 = FIRST_REP + 51;
    const ROUNDS: usize = 8;
    const HELD_UP: Duration = Duration::from_millis(120);
    allow_files();
    let database = Database::new().await;
    sign_in(&database, 52).await;
    many_orders(&database).await;
    database.sql(&format!("update orders_order set sales_rep_id = {OTHER}; delete from live.order_event")).await;
    let own: Vec<String> =
        (1..=40).map(|id| format!("({}, {FIRST_REP}, 'delivered', 'paid', 1)", 10_000 + id)).collect();
    database.orders(&own.join(", ")).await;
    database.sql(&format!("update live.session set user_id = {FIRST_REP} where user_id <> {OTHER}")).await;
    let instance = ready_with(&database, &["--streams-per-user", "2000", "--client-patience", "2s"]).await;
    let opened = join_all((0..READERS).map(|n| Stream::open(&instance, FIRST_REP + n / 20))).await;
    let mut readers: Vec<Stream> = opened.into_iter().map(Result::unwrap).collect();
    join_all(readers.iter_mut().map(|reader| async { reader.until("event: sync").await.unwrap() })).await;
    let mut rounds = Rounds { database: &database, told: 0 };
    rounds.tell(FIRST_REP, &mut readers).await;

    let web = instance.web;
    let half = [post(LOGIN, "content-length: 1000\r\n", ""), b"GET / HTTP/1.1\r\nhost: ".to_vec()];
    let unread = get(EXPORT, &format!("cookie: oncare_live_session={OTHER:064x}\r\n"));
    let body = format!("username=ana&password={PASSWORD}x");
    let login = post(LOGIN, &format!("content-length: {}\r\n", body.len()), &body);
    let half_sent = async move {
        loop {
            let mut sockets = join_all((0..300).map(|n| asking(2, web, &half[n % 2]))).await;
            join_all(sockets.iter_mut().map(|socket| until_closed("half a request", socket))).await;
        }
    };
    let not_read = async move {
        loop {
            let sockets = join_all((0..20).map(|_| asking(3, web, &unread))).await;
            sleep(Duration::from_secs(3)).await;
            drop(sockets);
        }
    };
    let flood = async move {
        loop {
            drop(join_all((0..50).map(|_| connect(4, web))).await);
            sleep(Duration::from_millis(20)).await;
        }
    };
    let logins = async move {
        loop {
            let sockets = join_all((0..10).map(|_| asking(5, web, &login))).await;
            sleep(Duration::from_millis(20)).await;
            drop(sockets);
        }
    };
    let abuses: [(&str, BoxFuture<'_, ()>); 4] = [
        ("half-sent requests", half_sent.boxed()),
        ("unread answers", not_read.boxed()),
        ("connections", flood.boxed()),
        ("logins", logins.boxed()),
    ];
    for (what, abuse) in abuses {
        let quiet = rounds.spread(FIRST_REP, &mut readers, ROUNDS).await;
        let abuse = tokio::spawn(abuse);
        let beside = rounds.spread(FIRST_REP, &mut readers, ROUNDS).await;
        assert!(!abuse.is_finished(), "it goes on");
        abuse.abort();
        println!("last of {READERS} receivers beside {what}: {beside:?} (at best, at worst), quiet {quiet:?}");
        // what holds everybody up does so in every round, and a busy machine in some of them
        assert!(beside.0 < quiet.0 * 3 / 2 + HELD_UP, "{what}: {beside:?} beside {quiet:?}");
        assert!(beside.1 < quiet.1 * 10 + Duration::from_secs(1), "{what}: {beside:?} beside {quiet:?}");
    }
    assert_eq!(instance.metric(OPEN).await, READERS as f64, "all are there");
}
