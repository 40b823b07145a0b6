//! Beside a Django that signs people on: its sessions are believed as it believes them, and its pages stay where they are.

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, Mac};
use oncare_live::config::{self, Command};
use oncare_live::sign_on_check;
use oncare_live::store::{DatabaseUrl, Verdict, session_grant};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as Process};

use crate::harness::browser::Browser;
use crate::harness::database::{Database, temporary_folder};
use crate::harness::http::{API, Browserless, EVENTS};
use crate::harness::instance;
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

pub const KEY: &str = "django-insecure-key-of-the-tests-(#1)";
const OLD_KEY: &str = "django-insecure-key-of-last-year-(#2)";
const OTHER_KEY: &str = "django-insecure-key-of-another-site";

fn hash(salt: &str, value: &str, key: &str) -> Vec<u8> {
    let derived = Sha256::new().chain_update(salt).chain_update(key).finalize();
    Hmac::<Sha256>::new_from_slice(&derived).unwrap().chain_update(value).finalize().into_bytes().to_vec()
}

/// A session's data as Django signs it; `tests/vectors` holds the scheme against real ones.
pub fn signed(data: &[u8], key: &str) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    let signed = format!(".{}:1rQ0Xk", BASE64_URL_SAFE_NO_PAD.encode(encoder.finish().unwrap()));
    let signature = hash("django.contrib.sessions.SessionStoresigner", &signed, key);
    format!("{signed}:{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The data of somebody who signed in while that was the key.
pub fn of_user(id: i64, password: &str, key: &str) -> Vec<u8> {
    let salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";
    let password_hash: String = hash(salt, password, key).iter().map(|byte| format!("{byte:02x}")).collect();
    let data = json!({
        "_auth_user_id": id.to_string(),
        "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
        "_auth_user_hash": password_hash,
    });
    data.to_string().into_bytes()
}

/// A key as Django makes them.
pub fn session_key(name: &str) -> String {
    format!("{name:0<32}")
}

/// A database of Django's: with its sessions.
pub struct Host {
    pub database: Database,
    folder: PathBuf,
}

impl Host {
    pub async fn new() -> Self {
        let database = Database::new().await;
        database
            .sql(
                "create table django_session (session_key varchar(40) primary key, session_data text not null,
                     expire_date timestamptz not null);
                 create index on django_session (session_key varchar_pattern_ops);
                 create index on django_session (expire_date)",
            )
            .await;
        let folder = temporary_folder("oncare-live-django").join(&database.name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { database, folder }
    }

    /// The path of a file with that in it.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn key_file(&self) -> String {
        self.file("key", &format!("{KEY}\n"))
    }

    async fn service(&self, arguments: &[&str]) -> Service {
        let key = self.key_file();
        Service::start_with(&self.database, &[&["--django-secret-key-file", &key], arguments].concat()).await
    }

    pub async fn row(&self, name: &str, data: &str) {
        self.row_until(name, data, "now() + interval '1 day'").await;
    }

    async fn row_until(&self, name: &str, data: &str, expiry: &str) {
        let key = session_key(name);
        self.database.sql(&format!("insert into django_session values ('{key}', '{data}', {expiry})")).await;
    }

    pub async fn password(&self, id: i64) -> String {
        self.database.value(&format!("select password from accounts_user where id = {id}")).await
    }

    /// Signs somebody in, and gives a client with their cookie.
    async fn signed_in(&self, service: &Service, id: i64, name: &str) -> Browserless {
        let password = self.password(id).await;
        self.row(name, &signed(&of_user(id, &password, KEY), KEY)).await;
        client(service, name)
    }
}

fn client(service: &Service, name: &str) -> Browserless {
    Browserless::with_cookies(service.base(), &format!("csrftoken=x; sessionid={}", session_key(name)))
}

fn location(response: &reqwest::Response) -> &str {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap()
}

