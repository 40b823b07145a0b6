//! What ops see: health, readiness with reasons, metrics that agree.

use std::collections::HashMap;

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::service::Service;

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let database = Database::empty().await;
    let service = Service::start_unready(&database.url, &[]).await;
    assert_eq!(service.get_ops("/healthz").await, (200, "ok\n".to_owned()));
    let (status, text) = service.get_ops("/readyz").await;
    assert_eq!(status, 503);
    assert!(
        text.contains(
            "oncare_tables, live_tables, leaner_events, order_timeline, positions, fold_database, unreadable, fold_recording, live_functions, triggers, no_role, viewing, saved_view, accounts, arrival, tidied, sign_in, list_index missing"
        ),
        "{text}"
    );
    assert!(text.contains("has none of the OnCare tables: public.accounts_user, "), "{text}");
    database.store().create_tables_and_migrate().await.unwrap();
    service.ready().await;
    assert_eq!(service.get_ops("/nothing").await.0, 404);
}

#[tokio::test]
async fn a_service_without_a_database_lives_says_so_and_recovers() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let away = database.take_away().await;
    eventually("the service is not ready", async || (service.get_ops("/readyz").await.0 == 503).then_some(())).await;
    assert_eq!(service.get_ops("/healthz").await.0, 200);
    let (status, json) = ana.json(crate::harness::http::API).await;
    assert_eq!(status, 503, "{json}");
    assert_eq!(json["error"], "the database is unavailable; try again in a moment");
    assert_eq!(service.metric("oncare_live_listener_live").await, 0.0);
    away.give_back().await;
    service.ready().await;
    ana.dashboard("").await;
}

fn metrics(text: &str) -> HashMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn what_fails_in_the_background_hinders_nothing_else_and_is_counted() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 5), (2, 1, 'pending', 'paid', 5)").await;
    database.sql("update live.order_event set at = now() - interval '1 year' where order_id = 1").await;
    database.store().fold().await.unwrap();
    database.sql("alter function live.deltas_since(pg_snapshot) rename to away").await;
    database.sql("update orders_order set status = 'shipped'").await;
    let service = Service::start_with(&database, &["--retention", "1h"]).await;
    eventually("the other steps go on", async || {
        let left = "select count(*) || ' ' || (select count(*) from live.order_timeline) from live.order_event";
        (database.value(left).await == "3 3").then_some(())
    })
    .await;
    let failures = |step: &str| format!("oncare_live_background_failures_total{{step=\"{step}\"}}");
    eventually("each failure is counted", async || (service.metric(&failures("fold")).await >= 2.0).then_some(()))
        .await;
    for step in ["timeline", "tidy", "prune", "progress"] {
        assert_eq!(service.metric(&failures(step)).await, 0.0, "{step}");
    }
    eventually("it is told how far behind that is", async || {
        (service.metric("oncare_live_background_behind_seconds{step=\"fold\"}").await > 0.0).then_some(())
    })
    .await;
    let folded = "select pg_snapshot_xmax(snapshot) from live.fold_position";
    let before = database.value(folded).await;
    database.sql("alter function live.away(pg_snapshot) rename to deltas_since").await;
    eventually("what failed goes on", async || (database.value(folded).await != before).then_some(())).await;
    assert_eq!(database.store().statistics_that_differ().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn streams_opened_and_closed_always_agree_with_the_open_ones() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start(&database).await;
    let (ana, ben) = (service.signed_in("ana").await, service.signed_in("ben").await);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = ana.events().await;
        stream.wait_for("ping").await;
        streams.push(stream);
    }
    let _bens = ben.events().await;
    streams.truncate(3);
    ben.post("/accounts/logout/", &[]).await;
    let open = "oncare_live_streams_open{role=\"sales_rep\"}";
    eventually("three streams are left", async || {
        let (_, text) = service.get_ops("/metrics").await;
        let metrics = metrics(&text);
        let closed: f64 = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("oncare_live_streams_closed_total"))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(metrics["oncare_live_streams_opened_total{role=\"sales_rep\"}"] - closed, metrics[open], "{text}");
        (metrics[open] == 3.0).then_some(())
    })
    .await;
    let (_, text) = service.get_ops("/metrics").await;
    assert!(text.contains("# TYPE oncare_live_streams_opened_total counter"), "{text}");
    for (reason, count) in [("client_gone", 2.0), ("signed_out", 1.0)] {
        let name = format!("oncare_live_streams_closed_total{{role=\"sales_rep\",reason=\"{reason}\"}}");
        assert_eq!(service.metric(&name).await, count);
    }
    database.sql("update orders_order set status = 'confirmed'").await;
    for stream in &mut streams {
        stream.patch_of(1).await;
    }
    assert_eq!(service.metric("oncare_live_frames_sent_total").await, 3.0);
    assert_eq!(service.metric("oncare_live_event_age_seconds_count").await, 3.0);
    assert_eq!(service.metric("oncare_live_event_age_seconds_bucket{le=\"+Inf\"}").await, 3.0);
}
