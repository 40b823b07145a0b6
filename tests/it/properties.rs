//! What holds for anything that anybody sends, held against a model. The cases are the same in each run: `PROPTEST_CASES` makes more
//! of them, `PROPTEST_RNG_SEED` others, and those that ever failed are in `tests/properties.txt` and come first.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeZone, Utc};
use oncare_live::cursor::{Cursor, Epoch, Revision, Snapshot};
use oncare_live::order::Filter;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect};
use tokio::runtime::Runtime;
use tokio_postgres::Client as Connection;

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::{API, Browserless, EVENTS};
use crate::harness::service::Service;

#[path = "../../fuzz/checks.rs"]
mod checks;

/// Of what needs no service.
const MANY: u32 = 2_000;

/// Of what needs one.
const SOME: u32 = 100;

fn cases(cases: u32) -> Config {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/properties.txt");
    let mut config = Config::with_cases(cases);
    config.failure_persistence = Some(Box::new(FileFailurePersistence::Direct(regressions)));
    // in the environment is what the person wants who looks for more
    let asked = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        config.cases = asked.cases;
    }
    config.rng_seed = if std::env::var_os("PROPTEST_RNG_SEED").is_some() { asked.rng_seed } else { RngSeed::Fixed(1) };
    config.max_shrink_iters = 200;
    config
}

/// Anything, and often what looks like something.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[0-9a-f]{0,17}[/.:]?[0-9:,./+ -]{0,40}( crowded)?".prop_map(String::into_bytes),
        "[+0-9]{0,4} {0,2}crow(ded)?[ a-z]{0,2}".prop_map(String::into_bytes),
        "\\PC{0,60}".prop_map(String::into_bytes),
        r#"\{"_auth_user_id":"?[0-9a-z]{0,4}"?,"_auth_user_backend":"b","_auth_user_hash":"?[0-9a-g]{0,6}"?\}"#
            .prop_map(String::into_bytes),
    ]
}

/// What happens to transactions.
#[derive(Debug, Clone)]
enum Step {
    Begin,
    /// The one at that place among those in progress.
    Commit(prop::sample::Index),
}

/// A primary, as far as snapshots know it.
#[derive(Default)]
struct Primary {
    next: u64,
    in_progress: BTreeSet<u64>,
    committed: BTreeSet<u64>,
}

impl Primary {
    fn snapshot(&self) -> Snapshot {
        let xmax = self.committed.last().map_or(1, |last| last + 1);
        let running: Vec<u64> = self.in_progress.range(..xmax).copied().collect();
        let xmin = running.first().copied().unwrap_or(xmax);
        let list: Vec<String> = running.iter().map(u64::to_string).collect();
        format!("{xmin}:{xmax}:{}", list.join(",")).parse().unwrap()
    }
}