#[tokio::test]
async fn who_is_signed_in_at_the_host_is_signed_in_here() {
    let host = Host::new().await;
    host.database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = host.service(&[]).await;
    let ana = host.signed_in(&service, 1, "ana").await;
    for api in [API.to_owned(), format!("/live{API}")] {
        assert_eq!(ana.json(&api).await.1["orders"][0]["id"], 1, "{api}");
    }
    for events in [EVENTS.to_owned(), format!("/live{EVENTS}")] {
        ana.events_of(&events, None).await.wait_for("sync").await;
    }
    let html = ana.get("/live/orders/orders/").await.text().await.unwrap();
    assert!(html.contains("ana Tester") && html.contains("data-orders=\"/live/orders/orders/\""), "{html}");
    assert!(html.contains("href=\"/orders/\">Sign out at the shop"), "people sign out at the host");
    let addresses = html.split("=\"/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let elsewhere: Vec<&str> = addresses.filter(|path| !path.is_empty() && !path.starts_with("live/")).collect();
    assert_eq!(elsewhere, ["orders/"]);
    assert_eq!(location(&ana.get("/live/").await), "/live/orders/orders/");
    assert_eq!(location(&ana.get("/live").await), "/live/");
    // the host's own pages are not here
    for path in ["/", "/orders/orders/", "/accounts/login/", "/orders/pharmacist/orders/"] {
        assert_eq!(ana.get(path).await.status(), 404, "{path}");
    }
    let rx = host.signed_in(&service, 3, "rx").await;
    assert_eq!(location(&rx.get("/live/").await), "/live/orders/pharmacist/dashboard/");
    let odd = host.signed_in(&service, 6, "odd").await;
    assert_eq!(odd.get("/live/orders/orders/").await.status(), 403);
}

#[tokio::test]
async fn nothing_is_written_to_the_hosts_sessions() {
    let host = Host::new().await;
    let service = host.service(&[]).await;
    let ana = host.signed_in(&service, 1, "ana").await;
    let state = "select array_agg((xmin, ctid, s)::text)::text from django_session s";
    let before = host.database.value(state).await;
    let mut stream = ana.events().await;
    ana.get("/live/orders/orders/").await;
    assert_eq!(location(&ana.post("/live/accounts/logout/", &[]).await), "/orders/");
    assert_eq!(
        location(&ana.post("/live/accounts/login/", &[("username", "ben")]).await),
        "/accounts/login/?next=%2Flive%2F"
    );
    stream.wait_for("ping").await;
    assert_eq!(ana.json(API).await.0, 200);
    assert_eq!(host.database.value(state).await, before);
    assert_eq!(host.database.value("select count(*) from live.session").await, "0");
}

#[tokio::test]
async fn whatever_ends_a_session_at_the_host_ends_its_streams() {
    let host = Host::new().await;
    let service = host.service(&[]).await;
    let rotated = signed(&of_user(1, &host.password(1).await, OTHER_KEY), OTHER_KEY);
    let of_ana = session_key("ana");
    for (ending, statement) in [
        ("signing out", "delete from django_session".to_owned()),
        ("expiry", "update django_session set expire_date = now()".to_owned()),
        ("deactivation", "update accounts_user set is_active = false where id = 1".to_owned()),
        ("another password", "update accounts_user set password = password || 'x' where id = 1".to_owned()),
        ("another role", "update accounts_user set role = 'auditor' where id = 1".to_owned()),
        ("another key", format!("update django_session set session_data = '{rotated}' where session_key = '{of_ana}'")),
    ] {
        let before = host.database.value("select array[password, role] from accounts_user where id = 1").await;
        let ana = host.signed_in(&service, 1, "ana").await;
        let ben = host.signed_in(&service, 2, "ben").await;
        let (mut stream, mut bens) = (ana.events().await, ben.events().await);
        stream.wait_for("ping").await;
        host.database.sql(&statement).await;
        // pings would go on for ever
        let bye = tokio::time::timeout(PATIENCE, stream.wait_for("bye")).await;
        let bye = bye.unwrap_or_else(|_| panic!("{ending} ends no stream"));
        assert_eq!(bye.data, json!({"reason": "signed_out"}), "{ending}");
        assert!([401, 403].contains(&ana.json(API).await.0), "{ending}");
        if !["signing out", "expiry"].contains(&ending) {
            bens.wait_for("ping").await;
        }
        host.database
            .sql(&format!(
                "delete from django_session;
                 update accounts_user set is_active = true, password = (array{b})[1], role = (array{b})[2] where id = 1",
                b = before.replace('{', "['").replace('}', "']").replace(',', "','")
            ))
            .await;
    }
}

#[tokio::test]
async fn a_session_that_the_host_would_not_believe_is_not_believed() {
    let host = Host::new().await;
    let fallbacks = host.file("fallbacks", &format!("{OLD_KEY}\n"));
    let service = host.service(&["--django-secret-key-fallbacks-file", &fallbacks]).await;
    let password = host.password(1).await;
    let right = signed(&of_user(1, &password, KEY), KEY);
    host.row("right", &right).await;
    host.row("former", &signed(&of_user(1, &password, OLD_KEY), OLD_KEY)).await;
    host.row("mixed", &signed(&of_user(1, &password, OLD_KEY), KEY)).await;
    host.row_until("expired", &right, "now()").await;
    host.row("foreign", &signed(&of_user(1, &password, OTHER_KEY), OTHER_KEY)).await;
    host.row("tampered", &right.replacen('.', ".A", 1)).await;
    host.row("forgotten", &signed(&of_user(1, &password, OTHER_KEY), KEY)).await;
    host.row("inactive", &signed(&of_user(5, &host.password(5).await, KEY), KEY)).await;
    host.row("nobody", &signed(b"{}", KEY)).await;
    host.row("gone", &signed(&of_user(99, &password, KEY), KEY)).await;
    host.row("pickle", &signed(b"\x80\x04\x95\x10", KEY)).await;
    host.row("huge", &signed(&vec![b' '; 8_000_000], KEY)).await;
    host.row("long", &"A".repeat(100_000)).await;
    // asked for at once, so that some share a read
    let cases = [
        ("right", 200),
        ("former", 200),
        ("mixed", 200),
        ("expired", 401),
        ("foreign", 401),
        ("tampered", 401),
        ("forgotten", 401),
        ("inactive", 401),
        ("nobody", 401),
        ("gone", 401),
        ("pickle", 401),
        ("huge", 401),
        ("long", 401),
        ("absent", 401),
    ];
    let answers = cases.map(|(name, expected)| {
        let client = client(&service, name);
        async move { (name, expected, client.get(API).await.status()) }
    });
    for (name, expected, status) in futures_util::future::join_all(answers).await {
        assert_eq!(status, expected, "{name}");
    }
    let right = session_key("right");
    for (cookies, expected) in [
        (format!("sessionid=\"{right}\""), 200),
        (format!("sessionid={right}; sessionid={right}"), 401),
        (format!("sessionid={}; sessionid={right}", session_key("absent")), 401),
        (format!("sessionid={right}; sessionid={}", session_key("absent")), 401),
        (format!("sessionid={right}0"), 401),
        ("sessionid=".to_owned(), 401),
        (format!("sessionid={}%00", &right[..31]), 401),
        (format!("oncare_live_session={right}"), 401),
    ] {
        let client = Browserless::with_cookies(service.base(), &cookies);
        assert_eq!(client.get(API).await.status(), expected, "{cookies}");
        assert_eq!(client.get(EVENTS).await.status(), expected, "{cookies}");
    }
}

#[tokio::test]
async fn a_session_of_our_own_is_none_where_the_host_signs_people_on() {
    let host = Host::new().await;
    let own = Service::start(&host.database).await;
    let response = own.anonymous().try_sign_in("ana", crate::harness::database::PASSWORD).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = cookie.split_once('=').unwrap().1;
    assert_eq!(Browserless::with_cookies(own.base(), &cookie).get(API).await.status(), 200);
    // neither is a session of the host's one where it does not
    let ana = host.signed_in(&own, 1, "ana").await;
    assert_eq!(ana.get(API).await.status(), 401);

    let service = host.service(&["--django-session-cookie", "shop_session"]).await;
    for cookies in [cookie.clone(), format!("shop_session={token}"), format!("sessionid={}", session_key("ana"))] {
        assert_eq!(Browserless::with_cookies(service.base(), &cookies).get(API).await.status(), 401, "{cookies}");
    }
    let renamed = Browserless::with_cookies(service.base(), &format!("shop_session={}", session_key("ana")));
    assert_eq!(renamed.get(API).await.status(), 200);
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_the_host_and_back() {
    let host = Host::new().await;
    let service = host.service(&["--host-login-path", "/login/"]).await;
    let nobody = service.anonymous();
    assert_eq!(nobody.get(API).await.status(), 401);
    assert_eq!(nobody.get(&format!("/live{EVENTS}")).await.status(), 401);
    let page = "/live/orders/orders/?status=pending";
    let led = nobody.get(page).await;
    assert_eq!(location(&led), "/login/?next=%2Flive%2Forders%2Forders%2F%3Fstatus%3Dpending");
    let kept = led.headers()["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["Path=/live/;", "HttpOnly", "SameSite=Lax", "Max-Age=600"] {
        assert!(format!("{kept};").contains(attribute), "{kept}");
    }
    let kept = kept.split(';').next().unwrap();
    assert_eq!(
        location(&nobody.get("/live/accounts/login/?next=/live/orders/orders/").await),
        "/login/?next=%2Flive%2Forders%2Forders%2F"
    );
    assert_eq!(location(&nobody.get("/live/accounts/login/?next=//evil/").await), "/login/?next=%2Flive%2F");
    let referer = format!("{}/live/orders/orders/5/", service.base());
    let sent = nobody.post_with("/live/orders/orders/5/status/", &[("referer", &referer)]).await;
    assert_eq!(location(&sent), "/login/?next=%2Flive%2Forders%2Forders%2F5%2F");

    // a host that does not lead on leaves people to our first page, which does
    host.signed_in(&service, 1, "ana").await;
    let cookies = format!("sessionid={}; {kept}", session_key("ana"));
    let ana = Browserless::with_cookies(service.base(), &cookies);
    let back = ana.get("/live/").await;
    assert_eq!(location(&back), page);
    let forgotten = |response: &reqwest::Response| {
        let cookie = response.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        cookie.is_some_and(|cookie| cookie.starts_with("oncare_live_next=;") && cookie.contains("Max-Age=0"))
    };
    assert!(forgotten(&back));
    // whom it did lead on is not led there once more
    assert!(forgotten(&ana.get(page).await));
    assert!(!forgotten(&client(&service, "ana").get(page).await));
    assert_eq!(
        location(&ana.get("/live/accounts/login/?next=/live/accounts/preferences/").await),
        "/live/accounts/preferences/"
    );

    // a host that takes somebody for signed in whom we don't would send them back for ever
    let stranger = Browserless::with_cookies(service.base(), &format!("sessionid={}; {kept}", session_key("absent")));
    let told = stranger.get(page).await;
    assert_eq!(told.status(), 401);
    let html = told.text().await.unwrap();
    assert!(html.contains("sign out there and in again") && html.contains("href=\"/login/?next="), "{html}");
    assert_eq!(stranger.get("/live/orders/orders/7/").await.status(), 303, "another page leads there");
}

#[tokio::test]
async fn pages_may_have_a_prefix_where_people_sign_in_here() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start_with(&database, &["--prefix", "/a/live_1/"]).await;
    let nobody = service.anonymous();
    assert_eq!(
        location(&nobody.get("/a/live_1/orders/orders/").await),
        "/a/live_1/accounts/login/?next=%2Fa%2Flive_1%2Forders%2Forders%2F"
    );
    let fields = [("username", "ana"), ("password", crate::harness::database::PASSWORD)];
    let response = nobody.post("/a/live_1/accounts/login/", &fields).await;
    assert_eq!(location(&response), "/a/live_1/");
    assert!(response.headers()["set-cookie"].to_str().unwrap().contains("Path=/a/live_1/;"));
    assert_eq!(location(&nobody.get("/a/live_1/").await), "/a/live_1/orders/orders/");
    let order = nobody.get("/a/live_1/orders/orders/1/").await.text().await.unwrap();
    assert!(order.contains("action=\"/a/live_1/accounts/logout/\"") && !order.contains("=\"/orders/"), "{order}");
    for (path, fields, led) in [
        ("/orders/api/orders/1/mute/", [("muted", "1"), ("", "")], "/orders/orders/1/"),
        ("/accounts/preferences/", [("toasts", "1"), ("", "")], "/accounts/preferences/?saved"),
        ("/orders/orders/views/", [("name", "Mine"), ("query", "?status=pending")], "/orders/orders/?status=pending"),
        ("/accounts/logout/", [("", ""), ("", "")], "/accounts/login/"),
    ] {
        let response = nobody.post(&format!("/a/live_1{path}"), &fields).await;
        assert_eq!(location(&response), format!("/a/live_1{led}"), "{path}");
    }
    assert_eq!(nobody.get("/a/live_1/orders/orders/").await.status(), 303);
    assert_eq!(nobody.get("/orders/orders/").await.status(), 404);
    let missing = nobody.get("/a/live_1/nowhere/").await;
    assert_eq!(
        (missing.status().as_u16(), missing.text().await.unwrap().contains("There is no such page")),
        (404, true)
    );
}

/// The program itself, for what it writes.
struct Program {
    _child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
    address: String,
    said: String,
    /// What it wrote until it said where it serves: what was found out meanwhile comes before or after that.
    before: VecDeque<String>,
}

impl Program {
    async fn serve(database: &Database, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Process::new(instance::program());
        command.env_clear().envs(variables.iter().copied()).args(["serve", "--database-url", &database.url]);
        command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--log", "info,oncare_live=trace"]);
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut program =
            Self { _child: child, lines, address: String::new(), said: String::new(), before: VecDeque::new() };
        let line = program.until("serving address=").await;
        program.address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        program.before = program.said.lines().map(str::to_owned).collect();
        program
    }

    /// Reads what it writes until a line has that.
    async fn until(&mut self, part: &str) -> String {
        while let Some(line) = self.before.pop_front() {
            if line.contains(part) {
                return line;
            }
        }
        let waited = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push_str(&line);
                self.said.push('\n');
                if line.contains(part) {
                    return Some(line);
                }
            }
            None
        });
        waited.await.ok().flatten().unwrap_or_else(|| panic!("it never said {part:?}: {}", self.said))
    }

    fn client(&self, cookies: &str) -> Browserless {
        Browserless::with_cookies(format!("http://{}", self.address), cookies)
    }
}

