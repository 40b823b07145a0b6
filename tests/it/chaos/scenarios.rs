//! What random faults meet by luck, arranged: each of these fails for one of the mistakes in `tests/mutants`.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::timeout;

use super::ANA;
use super::history::History;
use super::nemesis::{Fault, World};
use super::reader::{Reader, Telling};
use crate::harness::database::{Database, connect};
use crate::harness::eventually;
use crate::harness::http::{Browserless, Event, Events};
use crate::harness::service::Service;
use crate::harness::wire::Wire;

/// Less than a safety read takes to come, which would find what was missed: three seconds after the last read began.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A service with the listener asleep, its database behind a wire, and a stream of ana's open.
struct Scene {
    database: Database,
    wire: Wire,
    /// Ends when it is dropped.
    _service: Service,
    ana: Browserless,
    stream: Events,
}

impl Scene {
    async fn set() -> Self {
        let database = Database::new().await;
        database
            .orders("(1, 1, 'pending', 'paid', 1), (2, 1, 'pending', 'paid', 2), (3, 2, 'pending', 'paid', 3)")
            .await;
        let (_, rest) = database.url.rsplit_once(':').unwrap();
        let port = rest.split('/').next().unwrap();
        let wire = Wire::to(format!("127.0.0.1:{port}").parse().unwrap()).await;
        let url = database.url.replace(port, &wire.address.port().to_string());
        let service = Service::start_unready(&url, &[]).await;
        service.ready().await;
        let ana = service.signed_in("ana").await;
        let mut stream = ana.events().await;
        stream.wait_for("ping").await;
        service.until_listener_is_awake(false).await;
        Self { database, wire, _service: service, ana, stream }
    }

    /// What tells of that order, at once.
    async fn told(&mut self, order: i64) -> Event {
        timeout(AT_ONCE, self.stream.patch_of(order)).await.unwrap_or_else(|_| panic!("order {order} is told at once"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_first_and_commits_last_is_told_and_holds_up_nobody() {
    let mut scene = Scene::set().await;
    let slow = scene.database.client().await;
    slow.batch_execute("begin; update orders_order set status = 'confirmed' where id = 1").await.unwrap();
    scene.database.sql("update orders_order set status = 'shipped' where id = 2").await;
    assert_eq!(scene.told(2).await.data["statistics"]["shipped_orders"], 1);
    slow.batch_execute("commit").await.unwrap();
    let statistics = scene.told(1).await.data["statistics"].clone();
    assert_eq!((&statistics["confirmed_orders"], &statistics["pending_orders"]), (&json!(1), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_commits_while_the_listener_begins_to_listen_is_told() {
    let mut scene = Scene::set().await;
    scene.wire.hold("listen live_orders");
    let listener = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'oncare-live listener'";
    scene.database.sql(listener).await;
    eventually("it begins to listen", async || (scene.wire.holding() > 0).then_some(())).await;
    scene.database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    scene.wire.release();
    scene.told(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_statistics_of_an_answer_are_of_one_moment() {
    let scene = Scene::set().await;
    for query in ["", "?page=2", "?date_from=2020-01-01"] {
        let before = scene.ana.dashboard("").await["statistics"]["pending_orders"].as_i64().unwrap();
        // the statistics are held up while the rows change
        let holder = connect(&scene.database.url).await;
        holder.batch_execute("begin; lock table live.order_stats in access exclusive mode").await.unwrap();
        let changed = async {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'oncare-live' and wait_event_type = 'Lock' and query ilike '%live.statistics%'";
            eventually("the statistics are waited for", async || {
                (scene.database.value(waiting).await != "0").then_some(())
            })
            .await;
            let id = if before == 2 { 1 } else { 2 };
            let id = if query == "?date_from=2020-01-01" { 3 } else { id };
            scene
                .database
                .sql(&format!("update orders_order set status = 'shipped', sales_rep_id = 1 where id = {id}"))
                .await;
            holder.batch_execute("commit").await.unwrap();
        };
        let (dashboard, ()) = tokio::join!(scene.ana.dashboard(query), changed);
        let rows = dashboard["orders"].as_array().unwrap();
        let of = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
        let statistics = &dashboard["statistics"];
        assert_eq!(statistics["pending_orders"], of("pending"), "{query}: {dashboard}");
        assert_eq!(statistics["shipped_orders"], of("shipped"), "{query}: {dashboard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_an_order_is_told() {
    let mut scene = Scene::set().await;
    scene.database.sql("update orders_order set sales_rep_id = 2 where id = 1").await;
    let told = scene.told(1).await;
    assert_eq!(told.data["orders"], json!([{"id": 1, "key": "1", "removed": true}]));
    assert_eq!(told.data["statistics"]["total_orders"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_notified_during_a_read_is_read_as_well() {
    let mut scene = Scene::set().await;
    // from here on the rep's statistics follow from the events
    scene.database.sql("update orders_order set payment_status = 'pending' where id = 2").await;
    scene.told(2).await;
    scene.wire.hold("ORD-2025-00001");
    scene.database.sql("update orders_order set status = 'confirmed' where id = 1").await;
    eventually("the answer is on its way", async || (scene.wire.holding() > 0).then_some(())).await;
    scene.database.sql("update orders_order set status = 'confirmed' where id = 2").await;
    eventually("the notification comes after it", async || (scene.wire.holding() > 1).then_some(())).await;
    scene.wire.release();
    let first = scene.told(1).await;
    assert_eq!(first.data["statistics"]["confirmed_orders"], 1, "the second was committed after it was read");
    scene.told(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_took_back_is_not_shown_and_what_takes_its_place_is() {
    let history = History::begin();
    let mut world = World::begin(&history).await;
    let telling = Telling::default();
    let base = format!("http://{}", world.browsers_wire.address);
    let reader = Reader::open(&base, 0, ANA, &telling, &history).await;
    eventually("the page is told its state", async || reader.model.lock().unwrap().seen.clone()).await;
    world.suffer(Fault::CommitsLost, &mut StdRng::seed_from_u64(1)).await;
    world.wait_until_ready().await;
    let client = world.ground.address().connect().await;
    // with the transaction ids of those that were lost
    client.batch_execute("update orders_order set status = 'returned' where id in (2, 5)").await.unwrap();
    let row = client.query_one("select count(*) from orders_order where sales_rep_id = 1 and status = 'shipped'", &[]);
    let shipped: i64 = row.await.unwrap().get(0);
    eventually("the page shows what is there", async || {
        let model = reader.model.lock().unwrap();
        let count = |status: &str| model.figures.by_status.get(status).copied().unwrap_or_default();
        ((count("shipped"), count("returned")) == (shipped, 2)).then_some(())
    })
    .await;
    let telling = telling.lock().unwrap();
    let (last, first) = (telling.last().unwrap(), telling.first().unwrap());
    assert_ne!(last.seen.epoch, first.seen.epoch, "the server has another life");
    let again = telling.iter().find(|told| told.is_sync && told.seen.epoch == last.seen.epoch).unwrap();
    assert_eq!(again.data["missed"], json!(null), "what was missed can't be told across lives");
    assert_eq!(history.violations(), Vec::<String>::new());
}
