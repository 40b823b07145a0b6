//! `docs/openapi.json` held against the running service: its routes, parameters and statuses, and every answer and event.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oncare_live::cursor::{Cursor, Revision};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, redirect};
use serde_json::Value;
use url::form_urlencoded;

use crate::harness::database::{Database, PASSWORD};
use crate::harness::eventually;
use crate::harness::http::{Browserless, Event};
use crate::harness::service::Service;

/// Where every answer is for programs.
const API: &str = "/orders/api/";

/// The description.
pub struct OpenApi(Value);

impl OpenApi {
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn paths(&self) -> impl Iterator<Item = &String> {
        self.0["paths"].as_object().unwrap().keys()
    }

    /// What a `$ref` names, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref") else { return value };
        let found = self.0.pointer(reference.as_str().unwrap().trim_start_matches('#'));
        found.unwrap_or_else(|| panic!("there is no {reference}"))
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        self.0["paths"][path].get(method.as_str().to_lowercase())
    }

    /// The statuses that each operation has.
    fn statuses(&self) -> BTreeSet<(String, String)> {
        let operations =
            self.0["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        let statuses = operations.flat_map(|operation| {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            operation["responses"].as_object().unwrap().keys().map(move |status| (id.clone(), status.clone()))
        });
        statuses.collect()
    }

    /// What is wrong with a value, by the schema of that name.
    pub fn faults_of(&self, schema: &str, value: &Value) -> Vec<String> {
        let schema = &self.0["components"]["schemas"][schema];
        assert!(schema.is_object(), "there is no such schema");
        self.faults(schema, value, "it")
    }

    /// By as much of JSON Schema as the description uses.
    fn faults(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (keyword, said) in schema.as_object().unwrap() {
            let mut must = |holds: bool| {
                if !holds {
                    faults.push(format!("{at}: {keyword} {said} is not so of {value:.200}"));
                }
            };
            match keyword.as_str() {
                "description" | "examples" => {}
                "$ref" => faults.extend(self.faults(self.resolved(schema), value, at)),
                "type" => must(
                    said.as_array().map_or_else(|| is(said, value), |types| types.iter().any(|one| is(one, value))),
                ),
                "enum" => must(said.as_array().unwrap().contains(value)),
                "const" => must(said == value),
                "minimum" => must(value.as_f64().is_none_or(|number| number >= said.as_f64().unwrap())),
                "format" => must(value.as_str().is_none_or(|text| has_format(said, text))),
                "required" => must(value.as_object().is_none_or(|object| {
                    said.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
                })),
                "additionalProperties" => {
                    assert_eq!(said, false);
                    must(
                        value
                            .as_object()
                            .is_none_or(|object| object.keys().all(|name| schema["properties"].get(name).is_some())),
                    );
                }
                "properties" => {
                    let present =
                        said.as_object().unwrap().iter().filter_map(|(name, of)| Some((name, of, value.get(name)?)));
                    faults
                        .extend(present.flat_map(|(name, of, value)| self.faults(of, value, &format!("{at}.{name}"))));
                }
                "items" => {
                    let items = value.as_array().into_iter().flatten().enumerate();
                    faults.extend(items.flat_map(|(place, item)| self.faults(said, item, &format!("{at}[{place}]"))));
                }
                "oneOf" => {
                    let each: Vec<_> = said.as_array().unwrap().iter().map(|one| self.faults(one, value, at)).collect();
                    if each.iter().filter(|faults| faults.is_empty()).count() != 1 {
                        faults.push(format!("{at}: not exactly one of several: {each:?}"));
                    }
                }
                _ => panic!("{at}: this test does not know {keyword}"),
            }
        }
        faults
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}

fn has_format(format: &Value, text: &str) -> bool {
    match format.as_str().unwrap() {
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "revision" => text.parse::<Revision>().is_ok(),
        "cursor" => text.parse::<Cursor>().is_ok(),
        // of numbers, which `is` has looked at
        "int64" => false,
        other => panic!("this test does not know the format {other}"),
    }
}

#[test]
fn a_value_that_is_not_as_described_is_found() {
    let api = OpenApi::read();
    let row = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let right = r#"{"id":1,"order_number":"1","status":"x","status_display":"X","payment_status":"","payment_status_display":"",
        "items_count":0,"total_amount":null,"created_at":"2025-01-01T00:00:00+00:00","created_at_display":null}"#;
    assert_eq!(api.faults_of("RepRow", &row(right)), Vec::<String>::new());
    for (from, to) in [
        ("\"id\":1", "\"id\":\"1\""),
        ("\"id\":1", "\"id\":1.5"),
        ("\"status\":\"x\",", ""),
        ("\"status\":\"x\"", "\"status\":null"),
        ("\"items_count\":0", "\"items_count\":-1"),
        ("2025-01-01T", "2025-01-01 at "),
        ("\"id\":1", "\"id\":1,\"other\":2"),
    ] {
        assert_ne!(api.faults_of("RepRow", &row(&right.replace(from, to))), Vec::<String>::new(), "{from} {to}");
    }
    let sync = |missed: Value| serde_json::json!({"revision": "00000000000000ff.1.0", "missed": missed});
    let faults = |missed| api.faults_of("Sync", &sync(missed)).join(" ");
    assert!(faults(Value::Null).contains("required") && !faults(Value::Null).contains("it.missed"));
    assert!(faults(serde_json::json!([{"id": 1}])).contains("not exactly one"));
}