proptest! {
    #![proptest_config(cases(MANY))]

    #[test]
    fn the_fuzzers_checks_hold(data in garbage()) {
        checks::cursor(&data);
        checks::notification(&data);
        checks::django_session(&data);
    }

    #[test]
    fn a_later_snapshot_has_more_and_a_newer_revision(
        steps in prop::collection::vec(prop_oneof![Just(Step::Begin), any::<prop::sample::Index>().prop_map(Step::Commit)], 1..40),
    ) {
        let mut primary = Primary { next: 1, ..Primary::default() };
        let mut revisions: Vec<Revision> = Vec::new();
        for step in steps {
            let commits = match step {
                Step::Commit(which) if !primary.in_progress.is_empty() => {
                    let xid = *primary.in_progress.iter().nth(which.index(primary.in_progress.len())).unwrap();
                    primary.in_progress.remove(&xid);
                    primary.committed.insert(xid)
                }
                Step::Begin | Step::Commit(_) => {
                    primary.in_progress.insert(primary.next);
                    primary.next += 1;
                    false
                }
            };
            let snapshot = primary.snapshot();
            prop_assert_eq!(snapshot.to_string().parse::<Snapshot>(), Ok(snapshot.clone()));
            for xid in 1..primary.next {
                prop_assert_eq!(snapshot.has(xid), primary.committed.contains(&xid), "{} in {}", xid, snapshot);
            }
            let revision = Cursor { epoch: Epoch::of("one"), snapshot: snapshot.clone() }.revision();
            if let Some(before) = revisions.last() {
                prop_assert!(if commits { *before < revision } else { *before == revision }, "{:?} {:?}", before, revision);
            }
            let elsewhere = Cursor { epoch: Epoch::of("another"), snapshot }.revision();
            prop_assert_eq!(revision.partial_cmp(&elsewhere), None);
            revisions.push(revision);
        }
        // one order, whichever two are compared
        for (place, one) in revisions.iter().enumerate() {
            for other in &revisions[place..] {
                prop_assert!(one <= other);
            }
        }
    }

    #[test]
    fn what_a_filter_asks_for_is_read_again_as_it_was(query in "(&?(q|status|payment_status|date_from|date_to|total_min|total_max|sort|page|x)\
        =(\\PC{0,12}|pending|shipped,paid|paid|20[0-9]{2}-[01][0-9]-[0-3][0-9]|[0-9]{1,6}(\\.[0-9]{1,3})?|-?created_at|%[0-9a-f]{2}){1,2}){0,5}") {
        let any = Filter::as_shop(&query);
        prop_assert!(any.search.iter().all(|word| !word.contains('\0')));
        if let Ok(filter) = Filter::parse(&query) {
            let again = Filter::parse(filter.query(1).trim_start_matches('?'));
            prop_assert_eq!(again, Ok(Filter { page: Filter::default().page, ..filter }));
        }
    }
}

/// What a list may be asked for.
#[derive(Debug, Clone)]
struct Wanted {
    words: Vec<&'static str>,
    statuses: Vec<&'static str>,
    payments: Vec<&'static str>,
    from: Option<u64>,
    to: Option<u64>,
    min: Option<u32>,
    max: Option<u32>,
    sort: &'static str,
}

const STATUSES: [&str; 8] =
    ["pending", "processing", "confirmed", "ready_for_pickup", "shipped", "delivered", "cancelled", "returned"];
const PAYMENTS: [&str; 3] = ["pending", "paid", "refunded"];
const CUSTOMERS: [&str; 6] = ["Ana Cruz", "ben_%", "Ärzte Köln", "O'Neill \\ Sons", "50% off", "ana"];

/// How many orders each rep has.
const ORDERS: u64 = 48;

/// An order, as the model knows it.
struct Modelled {
    id: u64,
    status: &'static str,
    payment: &'static str,
    customer: &'static str,
    /// In hundredths.
    total: u64,
    created: DateTime<Utc>,
}

fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 3, 1).unwrap()
}

fn day(days: u64) -> NaiveDate {
    first_day().checked_add_days(Days::new(days)).unwrap()
}

fn modelled() -> Vec<Modelled> {
    let order = |n: u64| Modelled {
        id: n,
        status: STATUSES[(n * 7 % 11 % 8) as usize],
        payment: PAYMENTS[(n * 5 % 7 % 3) as usize],
        customer: CUSTOMERS[(n * 3 % 13 % 6) as usize],
        total: n * 37 % 20 * 250,
        created: Utc.from_utc_datetime(&day(n * 11 % 8).and_hms_opt((n % 24) as u32, 0, 0).unwrap()),
    };
    (1..=ORDERS).map(order).collect()
}

