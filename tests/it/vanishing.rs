//! Connections to the database that are gone without a word: nothing that waits for an answer waits for ever.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use url::Url;

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::API;
use crate::harness::service::Service;
use crate::harness::wire::{Weather, Wire};

/// In what time everything must be well again, on whatever machine.
const RECOVERY: Duration = Duration::from_secs(40);

/// A service that reaches its database over a wire.
async fn wired(database: &Database) -> (Wire, Service) {
    let mut url = Url::parse(&database.url).unwrap();
    let wire = Wire::to(([127, 0, 0, 1], url.port().unwrap()).into()).await;
    url.set_port(Some(wire.address.port())).unwrap();
    let service = Service::start_unready(url.as_str(), &[]).await;
    service.ready().await;
    (wire, service)
}

/// Waits longer than for what takes no time.
async fn recovers(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + RECOVERY;
    while !condition().await {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn all_goes_on_after_every_connection_vanished() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1), (2, 2, 'pending', 'paid', 1)").await;
    let (wire, service) = wired(&database).await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let (mut anas, mut bens) = (ana.events().await, ben.events().await);
    anas.wait_for("ping").await;
    bens.wait_for("ping").await;

    // the fold is under way, and waits for its answer
    let busy = database.client().await;
    busy.batch_execute("begin; lock table live.order_stats in share mode").await.unwrap();
    database.sql("update orders_order set payment_status = 'pending'").await;
    eventually("the fold waits", async || {
        let waiting = "select count(*) from pg_locks where not granted and relation = 'live.order_stats'::regclass";
        (database.value(waiting).await != "0").then_some(())
    })
    .await;
    wire.vanish();
    busy.batch_execute("commit").await.unwrap();
    database
        .sql(
            "update accounts_user set is_active = false where username = 'ana';
             update orders_order set status = 'confirmed'",
        )
        .await;
    eventually("it is told that the service is not ready", async || {
        (service.get_ops("/readyz").await.0 == 503).then_some(())
    })
    .await;
    // of somebody who is no longer signed in
    timeout(RECOVERY, anas.wait_for("bye")).await.expect("the stream of somebody deactivated ends");
    timeout(RECOVERY, bens.patch_of(2)).await.expect("what was changed meanwhile is told");
    recovers("the service is ready again", async || service.get_ops("/readyz").await.0 == 200).await;
    recovers("the changes are folded", async || {
        database.value("select sum(orders) from live.order_stats where status = 'confirmed'").await == "2"
    })
    .await;
    // and nobody is given a connection that is gone
    for _ in 0..20 {
        let asked = Instant::now();
        ben.dashboard("").await;
        assert!(asked.elapsed() < Duration::from_secs(3), "a request waited for a connection that is gone");
    }
}

#[tokio::test]
async fn the_service_is_not_ready_while_nothing_answers() {
    let database = Database::new().await;
    let (wire, service) = wired(&database).await;
    let ana = service.signed_in("ana").await;
    wire.set(Weather::BlackHole);
    eventually("it is told that the service is not ready", async || {
        (service.get_ops("/readyz").await.0 == 503).then_some(())
    })
    .await;
    // not while it lasts, and a request is told so rather than left to wait
    let (status, _) = timeout(RECOVERY, ana.json(API)).await.expect("a request is answered");
    assert_eq!(status, 503);
    assert_eq!(service.get_ops("/readyz").await.0, 503);
    wire.set(Weather::Fair);
    recovers("the service is ready again", async || service.get_ops("/readyz").await.0 == 200).await;
    ana.dashboard("").await;
}

#[tokio::test]
async fn a_listener_whose_host_is_gone_does_not_have_writers_notify_for_ever() {
    let database = Database::new().await;
    if database.value("select current_setting('server_version_num')::int >= 140000").await == "false" {
        // its server can't tell that a client which is acknowledged for is gone
        return;
    }
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let (wire, service) = wired(&database).await;
    let ana = service.signed_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    service.until_listener_is_awake(false).await;
    let asleep = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and a.datname = current_database()
            and a.application_name = 'oncare-live listener'";
    assert_ne!(database.value(asleep).await, "0");

    wire.vanish();
    // what is left of it in this process finds no other way
    wire.set(Weather::BlackHole);
    drop(service);
    recovers("the server has ended the session that sleeps", async || database.value(asleep).await == "0").await;
}