/// Who asks, and what was answered so far.
struct Asked {
    api: OpenApi,
    base: String,
    client: Client,
    seen: BTreeSet<(String, String)>,
}

/// An answer whose shape is as described.
struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
}

impl Asked {
    fn new(service: &Service) -> Self {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { api: OpenApi::read(), base: service.base(), client, seen: BTreeSet::new() }
    }

    /// Asks, and holds the answer against the description. A stream is only begun.
    async fn ask(
        &mut self,
        who: &Browserless,
        method: Method,
        path: &str,
        query: &str,
        form: &[(&str, &str)],
        with: &[(&str, &str)],
    ) -> Answer {
        let is_orders = path.starts_with("/orders/api/orders/");
        let described =
            if is_orders { path.replacen("/1/", "/{id}/", 1).replacen("/99/", "/{id}/", 1) } else { path.to_owned() };
        let mut request =
            self.client.request(method.clone(), format!("{}{path}{query}", self.base)).header("cookie", who.cookies());
        for (name, value) in with {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            request = request.form(form);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let Some(operation) = self.api.operation(&method, &described) else {
            assert_eq!(status, 405, "{method} {path} is not described");
            let json = response.json().await.unwrap();
            assert_eq!(self.api.faults_of("Error", &json), Vec::<String>::new(), "{method} {path}");
            return Answer { status, headers, json };
        };
        let about = format!("{method} {path}{query:.100}: {status}");
        let answer = operation["responses"].get(status.to_string());
        let answer = self.api.resolved(answer.unwrap_or_else(|| panic!("{about} is not described")));
        let id = operation["operationId"].as_str().unwrap().to_owned();
        for name in answer["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(headers.contains_key(name), "{about} has no {name}");
        }
        let kind =
            headers.get("content-type").map_or("", |kind| kind.to_str().unwrap().split(';').next().unwrap()).to_owned();
        let mut json = Value::Null;
        match &answer["content"] {
            Value::Null => {}
            content => {
                let schema = &content[&kind]["schema"];
                assert!(schema.is_object(), "{about} has {kind}");
                if kind == "application/json" {
                    json = response.json().await.unwrap();
                    assert_eq!(self.api.faults(schema, &json, "it"), Vec::<String>::new(), "{about}");
                }
            }
        }
        self.seen.insert((id, status.to_string()));
        Answer { status, headers, json }
    }

    async fn get(&mut self, who: &Browserless, path: &str, query: &str) -> Answer {
        self.ask(who, Method::GET, path, query, &[], &[]).await
    }

    async fn post(&mut self, who: &Browserless, path: &str, form: &[(&str, &str)]) -> u16 {
        self.ask(who, Method::POST, path, "", form, &[("accept", "application/json")]).await.status
    }

    /// Holds an event against the description of its stream.
    fn event(&self, path: &str, event: &Event) {
        let events = &self.api.operation(&Method::GET, path).unwrap()["responses"]["200"]["content"]["text/event-stream"]
            ["x-events"];
        let schema = events.get(&event.name).unwrap_or_else(|| panic!("{} is not described", event.name));
        assert_eq!(self.api.faults(schema, &event.data, &event.name), Vec::<String>::new());
        assert_eq!(event.id.is_some(), ["sync", "patch"].contains(&&*event.name), "{event:?}");
    }

    /// Every value of the parameters of a list, of which each is taken, or refused by its name.
    async fn parameters(&mut self, who: &Browserless, path: &str, rep: &str, user: &str) {
        let operation = self.api.operation(&Method::GET, path).unwrap();
        let parameters: Vec<Value> =
            operation["parameters"].as_array().unwrap().iter().map(|one| self.api.resolved(one).clone()).collect();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let own = if name == "rep" { rep } else { user };
            let examples = parameter["examples"].as_object().unwrap().values().map(|example| &example["value"]);
            let taken = examples.chain(parameter["schema"]["enum"].as_array().into_iter().flatten());
            let refused = parameter["x-refused"].as_array().into_iter().flatten();
            for (value, is_taken) in taken.map(|value| (value, true)).chain(refused.map(|value| (value, false))) {
                let value = value.as_str().map_or_else(|| value.to_string(), |text| text.replace("self", own));
                let query = |with: &[(&str, &str)]| {
                    format!("?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(with).finish())
                };
                let strict =
                    if name == "rep" { query(&[(name, &value)]) } else { query(&[("rep", rep), (name, &value)]) };
                let answer = self.get(who, path, &strict).await;
                if is_taken {
                    assert_eq!(answer.status, 200, "{path}{strict}: {}", answer.json);
                } else {
                    let error = answer.json["error"].as_str().unwrap_or_default();
                    assert!(
                        answer.status == 400 && error.starts_with(&format!("{name}: expected")),
                        "{path}{strict}: {error}"
                    );
                    // what the shop's own scripts send is refused nowhere; no shop has visible=
                    let status = self.get(who, path, &query(&[(name, &value)])).await.status;
                    assert_eq!(status, if name == "visible" { 400 } else { 200 }, "{path}: {name}={value}");
                }
            }
            if ["rep", "user"].contains(&name) {
                assert_eq!(self.get(who, path, &format!("?{name}=77")).await.status, 401);
            }
        }
    }
}

/// What the sources have of paths below the API.
fn routes_of_the_sources() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(entry).unwrap();
            let texts = text.split('"').skip(1).filter(|text| text.starts_with(API) && text.len() > API.len());
            found.extend(texts.map(str::to_owned));
        }
    }
    found
}

