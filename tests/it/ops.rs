//! What ops see: health, readiness with reasons, metrics that agree.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream, UnixDatagram};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::database::{Database, connect, temporary_folder};
use crate::harness::http::{Browserless, EVENTS, metric};
use crate::harness::instance::{Instance, free_address, program};
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let database = Database::empty().await;
    let service = Service::start_unready(&database.url, &[]).await;
    assert_eq!(service.get_ops("/healthz").await, (200, "ok\n".to_owned()));
    let (status, text) = service.get_ops("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        text.contains(
            "oncare_tables, live_tables, leaner_events, order_timeline, positions, fold_database, unreadable, fold_recording, live_functions, triggers, no_role, viewing, saved_view, accounts, arrival, tidied, sign_in, instances, event_version, list_index missing"
        ),
        "{text}"
    );
    assert!(text.contains("has none of the OnCare tables: public.accounts_user, "), "{text}");
    database.store().create_tables_and_migrate().await.unwrap();
    service.ready().await;
    assert_eq!(service.get_ops("/nothing").await.0, 404);
}

#[tokio::test]
async fn a_service_without_a_database_lives_says_so_and_recovers() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let away = database.take_away().await;
    eventually("the service is not ready", async || (service.get_ops("/readyz").await.0 == 503).then_some(())).await;
    assert_eq!(service.get_ops("/healthz").await.0, 200);
    let (status, json) = ana.json(crate::harness::http::API).await;
    assert_eq!(status, 503, "{json}");
    assert_eq!(json["error"], "the database is unavailable; try again in a moment");
    assert_eq!(service.metric("oncare_live_listener_live").await, 0.0);
    away.give_back().await;
    service.ready().await;
    ana.dashboard("").await;
}

/// A proxy then asks another instance, and does not wait for one that has yet to start.
#[tokio::test]
async fn pages_are_refused_until_they_are_served_and_ops_are_answered_before() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgresql://oncare@{}/oncare", silent.local_addr().unwrap());
    let while_it_starts = async || {
        let instance = Instance::start(&url);
        eventually("it says that it lives", async || {
            instance.ops("/healthz").await.filter(|(status, _)| *status == 200)
        })
        .await;
        let answered = TcpStream::connect(instance.web).await;
        let (status, readiness) = instance.ops("/readyz").await?;
        // on a busy machine all this may come too late
        readiness.contains("\"listener\":\"starting\"").then_some((instance, status, answered))
    };
    let (instance, status, answered) = eventually("it is seen while it starts", while_it_starts).await;
    assert_eq!((status, answered.err().map(|error| error.kind())), (503, Some(ErrorKind::ConnectionRefused)));
    eventually("it serves without a database", async || TcpStream::connect(instance.web).await.ok()).await;
}

