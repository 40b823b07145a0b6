//! Falling asleep and rising: no change goes unheard, whoever writes how, and whatever becomes of the listeners. Every
//! arrival here is awaited for less than the safety read takes, which must never find anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oncare_live::store::{Link, Sleeper};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::harness::database::{Database, connect};
use crate::harness::eventually;
use crate::harness::http::{Browserless, Events};
use crate::harness::service::Service;

/// Less than a safety read takes to come.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Orders that the hammering changes. Those below are the tests' own.
const HAMMERED: std::ops::Range<i64> = 100..140;

async fn database() -> Database {
    let database = Database::new().await;
    let own = (1..20).map(|id| format!("({id}, {}, 'pending', 'paid', 1)", 1 + id % 2));
    let hammered = HAMMERED.map(|id| format!("({id}, {}, 'pending', 'paid', 1)", 1 + id % 2));
    database.orders(&own.chain(hammered).collect::<Vec<_>>().join(", ")).await;
    database
}

/// A service whose listener sleeps, with ben's stream open.
async fn asleep() -> (Database, Service, Browserless, Events) {
    let database = database().await;
    let service = Service::start(&database).await;
    let ben = service.signed_in("ben").await;
    let mut stream = ben.events().await;
    stream.wait_for("ping").await;
    service.until_listener_is_awake(false).await;
    (database, service, ben, stream)
}

/// The order's patch, which comes at once.
async fn patched(stream: &mut Events, order: i64) -> Value {
    timeout(AT_ONCE, stream.patch_of(order)).await.expect("it comes before a safety read would find it").data
}

/// Reads what the hammering left. A stream that was not read meanwhile may have fallen behind and be told the whole state,
/// in which a change that was made too soon would not be seen by itself.
async fn settle(database: &Database, stream: &mut Events, order: i64) {
    loop {
        database
            .sql(&format!("update orders_order set customer_name = 'N' || clock_timestamp() where id = {order}"))
            .await;
        loop {
            let event = timeout(AT_ONCE, stream.next()).await.expect("something comes").expect("the stream goes on");
            if event.name == "sync" {
                break;
            }
            let rows = event.data["orders"].as_array();
            if rows.is_some_and(|rows| rows.iter().any(|row| row["id"] == order)) {
                return;
            }
        }
    }
}

async fn assert_nothing_was_late(service: &Service) {
    assert_eq!(service.metric("oncare_live_listener_events_found_late_total").await, 0.0);
}

/// Many single updates by several clients, until it is dropped.
struct Hammer {
    done: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    writers: Vec<JoinHandle<()>>,
}

