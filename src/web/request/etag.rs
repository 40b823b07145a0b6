//! Answers that a client keeps, and asks for again only if they have changed.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderName, header};

use crate::cursor::Revision;

/// An answer's tag is the state that it tells, and of what. That of "not modified" is the present one, in which the
/// answer is still right.
pub(crate) fn headers(of: impl Display, revision: Revision) -> [(HeaderName, String); 2] {
    [(header::CACHE_CONTROL, "no-store".to_owned()), (header::ETAG, format!("\"{revision}-{of}\""))]
}

/// The state that the client has of this. A tag that this service did not give is none.
pub(crate) fn known_revision(of: impl Display, headers: &HeaderMap) -> Option<Revision> {
    let tag = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    // a proxy that compresses makes a tag weak
    let (revision, known) =
        tag.trim().trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    (known == of.to_string()).then(|| revision.parse().ok()).flatten()
}
