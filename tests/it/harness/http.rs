//! A client over HTTP with a cookie jar, and a reader of server-sent events.

use std::sync::Arc;

use futures_util::StreamExt;
use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{COOKIE, HeaderMap};
use reqwest::{Client, Method, Response, redirect};
use serde_json::Value;
use tokio::time::timeout;

use super::PATIENCE;
use super::database::PASSWORD;

pub const API: &str = "/orders/api/sales-rep/dashboard/";
pub const EVENTS: &str = "/orders/api/sales-rep/events/";

/// What a browser is without a window.
pub struct Browserless {
    base: String,
    client: Client,
    jar: Arc<Jar>,
}

impl Browserless {
    pub fn new(base: String) -> Self {
        let jar = Arc::new(Jar::default());
        let client =
            Client::builder().cookie_provider(Arc::clone(&jar)).redirect(redirect::Policy::none()).build().unwrap();
        Self { base, client, jar }
    }

    /// One that sends these cookies, and keeps none.
    pub fn with_cookies(base: String, cookies: &str) -> Self {
        let headers = HeaderMap::from_iter([(COOKIE, cookies.parse().unwrap())]);
        let client = Client::builder().default_headers(headers).redirect(redirect::Policy::none()).build().unwrap();
        Self { base, client, jar: Arc::default() }
    }

    /// The cookies that it has by now, as a request sends them.
    pub fn cookies(&self) -> String {
        let cookies = self.jar.cookies(&self.base.parse().unwrap());
        cookies.map(|cookies| cookies.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub async fn sign_in(&self, username: &str) {
        let response = self.try_sign_in(username, PASSWORD).await;
        assert_eq!(response.status(), 303, "{username} signs in");
    }

    pub async fn try_sign_in(&self, username: &str, password: &str) -> Response {
        self.post("/accounts/login/", &[("username", username), ("password", password)]).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    pub async fn get_with(&self, path: &str, headers: &[(&'static str, &str)]) -> Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    pub async fn ask(&self, method: Method, path: &str, headers: &[(&'static str, &str)], body: &str) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.client.post(format!("{}{path}", self.base)).form(fields).send().await.unwrap()
    }

    /// As a program does: status and JSON.
    pub async fn post_json(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.base)).header("accept", "application/json");
        let response = request.form(fields).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    pub async fn post_with(&self, path: &str, headers: &[(&'static str, &str)]) -> Response {
        let mut request = self.client.post(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Status and JSON.
    pub async fn json(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {status} {text}: {error}"));
        (status, json)
    }

    /// The dashboard, which must be there.
    pub async fn dashboard(&self, query: &str) -> Value {
        let (status, json) = self.json(&format!("{API}{query}")).await;
        assert_eq!(status, 200, "{json}");
        json
    }

    /// Opens the stream and expects it.
    pub async fn events(&self) -> Events {
        self.events_since(None).await
    }

    pub async fn events_since(&self, cursor: Option<&str>) -> Events {
        self.events_of(EVENTS, cursor).await
    }

    pub async fn events_of(&self, path: &str, cursor: Option<&str>) -> Events {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", cursor);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Events::of(response)
    }
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

/// An open stream. Dropping it disconnects.
pub struct Events {
    pub headers: HeaderMap,
    chunks: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    unread: String,
}

impl Events {
    pub fn of(response: Response) -> Self {
        let headers = response.headers().clone();
        Self { headers, chunks: Box::pin(response.bytes_stream()), unread: String::new() }
    }

    /// The next event; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let event = parse(block);
                self.unread = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let chunk = timeout(PATIENCE, self.chunks.next()).await.expect("the stream says something in time")?;
            self.unread.push_str(std::str::from_utf8(&chunk.ok()?).unwrap());
        }
    }

    /// The next event of that name; others are skipped, for so long: pings never end.
    pub async fn wait_for(&mut self, name: &str) -> Event {
        let found = async {
            loop {
                let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
                if event.name == name {
                    return event;
                }
            }
        };
        timeout(4 * PATIENCE, found).await.unwrap_or_else(|_| panic!("no {name} came, though the stream goes on"))
    }

    /// The first patch that tells of that order; others are skipped.
    pub async fn patch_of(&mut self, order: i64) -> Event {
        loop {
            let patch = self.wait_for("patch").await;
            if patch.data["orders"].as_array().unwrap().iter().any(|row| row["id"] == order) {
                return patch;
            }
        }
    }
}

/// The value of a metric in a scrape, named with its labels. Every one that the service has is there from the start: a name
/// that is not there is a mistake, which must not pass for a count of 0.
pub fn metric(scrape: &str, name: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no metric {name} in\n{scrape}")).parse().unwrap()
}

pub fn parse(block: &str) -> Option<Event> {
    let field =
        |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
    let name = field("event")?;
    Some(Event { name, id: field("id"), data: serde_json::from_str(&field("data")?).unwrap() })
}