impl Hammer {
    async fn start(database: &Database) -> Self {
        let (done, commits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut writers = Vec::new();
        for writer in 0..6 {
            let client = database.client().await;
            let (done, commits) = (Arc::clone(&done), Arc::clone(&commits));
            writers.push(tokio::spawn(async move {
                let mut id = HAMMERED.start + writer;
                while !done.load(Ordering::SeqCst) {
                    let update = format!("update orders_order set total_amount = total_amount + 1 where id = {id}");
                    client.batch_execute(&update).await.unwrap();
                    commits.fetch_add(1, Ordering::SeqCst);
                    id = if id + 6 < HAMMERED.end { id + 6 } else { HAMMERED.start + writer };
                }
            }));
        }
        Self { done, commits, writers }
    }

    async fn stop(self) {
        self.done.store(true, Ordering::SeqCst);
        for writer in self.writers {
            writer.await.unwrap();
        }
    }
}

/// The stream's statistics are those of the database, once nobody writes any more.
async fn assert_exact(database: &Database, client: &Browserless, stream: &mut Events, order: i64) {
    database.sql(&format!("update orders_order set customer_name = 'N' || clock_timestamp() where id = {order}")).await;
    let patch = patched(stream, order).await;
    let dashboard = client.dashboard("").await;
    assert_eq!(patch["statistics"], dashboard["statistics"]);
    assert_eq!(patch["orders_by_status"], dashboard["orders_by_status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_rises_while_commits_are_frequent_and_sleeps_when_they_are_rare() {
    let (database, service, ben, mut stream) = asleep().await;
    let notified = service.metric("oncare_live_listener_notifications_total").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "confirmed");
    assert!(service.metric("oncare_live_listener_notifications_total").await > notified, "a lone update is notified");

    let hammer = Hammer::start(&database).await;
    service.until_listener_is_awake(true).await;
    let (notified, commits) = counts(&service, &hammer).await;
    eventually("many have committed", async || (hammer.commits.load(Ordering::SeqCst) > commits + 500).then_some(()))
        .await;
    let (notified_then, commits_then) = counts(&service, &hammer).await;
    assert!(
        notified_then - notified < (commits_then - commits) as f64 / 10.0,
        "of {} commits {} were notified",
        commits_then - commits,
        notified_then - notified
    );
    hammer.stop().await;
    settle(&database, &mut stream, 3).await;
    service.until_listener_is_awake(false).await;
    assert_exact(&database, &ben, &mut stream, 1).await;
    assert_nothing_was_late(&service).await;
}

async fn counts(service: &Service, hammer: &Hammer) -> (f64, u64) {
    let notified = service.metric("oncare_live_listener_notifications_total").await;
    (notified, hammer.commits.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_sleep_while_a_transaction_was_not_told_to_notify() {
    let database = database().await;
    let service = Service::start(&database).await;
    let ben = service.signed_in("ben").await;
    for (begin, meanwhile) in [
        ("begin", ""),
        ("begin isolation level repeatable read", "select 1"),
        ("begin isolation level serializable", ""),
        ("begin; savepoint a", "release a"),
        ("begin; savepoint a; update orders_order set status = 'odd' where id = 5; rollback to a", ""),
    ] {
        let hammer = Hammer::start(&database).await;
        let mut stream = ben.events().await;
        let long = database.client().await;
        eventually("it is not told to notify", async || {
            // where the machine is so busy that the hammering counts as rare, the listener may have fallen asleep again
            service.until_listener_is_awake(true).await;
            long.batch_execute(begin).await.unwrap();
            let update = "update orders_order set status = 'shipped', total_amount = total_amount + 1 where id = 1";
            long.batch_execute(update).await.unwrap();
            let holds = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and pid = pg_backend_pid()";
            let holds: i64 = long.query_one(holds, &[]).await.unwrap().get(0);
            if holds == 0 {
                long.batch_execute("rollback").await.unwrap();
            }
            (holds > 0).then_some(())
        })
        .await;
        hammer.stop().await;
        settle(&database, &mut stream, 3).await;
        // lone updates of others come at once, and the listener stays awake for what is not committed yet
        for _ in 0..3 {
            database.sql("update orders_order set total_amount = total_amount + 1 where id = 3").await;
            patched(&mut stream, 3).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(service.is_listener_awake().await, "{begin}");
        }
        long.batch_execute(meanwhile).await.unwrap();
        long.batch_execute("commit").await.unwrap();
        assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "shipped", "{begin}");
        service.until_listener_is_awake(false).await;
    }
    assert_nothing_was_late(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_there_writers_need_not_notify() {
    let (database, service, ben, stream) = asleep().await;
    drop(stream);
    service.until_listener_is_awake(true).await;
    let lock = "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
        and database = (select oid from pg_database where datname = current_database()) and objid = 2002873189";
    assert_eq!(database.value(lock).await, "0", "nobody sleeps");
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    // whoever comes then has it, and is told what comes next
    let mut stream = ben.events().await;
    assert_eq!(stream.wait_for("sync").await.data["statistics"]["confirmed_orders"], 1);
    database.sql("update orders_order set status = 'confirmed' where id = 3").await;
    assert_eq!(patched(&mut stream, 3).await["statistics"]["confirmed_orders"], 2);
    assert_nothing_was_late(&service).await;
}

/// The listener reads of those alone who are there when its read begins. Here it is made to wait, in between, until
/// somebody has come, begun with an older state, and missed a change.
#[tokio::test(flavor = "multi_thread")]
async fn who_opens_a_stream_while_the_listener_reads_for_others_misses_nothing() {
    let (database, service, ben, _bens) = asleep().await;
    let ana = service.signed_in("ana").await;
    let batches = service.metric("oncare_live_listener_batches_total").await;
    let locker = database.client().await;
    locker.batch_execute("begin; lock table orders_order in access exclusive mode").await.unwrap();
    database.sql("notify live_orders, 'all'").await;
    let waits = format!(
        "select count(*) from pg_stat_activity where datname = '{}' and application_name like '%listener'
             and wait_event_type = 'Lock'",
        database.name
    );
    eventually("the listener waits", async || (database.value(&waits).await == "1").then_some(())).await;
    let mut anas = ana.events().await;
    assert_eq!(anas.wait_for("sync").await.data["statistics"]["shipped_orders"], 0);
    locker.batch_execute("update orders_order set status = 'shipped' where id = 2; commit").await.unwrap();
    eventually("it has read", async || {
        (service.metric("oncare_live_listener_batches_total").await > batches).then_some(())
    })
    .await;
    let next = timeout(AT_ONCE, anas.wait_for("sync")).await.expect("ana is told the state that she missed");
    assert_eq!(next.data["statistics"]["shipped_orders"], 1);
    assert_eq!(next.data["missed"][0]["order_id"], 2);
    database.sql("update orders_order set status = 'shipped' where id = 4").await;
    assert_eq!(patched(&mut anas, 4).await["statistics"]["shipped_orders"], 2);
    assert_eq!(ben.dashboard("").await["statistics"]["shipped_orders"], 0);
    assert_nothing_was_late(&service).await;
}

/// Many commits that concern nobody here, and a few that do.
#[tokio::test(flavor = "multi_thread")]
async fn commits_for_others_keep_it_awake_and_are_not_read() {
    let database = database().await;
    database.sql("update orders_order set sales_rep_id = null where id >= 100").await;
    let service = Service::start(&database).await;
    let ben = service.signed_in("ben").await;
    let mut stream = ben.events().await;
    stream.wait_for("ping").await;
    let hammer = Hammer::start(&database).await;
    service.until_listener_is_awake(true).await;
    let (read, commits) = (service.metric("oncare_live_listener_events_total").await, &hammer.commits);
    let before = commits.load(Ordering::SeqCst);
    for status in ["confirmed", "processing", "shipped"] {
        database.sql(&format!("update orders_order set status = '{status}' where id = 1")).await;
        assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], status);
    }
    eventually("many have committed", async || (commits.load(Ordering::SeqCst) > before + 2_000).then_some(())).await;
    assert!(service.is_listener_awake().await);
    let read = service.metric("oncare_live_listener_events_total").await - read;
    assert!(read < 10.0, "{read} events were read for one who is told of three");
    // an order that comes from nobody is news all the same
    database.sql("update orders_order set sales_rep_id = 2 where id = 101").await;
    assert_eq!(patched(&mut stream, 101).await["changes"][0]["operation"], "arrived");
    hammer.stop().await;
    service.until_listener_is_awake(false).await;
    assert_exact(&database, &ben, &mut stream, 1).await;
    assert_nothing_was_late(&service).await;
}

/// Two instances; the one that sleeps is ended in every state, and the other misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn another_instance_takes_over_whatever_the_sleeper_did_when_it_ended() {
    let database = database().await;
    let service = Service::start(&database).await;
    let ben = service.signed_in("ben").await;
    let mut stream = ben.events().await;
    stream.wait_for("ping").await;
    for round in 0..6 {
        let other = Service::start(&database).await;
        let others_client = other.signed_in("ben").await;
        let mut others_stream = others_client.events().await;
        others_stream.wait_for("ping").await;
        service.until_listener_is_awake(false).await;
        other.until_listener_is_awake(false).await;
        let hammer = if round % 3 == 0 { None } else { Some(Hammer::start(&database).await) };
        if hammer.is_some() && round % 3 == 1 {
            service.until_listener_is_awake(true).await;
            other.until_listener_is_awake(true).await;
        }
        // the listener's own connection, of either; or the whole instance
        if round % 2 == 0 {
            database
                .sql(&format!(
                    "select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
                     where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and a.datname = '{}'
                       and a.application_name like '%listener'",
                    database.name
                ))
                .await;
        } else {
            drop(other);
        }
        if let Some(hammer) = hammer {
            hammer.stop().await;
            settle(&database, &mut stream, 3).await;
        }
        for status in ["confirmed", "processing", "ready_for_pickup"] {
            database.sql(&format!("update orders_order set status = '{status}' where id = 1")).await;
            eventually("the change arrives", async || {
                (patched(&mut stream, 1).await["statistics"] == ben.dashboard("").await["statistics"]).then_some(())
            })
            .await;
        }
        assert_nothing_was_late(&service).await;
    }
}

/// Random writers at random rates, on two instances of which listeners lose their connections now and then.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_streams_end_up_with_the_state_of_the_database() {
    for seed in [21, 22] {
        let database = database().await;
        let services = [Service::start(&database).await, Service::start(&database).await];
        let (ana, ben) = (services[0].signed_in("ana").await, services[1].signed_in("ben").await);
        let (mut anas, mut bens) = (ana.events().await, ben.events().await);
        anas.wait_for("ping").await;
        bens.wait_for("ping").await;
        for phase in 0..4 {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let url = database.url.clone();
                    tokio::spawn(async move { write_at_random(&url, seed * 1_000 + phase * 10 + writer).await })
                })
                .collect();
            if phase % 2 == 1 {
                let name = &database.name;
                database
                    .sql(&format!(
                        "select pg_sleep(0.05), pg_terminate_backend(pid) from pg_stat_activity
                         where datname = '{name}' and application_name like '%listener' limit 1"
                    ))
                    .await;
            }
            for writer in writers {
                writer.await.unwrap();
            }
            for service in &services {
                service.ready().await;
            }
            // id 2 is ana's, id 1 is ben's, and nobody else touches them
            settle(&database, &mut anas, 2).await;
            settle(&database, &mut bens, 1).await;
            assert_exact(&database, &ana, &mut anas, 2).await;
            assert_exact(&database, &ben, &mut bens, 1).await;
        }
        for service in &services {
            assert_nothing_was_late(service).await;
        }
    }
}

