//! What the log says, and what it keeps to itself: nobody's data, whatever a rule of the host's or a peer makes it want to say; no
//! line without end; and in the security log everything that was refused or ended, each on a line of its own.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::database::{Database, PASSWORD};
use crate::harness::eventually;
use crate::harness::http::{API, Browserless};
use crate::harness::logged::Logged;

const EDIT: &str = "/orders/orders/1/edit/";
const CANCEL: &str = "/orders/orders/1/cancel/";
const STATUS: &str = "/orders/orders/1/status/";
const SELECTION: &str = "/orders/orders/status/";
const SESSIONS: &str = "/accounts/sessions/";

/// What stands in every row, and what somebody types. No rule may bring it into the log.
const SECRET: &str = "S3CRET";
/// What a rule says by itself. It may not come into an answer either.
const RAISED: &str = "R4ISED";

/// Three orders of ana's and one of ben's, each of whose texts is a secret that looks like a line of a log. Whatever is written,
/// a trigger says all of it.
async fn hostile_orders(database: &Database) {
    database
        .orders("(1, 1, 'pending', 'pending', 10), (2, 1, 'pending', 'pending', 20), (3, 2, 'pending', 'pending', 30)")
        .await;
    database
        .sql(
            "update orders_order set customer_name = 'S3CRET name' || chr(10) || '{\"level\":\"ERROR\"}', customer_phone = 'S3CRET phone',
                 customer_address = 'S3CRET address', customer_notes = case id when 2 then 'S3CRET and typed' else 'S3CRET ' || id end;
             create function chatters() returns trigger language plpgsql as $$ begin
                 raise notice 'S3CRET %', new;
                 raise info 'S3CRET %', new;
                 return new;
             end $$;
             create trigger chatters before update on orders_order for each row execute function chatters()",
        )
        .await;
}

/// A trigger that does this before an order is written.
fn trigger(body: &str) -> String {
    format!(
        "create function refuses() returns trigger language plpgsql as $$ begin {body}; return new; end $$;
         create trigger refuses before update on orders_order for each row execute function refuses()"
    )
}

const NO_TRIGGER: &str = "drop trigger refuses on orders_order; drop function refuses()";

