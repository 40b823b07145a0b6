//! What a browser may do with an answer, by the kind of the answer. A handler that says something else of these is not overruled.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Response, Version, header};
use axum::middleware::Next;
use axum::response;

use super::app::App;
use crate::live::WIRE;

const CORP: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Every answer: it is what it says that it is, nobody keeps what does not allow it, no other site can load it.
const EVERY: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "same-origin"),
    (CORP, "same-origin"),
];

/// Which version of the API's answers and the stream's events this is.
const WIRE_VERSION: HeaderName = HeaderName::from_static("oncare-live-wire");

/// A page: it loads nothing from elsewhere and is in no frame. No script may take a text for HTML but by the one policy of
/// `static/js/base/page.js`, which has what it makes run nothing.
const PAGE: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types oncare-live-page",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), gyroscope=(), \
         hid=(), idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), \
         screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()",
    ),
];

/// Anything else, as JSON, a stream, a file, nothing: opened by itself it does nothing.
const OTHER: [(HeaderName, &str); 1] =
    [(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'")];

/// Browsers come by HTTPS alone for so long. That is said for the whole host with all its ports, so only where it is known to be this
/// service's, and never for hosts below it.
const HTTPS_ALONE: (HeaderName, &str) = (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");

/// What a file says that a page of the shop's loads: the shop may have its files on another host than its pages.
pub(crate) const FOR_OTHER_SITES: (HeaderName, &str) = (CORP, "cross-origin");

pub(crate) async fn add(State(app): State<App>, request: Request, next: Next) -> response::Response {
    let is_http1 = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    let site = &app.settings.site;
    let https = (site.is_https() == Some(true) && site.has_host_to_itself()).then_some(HTTPS_ALONE);
    let of_kind: &[(HeaderName, &str)] = if is_page(&response) { &PAGE } else { &OTHER };
    for (name, value) in EVERY.iter().chain(of_kind).chain(&https) {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response.headers_mut().insert(WIRE_VERSION, HeaderValue::from(WIRE));
    // whoever keeps connections open is to find another instance before this one takes no more requests
    if app.live.hub.is_draining() && is_http1 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether an answer is a page.
pub(crate) fn is_page<B>(response: &Response<B>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}
