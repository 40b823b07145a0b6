//! Anybody who may connect to the database can send any notification, at any rate. Pages stay exact and in time, and what it costs is
//! bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use oncare_live::store::RISEN;

use crate::harness::database::{Database, connect};
use crate::harness::service::Service;

/// The most reads a second that a flood may cause, on average: 40, and a few at its beginning.
const MOST_READS: f64 = 75.0;

/// How long each part goes on.
const FLOOD: Duration = Duration::from_millis(1_500);

/// So many are sent at least.
const LEAST_SENT: u64 = 20_000;

/// Statements of a thousand notifications each: numbers of no transaction, of one that was, what no trigger sends, the longest there
/// can be, that another instance rose, and canaries.
fn statements() -> [String; 4] {
    [
        "select pg_notify('live_orders', (random() * 1e15)::bigint::text || case when n % 2 = 0 then ' crowded' else '' end)
         from generate_series(1, 1000) n"
            .to_owned(),
        format!(
            "select pg_notify('live_orders', case n % 4 when 0 then '{RISEN}' when 1 then 'reps:' || n when 2 then ''
                 else pg_current_xact_id()::text end)
             from generate_series(1, 1000) n"
        ),
        "select pg_notify('live_orders', repeat(chr(97 + n % 26), 7990) || n) from generate_series(1, 1000) n".to_owned(),
        "select pg_notify('live_canary', md5(n::text)) from generate_series(1, 1000) n".to_owned(),
    ]
}

#[tokio::test]
async fn a_flood_of_forged_notifications_makes_nothing_late_or_false_and_is_read_for_only_so_often() {
    let database = Database::alone().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 2, 'pending', 'paid', 7)").await;
    database.sql("create role stranger login password 'stranger'").await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    assert_eq!(stream.wait_for("ping").await.data["listener"], "live");

    // one by one, as fast as they go, and nothing true among them
    let url = database.url.replace("oncare:oncare@", "stranger:stranger@");
    let trickle = connect(&url).await;
    let reads = async || service.metric("oncare_live_listener_batches_total").await;
    let (before, began, mut sent) = (reads().await, Instant::now(), 0);
    while began.elapsed() < FLOOD {
        sent += 1;
        let payload = ["745 crowded", RISEN, ""][sent % 3];
        trickle.batch_execute(&format!("notify live_orders, '{payload}'")).await.unwrap();
    }
    let rate = (reads().await - before) / began.elapsed().as_secs_f64();
    assert!(rate < MOST_READS, "{rate} reads a second for {sent} notifications");

    let (goes_on, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let flood = statements().map(|statement| {
        let (goes_on, sent, url) = (Arc::clone(&goes_on), Arc::clone(&sent), url.clone());
        tokio::spawn(async move {
            let stranger = connect(&url).await;
            while goes_on.load(Relaxed) {
                stranger.batch_execute(&statement).await.unwrap();
                sent.fetch_add(1_000, Relaxed);
                // it is not the server that is tried
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });

    // changes among them
    let (began, mut changes, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while began.elapsed() < FLOOD || sent.load(Relaxed) < LEAST_SENT {
        changes += 1;
        let status = ["confirmed", "pending"][changes % 2];
        database
            .sql(&format!("update orders_order set status = '{status}', total_amount = {changes} where id = 1"))
            .await;
        let changed = Instant::now();
        let patch = stream.patch_of(1).await;
        slowest = slowest.max(changed.elapsed());
        assert_eq!(patch.data["orders"][0]["status"], status);
        assert_eq!(patch.data["orders"][0]["total_amount"], changes as f64);
        assert_eq!(patch.data["orders"].as_array().unwrap().len(), 1);
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?} until the slowest of {changes}");
    goes_on.store(false, Relaxed);
    for stranger in flood {
        stranger.await.unwrap();
    }

    assert_eq!(stream.wait_for("ping").await.data["listener"], "live");
    assert!(service.metric("oncare_live_listener_notifications_malformed_total").await >= 1_000.0);
    for never in [
        "oncare_live_listener_reconnects_total",
        "oncare_live_listener_events_found_late_total",
        "oncare_live_listener_batches_skipped_total",
    ] {
        assert_eq!(service.metric(never).await, 0.0, "{never}");
    }
    assert_eq!(ana.dashboard("").await["statistics"]["total_orders"], 1);
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}