async fn write_at_random(url: &str, seed: u64) {
    let client = connect(url).await;
    let mut random = StdRng::seed_from_u64(seed);
    let pause = *[0, 0, 1, 5].choose(&mut random).unwrap();
    for _ in 0..80 {
        let (id, to) = (random.random_range(HAMMERED), random.random_range(1..4));
        let status = *["pending", "delivered", "odd one"].choose(&mut random).unwrap();
        let statement = match random.random_range(0..8) {
            0 => format!("update orders_order set sales_rep_id = nullif({to}, 3) where id = {id}"),
            1 => format!(
                "update orders_order set total_amount = total_amount + {to} where id between {id} and {}",
                id + 5
            ),
            2 => format!("update orders_order set payment_status = 'p{to}' where id = {id}"),
            _ => format!("update orders_order set status = '{status}' where id = {id}"),
        };
        let transaction = match random.random_range(0..6) {
            0 => format!("begin; {statement}; rollback"),
            1 => format!(
                "begin isolation level repeatable read; savepoint s; {statement}; rollback to s; {statement}; commit"
            ),
            2 => format!("begin; {statement}; select pg_sleep(0.02); commit"),
            _ => statement,
        };
        // a conflict between writers is theirs, and a rollback like any other
        if client.batch_execute(&transaction).await.is_err() {
            client.batch_execute("rollback").await.unwrap();
        }
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

#[tokio::test]
async fn a_forged_rise_causes_a_look_and_nothing_else() {
    let (database, service, _ben, mut stream) = asleep().await;
    database.sql("select pg_notify('live_orders', 'risen') from generate_series(1, 3)").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    assert_eq!(patched(&mut stream, 1).await["orders"][0]["id"], json!(1));
    assert_nothing_was_late(&service).await;
}

/// The key under which a listener sleeps.
const SLEEP_LOCK: &str = "8029464455914023781";

/// A stranger's lock, whether it is held or only waited for, makes nobody believe that a listener sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_has_the_sleep_lock_makes_nothing_go_unheard() {
    for (take, gives_back) in [
        (format!("select pg_advisory_lock({SLEEP_LOCK})"), "select pg_advisory_unlock_all()"),
        (format!("begin; select pg_advisory_xact_lock_shared({SLEEP_LOCK})"), "rollback"),
    ] {
        let database = database().await;
        let stranger = database.client().await;
        stranger.batch_execute(&take).await.unwrap();
        let service = Service::start(&database).await;
        let ben = service.signed_in("ben").await;
        let mut stream = ben.events().await;
        stream.wait_for("ping").await;
        for status in ["confirmed", "processing"] {
            database.sql(&format!("update orders_order set status = '{status}' where id = 1")).await;
            assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], status, "{take}");
        }
        assert_eq!(service.metric("oncare_live_listener_notifications_total").await, 0.0, "nobody is notified: {take}");
        assert!(service.is_listener_awake().await);
        stranger.batch_execute(gives_back).await.unwrap();
        service.until_listener_is_awake(false).await;
        database.sql("update orders_order set status = 'shipped' where id = 1").await;
        assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "shipped");
        assert_nothing_was_late(&service).await;
    }
}