#[tokio::test]
async fn the_log_says_why_nobody_is_let_in_and_no_key() {
    let host = Host::new().await;
    let key = [("DJANGO_SECRET_KEY", KEY), ("DJANGO_SECRET_KEY_FALLBACKS", OLD_KEY)];
    let mut program = Program::serve(&host.database, &["--django-session-engine", "cached_db"], &key).await;
    let start = program.until("people are signed on by Django").await;
    assert!(
        start.contains("keys=2") && start.contains("cached_db") && start.contains("public.accounts_user"),
        "{start}"
    );
    program.until("has no row that has not expired").await;
    let of = |name: &str| format!("sessionid={}", session_key(name));
    assert_eq!(program.client(&of("absent")).get(API).await.status(), 401);
    program.until("public.django_session has no rows").await;
    let password = host.password(1).await;
    host.row("foreign", &signed(&of_user(1, &password, OTHER_KEY), OTHER_KEY)).await;
    host.row("pickle", &signed(b"\x80\x04\x95\x10", KEY)).await;
    host.row("broken", &signed(b"{", KEY)).await;
    host.row("right", &signed(&of_user(1, &password, OLD_KEY), OLD_KEY)).await;
    // a wrong cookie is nothing to tell: it is no sign of a wrong key
    for name in ["absent", "right"] {
        program.client(&of(name)).get(API).await;
    }
    for _ in 0..3 {
        assert_eq!(program.client(&of("foreign")).get(API).await.status(), 401);
    }
    let said = program.said.clone();
    assert!(!said.contains("no configured key"), "{said}");
    program.until("no configured key verifies the session rows: is SECRET_KEY right?").await;
    assert_eq!(program.client(&of("pickle")).get(API).await.status(), 401);
    program.until("a session is a pickle, which is never read").await;
    assert_eq!(program.client(&of("broken")).get(API).await.status(), 401);
    program.until("can't be read").await;
    assert_eq!(program.client(&format!("{}; {}", of("right"), of("right"))).get(API).await.status(), 401);
    program.until("neither is believed").await;
    assert_eq!(program.said.matches("no configured key").count(), 1, "it is said once in a while");
    for secret in [KEY, OLD_KEY, &session_key("right"), &password] {
        assert!(!program.said.contains(secret), "{}", program.said);
    }
}

