//! Several instances on one database behind a balancer that knows nothing of sessions: whoever resumes elsewhere misses nothing, hears
//! nothing twice, and never goes back; and what instances know of each other.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use oncare_live::cursor::Revision;
use oncare_live::store::{Folded, MadeUp, Owed};
use rand::Rng;
use reqwest::Response;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::harness::database::{Database, order_sql};
use crate::harness::http::{Browserless, Events};
use crate::harness::instance::Instance;
use crate::harness::service::Service;
use crate::harness::{PATIENCE, eventually};

/// Leads each connection to the next instance that takes it.
struct Balancer {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    async fn before(targets: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let targets = Arc::new(Mutex::new(targets));
        let (shared, next) = (Arc::clone(&targets), AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut order = shared.lock().unwrap().clone();
                let first = next.fetch_add(1, SeqCst) % order.len();
                order.rotate_left(first);
                tokio::spawn(async move {
                    for target in order {
                        if let Ok(mut server) = TcpStream::connect(target).await {
                            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                            return;
                        }
                    }
                });
            }
        });
        Self { address, targets }
    }
}

/// What a page shows, by an order's id: where it stands, and its total.
type Rows = BTreeMap<i64, (String, String)>;

/// What a page has been told.
#[derive(Debug, Default)]
struct Told {
    /// Of what it shows.
    revision: Option<Revision>,
    /// Of what its streams told, one after the other.
    streamed: Option<Revision>,
    rows: Rows,
    orders: i64,
    /// The ids of changes.
    changes: BTreeSet<i64>,
    /// How often it resumed, or was answered that nothing has changed.
    resumed: usize,
}

/// Whether a state is newer than one that was known. It is never older.
fn is_newer(state: &Value, known: &mut Option<Revision>, what: &str) -> bool {
    let revision: Revision = state["revision"].as_str().unwrap().parse().unwrap();
    let order = known.map_or(Ordering::Greater, |known| revision.partial_cmp(&known).expect("there is one epoch"));
    assert_ne!(order, Ordering::Less, "{what} goes back from {known:?} to {revision}");
    *known = Some(revision);
    order == Ordering::Greater
}

impl Told {
    fn is_told_of(&mut self, changes: &Value) {
        for change in changes.as_array().unwrap() {
            let id = change["id"].as_i64().unwrap();
            assert!(self.changes.insert(id), "{id} is told twice");
        }
    }

    fn has(&mut self, row: &Value) {
        let id = row["id"].as_i64().unwrap();
        if row["removed"] == true {
            self.rows.remove(&id);
        } else {
            let total = format!("{:.2}", row["total_amount"].as_f64().unwrap());
            self.rows.insert(id, (row["status"].as_str().unwrap().to_owned(), total));
        }
    }

    fn has_all(&mut self, answer: &Value, what: &str) {
        is_newer(answer, &mut self.revision, what);
        self.rows.clear();
        answer["orders"].as_array().unwrap().iter().for_each(|row| self.has(row));
        self.orders = answer["statistics"]["total_orders"].as_i64().unwrap();
    }
}

/// One page of somebody.
#[derive(Clone)]
struct Page {
    told: Arc<Mutex<Told>>,
    client: reqwest::Client,
    base: String,
    cookies: String,
    /// As in the paths.
    list: &'static str,
    /// Whose orders: none for all.
    rep: Option<i64>,
    stop: Arc<AtomicBool>,
}

