//! Scripts and styles, embedded in the binary.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::failure::Failure;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Assets;

/// Identifies the content of all assets together.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for name in Assets::iter() {
        digest.update(name.as_bytes());
        if let Some(file) = Assets::get(&name) {
            digest.update(file.metadata.sha256_hash());
        }
    }
    let hash = digest.finalize();
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// Where pages find assets. It changes with their content, and modules import each other below it, so that what a
/// browser has under it stays right for ever.
pub(super) static BASE: LazyLock<String> = LazyLock::new(|| format!("/static/v-{}", *VERSION));

pub(super) async fn serve(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let current = path.strip_prefix("v-").and_then(|rest| rest.strip_prefix(VERSION.as_str()));
    let (name, caching) = match current.and_then(|rest| rest.strip_prefix('/')) {
        Some(name) => (name, "public, max-age=31536000, immutable"),
        None => (path.as_str(), "no-cache"),
    };
    let Some(file) = Assets::get(name) else { return Failure::NotFound.into_response() };
    let tag = format!("\"{}\"", *VERSION);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let about = [(header::CACHE_CONTROL, caching.to_owned()), (header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    (about, [(header::CONTENT_TYPE, kind)], file.data).into_response()
}
