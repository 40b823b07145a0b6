//! The ops page, and what can be done there. The ops listener asks nobody who they are: it belongs where only ops reach it. A browser
//! of theirs must not be used by other sites, which could be anything under their own name. Whoever has the same page where
//! people sign in lets administrators alone come here, and says who they are.

use std::convert::Infallible;
use std::time::Duration;

use async_stream::stream;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use super::log;
use super::parts::Ops;
use crate::doctor;
use crate::order::UserId;
use crate::security::Doer;
use crate::store::Verdict;

/// How often the page is told how things are.
const INTERVAL: Duration = Duration::from_secs(2);

/// What the page may load, and from where.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = include_str!("page/page.html");
const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");
const ICON: &str = include_str!("../../static/icon.svg");

pub(super) async fn html() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, HTML).into_response()
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

/// Refuses what another site had a browser ask: it comes from there, or under a name that is not known to be this listener's.
/// Programs, which send no Origin, may use any name for what changes nothing.
pub(super) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let is_ours = origin.is_none_or(|origin| origin == format!("http://{host}"));
    // a browser says so also where it sends no Origin, as for an image
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_elsewhere = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    if is_ours && !is_elsewhere && is_address(host) {
        let mut response = next.run(request).await;
        let policy = HeaderValue::from_static(POLICY);
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        return response;
    }
    let why = "ask by an IP address or localhost, and not from another site";
    (StatusCode::FORBIDDEN, Json(json!({ "error": why }))).into_response()
}

/// Whether a host is an address, or the one name that is always this machine: any other may be said by anybody to be here.
fn is_address(host: &str) -> bool {
    let uri: Option<Uri> = format!("http://{host}/").parse().ok();
    let name = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

/// How things are.
pub(super) async fn status(State(ops): State<Ops>) -> Response {
    match ops.status() {
        Ok(status) => ([(header::CACHE_CONTROL, "no-store")], Json(status)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The same again and again, until the service stops.
pub(super) async fn events(State(ops): State<Ops>) -> Response {
    let events = stream! {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(status) = ops.status().ok().and_then(|status| serde_json::to_string(&status).ok()) else { return };
            yield Ok::<_, Infallible>(Bytes::from(format!("event: status\ndata: {status}\n\n")));
            if ops.stopping.is_cancelled() {
                return;
            }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // a proxy that gathers an answer before it passes it on would hold each event's end
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// A finding of the doctor.
#[derive(Serialize)]
struct Found {
    subject: String,
    verdict: &'static str,
    text: String,
}

/// One examination at a time: it takes connections of its own, and reads all orders.
static EXAMINATION: Semaphore = Semaphore::const_new(1);

/// What the doctor finds.
pub(super) async fn findings(State(ops): State<Ops>) -> Response {
    let Ok(_examination) = EXAMINATION.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let found = doctor::examine(ops.store.url()).await.into_iter().map(|finding| {
        let (verdict, text) = match finding.verdict {
            Verdict::Good => ("ok", String::new()),
            Verdict::Warning(text) => ("warning", text),
            Verdict::Problem(text) => ("problem", text),
        };
        Found { subject: finding.subject, verdict, text }
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(found.collect::<Vec<_>>())).into_response()
}

/// In which a page names the instance that it shows: a balancer may lead what somebody wants of it to another one.
const MEANT: HeaderName = HeaderName::from_static("oncare-live-instance");

/// Whether another instance is meant.
fn means_another(ops: &Ops, headers: &HeaderMap) -> bool {
    headers.get(MEANT).is_some_and(|meant| meant != ops.instances.id())
}

fn another() -> Response {
    (StatusCode::CONFLICT, Json(json!({ "error": "another instance is meant than the one that answers" })))
        .into_response()
}

/// Ends the streams of the user whose id is the body. Their pages come back by themselves, possibly to another instance.
pub(super) async fn end_streams(
    State(ops): State<Ops>,
    doer: Option<Extension<Doer>>,
    headers: HeaderMap,
    user: String,
) -> Response {
    if means_another(&ops, &headers) {
        return another();
    }
    let Ok(user) = user.trim().parse() else {
        return refused("expected the id of a user");
    };
    if let Some(Extension(doer)) = doer {
        ops.live.meter.security.administered("end_streams", Some(UserId(user)), &doer);
    }
    let ended = ops.live.hub.end_user(UserId(user));
    tracing::info!(user, ended, "ended a user's streams, as ops wanted");
    Json(json!({ "ended": ended })).into_response()
}

/// Has the service stop, as a signal does.
pub(super) async fn drain(State(ops): State<Ops>, doer: Option<Extension<Doer>>, headers: HeaderMap) -> Response {
    if means_another(&ops, &headers) {
        return another();
    }
    if let Some(Extension(doer)) = doer {
        ops.live.meter.security.administered("drain", None, &doer);
    }
    tracing::info!("stopping, as ops wanted");
    ops.stop.cancel();
    (StatusCode::ACCEPTED, Json(json!({ "stopping": true }))).into_response()
}

/// Which events are written to the log from now on: the body, as `--log` has it.
pub(super) async fn levels(_: HeaderMap, filter: String) -> Response {
    match log::change_levels(filter.trim()) {
        Ok(had) => Json(json!({ "had": had })).into_response(),
        Err(why) => refused(why),
    }
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_sure_to_be_this_listener() {
        for host in ["127.0.0.1:9464", "localhost:9464", "localhost", "[::1]:9464", "10.1.2.3"] {
            assert!(is_address(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:9464", "127.0.0.1.evil.example", "1.2.3.4@evil.example"]
        {
            assert!(!is_address(host), "{host}");
        }
    }
}