#[tokio::test]
async fn a_key_that_is_none_keeps_the_service_from_starting() {
    let host = Host::new().await;
    let short = host.file("short", "changeme\n");
    let empty = host.file("empty", "\n");
    let right = host.key_file();
    for (arguments, variables, expected) in [
        (vec!["--django-secret-key-file", &short], vec![], "too short"),
        (vec!["--django-secret-key-file", &empty], vec![], "it is empty"),
        (vec!["--django-secret-key-file", "/nowhere/key"], vec![], "--django-secret-key-file /nowhere/key"),
        (vec![], vec![("DJANGO_SECRET_KEY_FILE", &*right), ("DJANGO_SECRET_KEY", KEY)], "both given"),
        (vec!["--django-secret-key-fallbacks-file", &right], vec![], "no key"),
        (vec!["--django-secret-key-file", &right, "--django-secret-key-fallbacks-file", &short], vec![], "too short"),
        (vec![], vec![("DJANGO_SECRET_KEY", "")], "DJANGO_SECRET_KEY: it is empty"),
        (vec!["--django-session-engine", "signed_cookies"], vec![], "can't be ended by anybody"),
    ] {
        let mut command = Process::new(instance::program());
        command.env_clear().envs(variables).args(["serve", "--database-url", &host.database.url]);
        command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]).args(&arguments).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("it started with {arguments:?}")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains(KEY) && !said.contains("changeme"), "{said}");
    }
}