impl Wanted {
    fn any() -> impl Strategy<Value = Self> {
        let some = |all: &'static [&'static str]| prop_oneof![Just(Vec::new()), subsequence(all, 0..=all.len())];
        let words = ["ana", "ANA", "cruz", "ÄRZTE", "köln", "%", "_", "\\", "o'neill", "3", "ORD-2025", "zz"];
        let texts = (
            prop_oneof![2 => Just(Vec::new()), 1 => subsequence(words.to_vec(), 1..=2)],
            some(&STATUSES),
            some(&PAYMENTS),
        );
        let ranges = (
            prop::option::of(0..10u64),
            prop::option::of(0..10u64),
            prop::option::of(0..60u32),
            prop::option::of(0..60u32),
        );
        let sorts = select(vec!["", "created_at", "-created_at", "total_amount", "-total_amount"]);
        (texts, ranges, sorts).prop_map(|((words, statuses, payments), (from, to, min, max), sort)| Self {
            words,
            statuses,
            payments,
            from,
            to,
            min,
            max,
            sort,
        })
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::from("rep=1"));
        let pairs = [
            ("q", self.words.join(" ")),
            ("status", self.statuses.join(",")),
            ("payment_status", self.payments.join(",")),
            ("date_from", self.from.map(|days| day(days).to_string()).unwrap_or_default()),
            ("date_to", self.to.map(|days| day(days).to_string()).unwrap_or_default()),
            ("total_min", self.min.map(|amount| amount.to_string()).unwrap_or_default()),
            ("total_max", self.max.map(|amount| amount.to_string()).unwrap_or_default()),
            ("sort", self.sort.to_owned()),
        ];
        pairs
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .fold(&mut query, |query, (name, value)| query.append_pair(name, value));
        query.finish()
    }

    fn has(&self, order: &Modelled) -> bool {
        let text = format!("ORD-2025-{:05} {}", order.id, order.customer).to_lowercase();
        let is_among = |codes: &[&str], code: &str| codes.is_empty() || codes.contains(&code);
        self.words.iter().all(|word| text.contains(&word.to_lowercase()))
            && is_among(&self.statuses, order.status)
            && is_among(&self.payments, order.payment)
            && self.from.is_none_or(|days| order.created.date_naive() >= day(days))
            && self.to.is_none_or(|days| order.created.date_naive() <= day(days))
            && self.min.is_none_or(|amount| order.total >= u64::from(amount) * 100)
            && self.max.is_none_or(|amount| order.total <= u64::from(amount) * 100)
    }

    /// The ids of the list, in its order.
    fn ids(&self, orders: &[Modelled]) -> Vec<u64> {
        let mut found: Vec<&Modelled> = orders.iter().filter(|order| self.has(order)).collect();
        // the newest first, and among those of one instant those with the greater id
        found.sort_by_key(|order| std::cmp::Reverse((order.created, order.id)));
        let rank =
            |order: &Modelled| STATUSES.iter().position(|status| *status == order.status).unwrap_or_default().min(5);
        match self.sort {
            "" => found.sort_by_key(|order| rank(order)),
            "created_at" => found.sort_by_key(|order| (order.created, order.id)),
            "total_amount" => found.sort_by_key(|order| (order.total, order.id)),
            "-total_amount" => found.sort_by_key(|order| std::cmp::Reverse((order.total, order.id))),
            _ => {}
        }
        found.iter().map(|order| order.id).collect()
    }
}

/// The model's orders are ana's; ben has the same with other ids.
async fn enter(database: &Database, orders: &[Modelled]) {
    let row = |rep: u64, order: &Modelled| {
        format!(
            "({}, {rep}, '{}', '{}', {})",
            order.id + (rep - 1) * 1_000,
            order.status,
            order.payment,
            order.total as f64 / 100.0
        )
    };
    let rows: Vec<String> = (1..=2).flat_map(|rep| orders.iter().map(move |order| row(rep, order))).collect();
    database.orders(&rows.join(", ")).await;
    let written = orders.iter().map(|order| {
        let (id, customer) = (order.id, order.customer.replace('\'', "''"));
        let (created, which) = (order.created.to_rfc3339(), format!("id % 1000 = {id}"));
        format!("update orders_order set customer_name = '{customer}', created_at = '{created}' where {which}")
    });
    database.sql(&written.collect::<Vec<_>>().join("; ")).await;
}