#[tokio::test]
async fn a_broken_rule_of_the_hosts_is_told_in_plain_words_and_nobodys_data_is_logged_at_any_level() {
    let database = Database::new().await;
    hostile_orders(&database).await;
    let program = Logged::start(&database.url, &["--log", "trace", "--log-format", "json"]).await;
    let ana = Browserless::new(program.base());
    ana.sign_in("ana").await;
    let unconstrained = |name: &str| format!("alter table orders_order drop constraint {name}");
    let raised =
        |using: &str| trigger(&format!("raise exception 'R4ISED % %', new.customer_name, new.customer_phone {using}"));
    let constraint = |name: &str, rule: &str| format!("alter table orders_order add constraint {name} {rule}");
    let rules = [
        (
            constraint("short_notes", "check (length(customer_notes) < 12) not valid"),
            unconstrained("short_notes"),
            "the rule “short_notes” of orders_order forbids it",
        ),
        (trigger("new.customer_name := null"), NO_TRIGGER.to_owned(), "“customer_name” may not be left out"),
        (
            "create unique index no_twins on orders_order (customer_notes)"
                .to_owned(),
            "drop index no_twins".to_owned(),
            "“no_twins”",
        ),
        (
            constraint("no_overlap", "exclude (customer_notes with =)"),
            unconstrained("no_overlap"),
            "conflicts with another one, which the rule “no_overlap” of orders_order forbids",
        ),
        (
            "create table known_notes (notes text primary key); insert into known_notes select customer_notes from orders_order where id <> 2;
             alter table orders_order add constraint are_known foreign key (customer_notes) references known_notes
                 deferrable initially deferred not valid"
                .to_owned(),
            "drop table known_notes cascade".to_owned(),
            "“are_known”",
        ),
        (
            constraint("numbers", "check (customer_notes::integer > 0) not valid"),
            unconstrained("numbers"),
            "a value does not fit where it is to be kept",
        ),
        (raised(""), NO_TRIGGER.to_owned(), "the function “refuses()” refuses it"),
        (
            raised("using errcode = 'H0001', detail = 'R4ISED', hint = 'R4ISED', column = 'R4ISED', constraint = 'R4ISED', table = 'R4ISED'"),
            NO_TRIGGER.to_owned(),
            "the function “refuses()” refuses it",
        ),
        // states that else say that the server can't answer, or that a right is missing
        (raised("using errcode = '57014'"), NO_TRIGGER.to_owned(), "the function “refuses()” refuses it"),
        (raised("using errcode = '53300'"), NO_TRIGGER.to_owned(), "the function “refuses()” refuses it"),
        (raised("using errcode = '42501'"), NO_TRIGGER.to_owned(), "the function “refuses()” refuses it"),
    ];
    let typed = [("customer_notes", "S3CRET and typed"), ("customer_address", "S3CRET typed as well")];
    for (made, unmade, words) in &rules {
        database.sql(made).await;
        let response = ana.post(EDIT, &typed).await;
        let (status, html) = (response.status().as_u16(), response.text().await.unwrap());
        assert!(status == 422 && html.contains(words), "{made}: {status} {html}");
        for (_, text) in typed {
            assert!(html.contains(&format!("{text}</textarea>")), "{made}: what was typed is kept: {html}");
        }
        for said in [RAISED, "Failing row", "Key ("] {
            assert!(!html.contains(said), "{made}: {html}");
        }
        let (status, json) = ana.post_json(EDIT, &typed).await;
        assert!(status == 422 && json["error"].as_str().unwrap().contains(words), "{made}: {json}");
        assert!(!json.to_string().contains(SECRET) && !json.to_string().contains(RAISED), "{made}: {json}");
        database.sql(unmade).await;
    }
    // one that is broken itself is no rule
    for (made, unmade) in [
        (trigger("execute 'select ' || quote_ident(new.customer_name)"), NO_TRIGGER.to_owned()),
        (
            constraint("queries", "check (to_tsquery('simple', customer_notes) is not null) not valid"),
            unconstrained("queries"),
        ),
        (constraint("tables", "check (customer_notes::regclass is not null) not valid"), unconstrained("tables")),
    ] {
        database.sql(&made).await;
        let response = ana.post(EDIT, &typed).await;
        assert_eq!(response.status(), 500, "{made}");
        assert!(!response.text().await.unwrap().contains(SECRET));
        database.sql(&unmade).await;
    }
    assert_eq!(ana.post(EDIT, &[("customer_address", "S3CRET typed at last")]).await.status(), 303);

    the_other_forms(&database, &program, &ana).await;
    let cookies = format!("{}; {}", ana.cookies(), "other=S3CRET");
    let many = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let query = "?q=S3CRET&next=S3CRET";
    let asked = many.get(format!("{}{API}{query}", program.base())).header("cookie", &cookies).send().await.unwrap();
    assert_eq!(asked.version(), reqwest::Version::HTTP_2);

    let token = ana.cookies().split_once("session=").unwrap().1.split(';').next().unwrap().to_owned();
    let log = program.log().await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |level: &str| lines.iter().any(|line| line["level"] == level);
    assert!(has("DEBUG") && has("WARN") && has("INFO"), "{log}");
    assert!(log.contains("short_notes") && log.contains("in refuses()"), "a rule has a name: {log}");
    for secret in [SECRET, RAISED, PASSWORD, "pbkdf2_sha256$", &token] {
        let said = log.lines().find(|line| line.contains(secret));
        assert_eq!(said, None, "{secret}");
    }
}