impl Page {
    /// Each request on a connection of its own. Nothing where that was cut.
    async fn ask(&self, what: &str, header: Option<(&'static str, &str)>) -> Option<Response> {
        let rep = self.rep.map_or("all".to_owned(), |rep| rep.to_string());
        let url = format!("{}/orders/api/{}/{what}/?rep={rep}", self.base, self.list);
        let mut request = self.client.get(url).header("cookie", &self.cookies).header("connection", "close");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = timeout(PATIENCE, request.send()).await.expect("it is answered").ok()?;
        assert!([200, 304].contains(&answer.status().as_u16()), "{what}: {}", answer.status());
        Some(answer)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Reads the rows, at whichever instance: as new as what the stream told at another.
    async fn read(&self) -> Option<()> {
        let answer: Value = self.ask("dashboard", None).await?.json().await.ok()?;
        self.told().has_all(&answer, "an answer");
        Some(())
    }

    /// Streams, is cut after a few events, and resumes at another instance, again and again.
    async fn stream(self) {
        let mut cursor: Option<String> = None;
        let mut must_read = true;
        while !self.stop.load(SeqCst) {
            let header = cursor.as_deref().map(|cursor| ("last-event-id", cursor));
            let Some(answer) = self.ask("events", header).await else { continue };
            let mut events = Events::of(answer);
            let mut left = rand::rng().random_range(2..9);
            while left > 0 && !self.stop.load(SeqCst) {
                let Ok(event) = timeout(Duration::from_millis(700), events.next()).await else { break };
                let Some(event) = event else { break };
                left -= 1;
                if !["sync", "patch"].contains(&event.name.as_str()) {
                    continue;
                }
                cursor = event.id;
                if self.tell(&event.name, &event.data) {
                    must_read = true;
                }
                if must_read {
                    must_read = self.read().await.is_none();
                }
            }
        }
    }

    /// Whether the rows are to be read after what a stream tells.
    fn tell(&self, name: &str, data: &Value) -> bool {
        let mut told = self.told();
        let is_first = told.streamed.is_none();
        is_newer(data, &mut told.streamed, name);
        // an answer of another instance may have overtaken it
        let revision: Revision = data["revision"].as_str().unwrap().parse().unwrap();
        let is_news = told.revision.is_none_or(|shown| shown.partial_cmp(&revision) == Some(Ordering::Less));
        if is_news {
            told.revision = Some(revision);
            told.orders = data["statistics"]["total_orders"].as_i64().unwrap();
        }
        if name == "patch" {
            told.is_told_of(&data["changes"]);
            if is_news {
                data["orders"].as_array().unwrap().iter().for_each(|row| told.has(row));
            }
            return false;
        }
        let missed = &data["missed"];
        assert_eq!(missed.is_null(), is_first, "it is known what was missed");
        if !is_first {
            told.resumed += 1;
            told.is_told_of(missed);
        }
        *missed != serde_json::json!([])
    }

    /// Polls at one instance with what another said of the state.
    async fn poll(self) {
        let mut tag: Option<String> = None;
        while !self.stop.load(SeqCst) {
            let pause = rand::rng().random_range(5..80);
            sleep(Duration::from_millis(pause)).await;
            let header = tag.as_deref().map(|tag| ("if-none-match", tag));
            let Some(answer) = self.ask("dashboard", header).await else { continue };
            let new_tag = answer.headers()["etag"].to_str().unwrap().to_owned();
            if answer.status() == 200 {
                let Ok(answer) = answer.json::<Value>().await else { continue };
                self.told().has_all(&answer, "a poll");
            } else {
                self.told().resumed += 1;
            }
            tag = Some(new_tag);
        }
    }

    /// Waits until the page shows what the database says, and has been told of each change since an event, if it streams.
    async fn is_exact(&self, database: &Database, streams: bool, since: &str) {
        let client = database.client().await;
        let sql = "select id::bigint, status::text, total_amount::text from orders_order
                   where $1::bigint is null or sales_rep_id = $1";
        let rows = client.query(sql, &[&self.rep]).await.unwrap();
        let truth: Rows = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        let sql = "select id from live.order_event
                   where id > $1::text::bigint and ($2::bigint is null or $2 in (old_sales_rep_id, new_sales_rep_id))";
        let events = client.query(sql, &[&since, &self.rep]).await.unwrap();
        let events: BTreeSet<i64> = events.iter().map(|row| row.get(0)).collect();
        let is_exact = async || {
            let told = self.told();
            let is_exact = told.rows == truth && told.orders == truth.len() as i64;
            (is_exact && (!streams || told.changes == events)).then_some(())
        };
        if timeout(PATIENCE, eventually("it is exact", is_exact)).await.is_err() {
            panic!(
                "{:?} of {} shows {:?}, and the database has {truth:?}, {events:?}",
                self.rep,
                self.list,
                self.told()
            );
        }
    }
}

/// Changes orders at random, in transactions that overlap, some of which are undone in part.
async fn write(database_url: String, number: i64, stop: Arc<AtomicBool>, written: Arc<AtomicUsize>) {
    let client = crate::harness::database::connect(&database_url).await;
    let own = 100 + number;
    let mut has_own = false;
    while !stop.load(SeqCst) {
        let (order, rep, pause) = {
            let mut random = rand::rng();
            (random.random_range(1..=12), random.random_range(1..=2), random.random_range(0..25))
        };
        let one = match (rand::rng().random_range(0..8), has_own) {
            (0, _) => format!("update orders_order set sales_rep_id = {rep} where id = {order}"),
            (1, false) => order_sql(&format!("({own}, {rep}, 'pending', 'paid', 5)")),
            (1, true) => format!("delete from orders_order where id = {own}"),
            (2 | 3, _) => format!(
                "update orders_order set status = case status when 'pending' then 'confirmed' else 'pending' end
                 where id = {order}"
            ),
            _ => format!("update orders_order set total_amount = total_amount + 1 where id = {order}"),
        };
        has_own ^= one.contains(&own.to_string());
        let undone = format!(
            "savepoint s; update orders_order set total_amount = 9999 where id = {order}; rollback to savepoint s"
        );
        client.batch_execute(&format!("begin; {one}")).await.unwrap();
        sleep(Duration::from_millis(pause)).await;
        let end = if pause % 5 == 0 { format!("{undone}; commit") } else { "commit".to_owned() };
        // two that hold an order each may want the other's
        match client.batch_execute(&end).await {
            Ok(()) => _ = written.fetch_add(1, SeqCst),
            Err(error) => {
                assert_eq!(error.code().map(|code| code.code()), Some("40P01"), "{error:?}");
                client.batch_execute("rollback").await.unwrap();
                has_own ^= one.contains(&own.to_string());
            }
        }
    }
}

/// Writes for so long, and however much longer it takes until a good deal is written.
async fn write_for(database: &Database, time: Duration) {
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut writers = JoinSet::new();
    for number in 1..=4 {
        writers.spawn(write(database.url.clone(), number, Arc::clone(&stop), Arc::clone(&written)));
    }
    sleep(time).await;
    eventually("more than 50 transactions are written", async || (written.load(SeqCst) > 50).then_some(())).await;
    stop.store(true, SeqCst);
    writers.join_all().await;
    database.sql("delete from orders_order where id > 100").await;
}

const FOLDED: &str = "(select p.turn from live.fold_position p order by p.turn desc limit 1)";

/// How often the instances have folded, all together, once there is nothing left to fold.
async fn folds(database: &Database, instances: &[&Instance]) -> (i64, f64) {
    let left = format!(
        "select count(*) from live.events_since((select p.snapshot from live.fold_position p where p.turn = {FOLDED}))"
    );
    eventually("all is folded", async || (database.value(&left).await == "0").then_some(())).await;
    let mut folds = 0.0;
    for instance in instances {
        folds += instance.metric("oncare_live_folds_total").await;
    }
    (database.value(FOLDED).await.parse().unwrap(), folds)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_resumes_at_another_instance_misses_nothing_and_never_goes_back() {
    let database = Database::new().await;
    let orders: Vec<String> = (1..=12).map(|id| format!("({id}, {}, 'pending', 'paid', {id})", 1 + id % 2)).collect();
    database.orders(&orders.join(", ")).await;
    let since = database.value("select max(id) from live.order_event").await;
    let [mut first, second, third] = std::array::from_fn(|_| Instance::start(&database.url));
    for instance in [&first, &second, &third] {
        eventually("it is ready", async || instance.is_ready().await).await;
    }
    let balancer = Balancer::before(vec![first.web, second.web, third.web]).await;
    let base = format!("http://{}", balancer.address);

    let stop = Arc::new(AtomicBool::new(false));
    let (mut pages, mut readers) = (Vec::new(), JoinSet::new());
    for (login, list, rep) in [("ana", "sales-rep", Some(1)), ("ben", "sales-rep", Some(2)), ("rx", "pharmacist", None)]
    {
        let browser = Browserless::new(base.clone());
        browser.sign_in(login).await;
        for streams in [true, true, true, false] {
            let page = Page {
                told: Arc::default(),
                client: reqwest::Client::new(),
                base: base.clone(),
                cookies: browser.cookies(),
                list,
                rep,
                stop: Arc::clone(&stop),
            };
            if streams {
                readers.spawn(page.clone().stream());
            } else {
                readers.spawn(page.clone().poll());
            }
            pages.push((page, streams));
        }
    }
    let all_are_exact = async |when: &str| {
        println!("{when}");
        for (page, streams) in &pages {
            page.is_exact(&database, *streams, &since).await;
        }
    };
    all_are_exact("before anything is written").await;

    // one is killed under load, and another takes its place
    let fourth = {
        let change = async {
            sleep(Duration::from_millis(700)).await;
            first.kill().await;
            let fourth = Instance::start(&database.url);
            eventually("it is ready", async || fourth.is_ready().await).await;
            *balancer.targets.lock().unwrap() = vec![fourth.web, second.web, third.web];
            fourth
        };
        tokio::join!(write_for(&database, Duration::from_secs(2)), change).1
    };
    all_are_exact("after one was killed").await;
    let live = [&second, &third, &fourth];
    let before = folds(&database, &live).await;
    write_for(&database, Duration::from_secs(2)).await;
    all_are_exact("after more was written").await;
    // a lone change, while all sleep
    database.sql("update orders_order set total_amount = total_amount + 1 where id = 1").await;
    all_are_exact("after a lone change").await;

    let after = folds(&database, &live).await;
    assert!(after.0 > before.0, "it was folded");
    assert_eq!((after.0 - before.0) as f64, after.1 - before.1, "each fold is one instance's");
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
    stop.store(true, SeqCst);
    while let Some(ended) = readers.join_next().await {
        ended.expect("no reader was told what is not so");
    }
    for (page, streams) in &pages {
        let resumed = page.told().resumed;
        assert!(resumed >= 3, "{:?} {streams} came back {resumed} times", page.rep);
    }
    for instance in live {
        assert_eq!(instance.metric("oncare_live_statistics_differences_total").await, 0.0);
        assert!(
            instance.metric("oncare_live_streams_opened_total{role=\"sales_rep\"}").await > 5.0,
            "it had its share"
        );
    }
}

/// What the ops page of an instance knows of others.
async fn others(service: &Service) -> Vec<Value> {
    let status: Value = serde_json::from_str(&service.get_ops("/status.json").await.1).unwrap();
    status["instances"].as_array().unwrap().iter().filter(|one| one["is_this"] == false).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_know_each_other_and_serve_each_others_scripts() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let mut other = Instance::start_with_arguments(&database.url, &["--drain-notice", "10s"], None);
    eventually("it is ready", async || other.is_ready().await).await;
    let addresses = (other.web.to_string(), other.ops.to_string());
    let state = async |state: &str| {
        eventually(&format!("it is {state}"), async || {
            let others = others(&service).await;
            let found = others.iter().find(|one| one["name"].as_str().unwrap().ends_with(&addresses.0))?;
            assert_eq!((others.len(), found["ops_address"].as_str()), (1, Some(addresses.1.as_str())), "{others:?}");
            (found["state"] == state).then(|| found.clone())
        })
        .await
    };
    let found = state("live").await;
    let seen = async |state: &str, expected: f64| {
        eventually(&format!("{expected} are counted as {state}"), async || {
            let counted = service.metric(&format!("oncare_live_instances{{state=\"{state}\"}}")).await;
            (counted == expected).then_some(())
        })
        .await;
    };
    seen("live", 2.0).await;
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert!(found["seen_seconds_ago"].as_f64().unwrap() < 15.0, "{found}");

    // of a page of another version each script is that version's, wherever the balancer leads
    let files = BTreeMap::from([("js/live/stream.js", "export const version = 'another';"), ("css/a.css", "a {}")]);
    let mut digest = Sha256::new();
    for (name, text) in &files {
        digest.update(name);
        digest.update(Sha256::digest(text));
    }
    let hash = digest.finalize();
    let version: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let keep = |version: &str| {
        let files = serde_json::to_string(&files).unwrap().replace('\'', "''");
        format!("insert into live.asset (version, files) values ('{version}', '{files}')")
    };
    database.sql(&keep(&version)).await;
    database.sql(&keep("0123456789ab")).await;
    let ana = service.anonymous();
    let script = async |version: &str, name: &str| {
        let answer = ana.get(&format!("/static/v-{version}/{name}")).await;
        let caching = answer.headers()["cache-control"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), caching, answer.text().await.unwrap())
    };
    let (status, caching, text) = script(&version, "js/live/stream.js").await;
    assert_eq!((status, text.as_str()), (200, files["js/live/stream.js"]));
    assert!(caching.contains("immutable"), "{caching}");
    assert_eq!(script(&version, "js/none.js").await.0, 404, "what that version did not have");
    // nobody has these, or what is kept is not them: better ours than none, but no browser keeps it as theirs
    for unknown in ["0123456789ab", "ffffffffffff"] {
        let (status, caching, text) = script(unknown, "js/live/stream.js").await;
        assert_eq!((status, caching.as_str()), (200, "no-store"));
        assert!(text.contains("EventSource") && !text.contains("another"), "{text}");
    }
    let page = ana.get("/accounts/login/").await.text().await.unwrap();
    let own = page.split("/static/v-").nth(1).unwrap().split('/').next().unwrap();
    let kept = format!("select files::json ->> 'js/live/stream.js' from live.asset where version = '{own}'");
    assert_eq!(database.value(&kept).await, include_str!("../../static/js/live/stream.js"), "others have ours");

    other.terminate();
    state("draining").await;
    seen("draining", 1.0).await;
    other.kill().await;
    // that a minute has passed is said here, and not waited for
    database
        .sql(&format!(
            "update live.instance set seen_at = now() - interval '1 minute' where name like '%{}'",
            other.web
        ))
        .await;
    state("vanished").await;
    database.sql("update live.instance set seen_at = now() - interval '1 hour'").await;
    eventually("who is long gone is forgotten", async || others(&service).await.is_empty().then_some(())).await;
    eventually("its row as well", async || {
        (database.value("select count(*) from live.instance").await == "1").then_some(())
    })
    .await;
    service.stop().await;
    assert_eq!(database.value("select count(*) from live.instance").await, "0", "who ends leaves no row");
}

/// Each instance that sees at the same time that changes went unrecorded would begin an epoch of its own, in which all pages read
/// everything anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_unrecorded_is_made_up_for_by_one_of_all_instances() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10), (2, 1, 'shipped', 'paid', 20)").await;
    let services = join_all((0..3).map(|_| Service::start(&database))).await;
    let mut streams = Vec::new();
    for service in &services {
        streams.push(service.signed_in("ana").await.events().await);
    }
    let is_folded = async || (database.value("select live.folded() is not null").await == "true").then_some(());
    eventually("there are statistics", is_folded).await;
    let rebuilds = async || database.value("select rebuilds from live.fold").await.parse::<i64>().unwrap();
    let before = rebuilds().await;

    database
        .sql(
            "begin; alter table orders_order rename column status to state; delete from orders_order where id = 2;
             alter table orders_order rename column state to status; commit",
        )
        .await;
    for (service, stream) in services.iter().zip(&mut streams) {
        while stream.wait_for("sync").await.data["statistics"]["total_orders"] != 1 {}
        eventually("it knows that all is recorded", async || {
            (service.metric("oncare_live_triggers_intact").await == 1.0).then_some(())
        })
        .await;
    }
    assert_eq!(rebuilds().await, before + 1);
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_another_instance_made_up_for_is_enough_only_if_it_looked_after_the_last_fault() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10)").await;
    let (one, other) = (database.store(), database.store());
    let seen_until_now = async || Owed::Faults(Some(other.moment().await.unwrap()));
    let made_up = async |owed: &Owed| other.make_up(owed).await.unwrap();

