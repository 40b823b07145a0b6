//! What holds for every request: no other site may change anything, and what has begun to write goes on to its end.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::failure::{Failure, panicked};

/// What may write goes on to its end, also when its sender leaves or the answer takes too long: a selection of orders is not left
/// half changed, and no connection comes back to the pool that is still busy with it.
pub(crate) async fn finish_writes(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(ended) => panicked(Box::new(ended)),
    }
}

/// Browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`. A client that says neither is no
/// browser and carries nobody's cookie unasked.
pub(crate) async fn refuse_cross_site(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_site(&request) {
        next.run(request).await
    } else {
        Failure::CrossSite.into_response()
    }
}

fn is_same_site(request: &Request) -> bool {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    let host = host(request.uri(), request.headers());
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    origin_host.is_some() && origin_host == host
}

/// The host that a request was sent to, with its port: HTTP/2 has it in the address, HTTP/1.1 in a header.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = uri.authority().map(Authority::as_str);
    authority.or_else(|| headers.get(header::HOST)?.to_str().ok())
}
