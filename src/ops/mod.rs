//! For ops: whether the process lives, whether it can serve, and its counters, on a listener of their own.

mod metrics;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::live::{ListenerState, Live};
use crate::store::Store;

/// How long the readiness check may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the ops routes look at.
#[derive(Clone)]
pub struct Ops {
    /// The database.
    pub store: Store,
    /// Listener and streams.
    pub live: Arc<Live>,
    /// Cancelled once the service is stopping.
    pub stopping: CancellationToken,
}

/// The ops routes.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(ops)
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    database: String,
    migrations: String,
    listener: String,
}

async fn ready(State(ops): State<Ops>) -> Response {
    let checks = async {
        let database = ops.store.ping().await.map_err(|error| error.chain());
        let migrations = match &database {
            Err(_) => Err("not known while the database is unavailable".to_owned()),
            Ok(()) => match ops.store.pending_migrations().await {
                Ok(pending) if pending.is_empty() => Ok(()),
                Ok(pending) => Err(format!("{} missing: run oncare-live migrate", pending.join(", "))),
                Err(error) => Err(error.chain()),
            },
        };
        (database, migrations)
    };
    let slow = || Err("no answer within 3 s".to_owned());
    let (database, migrations) = tokio::time::timeout(PATIENCE, checks).await.unwrap_or_else(|_| (slow(), slow()));
    let listener = match ops.live.hub.listener_state() {
        _ if ops.stopping.is_cancelled() => Err("stopping".to_owned()),
        ListenerState::Live => Ok(()),
        ListenerState::Degraded(why) => Err(why),
    };
    let ready = database.is_ok() && migrations.is_ok() && listener.is_ok();
    let said = |check: Result<(), String>| check.map_or_else(|why| why, |()| "ok".to_owned());
    let readiness =
        Readiness { ready, database: said(database), migrations: said(migrations), listener: said(listener) };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// In OpenMetrics for who asks for it, as Prometheus does; else in its older text format, which everything reads.
async fn scrape(State(ops): State<Ops>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open = accepted.contains("application/openmetrics-text");
    let kind = if open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    match metrics::encode(&ops.live) {
        Ok(text) => {
            let text = if open { text } else { metrics::as_plain_text(&text) };
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("could not encode the metrics: {error}\n")).into_response()
        }
    }
}