fn metrics(text: &str) -> HashMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn what_fails_in_the_background_hinders_nothing_else_and_is_counted() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    database.sql("update live.order_event set at = now() - interval '1 year' where order_id = 1").await;
    database.store().fold().await.unwrap();
    database.sql("alter function live.deltas_since(pg_snapshot) rename to away").await;
    database.sql("update orders_order set status = 'shipped'").await;
    let service = Service::start_with(&database, &["--retention", "1h"]).await;
    eventually("the other steps go on", async || {
        let left = "select count(*) || ' ' || (select count(*) from live.order_timeline) from live.order_event";
        (database.value(left).await == "3 3").then_some(())
    })
    .await;
    let failures = |step: &str| format!("oncare_live_background_failures_total{{step=\"{step}\"}}");
    eventually("each failure is counted", async || (service.metric(&failures("fold")).await >= 2.0).then_some(()))
        .await;
    for step in ["timeline", "tidy", "prune", "progress"] {
        assert_eq!(service.metric(&failures(step)).await, 0.0, "{step}");
    }
    eventually("it is told how far behind that is", async || {
        (service.metric("oncare_live_background_behind_seconds{step=\"fold\"}").await > 0.0).then_some(())
    })
    .await;
    let folded = "select pg_snapshot_xmax(snapshot) from live.fold_position";
    let before = database.value(folded).await;
    database.sql("alter function live.away(pg_snapshot) rename to deltas_since").await;
    eventually("what failed goes on", async || (database.value(folded).await != before).then_some(())).await;
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn streams_opened_and_closed_always_agree_with_the_open_ones() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = ana.events().await;
        stream.wait_for("ping").await;
        streams.push(stream);
    }
    let _bens = ben.events().await;
    streams.truncate(3);
    ben.post("/accounts/logout/", &[]).await;
    let open = "oncare_live_streams_open{role=\"sales_rep\"}";
    eventually("three streams are left", async || {
        let (_, text) = service.get_ops("/metrics").await;
        let metrics = metrics(&text);
        let closed: f64 = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("oncare_live_streams_closed_total"))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(metrics["oncare_live_streams_opened_total{role=\"sales_rep\"}"] - closed, metrics[open], "{text}");
        (metrics[open] == 3.0).then_some(())
    })
    .await;
    let (_, text) = service.get_ops("/metrics").await;
    assert!(text.contains("# TYPE oncare_live_streams_opened_total counter"), "{text}");
    for (reason, count) in [("client_gone", 2.0), ("signed_out", 1.0)] {
        let name = format!("oncare_live_streams_closed_total{{role=\"sales_rep\",reason=\"{reason}\"}}");
        assert_eq!(service.metric(&name).await, count);
    }
    database.sql("update orders_order set status = 'confirmed'").await;
    for stream in &mut streams {
        stream.patch_of(1).await;
    }
    assert_eq!(service.metric("oncare_live_frames_sent_total").await, 3.0);
    assert_eq!(service.metric("oncare_live_event_age_seconds_count").await, 3.0);
    assert_eq!(service.metric("oncare_live_event_age_seconds_bucket{le=\"+Inf\"}").await, 3.0);
}

/// The service as a process, with what it writes to its log.
struct Process {
    web: String,
    ops: String,
    child: Child,
}

impl Process {
    fn start(database_url: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let [web, ops] = [free_address(), free_address()].map(|address| address.to_string());
        let mut command = Command::new(program());
        command
            .args(["serve", "--own-forms", "--log", "info", "--log-format", "json"])
            .env("DATABASE_URL", database_url);
        command.args(["--listen", &web, "--ops-listen", &ops]).stderr(Stdio::piped()).kill_on_drop(true);
        prepare(&mut command);
        Self { child: command.spawn().unwrap(), web: format!("http://{web}"), ops: format!("http://{ops}") }
    }

    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("{}{path}", self.ops)).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    async fn until_ready(&self) {
        eventually("it is ready", async || self.get("/readyz").await.filter(|(status, _)| *status == 200)).await;
    }

    async fn post(&self, path: &str, body: &'static str) -> (u16, String) {
        let answer = reqwest::Client::new().post(format!("{}{path}", self.ops)).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// SIGTERM.
    fn signal(&self) {
        let pid = Pid::from_raw(self.child.id().unwrap() as i32).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Whether it ended well, and the lines of its log.
    async fn ended(self) -> (bool, Vec<Value>) {
        let ended = timeout(PATIENCE, self.child.wait_with_output()).await.expect("it ends").unwrap();
        let lines = String::from_utf8(ended.stderr).unwrap();
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line} is JSON"));
        (ended.status.success(), lines.lines().map(line).collect())
    }
}

