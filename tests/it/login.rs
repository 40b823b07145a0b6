//! Signing in while others attack it: whose password is hashed, who is slowed down, what a failure tells, which sessions end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::harness::database::{Database, PASSWORD};
use crate::harness::eventually;
use crate::harness::http::{API, Browserless};
use crate::harness::instance::program;
use crate::harness::logged::Logged;
use crate::harness::service::Service;

const LOGIN: &str = "/accounts/login/";

/// Failures need not take long where that is not what is looked at.
const AT_ONCE: [&str; 2] = ["--failed-login-takes", "0s"];

/// A password as a real Django encoded it.
#[derive(Deserialize)]
struct Vector {
    django: String,
    hasher: String,
    encoded: String,
    password: String,
}

#[tokio::test]
async fn whoever_has_a_password_of_any_django_signs_in() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let client = database.client().await;
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../vectors/django_passwords.json")).unwrap();
    let mut seen = BTreeSet::new();
    for Vector { django, hasher, encoded, password } in vectors {
        // of each hasher one of each version, where it is one of those that new users get
        let is_usual = ["PBKDF2PasswordHasher", "Argon2PasswordHasher"].contains(&&*hasher);
        if password != PASSWORD || !seen.insert((if is_usual { django } else { String::new() }, hasher.clone())) {
            continue;
        }
        client.execute("update accounts_user set password = $1 where id = 1", &[&encoded]).await.unwrap();
        let status = service.anonymous().try_sign_in("ana", &password).await.status();
        assert_eq!(status, if hasher == "CryptPasswordHasher" { 401 } else { 303 }, "{encoded}");
        let kept: String =
            client.query_one("select password from accounts_user where id = 1", &[]).await.unwrap().get(0);
        assert_eq!(kept, encoded, "nothing is written to the host's tables");
    }
    assert!(seen.len() > 15, "{seen:?}");
}

#[tokio::test]
async fn a_weak_hash_is_replaced_only_where_that_was_chosen_and_sessions_go_on() {
    let database = Database::new().await;
    let hash =
        "select split_part(password, '$', 1) || ' ' || split_part(password, '$', 2) from accounts_user where id = 1";
    let service = Service::start(&database).await;
    let before = service.signed_in("ana").await;
    assert_eq!(database.value(hash).await, "pbkdf2_sha256 1");
    service.stop().await;

    // the server writes down what is bound
    database.sql(&format!("alter database {} set log_min_duration_statement = 0", database.name)).await;
    let service = Service::start_with(&database, &["--pool-size", "8", "--upgrade-password-hashes"]).await;
    let before = Browserless::with_cookies(service.base(), &before.cookies());
    assert_eq!(before.json(API).await.0, 200);
    service.signed_in("ana").await;
    assert_eq!(database.value(hash).await, "pbkdf2_sha256 1200000");
    assert_eq!(before.json(API).await.0, 200, "it is the same password");
    service.signed_in("ana").await;
    // the new one has to be, once; what is only compared is bound as a digest
    let bound = "select (count(*) filter (where line like '%pbkdf2_sha256$1200000$%') > 0)::text || ' '
             || count(*) filter (where line like '%pbkdf2_sha256$1$%')
         from regexp_split_to_table(encode(pg_read_binary_file('server.log'), 'escape'), '\n') line
         where line ilike '%parameters: %'";
    assert_eq!(database.value(bound).await, "true 0");
}

#[tokio::test]
async fn no_failure_is_told_sooner_than_another_whatever_failed() {
    const TAKES: Duration = Duration::from_secs(3);
    let database = Database::new().await;
    let service = Service::start_with(&database, &["--failed-login-takes", "3s"]).await;
    database.sql("update accounts_user set password = '!unusable' where username = 'ben'").await;
    database.sql("update accounts_user set password = 'nonsense' where username = 'rx'").await;
    let failures = [("ana", "wrong"), ("nobody", PASSWORD), ("ben", PASSWORD), ("gone", PASSWORD), ("rx", PASSWORD)];
    let took = join_all(failures.map(|(username, password)| {
        let client = service.anonymous();
        async move {
            let began = Instant::now();
            let response = client.try_sign_in(username, password).await;
            (username, response.status().as_u16(), began.elapsed())
        }
    }));
    for (username, status, took) in took.await {
        assert!(status == 401 && took >= TAKES, "{username}: {status} after {took:?}");
    }
}