/// What the doctor says of the sign-on, with P before problems and W before warnings.
async fn diagnosis(url: &str, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["oncare-live", "doctor", "--database-url", url], arguments].concat();
    let loaded = config::load(arguments.into_iter().map(Into::into), []).unwrap();
    let Command::Doctor(doctor) = loaded.cli.command else { unreachable!() };
    let findings = sign_on_check::examine(&DatabaseUrl::parse(url).unwrap(), &doctor.django).await;
    let said = findings.into_iter().map(|finding| match finding.verdict {
        Verdict::Good => finding.subject,
        Verdict::Warning(warning) => format!("W {warning}"),
        Verdict::Problem(problem) => format!("P {problem}"),
    });
    said.collect()
}

#[tokio::test]
async fn the_doctor_says_whether_the_host_can_sign_people_on() {
    let host = Host::new().await;
    let key = host.key_file();
    let with_key = ["--django-secret-key-file", key.as_str()];
    let diagnose = async || diagnosis(&host.database.url, &with_key).await.join("\n");
    assert!(diagnosis(&host.database.url, &[]).await.is_empty(), "nothing is asked of a host that signs nobody on");
    assert!(diagnose().await.starts_with("W public.django_session has no row"));
    let password = host.password(1).await;
    host.row("foreign", &signed(&of_user(1, &password, OTHER_KEY), OTHER_KEY)).await;
    assert!(diagnose().await.starts_with("P no configured key verifies the session rows"));
    host.row("stale", &signed(&of_user(1, "of former times", KEY), KEY)).await;
    assert!(diagnose().await.starts_with("P of the newest 2 sessions 1 are of somebody who signed in"));
    host.row("right", &signed(&of_user(1, &password, KEY), KEY)).await;
    let said = diagnose().await;
    assert!(
        said.starts_with("W 1 of the newest 3") && said.contains("1 of the newest 3 sessions are of somebody who may"),
        "{said}"
    );
    host.database.sql("create table auth_user (id int primary key); create table django_admin_log (user_id int references auth_user)").await;
    assert_eq!(diagnose().await.split(',').next(), Some("P Django's users are in public.auth_user"));
    host.database
        .sql("drop table django_admin_log; create table django_admin_log (user_id bigint references accounts_user)")
        .await;
    assert!(diagnose().await.starts_with("W 1 of"));
    host.database.sql("drop table django_session").await;
    assert!(diagnose().await.starts_with("P there is no table public.django_session"));
}