/// Cancelling and changing the status write the history, for which the host may have rules as well.
async fn the_other_forms(database: &Database, program: &Logged, ana: &Browserless) {
    const WORDS: &str = "the function “refuses()” refuses it";
    let boss = Browserless::new(program.base());
    boss.sign_in("boss").await;
    database
        .sql(
            "create function refuses() returns trigger language plpgsql as $$ begin
                 if new.order_id = 1 then raise exception 'R4ISED %', new; end if;
                 return new;
             end $$;
             create trigger refuses before insert on orders_orderstatushistory for each row execute function refuses()",
        )
        .await;
    let (reason, note) = ([("reason", "S3CRET reason")], [("status", "confirmed"), ("note", "S3CRET note")]);
    for (client, path, fields) in [(ana, CANCEL, &reason[..]), (&boss, STATUS, &note)] {
        let response = client.post(path, fields).await;
        let (status, html) = (response.status().as_u16(), response.text().await.unwrap());
        let typed = fields.last().unwrap().1;
        assert!(
            status == 422 && html.contains(WORDS) && html.contains(&format!("{typed}</textarea>")),
            "{status} {html}"
        );
        assert!(!html.contains(RAISED), "{html}");
        let (status, json) = client.post_json(path, fields).await;
        assert!(status == 422 && json["error"].as_str().unwrap().contains(WORDS), "{json}");
    }
    let (status, json) = boss.post_json(SELECTION, &[&[("order", "1"), ("order", "2")], &note[..]].concat()).await;
    assert_eq!((status, &json["changed"][0]["id"]), (200, &Value::from(2)), "{json}");
    assert!(json["refused"][0]["reason"].as_str().unwrap().contains(WORDS), "{json}");
    assert_eq!(database.value("select status from orders_order where id = 1").await, "pending");
}

#[tokio::test]
async fn a_peer_does_not_fill_the_log_and_what_was_held_back_is_counted() {
    const PINGS: usize = 100_000;
    let database = Database::new().await;
    for level in ["info", "trace"] {
        let program = Logged::start(&database.url, &["--log", level, "--log-format", "json"]).await;
        let mut socket = TcpStream::connect(program.web).await.unwrap();
        // answers to pings that nobody sent, 17 bytes each; and last a ping, whose answer shows that all were read
        let frame = |flags: u8, number: usize| {
            [&[0, 0, 8, 6, flags, 0, 0, 0, 0][..], &u64::try_from(number).unwrap().to_be_bytes()].concat()
        };
        let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        (0..PINGS).for_each(|number| flood.extend(frame(1, number)));
        flood.extend(frame(0, PINGS));
        socket.write_all(&flood).await.unwrap();
        let (mut read, answer) = (Vec::new(), frame(1, PINGS));
        while !read.windows(answer.len()).any(|window| window == answer) {
            assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "{level}: it was closed");
        }
        let log = program.log().await;
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of_pings = lines.iter().filter(|line| line.to_string().contains("ping_pong"));
        let said = of_pings.map(|line| line["fields"]["held_back"].as_u64().unwrap_or(1)).sum::<u64>();
        assert_eq!(said, PINGS as u64, "{level}: {log:.5000}");
        assert!(lines.len() < 300, "{level}: {} lines", lines.len());
    }
}