#[tokio::test]
async fn the_description_of_the_api_is_what_the_service_does() {
    let database = Database::new().await;
    database
        .orders(
            "(1, 1, 'pending', 'pending', 5), (2, 1, 'on_hold', 'iou', 'NaN'::numeric), (3, 2, 'delivered', 'paid', 7)",
        )
        .await;
    let service = Service::start_with(&database, &["--failed-login-takes", "0s"]).await;
    let (ana, rx, odd, nobody) = (
        service.signed_in("ana").await,
        service.signed_in("rx").await,
        service.signed_in("odd").await,
        service.anonymous(),
    );
    let mut asked = Asked::new(&service);
    let described: BTreeSet<String> = asked.api.paths().filter(|path| path.starts_with(API)).cloned().collect();
    assert_eq!(described, routes_of_the_sources());

    // each path with each method: what is not described is refused as that
    let whose = |path: &str| if path.starts_with("/orders/api/pharmacist/") { &rx } else { &ana };
    for path in &described {
        let real = path.replace("{id}", "1");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            asked.ask(whose(path), method.clone(), &real, "", &[], &[]).await;
            if asked.api.operation(&method, path).is_some() {
                assert_eq!(asked.ask(&nobody, method.clone(), &real, "", &[], &[]).await.status, 401, "{path}");
                assert_eq!(asked.ask(&odd, method.clone(), &real, "", &[], &[]).await.status, 403, "{path}");
            }
            if asked.api.operation(&method, path).is_some() && method == Method::POST {
                let large = "x".repeat(300_000);
                assert_eq!(asked.post(whose(path), &real, &[("page", &large)]).await, 413);
            }
        }
    }

    let (mut rep, mut all) = (ana.events().await, rx.events_of("/orders/api/pharmacist/events/", None).await);
    let paths = ["/orders/api/sales-rep/events/", "/orders/api/pharmacist/events/"];
    for (stream, path) in [(&mut rep, paths[0]), (&mut all, paths[1])] {
        asked.event(path, &stream.wait_for("sync").await);
        asked.event(path, &stream.wait_for("ping").await);
    }
    // a change of each kind, one after the other; the last is of whom the shop names only afterwards
    let shop = "set application_name = 'shop'; update orders_order set status = 'shipped' where id = 1";
    let history = "insert into orders_orderstatushistory (order_id, changed_by_id, old_status, new_status, changed_at,
        old_payment_status, new_payment_status, notes) values (1, 3, 'confirmed', 'shipped', now(), 'pending', 'pending', '')";
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let before = ana.events().await.wait_for("sync").await.id.unwrap();
    for (statement, order) in [
        ("select set_config('app.user', 'rx', false); update orders_order set status = 'confirmed' where id = 1", 1),
        ("insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
             created_at) values (1, 1, 1, 'boxes', 1, 1, '', now())", 1),
        ("update orders_order set sales_rep_id = 2 where id = 2", 2),
        ("update orders_order set sales_rep_id = 1 where id = 3", 3),
        ("update orders_order set sales_rep_id = null where id = 3", 3),
        ("delete from orders_order where id = 3", 3),
        (shop, 1),
    ] {
        database.sql(statement).await;
        // of the last change of the third order the rep is told nothing: it is another's by then
        if !statement.starts_with("delete") {
            let patch = rep.patch_of(order).await;
            asked.event(paths[0], &patch);
            for change in patch.data["changes"].as_array().unwrap() {
                *seen.entry(change["operation"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        asked.event(paths[1], &all.patch_of(order).await);
    }
    database.orders("(9, 1, 'pending', 'pending', 5)").await;
    asked.event(paths[0], &rep.patch_of(9).await);
    database.sql(history).await;
    let named = loop {
        let patch = rep.wait_for("patch").await;
        asked.event(paths[0], &patch);
        if patch.data.get("named").is_some() {
            break patch;
        }
    };
    assert_eq!(named.data["named"][0]["user"], "rx");
    assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), ["arrived", "items", "left", "update"]);
    let sync = ana.events_since(Some(&before)).await.wait_for("sync").await;
    assert!(sync.data["missed"].as_array().unwrap().len() > 4, "{sync:?}");
    asked.event(paths[0], &sync);

    for (who, role, rep, user) in [(&ana, "sales-rep", "1", "1"), (&rx, "pharmacist", "all", "3")] {
        let (dashboard, changes) = (format!("/orders/api/{role}/dashboard/"), format!("/orders/api/{role}/changes/"));
        asked.parameters(who, &dashboard, rep, user).await;
        let told = asked.get(who, &dashboard, "?visible=1,2,77").await.json;
        let cursor = told["cursor"].as_str().unwrap().to_owned();
        asked.get(who, &changes, &format!("?since={cursor}&rep={rep}&user={user}")).await;
        for path in [&dashboard, &changes] {
            let mut tag = String::new();
            eventually("nothing has changed", async || {
                let answer = asked.ask(who, Method::GET, path, "", &[], &[("if-none-match", &tag)]).await;
                tag = answer.headers["etag"].to_str().unwrap().to_owned();
                (answer.status == 304).then_some(())
            })
            .await;
        }
        let read = format!("{changes}read/");
        assert_eq!(asked.post(who, &read, &[("cursor", &cursor)]).await, 204);
        assert_eq!(asked.post(who, &read, &[("cursor", &cursor), ("user", "77")]).await, 401);
        assert_eq!(asked.post(who, &read, &[("cursor", "x")]).await, 400);
    }
    let (mute, viewing) = ("/orders/api/orders/1/mute/", "/orders/api/orders/1/viewing/");
    assert_eq!(asked.ask(&ana, Method::POST, mute, "", &[("muted", "1")], &[]).await.status, 303);
    for (path, form, status) in [
        (mute, &[("muted", "1")][..], 200),
        (mute, &[("muted", "")], 200),
        (mute, &[("muted", "yes")], 400),
        (mute, &[("muted", "1"), ("user", "77")], 409),
        ("/orders/api/orders/99/mute/", &[("muted", "1")], 404),
        (viewing, &[("page", "a1")], 200),
        (viewing, &[("page", "a1"), ("leaving", "1")], 204),
        (viewing, &[("page", "a-1")], 400),
        ("/orders/api/orders/99/viewing/", &[("page", "a1")], 404),
    ] {
        assert_eq!(asked.post(&ana, path, form).await, status, "{path} {form:?}");
    }
    // with somebody who is muted and somebody who looks
    asked.post(&rx, viewing, &[("page", "b1")]).await;
    assert_eq!(asked.post(&ana, viewing, &[("page", "a1")]).await, 200);

    let login = "/accounts/login/";
    assert_eq!(asked.post(&nobody, login, &[("username", "ana"), ("password", PASSWORD)]).await, 303);
    eventually("it is too early after so many failures", async || {
        let status = asked.post(&nobody, login, &[("username", "ben"), ("password", "wrong")]).await;
        (status == 429).then_some(())
    })
    .await;
    assert_eq!(asked.post(&ana, "/accounts/logout/", &[]).await, 303);
    asked.event(paths[0], &rep.wait_for("bye").await);

    let signed_in = service.signed_in("ana").await;
    let away = database.take_away().await;
    for path in &described {
        for method in [Method::GET, Method::POST] {
            if asked.api.operation(&method, path).is_some() {
                let who = if path.contains("/pharmacist/") { &rx } else { &signed_in };
                let status = asked
                    .ask(who, method, &path.replace("{id}", "1"), "", &[("page", "a"), ("muted", "1")], &[])
                    .await
                    .status;
                assert_eq!(status, 503, "{path}");
            }
        }
    }
    assert_eq!(asked.post(&nobody, login, &[("username", "ana"), ("password", PASSWORD)]).await, 503);
    away.give_back().await;
    let mut unseen: Vec<_> = asked.api.statuses().difference(&asked.seen).cloned().collect();
    // that takes over a hundred requests at once, or five seconds: `pool.rs` has it
    unseen.retain(|(_, status)| status != "429");
    assert_eq!(unseen, [], "described, and never answered");
}
