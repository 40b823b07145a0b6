//! Every route of the ops listener, and those of them that administrators have elsewhere.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};

use super::metrics::as_plain_text;
use super::page;
use super::parts::Ops;
use super::readiness::ready;
use crate::routes::Routes;

/// What answers to the ops routes.
pub fn router(ops: Ops) -> Router {
    routes().into_router().with_state(ops)
}

/// The ops routes.
#[must_use]
pub fn routes() -> Routes<Ops> {
    let page = page().post("/log", page::levels).layer(from_fn(page::refuse_other_sites));
    Routes::new().merge(page).merge(health()).get("/healthz", || async { "ok\n" })
}

/// Those that administrators have where they are signed in. Who they are is for somebody else to find out.
#[must_use]
pub fn for_administrators() -> Routes<Ops> {
    page().merge(health())
}

fn page() -> Routes<Ops> {
    Routes::new()
        .get("/", page::html)
        .get("/page.js", page::script)
        .get("/page.css", page::style)
        .get("/icon.svg", page::icon)
        .get("/status.json", page::status)
        .get("/events", page::events)
        .get("/findings.json", page::findings)
        .post("/streams/end", page::end_streams)
        .post("/drain", page::drain)
}

fn health() -> Routes<Ops> {
    Routes::new().get("/readyz", ready).get("/metrics", scrape)
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
