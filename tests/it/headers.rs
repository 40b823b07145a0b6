//! What answers say to browsers: every route that is written anywhere, asked in every way by everybody, and every failure.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, Response};

use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::{API, Browserless, EVENTS};
use crate::harness::service::Service;

/// What a page says, and nothing else does.
const PAGE: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types oncare-live-page",
    ),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), gyroscope=(), \
         hid=(), idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), \
         screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()",
    ),
];

const OTHER: [(&str, &str); 4] = [
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("x-frame-options", ""),
    ("cross-origin-opener-policy", ""),
    ("permissions-policy", ""),
];

/// The paths of `src/web`: every text there that is one, routes and what they are made of.
fn paths() -> Vec<String> {
    fn read(folder: &Path, paths: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, paths);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let is_path = |text: &&str| {
                text.starts_with('/') && text.bytes().all(|c| c.is_ascii_lowercase() || b"/._-{}*".contains(&c))
            };
            paths.extend(source.split('"').filter(is_path).map(|path| {
                let path = path.replace("{id}", "1").replace("{*path}", "css/oncare.css");
                path.replace("{name}", "realtime_dashboard.js")
            }));
        }
    }
    let mut paths = BTreeSet::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web"), &mut paths);
    assert!(paths.len() > 30 && paths.contains("/orders/orders/1/status/"), "{paths:?}");
    paths.into_iter().collect()
}

/// Holds an answer against the table.
fn check(asked: &str, response: &Response, https: &str) {
    let all = |name: &str| {
        let values = response.headers().get_all(name).iter().map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(" AND ")
    };
    let is_file = asked.contains("/static/") && ["200", "304"].contains(&response.status().as_str());
    let is_of_shop = is_file && asked.contains("/static/js/realtime");
    let kind = if all("content-type").starts_with("text/html") { PAGE } else { OTHER };
    let corp = if is_of_shop { "cross-origin" } else { "same-origin" };
    let every = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", corp),
        ("strict-transport-security", https),
    ];
    for (name, value) in kind.into_iter().chain(every) {
        assert_eq!(all(name), value, "{name} of {asked}: {}", response.status());
    }
    let caching = all("cache-control");
    let allowed = if is_file {
        ["no-cache", "public, max-age=31536000, immutable"]
    } else {
        ["no-store", "no-store, no-transform"]
    };
    assert!(allowed.contains(&&*caching), "cache-control of {asked}: {caching}");
}

#[tokio::test]
async fn every_answer_says_to_browsers_what_they_may_do_with_it() {
    let database = Database::new().await;
    database.orders("(1, 1, 'pending', 'paid', 1)").await;
    let service = Service::start_with(&database, &["--failed-login-takes", "0s"]).await;
    let mut seen = BTreeSet::new();
    let mut look = |asked: String, response: Response| {
        check(&asked, &response, "");
        seen.insert(response.status().as_u16());
        response
    };
    let html = ("accept", "text/html");
    for who in ["", "ana", "rx"] {
        let client = service.anonymous();
        if !who.is_empty() {
            client.sign_in(who).await;
        }
        // whoever signs out is nobody
        let is_left_out = |path: &str| !who.is_empty() && path.ends_with("/logout/");
        let methods = [Method::GET, Method::POST, Method::HEAD, Method::PUT, Method::OPTIONS];
        let methods = if who.is_empty() { &methods[..] } else { &methods[..2] };
        for path in paths().into_iter().filter(|path| !is_left_out(path)) {
            for method in methods {
                let response = client.ask(method.clone(), &path, &[html], "").await;
                look(format!("{method} {path} by {who:?}"), response);
            }
        }
    }
    let ana = service.signed_in("ana").await;
    let get = Method::GET;
    for (method, path, headers, body) in [
        (&get, "/nothing/", vec![html], String::new()),
        (&get, "/orders/orders/%ff/", vec![html], String::new()),
        (&get, "/orders/orders/99999999999999999999/", vec![html], String::new()),
        (&get, "/orders/orders/?page=x", vec![html], String::new()),
        (&get, "/orders/api/sales-rep/dashboard/?page=x&rep=1", vec![], String::new()),
        (&get, "/orders/api/sales-rep/dashboard/?rep=2&user=2", vec![], String::new()),
        (&Method::POST, "/orders/orders/1/edit/", vec![html], "x".repeat(300_000)),
        (&Method::POST, "/orders/orders/1/edit/", vec![html, ("sec-fetch-site", "cross-site")], String::new()),
        (&Method::POST, "/accounts/sessions/", vec![html], String::new()),
        (&Method::from_bytes(b"BREW").unwrap(), "/orders/orders/", vec![html], String::new()),
    ] {
        let response = ana.ask(method.clone(), path, &headers, &body).await;
        look(format!("{method} {path} with {} bytes", body.len()), response);
    }
    // what the browser has already, a file and an answer
    for path in ["/static/css/oncare.css", "/static/js/realtime_dashboard.js", API] {
        let tag = ana.get(path).await.headers()["etag"].to_str().unwrap().to_owned();
        let known = async || {
            let response =
                look(format!("GET {path}, which is known"), ana.get_with(path, &[("if-none-match", &tag)]).await);
            (response.status() == 304).then_some(())
        };
        eventually("it is told that nothing has changed", known).await;
    }
    let version = ana.get("/orders/orders/").await.text().await.unwrap();
    let version = version.split("/static/v-").nth(1).unwrap().split('/').next().unwrap().to_owned();
    look("GET /static/v-…".to_owned(), ana.get(&format!("/static/v-{version}/icon.svg")).await);
    // the order's database is away
    let away = database.take_away().await;
    for path in ["/orders/orders/", "/orders/orders/1/", API, EVENTS] {
        look(format!("GET {path} without a database"), ana.ask(Method::GET, path, &[html], "").await);
    }
    away.give_back().await;
    let least = [200, 303, 304, 400, 401, 403, 404, 405, 413, 422, 503];
    assert!(least.iter().all(|status| seen.contains(status)), "{seen:?}");
}

#[tokio::test]
async fn browsers_are_told_to_come_by_https_alone_only_where_the_host_is_this_services() {
    let database = Database::new().await;
    let https = ["--public-url", "https://live.example"];
    let alone = Service::start_with(&database, &https).await;
    let beside = Service::start_with(&database, &[&https[..], &["--prefix", "/live/"]].concat()).await;
    let by_http = Service::start_with(&database, &["--public-url", "http://live.example"]).await;
    for (service, root, expected) in [(&alone, "", "max-age=31536000"), (&beside, "/live", ""), (&by_http, "", "")] {
        for path in ["/", "/accounts/login/", "/orders/orders/", "/orders/api/sales-rep/events/", "/nothing/"] {
            let path = format!("{root}{path}");
            check(&path, &service.anonymous().get(&path).await, expected);
        }
    }
    // and what is said of all that a browser keeps of a host
    for (service, root, expected) in [(&by_http, "", Some("\"cache\"")), (&beside, "/live", None)] {
        let client = Browserless::new(service.base());
        let signed_out = client.post(&format!("{root}/accounts/logout/"), &[]).await;
        let cleared = signed_out.headers().get("clear-site-data").map(|value| value.to_str().unwrap());
        assert_eq!((signed_out.status().as_u16(), cleared), (303, expected));
    }
}