fn told<'a>(lines: &'a [Value], level: &'static str) -> Vec<&'a str> {
    let of_level = lines.iter().filter(move |line| line["level"] == level);
    of_level.map(|line| line["fields"]["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn ops_change_the_logs_levels_and_stop_it_and_it_says_no_more_than_it_must() {
    let database = Database::new().await;
    let process = Process::start(&database.url, |_| ());
    process.until_ready().await;
    let ana = Browserless::new(process.web.clone());
    ana.sign_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    assert_eq!(process.post("/log", "no=filter=at_all").await.0, 400);
    let (status, had) = process.post("/log", "error").await;
    assert_eq!((status, &*had), (200, r#"{"had":"info"}"#));
    ana.post("/accounts/logout/", &[]).await;
    ana.sign_in("ana").await;
    assert_eq!(process.post("/log", "info").await, (200, r#"{"had":"error"}"#.to_owned()));
    let _stream = ana.events().await;
    assert_eq!(process.post("/drain", "").await.0, 202);
    let (success, lines) = process.ended().await;
    assert!(success);
    assert_eq!((told(&lines, "WARN"), told(&lines, "ERROR")), (Vec::new(), Vec::new()), "a clean stop");
    let info = told(&lines, "INFO");
    assert_eq!(info.iter().filter(|message| **message == "login").count(), 1, "not while it was of errors: {info:?}");
    assert!(info.contains(&"stopping, as ops wanted"), "{info:?}");
}

#[tokio::test]
async fn an_outage_is_told_once_with_what_it_was_and_so_is_its_end() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let process = Process::start(&database.url, |_| ());
    process.until_ready().await;
    let away = database.take_away().await;
    eventually("it is not ready", async || process.get("/readyz").await.filter(|(status, _)| *status == 503)).await;
    // long enough for every task to have failed more than once
    let failures = "oncare_live_background_failures_total{step=\"fold\"}";
    eventually("all fail", async || {
        let (_, scrape) = process.get("/metrics").await?;
        (metric(&scrape, failures) >= 3.0).then_some(())
    })
    .await;
    let ana = Browserless::with_cookies(process.web.clone(), "oncare_live_session=token1");
    for _ in 0..5 {
        assert_eq!(ana.get("/orders/orders/").await.status(), 503);
    }
    away.give_back().await;
    process.until_ready().await;
    process.signal();
    let (_, lines) = process.ended().await;
    let warnings: Vec<&Value> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    assert!(!warnings.is_empty(), "{lines:?}");
    let mut causes = Vec::new();
    for warning in warnings {
        let told = &warning["fields"];
        assert_eq!(told["message"], "the listener can't read; it reconnects until it can", "{lines:?}");
        assert!(!causes.contains(&&told["error"]), "told twice: {lines:?}");
        causes.push(&told["error"]);
    }
    assert_eq!(told(&lines, "ERROR"), Vec::<&str>::new());
    let back = |message: &&str| message.starts_with("the listener is back after ");
    assert_eq!(told(&lines, "INFO").into_iter().filter(back).count(), 1, "{lines:?}");
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_told_of_with_what_helps() {
    let database = Database::empty().await;
    let process = Process::start(&database.url, |_| ());
    eventually("it is not ready", async || process.get("/readyz").await.filter(|(status, _)| *status == 503)).await;
    eventually("its page has the line", async || {
        let (_, status) = process.get("/status.json").await?;
        let status: Value = serde_json::from_str(&status).unwrap();
        let is_told = |line: &Value| {
            let text = line["text"].as_str().unwrap();
            text.starts_with("the listener can't read") && text.contains("remedy: run oncare-live migrate")
        };
        status["errors"].as_array().unwrap().iter().any(is_told).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_first_start_warns_of_nothing_and_a_missing_column_is_no_defect_of_the_program() {
    let database = Database::new().await;
    database.store().fold().await.unwrap();
    // as whoever follows the guide, after migrating
    database.sql("grant select on live.unreadable to public").await;
    let process = Process::start(&database.url, |_| ());
    process.until_ready().await;
    process.signal();
    let (_, lines) = process.ended().await;
    assert_eq!([told(&lines, "WARN"), told(&lines, "ERROR")].concat(), Vec::<&str>::new(), "{lines:?}");

    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    database.sql("alter table orders_order rename customer_name to name").await;
    let (status, json) = ana.json(crate::harness::http::API).await;
    assert_eq!((status, json["error"].as_str().unwrap_or_default().contains("its log says what to do")), (503, true));
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let id = |answer: &reqwest::Response| answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (one, other) = (ana.get("/orders/orders/").await, ana.get("/nowhere").await);
    assert!(id(&one).len() == 16 && id(&one) != id(&other));
    let given = ana.get_with("/orders/orders/", &[("x-request-id", "proxy-1.7")]).await;
    assert_eq!(id(&given), "proxy-1.7");
    assert_ne!(id(&ana.get_with("/nowhere", &[("x-request-id", "<b>")]).await), "<b>");
    let away = database.take_away().await;
    let failed = ana.get_with("/orders/orders/", &[("x-request-id", "find-me"), ("accept", "text/html")]).await;
    assert_eq!((failed.status().as_u16(), &*id(&failed)), (503, "find-me"));
    assert!(failed.text().await.unwrap().contains("<code>find-me</code>"));
    away.give_back().await;
}

#[tokio::test]
async fn the_ops_page_shows_how_things_are_and_ends_a_users_streams() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let (ana, rx) = (service.signed_in("ana").await, service.signed_in("rx").await);
    let mut streams = [ana.events().await, ana.events().await];
    let _rx = rx.events_of("/orders/api/pharmacist/events/", None).await;
    let status = async || -> Value { serde_json::from_str(&service.get_ops("/status.json").await.1).unwrap() };
    let seen = status().await;
    assert_eq!((&seen["live"], &seen["listener"], &seen["stopping"]), (&true.into(), &"live".into(), &false.into()));
    assert_eq!(seen["streams"]["most"], json!([{ "user": 1, "streams": 2 }, { "user": 3, "streams": 1 }]));
    assert_eq!((&seen["streams"]["open"], &seen["streams"]["pharmacists"]), (&3.into(), &1.0.into()));
    assert!(seen["history"][0]["pool"].as_f64().is_some() && seen["canary_seconds_ago"].as_f64().unwrap() < 60.0);
    let client = reqwest::Client::new();
    let base = format!("http://{}", service.ops);
    let mut told = client.get(format!("{base}/events")).send().await.unwrap();
    let first = told.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: status\ndata: {\"version\":"), "{first:?}");
    let page = client.get(&base).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let (_, findings) = service.get_ops("/findings.json").await;
    assert!(findings.contains(r#""verdict":"ok""#) && !findings.contains(r#""verdict":"problem""#), "{findings}");

    let asked = async |path: &str, header: &'static str, value: &str, body: &'static str| {
        let request = client.post(format!("{base}{path}")).header(header, value).body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for path in ["/drain", "/log", "/streams/end"] {
        assert_eq!(asked(path, "origin", "https://evil.example", "1").await.0, 403);
        assert_eq!(asked(path, "host", "evil.example", "1").await.0, 403);
        // as of an image, with which no Origin comes
        assert_eq!(asked(path, "sec-fetch-site", "cross-site", "1").await.0, 403);
    }
    assert_eq!(asked("/streams/end", "origin", &base, "ana").await.0, 400);
    // what is meant for another instance, to which a balancer did not lead
    for path in ["/drain", "/streams/end"] {
        assert_eq!(asked(path, "oncare-live-instance", "another", "1").await.0, 409);
    }
    let now = status().await;
    assert_eq!((&now["streams"]["open"], &now["stopping"]), (&json!(3), &json!(false)), "nothing was done");
    let this = now["instance"].as_str().unwrap();
    let ended = asked("/streams/end", "oncare-live-instance", this, "1").await;
    assert_eq!(ended, (200, r#"{"ended":2}"#.to_owned()));
    for stream in &mut streams {
        assert_eq!(stream.wait_for("bye").await.data["reason"], "draining");
    }
    eventually("they are gone", async || (status().await["streams"]["open"] == 1).then_some(())).await;
}

/// The same page where people sign in: for administrators alone, and it is said who did what.
#[tokio::test]
async fn administrators_have_the_page_where_they_are_signed_in() {
    let database = Database::new().await;
    let process = Process::start(&database.url, |_| ());
    process.until_ready().await;
    let [ana, boss] = ["ana", "boss"].map(|_| Browserless::new(process.web.clone()));
    ana.sign_in("ana").await;
    boss.sign_in("boss").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    let page = boss.get("/ops/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("require-trusted-types-for 'script'"), "as of every page: {policy}");
    let html = page.text().await.unwrap();
    for part in ["src=\"page.js\"", "href=\"icon.svg\"", "href=\"../\" hidden>Back to the orders<"] {
        assert!(html.contains(part), "what it loads is below it, and the orders are above: {part}");
    }
    assert_eq!(boss.get("/ops/icon.svg").await.headers()["content-type"], "image/svg+xml");
    assert!(boss.get("/orders/pharmacist/orders/").await.text().await.unwrap().contains("href=\"/ops/\""));
    assert!(!ana.get("/orders/orders/").await.text().await.unwrap().contains("href=\"/ops/\""));
    let mut told = boss.events_of("/ops/events", None).await;
    assert_eq!(told.wait_for("status").await.data["streams"]["open"], 1);

    let post = async |client: &Browserless, path: &str, origin: &str, body: &str| {
        client.ask(Method::POST, path, &[("origin", origin)], body).await.status().as_u16()
    };
    for path in ["/ops/streams/end", "/ops/drain"] {
        assert_eq!(post(&boss, path, "https://evil.example", "1").await, 403, "from another site");
        assert_eq!(post(&ana, path, &process.web, "1").await, 403);
        assert_eq!(post(&Browserless::new(process.web.clone()), path, &process.web, "1").await, 303, "to the login");
    }
    assert_eq!(post(&boss, "/ops/log", &process.web, "debug").await, 404, "is for the ops listener");
    assert_eq!(post(&boss, "/ops/streams/end", &process.web, "1").await, 200);
    assert_eq!(stream.wait_for("bye").await.data["reason"], "draining");

    database.sql("update accounts_user set role = 'sales_rep' where username = 'boss'").await;
    while told.next().await.is_some() {}
    assert_eq!(boss.get("/ops/status.json").await.status(), 403, "nor is anything else told any more");
    database.sql("update accounts_user set role = 'admin' where username = 'boss'").await;
    assert_eq!(post(&boss, "/ops/drain", &process.web, "").await, 202);
    let (success, lines) = process.ended().await;
    assert!(success);
    let done = lines.iter().filter(|line| line["fields"]["message"] == "administered");
    let done: Vec<_> = done.map(|line| [&line["fields"]["deed"], &line["fields"]["name"], &line["target"]]).collect();
    assert_eq!(done, [["end_streams", "boss", "security"], ["drain", "boss", "security"]]);
}

#[tokio::test]
async fn a_service_that_stops_says_so_before_it_ends_streams_and_takes_no_more_requests() {
    let database = Database::new().await;
    let mut service = Service::start_with(&database, &["--drain-notice", "8s"]).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    service.begin_to_stop();
    let (_, said) =
        eventually("it says so", async || Some(service.get_ops("/readyz").await).filter(|(status, _)| *status == 503))
            .await;
    assert!(said.contains(r#""listener":"stopping""#), "{said}");
    ana.dashboard("").await;
    let refused = ana.get(EVENTS).await;
    let (status, headers) = (refused.status().as_u16(), refused.headers());
    assert_eq!(
        (status, &headers["retry-after"], &headers["connection"]),
        (503, &"1".parse().unwrap(), &"close".parse().unwrap())
    );
    eventually("the other goes on", async || {
        (service.metric("oncare_live_streams_open{role=\"sales_rep\"}").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(stream.wait_for("bye").await.data["reason"], "draining");
    eventually("nobody is let in any more", async || {
        tokio::net::TcpStream::connect(service.web).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let database = Database::new().await;
    let process = Process::start(&database.url, |command| {
        command.args(["--drain-notice", "10min"]);
    });
    process.until_ready().await;
    process.signal();
    eventually("it is stopping", async || process.get("/readyz").await.filter(|(status, _)| *status == 503)).await;
    process.signal();
    let (success, lines) = process.ended().await;
    assert!(!success);
    assert_eq!(told(&lines, "WARN"), ["a second signal: stopping at once"]);
}

/// The service as systemd starts it, and what it says there.
#[tokio::test]
async fn a_service_manager_is_told_that_it_serves_lives_and_stops() {
    let database = Database::new().await;
    let folder = temporary_folder("oncare-live-manager");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    let service = Process::start(&database.url, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000").args(["--drain-for", "1min"]);
    });
    let until = async |what: &str| {
        let heard = async {
            let mut datagram = [0; 4_096];
            loop {
                let length = told.recv(&mut datagram).await.unwrap();
                if std::str::from_utf8(&datagram[..length]).unwrap().contains(what) {
                    return;
                }
            }
        };
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("it never said {what}"));
    };
    until("READY=1").await;
    until("STATUS=live, 0 streams\nWATCHDOG=1").await;
    until("WATCHDOG=1").await;
    service.signal();
    // else the manager would kill it in the midst of what it was told to take its time for
    until("STOPPING=1\nEXTEND_TIMEOUT_USEC=70000000").await;
    let (success, _) = service.ended().await;
    assert!(success);
    std::fs::remove_file(path).unwrap();
}

/// A disk of some megabytes, which goes with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Of the owner of a folder of the server's.
    fn new(server: &Path) -> Self {
        let folder = temporary_folder("oncare-live-disk");
        std::fs::create_dir_all(&folder).unwrap();
        let owner = std::fs::metadata(server).unwrap().uid();
        let options = format!("size=64m,mode=700,uid={owner}");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(&folder);
        assert!(mount.status().unwrap().success(), "a small disk is mounted");
        Self(folder)
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).unwrap();
        while std::io::Write::write(&mut file, &[0; 65_536]).is_ok() {}
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
#[ignore = "mounts a disk, which only root can"]
async fn a_service_whose_database_has_no_room_left_is_not_ready() {
    let database = Database::alone().await;
    let disk = SmallDisk::new(Path::new(&database.value("current_setting('data_directory')").await));
    let small = disk.0.display();
    let admin = connect(&database.url.replace(&database.name, "postgres")).await;
    admin.batch_execute(&format!("create tablespace small location '{small}'")).await.unwrap();
    eventually("the database is moved there", async || {
        admin.batch_execute(&format!("alter database {} set tablespace small", database.name)).await.ok()
    })
    .await;
    let process = Process::start(&database.url, |_| ());
    process.until_ready().await;
    disk.fill();
    let (_, said) =
        eventually("it is not ready", async || process.get("/readyz").await.filter(|(status, _)| *status == 503)).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said["disk"].as_str().unwrap().contains("No space left on device"), "{said}");
    assert_eq!((&said["database"], &said["listener"]), (&"ok".into(), &"ok".into()), "{said}");
    disk.clear();
    process.until_ready().await;
    process.signal();
    let (_, lines) = process.ended().await;
    assert_eq!(told(&lines, "ERROR"), ["not ready: the database server's disk takes nothing that is written"]);
    let back = |message: &&str| message.starts_with("the database server's disk takes what is written again after ");
    assert_eq!(told(&lines, "INFO").into_iter().filter(back).count(), 1, "{lines:?}");
}