#[tokio::test]
async fn the_security_log_has_every_refusal_and_every_end_of_a_session_on_one_line_each() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'pending', 10), (3, 2, 'pending', 'pending', 30)").await;
    let program = Logged::start(&database.url, &["--trusted-proxy", "127.0.0.1", "--failed-login-takes", "0s"]).await;
    let clients = ["ana", "ana", "ana", "ben", "rx", "boss"].map(|name| {
        let client = Browserless::new(program.base());
        async move {
            client.sign_in(name).await;
            client
        }
    });
    let clients = futures_util::future::join_all(clients).await;
    let [ana, second, third, ben, rx, boss] = &clients[..] else { unreachable!() };
    // nobody's name can pass for a line of its own
    database.sql("update accounts_user set username = E'ben\\nWARN forged\\u202e' where username = 'ben'").await;
    let proxied = [("x-forwarded-for", "203.0.113.9")];
    for (client, path, status) in [
        (ben, "/orders/pharmacist/orders/", 403),
        (rx, "/orders/orders/", 403),
        (ana, "/orders/orders/3/", 404),
        (ana, "/orders/orders/999/edit/", 404),
        // no order, and none that a pharmacist could not see: that is nothing to note
        (ana, "/orders/orders/none/", 404),
        (rx, "/orders/orders/998/", 404),
        (ana, "/nowhere/", 404),
    ] {
        assert_eq!(client.get_with(path, &proxied).await.status(), status, "{path}");
    }
    let cross_site = [("sec-fetch-site", "cross-site"), proxied[0]];
    assert_eq!(ana.post_with("/orders/orders/1/cancel/?S3CRET", &cross_site).await.status(), 403);
    // a flood of one's own leaves the lines of others their room
    for _ in 0..100 {
        assert_eq!(rx.get_with("/orders/orders/", &proxied).await.status(), 403);
    }
    assert_eq!(boss.get_with("/orders/orders/", &proxied).await.status(), 403);

    ana.sign_in("ana").await;
    assert_eq!(second.post("/accounts/logout/", &[]).await.status(), 303);
    assert_eq!(third.post(SESSIONS, &[("others", "1")]).await.status(), 303);
    assert_eq!(boss.post(SESSIONS, &[("of", "ana"), ("others", "1")]).await.status(), 303);
    database.sql("update accounts_user set is_active = false where id = 2").await;
    database.sql("update accounts_user set password = password || ' ' where id = 3").await;
    for (metric, count) in [
        ("refusals_total{refused=\"role\"}", 103.0),
        ("refusals_total{refused=\"order\"}", 2.0),
        ("refusals_total{refused=\"cross_site\"}", 1.0),
        ("refusals_total{refused=\"too_many\"}", 0.0),
        ("sessions_ended_total{reason=\"replaced\"}", 1.0),
        ("sessions_ended_total{reason=\"signed_out\"}", 1.0),
        ("sessions_ended_total{reason=\"ended_by_user\"}", 1.0),
        ("sessions_ended_total{reason=\"ended_by_admin\"}", 1.0),
        ("sessions_ended_total{reason=\"deactivated\"}", 1.0),
        ("sessions_ended_total{reason=\"password_changed\"}", 1.0),
    ] {
        let metric = format!("oncare_live_{metric}");
        eventually(&metric, async || (program.metric(&metric).await == count).then_some(())).await;
    }
    let log = program.log().await;
    for (line, count) in [
        (
            r#"refused refused="role" user=2 name="ben\nWARN forged\u{202e}" address="203.0.113.9" path="/orders/pharmacist/orders/""#,
            1,
        ),
        (r#"refused refused="role" user=4 name="boss" address="203.0.113.9" path="/orders/orders/""#, 1),
        (r#"refused refused="order" user=1 name="ana" address="203.0.113.9" path="/orders/orders/3/""#, 1),
        (r#"refused refused="order" user=1 name="ana" address="203.0.113.9" path="/orders/orders/999/edit/""#, 1),
        (r#"refused refused="cross_site" address="203.0.113.9" path="/orders/orders/1/cancel/""#, 1),
        (r#"login outcome="signed_in" user=4 name="boss" address="127.0.0.1" path="/accounts/login/""#, 1),
        (
            r#"ended reason="replaced" user=1 name="ana" by_user=1 by_name="ana" address="127.0.0.1" path="/accounts/login/""#,
            1,
        ),
        (
            r#"ended reason="signed_out" user=1 name="ana" by_user=1 by_name="ana" address="127.0.0.1" path="/accounts/logout/""#,
            1,
        ),
        (
            r#"ended reason="ended_by_user" user=1 name="ana" by_user=1 by_name="ana" address="127.0.0.1" path="/accounts/sessions/""#,
            1,
        ),
        (
            r#"ended reason="ended_by_admin" user=1 name="ana" by_user=4 by_name="boss" address="127.0.0.1" path="/accounts/sessions/""#,
            1,
        ),
        (r#"ended reason="deactivated" user=2 name="ben\nWARN forged\u{202e}""#, 1),
        (r#"ended reason="password_changed" user=3 name="rx""#, 1),
        ("refused refused=\"order\"", 2),
        ("S3CRET", 0),
    ] {
        let there = log.lines().filter(|written| written.contains(line)).count();
        assert_eq!(there, count, "{line}\n{log}");
    }
    // what is held back is counted by the minute, of which two may have been met
    let flood = r#"refused refused="role" user=3 name="rx" address="203.0.113.9" path="/orders/orders/""#;
    let written = log.lines().filter(|line| line.contains(flood)).count();
    let held_back = log.lines().filter_map(|line| {
        let (count, line) = line.split_once("said too often held_back=")?.1.split_once(' ')?;
        line.starts_with(r#"line="refused=\"role\" user=3 address=\"203.0.113.9\"""#)
            .then(|| count.parse::<usize>().unwrap())
    });
    assert!((5..=10).contains(&written) && written + held_back.sum::<usize>() == 101, "{written} of the flood\n{log}");
    for line in log.lines() {
        assert!(line.starts_with("20") && !line.contains('\u{202e}'), "it does not begin with a time: {line}\n{log}");
    }
}