#[test]
fn a_list_has_the_orders_that_the_model_says_in_its_order() {
    let runtime = Runtime::new().unwrap();
    let orders = modelled();
    let (_database, _service, ana) = runtime.block_on(async {
        let database = Database::new().await;
        enter(&database, &orders).await;
        let service = Service::start(&database).await;
        let ana = service.signed_in("ana").await;
        (database, service, ana)
    });
    let all: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
    proptest!(cases(SOME), |(wanted in Wanted::any())| {
        let expected = wanted.ids(&orders);
        let (mut found, mut fitting) = (Vec::new(), BTreeSet::new());
        for page in 1..=expected.len().div_ceil(20).max(1) {
            let query = format!("?{}&page={page}&visible={}", wanted.query(), all.join(","));
            let answer = runtime.block_on(ana.dashboard(&query));
            prop_assert_eq!(&answer["total"], expected.len(), "{}", query);
            found.extend(answer["orders"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()));
            let rows = answer["visible"].as_array().unwrap().iter();
            fitting.extend(rows.filter(|row| row["fits"] == true).map(|row| row["id"].as_u64().unwrap()));
        }
        prop_assert_eq!(&found, &expected, "{}", wanted.query());
        prop_assert_eq!(fitting, expected.iter().copied().collect::<BTreeSet<_>>(), "{}", wanted.query());
    });
}

/// A service with an order of each rep's, and who sends what no browser does.
struct Sent {
    connection: Connection,
    service: Service,
    client: Client,
    /// The sessions of ana, ben and rx.
    sessions: [String; 3],
    /// Ends last.
    runtime: Runtime,
}

impl Sent {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (connection, service, sessions) = runtime.block_on(async {
            let database = Database::new().await;
            database.orders("(1, 1, 'pending', 'paid', 1), (2, 2, 'pending', 'paid', 1)").await;
            let service = Service::start(&database).await;
            let session = async |name: &str| {
                let cookies = service.signed_in(name).await.cookies();
                let session = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("oncare_live_session="));
                session.unwrap().to_owned()
            };
            let sessions = [session("ana").await, session("ben").await, session("rx").await];
            (database.client().await, service, sessions)
        });
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { connection, service, client, sessions, runtime }
    }

    /// Status and body.
    fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Vec<u8>) -> (u16, String) {
        self.runtime.block_on(async {
            let request = self.client.request(method, format!("{}{path}", self.service.base())).headers(headers);
            let response = request.body(body).send().await.unwrap();
            let status = response.status().as_u16();
            // a stream has no end
            let is_stream = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
            (status, if is_stream { String::new() } else { response.text().await.unwrap() })
        })
    }

    fn session_of(&self, person: usize) -> HeaderMap {
        let cookie = format!("oncare_live_session={}", self.sessions[person]);
        HeaderMap::from_iter([(reqwest::header::COOKIE, HeaderValue::from_str(&cookie).unwrap())])
    }

    /// What nobody writes but by a form.
    fn written(&self) -> Vec<String> {
        let tables = [
            "orders_order",
            "orders_orderstatushistory",
            "accounts_user",
            "live.saved_view",
            "live.muted_order",
            "live.account",
            "live.session",
        ];
        let each = tables.map(|table| {
            let columns = if table == "live.session" { "token_hash::text" } else { "t::text" };
            format!("(select md5(coalesce(string_agg({columns}, '|' order by {columns}), '')) from {table} t)")
        });
        let query = format!("select array[{}]", each.join(", "));
        self.runtime.block_on(self.connection.query_one(&query, &[])).unwrap().get(0)
    }
}

/// A cookie in a request.
#[derive(Debug, Clone)]
enum Sends {
    /// A session: of ana or ben, in quotes or not.
    Session(usize, bool),
    /// The session's name, with something that is none.
    Nonsense(String),
    /// Another name.
    Other(String, String),
}

fn cookies() -> impl Strategy<Value = Vec<Vec<Sends>>> {
    let one = prop_oneof![
        4 => (0..2usize, any::<bool>()).prop_map(|(person, quoted)| Sends::Session(person, quoted)),
        1 => "[!-:<-~]{0,70}".prop_map(Sends::Nonsense),
        2 => ("[a-z_]{1,24}|oncare_live_sessio|oncare_live_device_[0-9a-f]{8}|oncare_live_next|__Host-oncare_live_session", "[!-:<-~]{0,40}")
            .prop_map(|(name, value)| Sends::Other(name, value)),
    ];
    prop::collection::vec(prop::collection::vec(one, 0..4), 0..3)
}

