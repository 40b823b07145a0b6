//! Scripts and styles, embedded in the binary.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::host::HostPaths;
use super::script::{Part, Script, Unsupported};
use crate::web::app::App;
use crate::web::headers::FOR_OTHER_SITES;
use crate::web::other_assets::{Files, Unavailable, version_of};
use crate::web::request::failure::Failure;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Assets;

/// All of them.
static FILES: LazyLock<Files> = LazyLock::new(|| {
    let file = |name: &str| Some(String::from_utf8_lossy(&Assets::get(name)?.data).into_owned());
    Assets::iter().filter_map(|name| Some((name.to_string(), file(&name)?))).collect()
});

/// Identifies the content of all assets together.
static VERSION: LazyLock<String> =
    LazyLock::new(|| version_of(FILES.iter().map(|(name, text)| (name.as_str(), text.as_bytes()))));

/// What identifies this version's assets, and all of them as one text, for instances of other versions.
#[must_use]
pub fn packed() -> (&'static str, String) {
    // these plain texts can't fail to become JSON
    (&VERSION, serde_json::to_string(&*FILES).unwrap_or_default())
}

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
    let scripts =
        ["realtime_salesrep_dashboard.js", "pharmacist_queue.js", "order_page.js", "order_form.js", "preferences.js"];
    scripts.into_iter().map(|script| (script, needed_by(script))).collect()
});

/// The modules that a page's script needs, itself first, each by its path below `static/js`. A page names them all: a browser that
/// must read one to learn of the next comes to the last by as many round trips as the chain is long.
pub(crate) fn modules(script: &str) -> &'static [String] {
    MODULES.get(script).map(Vec::as_slice).unwrap_or_default()
}

/// The scripts of the shop's own pages that ours stand in for, by their names below `static/js` there, each with the module that ours
/// begins with.
const SHOP_SCRIPTS: [(&str, &str); 2] =
    [("realtime_salesrep_dashboard", "host_sales_rep.js"), ("realtime_dashboard", "host_pharmacist.js")];

/// Of each of them the modules of the classic script, made at first use.
static CLASSICS: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
    let made = SHOP_SCRIPTS.into_iter().filter_map(|(name, entry)| match classic(entry) {
        Ok(modules) => Some((name, modules)),
        Err(error) => {
            tracing::error!(error = error.to_string(), "the shop's script can't be made");
            None
        }
    });
    made.collect()
});

/// What the shop's script is told, as no page of the shop's can tell it: `installation` of each module's `import.meta`.
#[derive(Serialize)]
struct Installation {
    /// Where the modules are, by which pages of one version know each other.
    assets: String,
    paths: HostPaths,
}

/// The script of a page of this installation's shop: those modules, and what they are told. It begins when the page has a body, wherever
/// in the page it stands.
fn script_of(installation: &Installation, modules: &str) -> String {
    // these plain texts can't fail to become JSON, which JavaScript reads as it is
    let installation = serde_json::to_string(installation).unwrap_or_default();
    format!(
        "(() => {{\n\"use strict\";\nconst begin = () => {{\nconst installation = {installation};\n{modules}}};\n\
         if (document.body) begin();\nelse document.addEventListener(\"DOMContentLoaded\", begin);\n}})();\n"
    )
}

/// A module and all that it needs as the text of one function: each module is a function that is called once, those first that others
/// need.
fn classic(entry: &str) -> Result<String, Unsupported> {
    let (mut modules, mut text) = (Vec::new(), String::new());
    append(entry, &mut modules, &mut text)?;
    Ok(text)
}

/// Appends a module behind those that it needs, as far as they are not there.
fn append(module: &str, modules: &mut Vec<String>, text: &mut String) -> Result<(), Unsupported> {
    let name = format!("js/{module}");
    for import in SCRIPTS.get(&name).map(|script| script.imports.as_slice()).unwrap_or_default() {
        let needed = beside(module, import);
        if !modules.contains(&needed) {
            append(&needed, modules, text)?;
        }
    }
    let source = Assets::get(&name).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
    let variable = |import: &str| {
        let needed = beside(module, import);
        modules.iter().position(|there| *there == needed).map(|place| format!("module{place}"))
    };
    // the same address as a page of ours has the module from
    let url = format!("new URL(`${{installation.assets}}/{name}`, location.href).href");
    let part = Part::parse(module, &source, &format!("{{ url: {url}, installation }}"), variable)?;
    text.push_str(&format!("const module{} = {};\n", modules.len(), part.text));
    modules.push(module.to_owned());
    Ok(())
}