/// A sleeper whose machine died without a word: its session is there, and nobody listens. Writers believe in it no longer than
/// its lease lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_that_does_not_renew_its_lease_is_not_believed() {
    let database = database().await;
    let dead = Link::open(&database.parsed_url(), "listener", |_, _| {}).await.unwrap();
    let Sleeper::Ourselves(lease) = dead.try_sleep().await.unwrap() else { panic!("it does not sleep") };
    let holds =
        "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and pid = pg_backend_pid()";
    let writer = database.client().await;
    let update = "begin; update orders_order set total_amount = total_amount + 1 where id = 1";
    writer.batch_execute(update).await.unwrap();
    assert_eq!(writer.query_one(holds, &[]).await.unwrap().get::<_, i64>(0), 0, "it is told to notify");
    writer.batch_execute("rollback").await.unwrap();
    eventually("the lease ends", async || {
        writer.batch_execute(update).await.unwrap();
        let held: i64 = writer.query_one(holds, &[]).await.unwrap().get(0);
        writer.batch_execute("commit").await.unwrap();
        (held == 1).then_some(())
    })
    .await;
    assert_eq!(dead.renew(lease).await.unwrap(), None, "nor does it go on as if it had been believed");

    // beside it a listener stays awake
    let service = Service::start(&database).await;
    let ben = service.signed_in("ben").await;
    let mut stream = ben.events().await;
    stream.wait_for("ping").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "confirmed");
    drop(dead);
    service.until_listener_is_awake(false).await;
    database.sql("update orders_order set status = 'processing' where id = 1").await;
    assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "processing");
    assert_nothing_was_late(&service).await;
}

