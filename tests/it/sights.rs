//! A rep's orders are read with a value that only a session that holds gives, so that nobody is ever shown another's: by what the sources
//! may say, and by a hundred people at once on a single connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use rand::Rng;

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::{Browserless, EVENTS, Events};
use crate::harness::service::Service;

/// What makes the values by which orders are read and changed for people, and where alone it may stand.
const MAKES: [(&str, &str); 2] =
    [("Sight(", "src/store/people/session.rs"), ("SignedIn(", "src/store/people/session.rs")];

#[test]
fn only_the_lookup_of_sessions_says_whose_orders_somebody_may_see() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut looked_at = 0;
    for path in sources(&root.join("src")) {
        looked_at += 1;
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for (makes, there) in MAKES {
            assert!(name == there || !code.contains(makes), "{name} has {makes}");
        }
        // what a request says is no rep
        assert!(!name.starts_with("src/web/") || !code.contains("RepId("), "{name} makes a rep's id");
    }
    assert!(looked_at > 100, "{looked_at}");
    let made = std::fs::read_to_string(root.join(MAKES[0].1)).unwrap();
    // one for each kind of role, and the type; one where a row is read, and the type
    assert_eq!((made.matches("Some(Sight(").count(), made.matches("Ok(SignedIn(").count()), (2, 1));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(of).filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

const FIRST: i64 = 1_000;
const PEOPLE: i64 = 100;

/// How many orders a rep has: not all the same number.
fn orders_of(rep: i64) -> i64 {
    rep % 4 + 1
}

async fn enter(database: &Database) {
    let last = FIRST + PEOPLE - 1;
    database
        .sql(&format!(
            "insert into accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
                 date_joined, role, phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at)
             select n, 'x', false, 'rep' || n, '', '', '', false, true, now(), 'sales_rep', '', '', '', '', '', '', true, now(),
                 now() from generate_series({FIRST}, {last}) n;
             insert into live.session (token_hash, user_id, password_digest, expires_at)
             select sha256(convert_to('token' || n, 'UTF8')), n, sha256('x'), now() + interval '1 day'
             from generate_series({FIRST}, {last}) n"
        ))
        .await;
    let orders = (FIRST..=last).flat_map(|rep| {
        (0..orders_of(rep)).map(move |n| format!("({}, {rep}, 'pending', 'paid', {rep})", rep * 10 + n))
    });
    database.orders(&orders.collect::<Vec<_>>().join(", ")).await;
    database.sql("update orders_order set customer_name = 'Of-' || sales_rep_id || '-end'").await;
}

/// Whose orders a text tells of.
fn owners(text: &str) -> Vec<&str> {
    text.split("Of-").skip(1).filter_map(|rest| rest.split_once("-end")).map(|(owner, _)| owner).collect()
}

/// Asks once and drops the request at random, wherever it is; and asks until it is answered in full. On one connection some wait for too
/// long, and are told so, or their export breaks off.
async fn answer(person: &Browserless, path: &str) -> (u16, String) {
    let ask = async || {
        let response = person.get(path).await;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        (status != 503).then_some((status, text))
    };
    let patience = Duration::from_micros(rand::rng().random_range(0..50_000));
    let dropped = tokio::time::timeout(patience, ask()).await;
    if let Ok(Some(answer)) = dropped { answer } else { eventually("it is answered", ask).await }
}

async fn ask_everything(base: &str, rep: i64) {
    let person = Browserless::with_cookies(base.to_owned(), &format!("oncare_live_session=token{rep}"));
    let (own, number) = (rep.to_string(), rep * 10);
    let anothers = (FIRST + (rep - FIRST + 1) % PEOPLE) * 10;
    let mut paths = [
        ("/orders/orders/".to_owned(), 200),
        ("/orders/orders/?q=Of".to_owned(), 200),
        (format!("/orders/api/sales-rep/dashboard/?visible={number},{anothers}"), 200),
        ("/orders/api/sales-rep/dashboard/?q=end&sort=customer_name".to_owned(), 200),
        ("/orders/api/sales-rep/changes/".to_owned(), 200),
        ("/orders/orders/export.csv".to_owned(), 200),
        (format!("/orders/orders/{number}/"), 200),
        (format!("/orders/orders/{anothers}/"), 404),
        (format!("/orders/orders/{anothers}/edit/"), 404),
    ];
    // everybody some of them, in another order
    paths.rotate_left(rep as usize % 9);
    let stream = async {
        let mut events = loop {
            let response = person.get(EVENTS).await;
            if response.status() == 200 {
                break Events::of(response);
            }
            assert_eq!(response.status(), 503);
        };
        let sync = events.wait_for("sync").await;
        assert_eq!(sync.data["statistics"]["total_orders"], orders_of(rep), "{rep}");
        let patch = events.wait_for("patch").await;
        assert!(owners(&patch.data.to_string()).iter().all(|owner| *owner == own), "{rep}: {}", patch.data);
        for order in patch.data["orders"].as_array().unwrap() {
            assert_eq!(order["id"].as_i64().unwrap() / 10, rep, "{}", patch.data);
        }
    };
    let asking = async {
        for (path, expected) in &paths[..3] {
            let (status, text) = answer(&person, path).await;
            assert_eq!(status, *expected, "{rep} {path}: {text}");
            let owners = owners(&text);
            assert!(owners.iter().all(|owner| *owner == own), "{rep} {path}: {owners:?}");
            if path.contains("dashboard/?visible") {
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(json["statistics"]["total_orders"], orders_of(rep), "{rep}");
                assert_eq!((&json["visible"][0]["id"], &json["visible"][1]["removed"]), (&number.into(), &true.into()));
            }
            if path.ends_with(".csv") {
                assert_eq!(owners.len() as i64, orders_of(rep), "{rep}: {text}");
            }
        }
    };
    tokio::join!(stream, asking);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_people_on_one_connection_see_nobody_elses_orders() {
    let database = Database::new().await;
    enter(&database).await;
    let service = Service::start_with(&database, &["--pool-size", "1"]).await;
    let base = service.base();
    let people = join_all((FIRST..FIRST + PEOPLE).map(|rep| ask_everything(&base, rep)));
    let changes = async {
        // until everybody has a stream, and has been told of a change
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            database.sql("update orders_order set total_amount = total_amount + 1 where id % 10 = 0").await;
        }
    };
    tokio::select! {
        _ = people => {}
        () = changes => {}
    }
    // whoever dropped a request left nothing behind
    let person = Browserless::with_cookies(base, &format!("oncare_live_session=token{FIRST}"));
    assert_eq!(person.dashboard("").await["statistics"]["total_orders"], orders_of(FIRST));
}
