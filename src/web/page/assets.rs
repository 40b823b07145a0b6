//! Scripts and styles, embedded in the binary.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::web::request::failure::Failure;

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
pub(crate) static BASE: LazyLock<String> = LazyLock::new(|| format!("/static/v-{}", *VERSION));

/// Of each script that a page begins with, the modules that it comes to need.
static MODULES: LazyLock<HashMap<&str, Vec<String>>> = LazyLock::new(|| {
    let scripts = ["realtime_salesrep_dashboard.js", "pharmacist_queue.js", "order_page.js", "preferences.js"];
    scripts.into_iter().map(|script| (script, imported_by(script))).collect()
});

/// The modules that a page's script needs, itself first. A page names them all: a browser that must read one to learn of the next
/// comes to the last by as many round trips as the chain is long.
pub(crate) fn modules(script: &str) -> &'static [String] {
    MODULES.get(script).map(Vec::as_slice).unwrap_or_default()
}

fn imported_by(script: &str) -> Vec<String> {
    let mut modules = vec![script.to_owned()];
    let mut next = 0;
    while let Some(module) = modules.get(next) {
        let file = Assets::get(&format!("js/{module}"));
        let text = file.map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
        for imported in imports(&text) {
            if !modules.iter().any(|known| known == imported) {
                modules.push(imported.to_owned());
            }
        }
        next += 1;
    }
    modules
}

/// The modules that stand in a script's import statements. Those of its comments, which import types, begin otherwise.
fn imports(script: &str) -> impl Iterator<Item = &str> {
    let statements = script.lines().filter(|line| line.starts_with("import "));
    statements.filter_map(|line| line.split_once("from \"./")?.1.split_once('"')).map(|(module, _)| module)
}

pub(crate) async fn serve(Path(path): Path<String>, headers: HeaderMap) -> Response {
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
    let data = if name.ends_with(".js") { without_comments(&file.data).into() } else { file.data };
    (about, [(header::CONTENT_TYPE, kind)], data).into_response()
}

/// A script without the comments that have lines of their own, which are a third of it and for who reads its source.
fn without_comments(script: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(script.len());
    let mut is_comment = false;
    for line in String::from_utf8_lossy(script).split_inclusive('\n') {
        let text = line.trim();
        if is_comment || (text.starts_with("/*") && (text.ends_with("*/") || !text.contains("*/"))) {
            is_comment = !text.ends_with("*/");
        } else if !text.starts_with("//") {
            kept.extend_from_slice(line.as_bytes());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_on_lines_of_their_own_are_not_sent() {
        let script =
            b"/** What it is. */\nlet a = 1; // kept\n  /*\n   * More.\n   */\n// so\n  /** @type {T} */ (a).b();\n";
        let sent = String::from_utf8(without_comments(script)).unwrap();
        assert_eq!(sent, "let a = 1; // kept\n  /** @type {T} */ (a).b();\n");
    }

    #[test]
    fn a_page_names_every_module_once() {
        let modules = modules("pharmacist_queue.js");
        assert_eq!(modules[0], "pharmacist_queue.js");
        for deep in ["order_list.js", "connection.js", "revision.js", "selection.js"] {
            assert_eq!(modules.iter().filter(|module| **module == *deep).count(), 1, "{deep}");
        }
        assert!(!modules.iter().any(|module| module == "types.js"), "types are for the checker alone");
        assert!(modules.iter().all(|module| Assets::get(&format!("js/{module}")).is_some()));
    }
}
