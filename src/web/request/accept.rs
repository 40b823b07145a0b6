//! Whether a client wants data or pages.

use axum::http::{HeaderMap, header};

/// Whether a client asks for JSON where others get pages. Browsers that open a page do not.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json")
}