#[test]
fn of_session_cookies_one_alone_is_believed_and_only_a_right_one() {
    let sent = Sent::new();
    proptest!(cases(SOME), |(lines in cookies())| {
        let mut headers = HeaderMap::new();
        for line in &lines {
            let text = line.iter().map(|cookie| match cookie {
                Sends::Session(person, true) => format!("oncare_live_session=\"{}\"", sent.sessions[*person]),
                Sends::Session(person, false) => format!("oncare_live_session={}", sent.sessions[*person]),
                Sends::Nonsense(value) => format!("oncare_live_session={value}"),
                Sends::Other(name, value) => format!("{name}={value}"),
            });
            let text = text.collect::<Vec<_>>().join("; ");
            headers.append("cookie", HeaderValue::from_str(&text).unwrap());
        }
        let named: Vec<&Sends> = lines.iter().flatten().filter(|cookie| !matches!(cookie, Sends::Other(..))).collect();
        let expected = match named[..] {
            [Sends::Session(person, _)] => Some(person + 1),
            _ => None,
        };
        let (status, body) = sent.send(Method::GET, API, headers, Vec::new());
        let found = (status == 200).then(|| serde_json::from_str::<serde_json::Value>(&body).unwrap()["orders"][0]["id"].as_u64().unwrap());
        prop_assert_eq!(found, expected.map(|id| id as u64), "{} {:?}", status, lines);
    });
}

#[test]
fn no_header_is_too_odd() {
    let sent = Sent::new();
    let names = vec![
        "accept",
        "accept-language",
        "accept-encoding",
        "if-none-match",
        "if-modified-since",
        "last-event-id",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "origin",
        "referer",
        "sec-fetch-site",
        "user-agent",
        "range",
        "content-type",
        "cookie",
        "expect",
        "authorization",
    ];
    let value = prop_oneof![
        8 => prop::collection::vec(prop_oneof![32..127u8, 128..=255u8, Just(9u8)], 0..80),
        8 => garbage(),
        1 => Just(vec![b','; 5_000])
    ];
    let headers = prop::collection::vec((select(names), value), 0..14);
    let paths = select(vec![
        (Method::GET, API),
        (Method::GET, "/orders/orders/"),
        (Method::GET, "/orders/orders/1/"),
        (Method::GET, EVENTS),
        (Method::GET, "/orders/api/sales-rep/changes/"),
        (Method::GET, "/static/js/realtime_dashboard.js"),
        (Method::GET, "/accounts/login/"),
        (Method::POST, "/orders/orders/views/"),
        (Method::POST, "/orders/api/orders/2/mute/"),
        (Method::GET, "/orders/orders/export.csv"),
    ]);
    // who never read anything begins to read with this
    sent.send(Method::GET, "/orders/api/sales-rep/changes/", sent.session_of(0), Vec::new());
    let before = sent.written();
    proptest!(cases(3 * SOME), |(headers in headers, (method, path) in paths, is_ana in any::<bool>())| {
        let mut all = if is_ana { sent.session_of(0) } else { HeaderMap::new() };
        for (name, value) in &headers {
            // what can't be sent is not
            if let Ok(value) = HeaderValue::from_bytes(value) && *name != "expect" {
                all.append(HeaderName::from_static(name), value);
            }
        }
        let (status, body) = sent.send(method, path, all, Vec::new());
        prop_assert!(status < 500 && status != 304, "{} {}: {} {}", path, status, body, headers.len());
        prop_assert!(!body.contains("Customer 2"), "another's order");
    });
    assert_eq!(sent.written(), before);
}

