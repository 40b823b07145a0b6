//! Who gets the connections of the pool, and what goes on without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use oncare_live::store::Link;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::harness::database::{Database, connect, order_sql};
use crate::harness::eventually;
use crate::harness::http::{API, Browserless};
use crate::harness::service::Service;

/// The pool's size if nobody says otherwise.
const POOL: usize = 8;

/// Has every search wait while somebody holds a lock, and show by another for how many seconds it may.
const SLOW_SEARCHES: &str = "
    create function public.slow(text, text) returns boolean language plpgsql volatile as $$
    begin
        perform pg_catalog.pg_try_advisory_xact_lock_shared(78,
            extract(epoch from current_setting('statement_timeout')::interval)::integer);
        perform pg_catalog.pg_advisory_xact_lock_shared(77);
        return true;
    end $$;
    set allow_system_table_mods = on;
    update pg_operator set oprcode = 'public.slow' where oid = '~~*(text, text)'::regoperator";

/// How many sessions of the service wait for a lock of that kind.
async fn waiting(database: &Database, kind: &str) -> usize {
    let query = format!(
        "select count(*) from pg_locks l join pg_stat_activity a using (pid)
         where not l.granted and l.locktype = '{kind}' and a.datname = current_database()
             and a.application_name = 'oncare-live'"
    );
    database.value(&query).await.parse().unwrap()
}

/// Status and text.
async fn get(client: &Browserless, path: &str) -> (u16, String) {
    let response = client.get(path).await;
    (response.status().as_u16(), response.text().await.unwrap_or_default())
}

const PAGE: &str = "/orders/orders/?q=maria";
const EXPORT: &str = "/orders/orders/export.csv?q=maria";

#[tokio::test]
async fn searches_and_exports_keep_nobody_else_waiting() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10), (2, 2, 'pending', 'paid', 20)").await;
    database.sql(SLOW_SEARCHES).await;
    let service = Service::start(&database).await;
    let (ana, ben, rx) = tokio::join!(service.signed_in("ana"), service.signed_in("ben"), service.signed_in("rx"));
    let holder = database.client().await;
    holder.batch_execute("select pg_advisory_lock(77)").await.unwrap();
    let api = format!("{API}?q=maria");
    // what one person may have under way, and many times that
    let paths = [PAGE, &api, EXPORT, PAGE];
    let mut searches: FuturesUnordered<_> = paths.iter().cycle().take(40).map(|path| get(&ana, path)).collect();
    let hold = async |searches: usize| {
        eventually("as many search as may", async || (waiting(&database, "advisory").await == searches).then_some(()))
            .await;
    };
    let others = async {
        hold(POOL / 4).await;
        assert_eq!(database.value("select count(*) from pg_locks where classid = 78 and objid = 10").await, "2");
        // nobody else has to wait, and of ana's nothing else
        for (client, page) in [(&ben, 2), (&ana, 1)] {
            client.dashboard("").await;
            client.events().await.wait_for("sync").await;
            assert_eq!(client.get("/orders/orders/?page=2&status=pending").await.status(), 200);
            assert_eq!(client.get(&format!("/orders/orders/{page}/")).await.status(), 200);
        }
        service.signed_in("boss").await;
        assert_eq!(service.get_ops("/readyz").await.0, 200);
    };
    tokio::select! {
        () = others => {}
        early = searches.next() => panic!("a search ends while it waits: {early:?}"),
    }
    // others search beside them, until half of the pool does
    let mut others: FuturesUnordered<_> = [PAGE, &api].map(|path| get(&ben, path)).into_iter().collect();
    tokio::select! {
        () = hold(POOL / 2) => {}
        early = others.next() => panic!("a search ends while it waits: {early:?}"),
    }
    // whoever waits too long is told so: for what they asked for themselves, and for what others did
    let (refused, (status, told)) = tokio::join!(searches.next(), get(&rx, "/orders/pharmacist/orders/?q=maria"));
    assert!(status == 503 && told.contains("he answer took too long"), "{status} {told}");
    let (status, told) = refused.unwrap();
    assert!(status == 429 && told.contains("oo much of what you asked for is still under way"), "{status} {told}");
    assert!(service.metric("oncare_live_refusals_total{refused=\"too_many\"}").await >= 1.0);
    holder.batch_execute("select pg_advisory_unlock(77)").await.unwrap();
    while let Some((status, told)) = searches.next().await {
        assert!([200, 429].contains(&status) || told.contains("he answer took too long"), "{status} {told}");
    }
    while let Some((status, told)) = others.next().await {
        assert!(status == 200 || told.contains("he answer took too long"), "{status} {told}");
    }
    for client in [&ana, &ben] {
        assert_eq!(get(client, PAGE).await.0, 200, "what a search took it has given back");
    }
}