#[tokio::test]
async fn readiness_names_what_keeps_the_host_from_signing_people_on() {
    let host = Host::new().await;
    let own = Service::start(&host.database).await;
    assert!(!own.get_ops("/readyz").await.1.contains("sign_on"));
    let service = host.service(&[]).await;
    let readiness = async || {
        let (status, text) = service.get_ops("/readyz").await;
        let said: serde_json::Value = serde_json::from_str(&text).unwrap();
        (status, said["sign_on"].as_str().unwrap().to_owned(), said["warnings"].to_string())
    };
    let password = host.password(1).await;
    host.row("foreign", &signed(&of_user(1, &password, OTHER_KEY), OTHER_KEY)).await;
    let (status, sign_on, warnings) = readiness().await;
    assert_eq!((status, sign_on.as_str()), (200, "ok"), "whoever signs in anew may prove the key right");
    assert!(warnings.contains("is SECRET_KEY right?"), "{warnings}");
    host.database.sql("delete from django_session").await;
    host.row("right", &signed(&of_user(1, &password, KEY), KEY)).await;
    assert_eq!(readiness().await, (200, "ok".to_owned(), "null".to_owned()));
    host.database.sql("alter table django_session rename to away").await;
    let (status, sign_on, _) = readiness().await;
    assert!(status == 503 && sign_on.starts_with("there is no table public.django_session"), "{status} {sign_on}");
    host.database.sql("alter table away rename to django_session").await;
    assert_eq!(readiness().await.0, 200);

    // a role that may not read it
    let role = format!("unready_{}", host.database.name);
    host.database.sql(&format!("create role {role} login password 'exact'")).await;
    host.database.grant(&role, false).await;
    let url = host.database.url.replace("oncare:oncare@", &format!("{role}:exact@"));
    let service = Service::start_unready(&url, &["--django-secret-key-file", &host.key_file()]).await;
    let grant = format!("grant select (session_key, session_data, expire_date) on public.django_session to {role};");
    eventually("readiness names the grant", async || {
        let (status, text) = service.get_ops("/readyz").await;
        (status == 503 && text.contains(&grant) && text.contains("\"listener\":\"ok\"")).then_some(())
    })
    .await;
    host.database.sql(&grant).await;
    service.ready().await;
}

#[tokio::test]
async fn a_role_needs_one_more_grant_for_the_hosts_sessions() {
    let host = Host::new().await;
    let role = format!("beside_{}", host.database.name);
    let owner = &host.database;
    let grants = owner.store().grants(&role, false).await.unwrap().join("\n");
    owner
        .sql(&format!("create role {role} login password 'exact'; revoke all on schema public from public; {grants}"))
        .await;
    let url = owner.url.replace("oncare:oncare@", &format!("{role}:exact@"));
    let key = host.key_file();
    let with_key = ["--django-secret-key-file", key.as_str()];
    let lacking =
        format!("run: grant select (session_key, session_data, expire_date) on public.django_session to {role};");
    assert!(diagnosis(&url, &with_key).await[0].ends_with(&lacking));
    let mut program = Process::new(instance::program());
    let program = program.args(["doctor", "--database-url", &owner.url, "--grants", &role]).args(with_key);
    let program = program.output().await.unwrap();
    let printed = String::from_utf8(program.stdout).unwrap();
    assert_eq!(printed, format!("{grants}\n{}\n", session_grant(&role)));
    owner.sql(&session_grant(&role)).await;
    let service = Service::start_unready(&url, &with_key).await;
    service.ready().await;
    let ana = host.signed_in(&service, 1, "ana").await;
    assert_eq!(ana.json(API).await.0, 200);
    ana.events().await.wait_for("sync").await;
    service.stop().await;
    owner.store().uninstall(Some(&role)).await.unwrap();
    owner.sql(&format!("drop role {role}")).await;
}