#[test]
fn what_a_form_is_refused_for_is_not_written_whatever_its_body() {
    let sent = Sent::new();
    let body = prop_oneof![
        3 => garbage(),
        3 => "(&?(order|status|payment_status|version|note|reason|name|query|muted|page|user|customer_name|delivery_method|next|toasts|sound)=(\\PC{0,8}|1|[0-9]{1,3}|pending|shipped|%[0-9a-fA-F]{0,2}|a%00b)){0,6}"
            .prop_map(String::into_bytes),
        1 => Just(vec![b'a'; 300_000]),
        1 => (0..400usize).prop_map(|n| b"order=1&".repeat(n)),
    ];
    let kinds = select(vec![
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json",
        "",
    ]);
    let paths = select(vec![
        "/orders/orders/status/",
        "/orders/orders/1/status/",
        "/orders/orders/1/edit/",
        "/orders/orders/1/cancel/",
        "/orders/orders/9/cancel/",
        "/orders/pharmacist/orders/views/",
        "/orders/pharmacist/orders/views/delete/",
        "/orders/api/orders/1/mute/",
        "/orders/api/orders/1/viewing/",
        "/orders/api/pharmacist/changes/read/",
        "/accounts/preferences/",
        "/accounts/sessions/",
    ]);
    let before = std::cell::RefCell::new(sent.written());
    proptest!(cases(2 * SOME), |(body in body, kind in kinds, path in paths)| {
        let mut headers = sent.session_of(2);
        headers.insert("content-type", HeaderValue::from_static(kind));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        let length = body.len();
        let (status, answer) = sent.send(Method::POST, path, headers, body.clone());
        let now = sent.written();
        prop_assert!(status < 500, "{} {}: {}", path, status, answer);
        prop_assert!(length <= 262_144 || status == 413, "{} {}", path, status);
        prop_assert!(status < 400 || now == *before.borrow(), "{} {} {:?}", path, status, String::from_utf8_lossy(&body));
        *before.borrow_mut() = now;
    });
}

#[test]
fn no_notification_brings_a_page_to_a_wrong_state() {
    let runtime = Runtime::new().unwrap();
    let (database, service) = runtime.block_on(async {
        let database = Database::new().await;
        database.orders("(1, 1, 'pending', 'paid', 1), (2, 2, 'pending', 'paid', 1)").await;
        let service = Service::start(&database).await;
        (database, service)
    });
    let client = runtime.block_on(database.client());
    let ana: Browserless = runtime.block_on(service.signed_in("ana"));
    let stream = tokio::sync::Mutex::new(runtime.block_on(ana.events()));
    let reconnects = runtime.block_on(service.metric("oncare_live_listener_reconnects_total"));
    let payload = prop_oneof![
        garbage().prop_map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', "")),
        any::<u64>().prop_map(|xid| format!("{xid} crowded")),
        Just("risen".to_owned()),
        Just("x".repeat(7_999)),
    ];
    let channels = select(vec!["live_orders", "live_canary"]);
    let sent = prop::collection::vec((channels, payload), 1..8);
    proptest!(cases(SOME / 4), |(notifications in sent, rep in 1..=2i64)| {
        runtime.block_on(async {
            for (channel, payload) in &notifications {
                client.execute("select pg_notify($1, $2)", &[channel, payload]).await.unwrap();
            }
            let total: i64 = client.query_one("update orders_order set total_amount = total_amount + 1 where id = $1 returning total_amount::bigint",
                &[&rep]).await.unwrap().get(0);
            if rep == 1 {
                // every change comes, and each once: a change that is told twice would be told again here
                let patch = stream.lock().await.wait_for("patch").await;
                assert_eq!(patch.data["orders"][0]["total_amount"].as_f64(), Some(total as f64), "{notifications:?}");
            }
        });
    });
    runtime.block_on(async {
        eventually("it is ready", async || (service.get_ops("/readyz").await.0 == 200).then_some(())).await;
        assert_eq!(service.metric("oncare_live_listener_reconnects_total").await, reconnects);
        tokio::time::timeout(Duration::from_secs(60), service.stop()).await.unwrap();
    });
}