/// What somebody does who loads the service as much as they can.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_searches_without_end_leaves_others_their_answers() {
    const ORDERS: usize = 20_000;
    const AT_ONCE: usize = 20;
    let database = Database::new().await;
    let generated =
        format!("select n, 1 + (n = {ORDERS})::int, 'pending', 'paid', 10 from generate_series(1, {ORDERS}) n");
    let sql = order_sql("(0, 1, 'pending', 'paid', 1)").replace("values (0, 1, 'pending', 'paid', 1)", &generated);
    database.sql(&sql).await;
    database.store().rebuild_statistics().await.unwrap();
    let service = Service::start(&database).await;
    let (ana, ben) = tokio::join!(service.signed_in("ana"), service.signed_in("ben"));
    let words = "q=customer+ord+2025+1+2";
    let heavy = [
        format!("/orders/orders/?{words}"),
        format!("{API}?{words}&sort=-total_amount"),
        format!("/orders/orders/export.csv?{words}"),
        "/orders/orders/?date_from=2024-01-01&page=999999999".to_owned(),
    ];
    let answers_of_ben = async || {
        let mut took = Vec::new();
        for query in ["", "?q=ord"].into_iter().cycle().take(60) {
            let began = Instant::now();
            ben.dashboard(query).await;
            took.push(began.elapsed());
        }
        took.sort();
        (took[took.len() * 3 / 4], took[took.len() - 1])
    };
    answers_of_ben().await;
    let quiet = answers_of_ben().await;
    let stop = CancellationToken::new();
    let attack = async |n: usize| {
        let mut answers = Vec::new();
        while !stop.is_cancelled() {
            answers.push(get(&ana, &heavy[n % heavy.len()]).await.0);
        }
        answers
    };
    let attacks = join_all((0..AT_ONCE).map(attack));
    let watch = async {
        eventually("the search is under way", async || {
            let searching = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'oncare-live' and state <> 'idle'";
            (database.value(searching).await != "0").then_some(())
        })
        .await;
        let loaded = answers_of_ben().await;
        stop.cancel();
        loaded
    };
    let (answers, loaded) = tokio::join!(attacks, watch);
    println!(
        "an answer of another's: {quiet:?} when quiet, {loaded:?} beside {AT_ONCE} searches (three of four within, the longest)"
    );
    let answers: Vec<u16> = answers.into_iter().flatten().collect();
    assert!(answers.iter().all(|status| [200, 429].contains(status)), "{answers:?}");
    let bound = 10 * quiet.0 + Duration::from_millis(100);
    assert!(loaded.0 < bound, "{loaded:?} beside searches, {quiet:?} when quiet");
}

/// What is more than may be is told before it is looked at, and what was typed stays.
#[tokio::test]
async fn what_is_too_much_is_refused_in_words() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10)").await;
    let service = Service::start(&database).await;
    let (ana, rx) = tokio::join!(service.signed_in("ana"), service.signed_in("rx"));
    let many = |first: &str, count: usize| vec![first; count].join(",");
    let rep = "rep=1";
    for (path, status, told) in [
        (format!("{API}?{rep}&q=a+b+c+d+e+f+g"), 400, "q: expected at most 6 words"),
        (format!("{API}?{rep}&q=a+b+c+d+e+f+a"), 200, ""),
        (format!("{API}?{rep}&q={}", "a".repeat(101)), 400, "q: expected at most 100 characters"),
        (format!("{API}?visible={}", many("7", 20_000)), 400, "visible: expected at most 100 order ids"),
        (format!("{API}?status={}", (0..8_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",")), 200, ""),
        (format!("{API}?{}", "q=a&".repeat(10_000)), 200, ""),
        (format!("{API}?{rep}&page=999999999&date_from=0001-01-01&date_to=9999-12-31"), 200, ""),
    ] {
        let (found, text) = get(&ana, &path).await;
        assert!(found == status && text.contains(told), "{}: {found} {text}", &path[..80]);
    }
    let (status, page) = get(&ana, "/orders/orders/?q=a+b+c+d+e+f+g&status=pending").await;
    assert!(status == 400 && page.contains("value=\"a b c d e f g\""), "{page}");
    assert!(
        page.contains("id=\"error-q\">Search for at most 6 words of a number or a customer&#39;s name.<"),
        "{page}"
    );
    for (orders, told) in [
        ((1..=101).collect::<Vec<_>>(), "order: choose at most 100"),
        ((1..=20_000).collect(), "a form has at most 500 fields"),
        (vec![1; 400], ""),
    ] {
        let ids: Vec<String> = orders.iter().map(ToString::to_string).collect();
        let mut form = vec![("status", "confirmed")];
        form.extend(ids.iter().map(|id| ("order", id.as_str())));
        let (status, answer) = rx.post_json("/orders/orders/status/", &form).await;
        let is_taken = told.is_empty() && status == 200 && answer["changed"].as_array().unwrap().len() == 1;
        assert!(is_taken || status == 422 && answer["error"] == told, "{status} {answer}");
    }
}