/// The modules of the shop's script of a name like `realtime_dashboard.js` or `realtime_dashboard.6b6907b51162.js`, as Django names
/// what it serves.
fn shop_script(name: &str) -> Option<&'static str> {
    let (name, hash) = name.strip_suffix(".js").map(|name| name.split_once('.').unwrap_or((name, "0")))?;
    let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    CLASSICS.get(name).filter(|_| is_hash).map(String::as_str)
}

/// The scripts of the shop's pages, and whatever else is asked for there. A browser asks each time whether it has changed, be it by
/// another version or by other settings: what the shop itself serves there is kept for a month.
pub(crate) async fn serve_shop_script(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(modules) = shop_script(&name) else { return serve(State(app), Path(format!("js/{name}")), headers).await };
    let installation = Installation { assets: app.settings.site.at(&BASE), paths: HostPaths::of(&app.settings) };
    let script = script_of(&installation, modules);
    let hash: String = Sha256::digest(&script).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hash}\"");
    let known = is_known(&headers, &tag);
    let about = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag)];
    let about = (about, [FOR_OTHER_SITES]);
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], script).into_response()
}

/// Whether the client has what that tag identifies; a proxy that compresses makes a tag weak.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|known| known.trim().trim_start_matches("W/") == tag)
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

/// What the path names; of another version the file that was of that version. Where nobody knows it any more it is this version's, as a
/// page without its script is of no use; but that is kept by no browser under an address that says otherwise.
pub(crate) async fn serve(State(app): State<App>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    const FOR_EVER: &str = "public, max-age=31536000, immutable";
    let Some((version, name)) = path.strip_prefix("v-").and_then(|rest| rest.split_once('/')) else {
        return own(&path, "no-cache", &headers);
    };
    if version == *VERSION {
        return own(name, FOR_EVER, &headers);
    }
    match app.other_assets.of(version, &app.store).await {
        Ok(Some(files)) => match files.get(name) {
            Some(text) => file(name, version, FOR_EVER, &headers, text.clone()),
            None => Failure::NotFound.into_response(),
        },
        Ok(None) => own(name, "no-store", &headers),
        // another instance may know: a proxy asks it
        Err(Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
    }
}

fn own(name: &str, caching: &'static str, headers: &HeaderMap) -> Response {
    let Some(data) = Assets::get(name).map(|file| file.data) else { return Failure::NotFound.into_response() };
    file(name, &VERSION, caching, headers, SCRIPTS.get(name).map_or(data, |script| script.text.as_bytes().into()))
}

/// A file of a version.
fn file(
    name: &str,
    version: &str,
    caching: &'static str,
    headers: &HeaderMap,
    data: impl Into<axum::body::Body>,
) -> Response {
    let tag = format!("\"{version}\"");
    let known = is_known(headers, &tag);
    let about = [(header::CACHE_CONTROL, caching.to_owned()), (header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    (about, [(header::CONTENT_TYPE, kind)], data.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_of_the_shop_can_be_made() {
        for (name, entry) in SHOP_SCRIPTS {
            let text = classic(entry).unwrap_or_else(|error| panic!("{error}"));
            assert!(
                !text.contains("import.meta") && !text.contains("\nexport ") && !text.contains("\nimport "),
                "{name}"
            );
            assert_eq!(text.matches("class Connection{").count(), 1, "each module is there once");
        }
    }

    #[test]
    fn a_hash_may_stand_in_the_name_of_the_shops_script() {
        for name in ["realtime_dashboard.js", "realtime_dashboard.6b6907b51162.js", "realtime_salesrep_dashboard.0a.js"]
        {
            assert!(shop_script(name).is_some(), "{name}");
        }
        for name in
            ["realtime_dashboard", "realtime_dashboard..js", "realtime_dashboard.a.b.js", "order_page.js", "x.js"]
        {
            assert!(shop_script(name).is_none(), "{name}");
        }
    }

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