#[tokio::test]
async fn the_pages_work_below_the_prefix() {
    let host = Host::new().await;
    host.database.orders("(1, 1, 'pending', 'paid', 1), (2, 1, 'pending', 'paid', 2)").await;
    let service = host.service(&[]).await;
    host.signed_in(&service, 1, "ana").await;
    let browser = Browser::open(&service.base()).await;
    browser.goto("/live/nowhere/").await;
    browser.script(&format!("document.cookie = 'sessionid={}; path=/'", session_key("ana"))).await;
    browser.goto("/live/").await;
    browser.state("live").await;
    assert_eq!(browser.script("location.pathname").await, "/live/orders/orders/");
    browser.wait_for_ids("2,1").await;
    host.database.sql("update orders_order set status = 'shipped' where id = 1").await;
    browser.until("document.querySelector('tr[data-order-id=\"1\"]').dataset.status === 'shipped'").await;

    // the bell leads to the order, and its links are ours
    browser.click("#bell button").await;
    browser.until("document.querySelector('#bell a[href^=\"/live/orders/orders/1/\"]') !== null").await;
    browser.follow("#bell a[href^=\"/live/orders/orders/1/\"]").await;
    browser.state("live").await;
    assert_eq!(browser.script("location.pathname").await, "/live/orders/orders/1/");
    host.database.sql("update orders_order set customer_name = 'Somebody New' where id = 1").await;
    browser.until("document.body.textContent.includes('Somebody New')").await;
    browser.click("form.mute button").await;
    let muted = "select count(*) from live.muted_order";
    eventually("the order is muted", async || (host.database.value(muted).await == "1").then_some(())).await;
    browser.goto("/live/accounts/preferences/").await;
    browser.until("document.querySelector('a.number[href=\"/live/orders/orders/1/\"]') !== null").await;
    browser.follow("#preferences .primary").await;
    assert_eq!(browser.script("location.pathname + location.search").await, "/live/accounts/preferences/?saved");

    // signed out at the host
    browser.goto("/live/orders/orders/").await;
    browser.state("live").await;
    host.database.sql("delete from django_session").await;
    browser.state("signed_out").await;
    let login = "document.querySelector('main a.button.primary').getAttribute('href')";
    assert_eq!(browser.script(login).await, "/live/accounts/login/?next=%2Flive%2Forders%2Forders%2F");
    let failed = "performance.getEntriesByType('resource').filter(({ responseStatus }) => responseStatus === 404).map(({ name }) => name)";
    assert_eq!(browser.script(failed).await, json!([]));
    browser.close().await;
}

/// The proxy before a host whose every page says "host", with the rules that the doctor prints.
/// What the doctor prints for a proxy before that service.
async fn printed_for(proxy: &str, host: &Host, service: &Service) -> String {
    let (listen, key) = (service.web.to_string(), host.key_file());
    let arguments = ["doctor", "--database-url", &host.database.url, "--proxy", proxy, "--listen", &listen];
    let printed = Process::new(instance::program()).args(arguments).args(["--django-secret-key-file", &key]).output();
    String::from_utf8(printed.await.unwrap().stdout).unwrap()
}

/// A proxy before a host that answers `host` to whatever it is asked: what is the service's comes from there, and nothing else.
async fn leads_between_host_and_service(host: &Host, service: &Service, base: String) {
    host.signed_in(service, 1, "ana").await;
    let ana = Browserless::with_cookies(base, &format!("sessionid={}", session_key("ana")));
    for path in
        ["/", "/orders/orders/", "/orders/api/medicines/", "/static/js/other.js", "/static/realtime_dashboard.js"]
    {
        assert_eq!(ana.get(path).await.text().await.unwrap(), "host", "{path}");
    }
    assert_eq!(location(&ana.get("/live").await), "/live/");
    let page = ana.get("/live/orders/orders/").await.text().await.unwrap();
    let name = page.find("/js/realtime_salesrep_dashboard.js\"").unwrap();
    let begins = page[..name].rfind('"').unwrap() + 1;
    let module = ana.get(&page[begins..name + "/js/realtime_salesrep_dashboard.js".len()]).await;
    assert!(module.headers()["cache-control"].to_str().unwrap().contains("immutable"), "the module of our own page");
    assert!(module.text().await.unwrap().contains("import{"));
    for path in ["/static/js/realtime_salesrep_dashboard.js", "/assets/js/realtime_salesrep_dashboard.6b6907b51162.js"]
    {
        let script = ana.get(path).await;
        let caching: Vec<_> = script.headers().get_all("cache-control").iter().collect();
        assert_eq!(caching, ["no-cache"], "{path}");
        assert_ne!(script.text().await.unwrap(), "host", "{path}");
    }
    assert_eq!(ana.json(API).await.0, 200);
    for events in [EVENTS.to_owned(), format!("/live{EVENTS}")] {
        let mut stream = ana.events_of(&events, None).await;
        stream.wait_for("sync").await;
        host.database.orders(&format!("({}, 1, 'pending', 'paid', 1)", events.len())).await;
        stream.wait_for("patch").await;
    }
}