/// Posts of names that nobody has, each on a socket of its own that is closed after 20 ms.
async fn posts_and_leaves(service: &Service, stop: CancellationToken) {
    let address = service.web;
    for n in 0.. {
        if stop.is_cancelled() {
            return;
        }
        tokio::spawn(async move {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let body = format!("username=nobody{n}&password=x");
            let head = "content-type: application/x-www-form-urlencoded\r\nhost: x";
            let request = format!("POST {LOGIN} HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = socket.write_all(request.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        tokio::time::sleep(Duration::from_millis(1_000 / 35)).await;
    }
}

#[tokio::test]
async fn one_client_does_not_stop_everybodys_login() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let known: Vec<Browserless> = join_all(["ana", "ben", "rx", "boss"].map(|name| service.signed_in(name))).await;
    let stop = CancellationToken::new();
    let many = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let open = (0..190).map(|n| {
        let fields = [("username", format!("anybody{n}")), ("password", "x".to_owned())];
        let post = many.post(format!("{}{LOGIN}", service.base())).form(&fields).send();
        async { post.await.map(|response| response.status().as_u16()).unwrap_or_default() }
    });
    let good = async {
        // the attack is under way
        eventually("others sign in", async || {
            (service.metric("oncare_live_logins_total{outcome=\"crowded\"}").await > 0.0).then_some(())
        })
        .await;
        let again =
            known.iter().zip(["ana", "ben", "rx", "boss"]).map(|(client, name)| client.try_sign_in(name, PASSWORD));
        let anew = ["ana", "ben", "rx", "boss"].map(|name| {
            let client = service.anonymous();
            async move { client.try_sign_in(name, PASSWORD).await }
        });
        let (again, anew) = tokio::join!(join_all(again), join_all(anew));
        stop.cancel();
        again.iter().chain(&anew).map(|response| response.status().as_u16()).collect::<Vec<_>>()
    };
    let ((), attack, good) = tokio::join!(posts_and_leaves(&service, stop.clone()), join_all(open), good);
    assert_eq!(good, [303; 8]);
    assert!(attack.contains(&429) && !attack.contains(&303) && !attack.contains(&500), "{attack:?}");
}

#[tokio::test]
async fn who_guesses_is_slowed_down_on_every_instance_and_a_known_device_is_not_locked_out() {
    let database = Database::new().await;
    let (one, other) = (Service::start_with(&database, &AT_ONCE).await, Service::start_with(&database, &AT_ONCE).await);
    let device = one.signed_in("ana").await;
    let (mut guessed, mut refused) = (0, 0);
    for guesses in 0..30 {
        let guess = |n: usize| {
            let client = if n < 5 { one.anonymous() } else { other.anonymous() };
            async move { client.try_sign_in("ana", &format!("guess {guesses} {n}")).await }
        };
        for response in join_all((0..10).map(guess)).await {
            match response.status().as_u16() {
                401 => guessed += 1,
                429 => {
                    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                    assert!((1..=61).contains(&wait), "{wait}");
                    let text = response.text().await.unwrap();
                    assert!(
                        text.contains("The next attempt is possible in") || text.contains("Too many logins"),
                        "{text}"
                    );
                    refused += 1;
                }
                status => panic!("{status}"),
            }
        }
    }
    // five, and then after 1, 2, 4 and more seconds each one more
    assert!((5..=11).contains(&guessed) && refused == 300 - guessed, "{guessed}");

    // the right one, too, has to wait; but not where that account signed in before
    database
        .sql("update live.sign_in set blocked_until = now() + interval '1 hour' where blocked_until is not null")
        .await;
    for service in [&one, &other] {
        assert_eq!(service.anonymous().try_sign_in("ana", PASSWORD).await.status(), 429);
        let device = Browserless::with_cookies(service.base(), &device.cookies());
        assert_eq!(device.try_sign_in("ana", PASSWORD).await.status(), 303);
        assert_eq!(device.try_sign_in("ben", "wrong").await.status(), 401, "it is known to one account alone");
    }
    // who waited may sign in, and begins anew
    database.sql("update live.sign_in set blocked_until = now() where blocked_until is not null").await;
    assert_eq!(one.anonymous().try_sign_in("ana", PASSWORD).await.status(), 303);
    assert_eq!(database.value("select count(*) from live.sign_in where blocked_until is not null").await, "0");
    for text in ["ana", "127.0.0.1", "guess"] {
        let seen = format!("select count(*) from live.sign_in s where s::text like '%{text}%'");
        assert_eq!(database.value(&seen).await, "0", "{text}");
    }
}

/// Posts a login with a header, and gives its status.
async fn login_with(service: &Service, username: &str, header: (&'static str, &str)) -> u16 {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = client.post(format!("{}{LOGIN}", service.base())).header(header.0, header.1);
    post.form(&[("username", username), ("password", "wrong")]).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn an_address_is_slowed_down_that_a_trusted_proxy_names_and_nobody_else_names_one() {
    let database = Database::new().await;
    let proxied = Service::start_with(&database, &[&AT_ONCE[..], &["--trusted-proxy", "127.0.0.0/8"]].concat()).await;
    let direct = Service::start_with(&database, &AT_ONCE).await;
    let address = |address: &str| format!("sha256('address'::bytea || '\\x00' || '{address}'::bytea)");
    for named in ["198.51.100.1", "2001:db8:1::"] {
        let failures = "insert into live.sign_in (key, failures) values";
        database.sql(&format!("{failures} ({}, 100)", address(named))).await;
    }
    // the 101st failure of each is the last that need not wait
    assert_eq!(login_with(&proxied, "a", ("x-forwarded-for", "203.0.113.66, 198.51.100.1:4711")).await, 401);
    assert_eq!(login_with(&proxied, "b", ("forwarded", "for=\"[2001:db8:1:2:3:4:5:6]:4711\";proto=https")).await, 401);
    database
        .sql("update live.sign_in set blocked_until = now() + interval '1 hour' where blocked_until is not null")
        .await;
    for (name, header, status) in [
        ("c", ("x-forwarded-for", "198.51.100.1"), 429),
        ("d", ("x-forwarded-for", "203.0.113.66, 198.51.100.1, 127.0.0.9"), 429),
        ("e", ("forwarded", "for=198.51.100.1, for=127.0.0.9"), 429),
        ("f", ("x-forwarded-for", "2001:db8:1:ffff::1"), 429),
        ("g", ("x-forwarded-for", "2001:db8:2:2::1"), 401),
        ("h", ("x-forwarded-for", "198.51.100.1, 203.0.113.67"), 401),
    ] {
        assert_eq!(login_with(&proxied, name, header).await, status, "{header:?}");
    }
    assert_eq!(login_with(&direct, "i", ("x-forwarded-for", "198.51.100.1")).await, 401, "nobody is trusted");
    // an account that signed in from there before is not slowed down by its neighbours
    let blocked = format!(
        "insert into live.sign_in (key, failures, blocked_until) values ({}, 200, now() + interval '1 hour')
        on conflict (key) do update set failures = 200, blocked_until = excluded.blocked_until",
        address("127.0.0.1")
    );
    direct.signed_in("ana").await;
    database.sql(&blocked).await;
    assert_eq!(direct.anonymous().try_sign_in("ana", PASSWORD).await.status(), 303);
    assert_eq!(direct.anonymous().try_sign_in("ben", PASSWORD).await.status(), 429);
}

/// Whose proxy is believed.
const TRUSTING: [&str; 4] = ["--failed-login-takes", "0s", "--trusted-proxy", "127.0.0.0/8"];

/// Makes those wait for an hour who must wait.
const WAIT: &str = "update live.sign_in set blocked_until = now() + interval '1 hour' where blocked_until is not null";

/// Somebody whom a proxy names signs in as ana, with these cookies.
async fn ana_from(service: &Service, address: &str, cookies: &str, password: &str) -> reqwest::Response {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = client.post(format!("{}{LOGIN}", service.base())).header("x-forwarded-for", address);
    post.header("cookie", cookies).form(&[("username", "ana"), ("password", password)]).send().await.unwrap()
}

fn set_cookies(response: &reqwest::Response) -> Vec<String> {
    response.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn who_guesses_elsewhere_keeps_nobody_out_where_they_signed_in_before() {
    const HERE: &str = "198.51.100.1";
    const ELSEWHERE: &str = "203.0.113.66";
    let database = Database::new().await;
    let service = Service::start_with(&database, &TRUSTING).await;
    assert_eq!(ana_from(&service, HERE, "", PASSWORD).await.status(), 303);
    for place in [ELSEWHERE, HERE] {
        for _ in 0..6 {
            assert_eq!(ana_from(&service, place, "", "wrong").await.status(), 401, "{place}");
        }
        database.sql(WAIT).await;
        assert_eq!(ana_from(&service, place, "", PASSWORD).await.status(), 429, "{place}");
        if place == ELSEWHERE {
            assert_eq!(ana_from(&service, HERE, "", PASSWORD).await.status(), 303);
        }
    }
    // and a place where she signed in begins anew
    database.sql("update live.sign_in set blocked_until = now() where blocked_until is not null").await;
    assert_eq!(ana_from(&service, HERE, "", PASSWORD).await.status(), 303);
    for _ in 0..6 {
        assert_eq!(ana_from(&service, HERE, "", "wrong").await.status(), 401);
    }
}

#[tokio::test]
async fn a_device_is_known_until_its_account_gets_another_password() {
    let database = Database::new().await;
    let service = Service::start_with(&database, &TRUSTING).await;
    let set = set_cookies(&ana_from(&service, "198.51.100.1", "", PASSWORD).await);
    let device = set.iter().find(|set| set.starts_with("oncare_live_device_")).unwrap().split(';').next().unwrap();
    database
        .sql(
            "insert into live.sign_in (key, failures, blocked_until)
             values (sha256('account'::bytea || '\\x00' || 'ana'::bytea), 200, now() + interval '1 hour')",
        )
        .await;
    assert_eq!(ana_from(&service, "198.51.100.2", "", PASSWORD).await.status(), 429);
    assert_eq!(ana_from(&service, "198.51.100.3", device, PASSWORD).await.status(), 303);
    database.sql("update accounts_user set password = password || ' ' where id = 1").await;
    assert_eq!(ana_from(&service, "198.51.100.4", device, PASSWORD).await.status(), 429);
    database.sql("update accounts_user set password = trim(password) where id = 1").await;
    assert_eq!(ana_from(&service, "198.51.100.5", device, PASSWORD).await.status(), 303);
}

#[tokio::test]
async fn a_browser_on_which_many_sign_in_keeps_the_cookies_of_eight_devices() {
    let database = Database::new().await;
    let service = Service::start_with(&database, &TRUSTING).await;
    let cookies: Vec<String> = (10..20).map(|n| format!("oncare_live_device_000000{n}={n}.a.b.c")).collect();
    let set = set_cookies(&ana_from(&service, "198.51.100.1", &cookies.join("; "), PASSWORD).await);
    let taken_back: Vec<&str> = set.iter().filter(|set| set.contains("Max-Age=0")).map(|set| &set[..28]).collect();
    let expected = [12, 11, 10].map(|n| format!("oncare_live_device_000000{n}="));
    assert_eq!((set.len(), taken_back), (5, expected.iter().map(String::as_str).collect()), "{set:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_told_of_once() {
    let database = Database::new().await;
    for (arguments, told) in [(&[][..], 1), (&["--trusted-proxy", "127.0.0.1"], 0)] {
        let program = Logged::start(&database.url, arguments).await;
        let client = Browserless::new(format!("http://{}", program.web));
        for header in [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.1")] {
            assert_eq!(client.post_with(LOGIN, &[header]).await.status(), 401);
        }
        let log = program.log().await;
        assert_eq!(log.matches("--trusted-proxy").count(), told, "{log}");
    }
    // of a client that names nobody nothing is told
    let program = Logged::start(&database.url, &["--log-format", "json", "--failed-login-takes", "0s"]).await;
    Browserless::new(format!("http://{}", program.web)).sign_in("ana").await;
    let log = program.log().await;
    assert!(!log.contains("--trusted-proxy") && log.contains("signed_in"), "{log}");
}

#[tokio::test]
async fn the_right_password_needs_no_key_of_devices_and_a_right_that_is_missing_is_named() {
    let database = Database::new().await;
    let role = format!("sparse_{}", database.name);
    database.sql(&format!("create role {role} login password 'sparse'")).await;
    database.grant(&role, true).await;
    let url = database.url.replace("oncare:oncare@", &format!("{role}:sparse@"));
    let program = Logged::start(&url, &[]).await;
    let sign_in = async |cookies: &str| {
        let client = Browserless::with_cookies(format!("http://{}", program.web), cookies);
        client.try_sign_in("ana", PASSWORD).await
    };

    let select = "select on live.sign_in_key";
    database.sql(&format!("revoke {select} from {role}")).await;
    let response = sign_in("").await;
    assert_eq!((response.status().as_u16(), set_cookies(&response).len()), (303, 1));
    database.sql(&format!("grant {select} to {role}; delete from live.sign_in_key")).await;
    let response = sign_in("").await;
    let set = set_cookies(&response);
    assert_eq!((response.status().as_u16(), set.len()), (303, 2), "the key is made");
    let kept = "select count(*) from live.sign_in_key";
    assert_eq!(database.value(kept).await, "1");

    database.sql(&format!("revoke insert on live.sign_in from {role}")).await;
    let response = sign_in("").await;
    assert_eq!(response.status(), 503);
    let text = response.text().await.unwrap();
    assert!(text.contains("lacks a right in its database"), "{text}");
    let warned = format!("grant insert on live.sign_in to \\\"{role}\\\";");
    eventually("readiness names the right", async || {
        let response = reqwest::get(format!("http://{}/readyz", program.ops)).await.unwrap();
        (response.status() == 200 && response.text().await.unwrap().contains(&warned)).then_some(())
    })
    .await;
    let log = program.log().await;
    for part in ["no device is known", "permission denied for table sign_in", "oncare-live doctor --grants"] {
        assert!(log.contains(part), "{part}: {log}");
    }

    // the tables' owner makes the key as well
    database.sql("delete from live.sign_in_key").await;
    database.store().migrate().await.unwrap();
    assert_eq!(database.value(kept).await, "1");
}

#[tokio::test]
async fn a_login_ends_the_session_that_it_replaces() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let client = service.signed_in("ana").await;
    let before = Browserless::with_cookies(service.base(), &client.cookies());
    let mut stream = before.events().await;
    stream.wait_for("ping").await;
    client.sign_in("ana").await;
    assert_eq!((before.json(API).await.0, client.json(API).await.0), (401, 200));
    assert_eq!(stream.wait_for("bye").await.data, json!({"reason": "signed_out"}));
    assert_eq!(service.metric("oncare_live_sessions_ended_total{reason=\"replaced\"}").await, 1.0);
}

#[tokio::test]
async fn what_ends_a_session_ends_it_for_good() {
    let gone = async |database: &Database| {
        eventually("the session is deleted", async || {
            (database.value("select count(*) from live.session").await == "0").then_some(())
        })
        .await;
    };
    let database = Database::new().await;
    let service = Service::start(&database).await;
    for (reason, ends, undone) in [
        (
            "deactivated",
            "update accounts_user set is_active = false where id = 1",
            "update accounts_user set is_active = true where id = 1",
        ),
        (
            "password_changed",
            "update accounts_user set password = password || ' ' where id = 1",
            "update accounts_user set password = trim(password) where id = 1",
        ),
        ("expired", "update live.session set expires_at = now()", ""),
        ("idle", "update live.session set idle_at = now()", ""),
    ] {
        let ana = service.signed_in("ana").await;
        assert_eq!(ana.json(API).await.0, 200);
        database.sql(ends).await;
        assert_eq!(ana.json(API).await.0, 401, "{reason}");
        gone(&database).await;
        database.sql(undone).await;
        assert_eq!(ana.json(API).await.0, 401, "{reason}");
        let counted = format!("oncare_live_sessions_ended_total{{reason=\"{reason}\"}}");
        eventually("it is counted", async || (service.metric(&counted).await == 1.0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_session_that_is_used_does_not_end_and_one_of_an_earlier_version_goes_on() {
    let database = Database::new().await;
    let service = Service::start_with(&database, &["--session-idle", "1h"]).await;
    // as the version before began it, and as one looks that was not used for a while
    database
        .sql(
            "insert into live.session (token_hash, user_id, password_digest, expires_at)
             select sha256('earlier'), id, sha256(convert_to(password, 'UTF8')), now() + interval '1 day'
             from accounts_user where id = 1;
             update live.session set seen_at = now() - interval '50 minutes'",
        )
        .await;
    let earlier = Browserless::with_cookies(service.base(), "oncare_live_session=earlier");
    assert_eq!(earlier.json(API).await.0, 200);
    eventually("it is noted that it is used", async || {
        let noted = "select seen_at > now() - interval '1 minute' and idle_at between now() + interval '59 minutes'
            and now() + interval '61 minutes' from live.session";
        (database.value(noted).await == "true").then_some(())
    })
    .await;
    database.sql("update live.session set idle_at = now()").await;
    assert_eq!(earlier.json(API).await.0, 401);
}

#[tokio::test]
async fn people_see_their_sessions_and_end_them_and_nobody_elses() {
    const PAGE: &str = "/accounts/sessions/";
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let (ana, lost, ben) =
        (service.signed_in("ana").await, service.signed_in("ana").await, service.signed_in("ben").await);
    database.sql("update live.session set browser = 'Mozilla/5.0 (Windows NT 10.0) <Odd & Old> Chrome/1' where created_at = (select max(created_at) from live.session where user_id = 1)").await;
    let mut stream = lost.events().await;
    stream.wait_for("ping").await;
    let html = ana.get(PAGE).await.text().await.unwrap();
    let handles: Vec<&str> = html.split("name=\"session\" value=\"").skip(1).map(|rest| &rest[..64]).collect();
    assert!(handles.len() == 1 && html.contains("This one") && html.contains("at 127.0.0.1"), "{html}");
    let named = "title=\"Mozilla/5.0 (Windows NT 10.0) &#60;Odd &#38; Old&#62; Chrome/1\">Chrome on Windows</span>";
    assert!(html.contains(named) && !html.contains("<Odd"), "{html}");
    assert!(html.contains("Times are in UTC."), "{html}");
    assert!(ana.get("/accounts/preferences/").await.text().await.unwrap().contains(PAGE));

    // by another user, or with a wrong user's form, nothing ends
    assert_eq!(ben.post(PAGE, &[("session", handles[0])]).await.status(), 303);
    assert_eq!(ana.post(PAGE, &[("session", handles[0]), ("user", "2")]).await.status(), 409);
    assert_eq!(ana.post(PAGE, &[]).await.status(), 422);
    assert_eq!(lost.json(API).await.0, 200);

    assert_eq!(ana.post(PAGE, &[("session", handles[0]), ("user", "1")]).await.headers()["location"], PAGE);
    assert_eq!(stream.wait_for("bye").await.data, json!({"reason": "signed_out"}));
    assert_eq!((lost.json(API).await.0, ana.json(API).await.0, ben.json(API).await.0), (401, 200, 200));

    let (third, fourth) = (service.signed_in("ana").await, service.signed_in("ana").await);
    assert_eq!(ana.post(PAGE, &[("others", "1")]).await.status(), 303);
    assert_eq!((third.json(API).await.0, fourth.json(API).await.0, ana.json(API).await.0), (401, 401, 200));
    assert_eq!(service.metric("oncare_live_sessions_ended_total{reason=\"ended_by_user\"}").await, 3.0);

    // and an administrator anybody's
    let mut command = Command::new(program());
    let command = command.args(["sessions", "--database-url", &database.url, "--username", "ana", "--end"]);
    let output = command.output().await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        output.status.success() && said.contains("Ended 1 sessions of ana") && said.contains("127.0.0.1"),
        "{said}"
    );
    assert!(said.contains("reason=\"ended_by_admin\" user=1 name=\"ana\" command=\"sessions --end\""), "{said}");
    assert_eq!((ana.json(API).await.0, ben.json(API).await.0), (401, 200));
}

#[tokio::test]
async fn an_administrator_sees_and_ends_anybodys_sessions_and_nobody_else_does() {
    const PAGE: &str = "/accounts/sessions/";
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let (boss, rx, ben) =
        (service.signed_in("boss").await, service.signed_in("rx").await, service.signed_in("ben").await);
    let (ana, other) = (service.signed_in("ana").await, service.signed_in("ana").await);
    let page = async |client: &Browserless, of: &str| {
        let response = client.get(&format!("{PAGE}?of={of}")).await;
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let handles = |html: &str| -> Vec<String> {
        html.split("name=\"session\" value=\"").skip(1).map(|rest| rest[..64].to_owned()).collect()
    };
    for client in [&rx, &ben] {
        assert_eq!(page(client, "ana").await.0, 403);
        assert!(!page(client, "").await.1.contains("Somebody else"));
        assert_eq!(client.post(PAGE, &[("of", "ana"), ("others", "1")]).await.status(), 403);
    }
    assert_eq!(page(&ben, "ben").await.0, 200, "one's own");
    assert_eq!(ana.json(API).await.0, 200);

    assert!(page(&boss, "").await.1.contains("Somebody else's sessions"));
    assert!(page(&boss, "nobody%00%3Cb%3E").await.1.contains("There is no user with this name"));
    assert!(page(&boss, "gone").await.1.contains("signed in nowhere"));
    let (status, html) = page(&boss, "ana").await;
    let of_ana = handles(&html);
    assert!(status == 200 && of_ana.len() == 2 && html.contains("Sessions of ana"), "{html}");
    let year = database.value("select to_char(now() at time zone 'utc', 'Mon DD, YYYY')").await;
    assert!(html.contains(&year), "{html}");

    let mut stream = other.events().await;
    stream.wait_for("ping").await;
    let cross_site = [("sec-fetch-site", "cross-site")];
    assert_eq!(boss.post_with(&format!("{PAGE}?of=ana&others=1"), &cross_site).await.status(), 403);
    assert_eq!(boss.post(PAGE, &[("of", "nobody"), ("others", "1")]).await.status(), 404);
    assert_eq!(boss.post(PAGE, &[("of", "ben"), ("session", &of_ana[0])]).await.status(), 303);
    assert_eq!((ana.json(API).await.0, other.json(API).await.0), (200, 200), "a handle is of its user alone");
    let ended = boss.post(PAGE, &[("of", "ana"), ("session", &of_ana[0]), ("user", "4")]).await;
    assert_eq!(ended.headers()["location"], format!("{PAGE}?of=ana"));
    assert_eq!(handles(&page(&boss, "ana").await.1), of_ana[1..]);
    assert_eq!(boss.post(PAGE, &[("of", "ana"), ("others", "1")]).await.status(), 303);
    assert_eq!(stream.wait_for("bye").await.data, json!({"reason": "signed_out"}));
    assert_eq!((ana.json(API).await.0, other.json(API).await.0, ben.json(API).await.0), (401, 401, 200));
    assert_eq!(page(&boss, "").await.0, 200, "the administrator's own goes on");
    assert_eq!(service.metric("oncare_live_sessions_ended_total{reason=\"ended_by_admin\"}").await, 2.0);
}

#[tokio::test]
async fn the_cookie_is_of_this_host_alone_where_people_come_by_https_and_of_two_neither_is_believed() {
    let database = Database::new().await;
    let secure = Service::start_with(&database, &["--public-url", "https://live.example", "--prefix", "/a/"]).await;
    let fields = [("username", "ana"), ("password", PASSWORD)];
    let response = secure.anonymous().post("/a/accounts/login/", &fields).await;
    let set: Vec<&str> = response.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap()).collect();
    assert_eq!(set.len(), 2, "the session's, and the device's");
    for cookie in &set {
        assert!(cookie.starts_with("__Host-oncare_live_"), "{cookie}");
        for attribute in ["; Path=/;", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(format!("{cookie};").contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    let pair = set[0].split(';').next().unwrap();
    let plain = pair.trim_start_matches("__Host-");
    for (cookies, status) in [
        (pair.to_owned(), 200),
        (format!("{plain}; {pair}"), 200),
        (plain.to_owned(), 401),
        (format!("{pair}; {pair}"), 401),
        (format!("{pair}; __Host-oncare_live_session=other"), 401),
    ] {
        let client = Browserless::with_cookies(secure.base(), &cookies);
        assert_eq!(client.json(&format!("/a{API}")).await.0, status, "{cookies}");
    }
    let doubled = Browserless::with_cookies(secure.base(), &format!("{pair}; {pair}"));
    let html = doubled.get("/a/accounts/login/").await.text().await.unwrap();
    assert!(html.contains("two session cookies"), "{html}");

    let open = Service::start_with(&database, &["--public-url", "http://live.example"]).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = client.post(format!("{}{LOGIN}", open.base())).header("x-forwarded-proto", "https").form(&fields);
    let cookie = post.send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("oncare_live_session=") && !cookie.contains("Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let doubled = Browserless::with_cookies(open.base(), &format!("oncare_live_session=attackers; {pair}"));
    assert_eq!(doubled.json(API).await.0, 401);
}

#[tokio::test]
async fn the_security_log_says_who_signed_in_and_who_did_not_and_repeats_no_unknown_name() {
    let database = Database::new().await;
    let program = Logged::start(&database.url, &["--log-format", "json", "--failed-login-takes", "0s"]).await;
    let (web, ops) = (program.web, program.ops);
    let client = Browserless::new(format!("http://{web}"));
    database.sql("update accounts_user set password = 'pbkdf2_sha512$1$s3cret$s3cret' where username = 'ben'").await;
    for (username, password, status) in [
        ("ana", "wr0ng-password", 401),
        ("my s3cret password", PASSWORD, 401),
        ("gone", PASSWORD, 401),
        ("ben", PASSWORD, 401),
        ("ana", PASSWORD, 303),
    ] {
        assert_eq!(client.try_sign_in(username, password).await.status(), status, "{username}");
    }
    assert_eq!(client.post("/accounts/logout/", &[]).await.status(), 303);
    let scrape = reqwest::get(format!("http://{ops}/metrics")).await.unwrap().text().await.unwrap();
    for outcome in ["signed_in", "wrong_password", "unknown_user", "inactive", "no_password"] {
        let name = format!("oncare_live_logins_total{{outcome=\"{outcome}\"}}");
        assert_eq!(crate::harness::http::metric(&scrape, &name), 1.0, "{outcome}");
    }
    let log = program.log().await;
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said: Vec<String> = lines
        .iter()
        .filter(|line| line["target"] == "security")
        .map(|line| {
            let fields = &line["fields"];
            format!("{} {} {}", fields["outcome"], fields["reason"], fields["user"])
        })
        .collect();
    assert_eq!(
        said,
        [
            "\"wrong_password\" null 1",
            "\"unknown_user\" null null",
            "\"inactive\" null 5",
            "\"no_password\" null 2",
            "\"signed_in\" null 1",
            "null \"signed_out\" 1"
        ],
        "{log}"
    );
    assert!(log.contains("\"address\":\"127.0.0.1\"") && log.contains("no hasher that is known here made it"), "{log}");
    assert!(log.contains("has a password in it, which everybody on this machine can read"), "{log}");
    for secret in ["s3cret", "wr0ng", PASSWORD, "pbkdf2_"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