/// Lives longer than a lease, so that it must have renewed it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_goes_on_being_believed() {
    let (database, service, _ben, mut stream) = asleep().await;
    let leases = format!(
        "select string_agg(objid::text, ',' order by objid) from pg_locks where locktype = 'advisory' and objsubid = 2 and classid = 1869505377
             and database = (select oid from pg_database where datname = '{}')",
        database.name
    );
    let first = database.value(&leases).await;
    assert_eq!(first.split(',').count(), 2, "{first}");
    eventually("it has taken two leases more", async || {
        let now = database.value(&leases).await;
        (!now.split(',').any(|period| first.contains(period))).then_some(())
    })
    .await;
    let notified = service.metric("oncare_live_listener_notifications_total").await;
    database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    patched(&mut stream, 1).await;
    assert_eq!(service.metric("oncare_live_listener_notifications_total").await, notified + 1.0);
    assert!(!service.is_listener_awake().await);
    assert_nothing_was_late(&service).await;
}

/// Nor does steady traffic keep it from renewing its lease: each update is notified, and comes at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_that_reads_all_the_time_goes_on_being_believed() {
    let (database, service, _ben, mut stream) = asleep().await;
    let writer = database.client().await;
    let period = "select floor(extract(epoch from clock_timestamp()) / 5)::integer";
    let began: i32 = writer.query_one(period, &[]).await.unwrap().get(0);
    let notified = service.metric("oncare_live_listener_notifications_total").await;
    let mut updates = 0.0;
    while writer.query_one(period, &[]).await.unwrap().get::<_, i32>(0) < began + 3 {
        writer.batch_execute("update orders_order set total_amount = total_amount + 1 where id = 1").await.unwrap();
        patched(&mut stream, 1).await;
        updates += 1.0;
        // a shop's pace: often enough that nothing is read for want of news, and too rarely to rise
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(service.metric("oncare_live_listener_notifications_total").await, notified + updates);
    assert_nothing_was_late(&service).await;
}