    let early = seen_until_now().await;
    assert_eq!(one.make_up(&early).await.unwrap(), MadeUp::Now, "nobody did before");
    assert_eq!(made_up(&early).await, MadeUp::Before);
    assert_eq!(made_up(&Owed::Doubt).await, MadeUp::Before, "nothing shows any doubt");
    assert_eq!(made_up(&Owed::Faults(None)).await, MadeUp::Now, "it is not known when a fault was seen");
    other.keep_recording().await.unwrap();
    assert_eq!(made_up(&early).await, MadeUp::Before, "it is still known after a look");

    let late = seen_until_now().await;
    assert_eq!(made_up(&late).await, MadeUp::Now, "a fault was seen since");
    assert_eq!(made_up(&late).await, MadeUp::Before);

    // who builds because there are no statistics has not looked for faults
    database.sql("update live.fold set system_identifier = 0").await;
    assert_eq!(one.fold().await.unwrap(), Folded::Rebuilt);
    assert_eq!(made_up(&late).await, MadeUp::Now);

    let switched = "enable always trigger \"!live_insert\", enable always trigger \"!live_update\",
        enable always trigger live_delete, enable always trigger \"!live_truncate\"";
    database.sql("alter table orders_order disable trigger user").await;
    assert_eq!(made_up(&late).await, MadeUp::Not, "there is a fault");
    database.sql("delete from orders_order").await;
    database.sql(&format!("alter table orders_order {switched}")).await;
    assert_eq!(made_up(&late).await, MadeUp::Now, "the triggers are others than when it was made up for");
    assert_eq!(other.statistics_that_differ().await.unwrap(), Vec::<String>::new());
}