#[tokio::test]
async fn nginx_takes_the_rules_that_the_doctor_prints() {
    let host = Host::new().await;
    let service = host.service(&[]).await;
    let rules = printed_for("nginx", &host, &service).await;
    let port = instance::free_address().port();
    let folder = host.folder.display();
    let text = format!(
        "daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{ }}
         http {{
             access_log off; gzip on; gzip_types *; gzip_min_length 0;
             client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
             uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
             server {{
                 listen 127.0.0.1:{port};
                 {rules}
                 location /static/ {{ expires 30d; add_header Cache-Control \"public, immutable\"; return 200 host; }}
                 location / {{ return 200 host; }}
             }}
         }}"
    );
    let file = host.file("nginx.conf", &text);
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists());
    let program = program.expect("nginx is installed; install it with `scripts/install-tools nginx`");
    let checked = Process::new(program).args(["-t", "-c", &file]).output().await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let _nginx = Process::new(program)
        .args(["-c", &file, "-g", "master_process off;"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let base = format!("http://127.0.0.1:{port}");
    eventually("nginx answers", async || reqwest::get(&base).await.ok().map(drop)).await;
    leads_between_host_and_service(&host, &service, base).await;
}

#[tokio::test]
async fn caddy_takes_the_rules_that_the_doctor_prints() {
    if Process::new("caddy").arg("version").stdout(Stdio::null()).status().await.is_err() {
        eprintln!("LEFT OUT: Caddy, which is not installed here; install it with `scripts/install-tools caddy`.");
        return;
    }
    let host = Host::new().await;
    let service = host.service(&[]).await;
    let rules = printed_for("caddy", &host, &service).await;
    let folder = host.folder.display().to_string();
    // rules of the host's as they may be, before ours and after
    let of_static_files = "header Cache-Control \"public, immutable\"
        respond host";
    for (before, after) in [
        (
            format!("handle /static/* {{ {of_static_files} }} handle /orders/* {{ respond host }}"),
            "handle { respond host }".to_owned(),
        ),
        (String::new(), format!("handle /static/* {{ {of_static_files} }} handle /* {{ respond host }}")),
        (String::new(), "header /static/* Cache-Control \"public, immutable\"\n respond host".to_owned()),
        (String::new(), format!("handle_path /static/* {{ {of_static_files} }} respond host")),
    ] {
        let port = instance::free_address().port();
        let text = format!(
            "{{
                admin off
                auto_https off
            }}
            http://127.0.0.1:{port} {{
                encode gzip
                {before}
                {rules}
                {after}
            }}",
        );
        let file = host.file("Caddyfile", &text.replace("{ ", "{\n").replace(" }", "\n}\n"));
        let caddy = Process::new("caddy")
            .args(["run", "--adapter", "caddyfile", "--config", &file])
            .envs([("HOME", &folder), ("XDG_DATA_HOME", &folder), ("XDG_CONFIG_HOME", &folder)])
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(host.folder.join("caddy.log")).unwrap())
            .kill_on_drop(true)
            .spawn();
        let mut caddy = caddy.unwrap();
        let base = format!("http://127.0.0.1:{port}");
        eventually("Caddy answers", async || {
            if caddy.try_wait().unwrap().is_some() {
                panic!("{}", std::fs::read_to_string(host.folder.join("caddy.log")).unwrap());
            }
            reqwest::get(&base).await.ok().map(drop)
        })
        .await;
        leads_between_host_and_service(&host, &service, base).await;
        host.database.sql("delete from django_session; delete from orders_order").await;
    }
}

#[tokio::test]
async fn haproxy_takes_the_rules_that_the_doctor_prints() {
    if Process::new("haproxy").arg("-v").stdout(Stdio::null()).status().await.is_err() {
        eprintln!("LEFT OUT: HAProxy, which is not installed here; install it with `scripts/install-tools haproxy`.");
        return;
    }
    let host = Host::new().await;
    let service = host.service(&[]).await;
    let rules = printed_for("haproxy", &host, &service).await;
    let (of_frontend, backend) = rules.split_once("# and after all frontends").unwrap();
    let front = instance::free_address();
    let text = format!(
        "defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 30s
frontend host
    bind {front}
{of_frontend}
    default_backend host
backend host
    http-request return status 200 content-type text/plain string host
#{backend}"
    );
    let file = host.file("haproxy.cfg", &text);
    let said = host.folder.join("haproxy.log");
    let haproxy = Process::new("haproxy")
        .args(["-db", "-f", &file])
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(&said).unwrap())
        .kill_on_drop(true)
        .spawn();
    let mut haproxy = haproxy.unwrap();
    let base = format!("http://{front}");
    eventually("HAProxy answers", async || {
        if haproxy.try_wait().unwrap().is_some() {
            panic!("{}", std::fs::read_to_string(&said).unwrap());
        }
        reqwest::get(&base).await.ok().map(drop)
    })
    .await;
    leads_between_host_and_service(&host, &service, base).await;
}