/// Two transactions that notify flush one after the other: a listener that hears of it rises, and the next ones don't.
#[tokio::test(flavor = "multi_thread")]
async fn it_rises_when_transactions_overlap_however_few_they_are() {
    let (database, service, _ben, mut stream) = asleep().await;
    let first = database.client().await;
    first.batch_execute("begin; update orders_order set status = 'confirmed' where id = 1").await.unwrap();
    database.sql("update orders_order set total_amount = 7 where id = 3").await;
    patched(&mut stream, 3).await;
    service.until_listener_is_awake(true).await;
    first.batch_execute("commit").await.unwrap();
    assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "confirmed");
    service.until_listener_is_awake(false).await;
    assert_nothing_was_late(&service).await;
}

/// What was not notified is counted, whatever else is: here the trigger of one table has lost its way to notify.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_without_a_notification_is_counted_under_steady_traffic_too() {
    let (database, service, _ben, mut stream) = asleep().await;
    let silent = "insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status,
            new_status, old_payment_status, new_payment_status, old_total, new_total)
        values ('update', 1, 'n', 2, 2, 'pending', 'pending', 'paid', 'paid', 1, 1)";
    for n in 0..30 {
        database.sql(silent).await;
        database.sql(&format!("update orders_order set total_amount = {n} + 10 where id = 3")).await;
        patched(&mut stream, 3).await;
    }
    eventually("all of them are counted", async || {
        database.sql("update orders_order set total_amount = total_amount + 1 where id = 3").await;
        (service.metric("oncare_live_listener_events_found_late_total").await == 30.0).then_some(())
    })
    .await;
}

/// PostgreSQL refuses to prepare a transaction that has notified. Where a server allows two-phase commits no listener sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_can_be_prepared_where_the_server_allows_it() {
    let database = Database::alone_with("max_prepared_transactions = 5").await;
    database.orders("(1, 2, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let ben = service.signed_in("ben").await;
    let mut stream = ben.events().await;
    stream.wait_for("ping").await;
    database.sql("begin; update orders_order set status = 'confirmed' where id = 1; prepare transaction 'order'").await;
    // what it changed is on its way for as long as it takes
    stream.wait_for("ping").await;
    stream.wait_for("ping").await;
    assert!(service.is_listener_awake().await);
    database.sql("commit prepared 'order'").await;
    assert_eq!(patched(&mut stream, 1).await["orders"][0]["status"], "confirmed");
}
