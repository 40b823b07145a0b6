//! Every route of the ops listener.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::metrics::as_plain_text;
use super::page;
use super::parts::Ops;
use super::readiness::ready;

/// The ops routes.
pub fn router(ops: Ops) -> Router {
    let page = Router::new()
        .route("/", get(page::html))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .route("/status.json", get(page::status))
        .route("/events", get(page::events))
        .route("/findings.json", get(page::findings))
        .route("/streams/end", post(page::end_streams))
        .route("/drain", post(page::drain))
        .route("/log", post(page::levels))
        .route_layer(from_fn(page::refuse_other_sites));
    Router::new()
        .merge(page)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(ops)
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
    match ops.metrics.encode() {
        Ok(text) => {
            let text = if open { text } else { as_plain_text(&text) };
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("could not encode the metrics: {error}\n")).into_response()
        }
    }
}
