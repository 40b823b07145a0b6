//! Scripts and styles, embedded in the binary.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::script::Script;
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

/// Every script, by its name below `static/`.
static SCRIPTS: LazyLock<HashMap<String, Script>> = LazyLock::new(|| {
    let names = Assets::iter().filter(|name| name.ends_with(".js"));
    let file = |name: &str| Assets::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned());
    names.filter_map(|name| Some((name.to_string(), Script::parse(&file(&name)?)))).collect()
});

/// Of each script that a page begins with, the modules that it comes to need.
static MODULES: LazyLock<HashMap<&str, Vec<String>>> = LazyLock::new(|| {
    let scripts = ["realtime_salesrep_dashboard.js", "pharmacist_queue.js", "order_page.js", "preferences.js"];
    scripts.into_iter().map(|script| (script, needed_by(script))).collect()
});

/// The modules that a page's script needs, itself first, each by its path below `static/js`. A page names them all: a browser that
/// must read one to learn of the next comes to the last by as many round trips as the chain is long.
pub(crate) fn modules(script: &str) -> &'static [String] {
    MODULES.get(script).map(Vec::as_slice).unwrap_or_default()
}

fn needed_by(script: &str) -> Vec<String> {
    let mut modules = vec![script.to_owned()];
    let mut next = 0;
    while let Some(module) = modules.get(next).cloned() {
        let imports = SCRIPTS.get(&format!("js/{module}")).map(|script| script.imports.as_slice()).unwrap_or_default();
        for imported in imports.iter().map(|import| beside(&module, import)) {
            if !modules.contains(&imported) {
                modules.push(imported);
            }
        }
        next += 1;
    }
    modules
}

/// The path of what a module imports, as in `../base/dom.js`.
fn beside(module: &str, import: &str) -> String {
    let mut path: Vec<&str> = module.split('/').collect();
    path.pop();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
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
    let data = SCRIPTS.get(name).map_or(file.data, |script| script.text.as_bytes().into());
    (about, [(header::CONTENT_TYPE, kind)], data).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_every_module_once() {
        let modules = modules("pharmacist_queue.js");
        assert_eq!(modules[0], "pharmacist_queue.js");
        for deep in ["list/order_list.js", "live/connection.js", "base/revision.js", "list/selection.js"] {
            assert_eq!(modules.iter().filter(|module| **module == *deep).count(), 1, "{deep}");
        }
        assert!(!modules.iter().any(|module| module == "base/types.js"), "types are for the checker alone");
        assert!(modules.iter().all(|module| Assets::get(&format!("js/{module}")).is_some()));
    }
}