#[tokio::test]
async fn a_pool_that_others_hold_does_not_make_the_listener_deaf() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10), (2, 2, 'pending', 'paid', 10)").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    assert_eq!(stream.wait_for("ping").await.data["listener"], "live");
    let canaries = Arc::new(AtomicUsize::new(0));
    let link = {
        let canaries = Arc::clone(&canaries);
        let count = move |_: &str, _: &str| {
            canaries.fetch_add(1, SeqCst);
        };
        Link::open(&database.parsed_url(), "test", count).await.unwrap()
    };
    let holder = database.client().await;
    let others = join_all(["ben", "rx", "boss"].map(|name| service.signed_in(name))).await;
    holder.batch_execute("begin; lock table live.saved_view in access exclusive mode").await.unwrap();
    let (mine, theirs) = ("/orders/orders/", "/orders/pharmacist/orders/");
    let of_ana: FuturesUnordered<_> = (0..POOL).map(|_| ana.get(mine)).collect();
    let pages: FuturesUnordered<_> = others
        .iter()
        .zip([mine, theirs, theirs])
        .flat_map(|(client, page)| [client.get(page), client.get(page)])
        .collect();
    let watch = async {
        eventually("pages hold the whole pool", async || (waiting(&database, "relation").await == POOL).then_some(()))
            .await;
        link.listen("live_canary").await.unwrap();
        eventually("canaries are sent as ever", async || (canaries.load(SeqCst) >= 2).then_some(())).await;
        database.sql("update orders_order set status = 'confirmed' where id = 1").await;
        let changed = loop {
            let event = stream.next().await.expect("the stream goes on");
            match event.name.as_str() {
                "ping" => assert_eq!(event.data["listener"], "live"),
                "patch" => break event,
                other => panic!("{other} of a stream that misses nothing"),
            }
        };
        assert_eq!(changed.data["orders"][0]["status"], "confirmed");
        holder.batch_execute("rollback").await.unwrap();
    };
    tokio::join!(watch, pages.count(), of_ana.count());
}

#[tokio::test]
async fn a_canary_that_the_server_ends_is_sent_again_and_a_listener_goes_on() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    assert_eq!(stream.wait_for("ping").await.data["listener"], "live");
    let backend = format!(
        "select coalesce(max(pid), 0) from pg_stat_activity
         where datname = '{}' and application_name = 'oncare-live canary'",
        database.name
    );
    let first = database.value(&backend).await;
    database.sql(&format!("select pg_terminate_backend({first})")).await;
    eventually("there is another", async || {
        let now = database.value(&backend).await;
        (now != first && now != "0").then_some(())
    })
    .await;
    for _ in 0..2 {
        assert_eq!(stream.wait_for("ping").await.data["listener"], "live");
    }
    assert_eq!(service.metric("oncare_live_listener_reconnects_total").await, 0.0);

    // where no other can be had, that is told, and that there is one again
    let admin = connect(&database.url.replace(&database.name, "postgres")).await;
    let allow = |allowed: bool| format!("alter database {} allow_connections {allowed}", database.name);
    admin.batch_execute(&allow(false)).await.unwrap();
    let ended = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = '{}' and application_name = 'oncare-live canary'",
        database.name
    );
    admin.batch_execute(&ended).await.unwrap();
    for listener in ["degraded", "live"] {
        eventually("it is told", async || (stream.wait_for("ping").await.data["listener"] == listener).then_some(()))
            .await;
        admin.batch_execute(&allow(true)).await.unwrap();
    }
    assert_eq!(service.metric("oncare_live_listener_reconnects_total").await, 0.0);
}

#[tokio::test]
async fn a_canary_whose_backend_hangs_is_told_and_sent_by_another() {
    let database = Database::alone().await;
    let service = Service::start(&database).await;
    let mut stream = service.signed_in("ana").await.events().await;
    assert_eq!(stream.wait_for("ping").await.data["listener"], "live");
    let signal = async |name: &str, pid: &str| {
        assert!(Command::new("kill").args([name, pid]).status().await.unwrap().success());
    };
    let idle = "select coalesce(max(pid), 0) from pg_stat_activity
        where application_name = 'oncare-live canary' and state = 'idle' and wait_event = 'ClientRead'";
    let stopped = eventually("it is idle", async || Some(database.value(idle).await).filter(|pid| pid != "0")).await;
    signal("-STOP", &stopped).await;
    for listener in ["degraded", "live"] {
        eventually("it is told", async || (stream.wait_for("ping").await.data["listener"] == listener).then_some(()))
            .await;
    }
    signal("-CONT", &stopped).await;
    let gone = format!("select count(*) from pg_stat_activity where pid = {stopped}");
    eventually("nothing is left of the first", async || (database.value(&gone).await == "0").then_some(())).await;
    assert_eq!(service.metric("oncare_live_listener_reconnects_total").await, 0.0);
}
