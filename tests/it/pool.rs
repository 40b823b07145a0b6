//! Who gets the connections of the pool, and what goes on without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use oncare_live::store::Link;
use tokio::process::Command;

use crate::harness::database::{Database, connect};
use crate::harness::eventually;
use crate::harness::http::API;
use crate::harness::service::Service;

/// The pool's size if nobody says otherwise.
const POOL: usize = 8;

/// Has every search wait while somebody holds a lock.
const SLOW_SEARCHES: &str = "
    create function public.slow(text, text) returns boolean language plpgsql volatile as $$
    begin
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

#[tokio::test]
async fn searches_and_exports_keep_nobody_else_waiting() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10), (2, 2, 'pending', 'paid', 20)").await;
    database.sql(SLOW_SEARCHES).await;
    let service = Service::start(&database).await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let holder = database.client().await;
    holder.batch_execute("select pg_advisory_lock(77)").await.unwrap();
    let search = async |path: &str| {
        let response = ana.get(path).await;
        (response.status().as_u16(), response.text().await.unwrap_or_default())
    };
    let page = "/orders/orders/?q=maria";
    let (api, export) = (format!("{API}?q=maria"), "/orders/orders/export.csv?q=maria");
    let mut searches: FuturesUnordered<_> = [page, &api, export, page].map(search).into_iter().collect();
    let others = async {
        eventually("half of the pool searches", async || {
            (waiting(&database, "advisory").await == POOL / 2).then_some(())
        })
        .await;
        // nobody else has to wait
        ben.dashboard("").await;
        ben.events().await.wait_for("sync").await;
        assert_eq!(ben.get("/orders/orders/?page=2&status=pending").await.status(), 200);
        assert_eq!(ben.get("/orders/orders/2/").await.status(), 200);
        service.signed_in("rx").await;
        assert_eq!(service.get_ops("/readyz").await.0, 200);
    };
    tokio::select! {
        () = others => {}
        early = searches.next() => panic!("a search ends while it waits: {early:?}"),
    }
    // and who comes to search is told what is told where no connection is free
    let mut more: FuturesUnordered<_> = [page, &api, export, &api].map(search).into_iter().collect();
    for _ in 0..4 {
        let (status, told) = tokio::select! {
            Some(refused) = more.next() => refused,
            early = searches.next() => panic!("a search ends while it waits: {early:?}"),
        };
        assert!(status == 503 && told.contains("database is unavailable"), "{status} {told}");
    }
    holder.batch_execute("select pg_advisory_unlock(77)").await.unwrap();
    while let Some((status, told)) = searches.next().await {
        assert_eq!(status, 200, "{told}");
    }
    assert_eq!(search(page).await.0, 200, "what a search took it has given back");
}

#[tokio::test]
async fn a_pool_that_others_hold_does_not_make_the_listener_deaf() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 10)").await;
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
    holder.batch_execute("begin; lock table live.saved_view in access exclusive mode").await.unwrap();
    let pages: FuturesUnordered<_> = (0..POOL + 2).map(|_| ana.get("/orders/orders/")).collect();
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
    tokio::join!(watch, pages.count());
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
