//! The corpus of hostile texts, `tests/cases/hostile.json`, in every column, name and field: whatever shows it shows it as a text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use futures_util::StreamExt;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio_postgres::Client;

use crate::harness::browser::Browser;
use crate::harness::database::{Database, PASSWORD, temporary_folder};
use crate::harness::http::{API, Browserless, parse};
use crate::harness::instance::{free_address, program};
use crate::harness::proxy::Proxy;
use crate::harness::service::Service;
use crate::harness::{eventually, eventually_within};
use crate::host_page::Shop;

#[derive(Deserialize)]
struct Corpus {
    texts: Vec<Entry>,
    /// What no text of the database or of a string can be, as a form or an address has it.
    encoded: Vec<String>,
}

#[derive(Deserialize)]
struct Entry {
    text: String,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

fn corpus() -> Corpus {
    serde_json::from_str(include_str!("../cases/hostile.json")).unwrap()
}

/// The texts, each with an id from 1 on, which is that of the order that has it.
fn texts() -> Vec<(i64, String)> {
    let texts = corpus().texts.into_iter().map(|Entry { text, times }| text.repeat(times));
    (1..).zip(texts).collect()
}

/// Several together, as an order's page can show them: each of these is in every column of an order.
fn bundles() -> Vec<(i64, String)> {
    let texts = texts();
    let bundles =
        texts.chunks(14).map(|some| some.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n"));
    (1_001..).zip(bundles).collect()
}

/// A user of each name with an order that has it everywhere. What limits the lengths of texts is taken away.
async fn enter(database: &Database, texts: &[(i64, String)]) -> Client {
    database
        .sql(
            "do $$ declare c record; begin
             for c in select table_name t, column_name n from information_schema.columns where table_schema = 'public'
                 and data_type = 'character varying' and column_name not in ('password', 'role') loop
                 execute format('alter table %I alter column %I type text', c.t, c.n);
             end loop; end $$",
        )
        .await;
    let client = database.client().await;
    for (id, text) in texts {
        for statement in [
            "insert into accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
                 date_joined, role, phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at)
             select 10000 + $1::bigint, password, false, t, t, t, t, false, true, now(), 'sales_rep', t, t, t, t, t, t, true, now(),
                 now() from accounts_user, (select $2::text t) texts where id = 1",
            "insert into orders_order (id, order_number, sales_rep_id, customer_name, customer_phone, customer_address, status,
                 payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method,
                 delivery_address, delivery_instructions, prescription_required, prescription_verified, created_at, updated_at,
                 customer_notes, internal_notes)
             select $1::bigint, t, 1, t, t, t, 'pending', 'paid', 0, 0, 0, 0, 1, t, t, t, false, false,
                 timestamptz '2025-01-01 00:00Z' + make_interval(mins => $1::bigint::int), now(), t, t
             from (select $2::text t) texts",
            "insert into inventory_medicine (id, name, generic_name, strength, dosage_form, unit_price)
             select 10000 + $1::bigint, t, t, t, t, 1 from (select $2::text t) texts",
            "insert into orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes,
                 created_at) select $1::bigint, 10000 + $1::bigint, 1, t, 1, 1, t, now() from (select $2::text t) texts",
            "insert into orders_orderstatushistory (order_id, old_status, new_status, old_payment_status, new_payment_status,
                 notes, changed_by_id, changed_at)
             select $1::bigint, t, 'x', t, 'x', t, 10000 + $1::bigint, now() - interval '1 day' from (select $2::text t) texts",
            "insert into live.saved_view (user_id, list, name, query)
             select 1, 'sales-rep', left($2::text, 40), '?q=' || left($2::text, 100) where $1::bigint % 9 = 0",
        ] {
            let entered = client.execute(statement, &[id, text]).await;
            entered.unwrap_or_else(|error| panic!("{id}: {statement}: {error:?}"));
        }
    }
    client
}

/// Changes an order in the name of its user, or by an application of its name.
async fn change(client: &Client, id: i64, text: &str, statement: &str) {
    let [user, application] = if id % 4 == 0 { ["", text] } else { [text, "test"] };
    let said = "select set_config('app.user', $1, false), set_config('application_name', $2, false)";
    client.execute(said, &[&user, &application]).await.unwrap();
    client.execute(statement, &[&id, &text]).await.unwrap();
}

const REWRITE: &str =
    "update orders_order set customer_name = $2, order_number = 'B' || $2, status = $2, payment_status = $2,
    total_amount = total_amount + 1 where id = $1";

/// A service as a program of its own, whose log is kept.
struct Logged {
    base: String,
    log: PathBuf,
    _child: Child,
}

impl Logged {
    async fn start(database: &Database, format: &str) -> Self {
        let (web, ops) = (free_address(), free_address());
        let log = temporary_folder("oncare-live-hostile").with_extension(format!("{}.{format}", web.port()));
        let mut command = Command::new(program());
        command.args([
            "serve",
            "--own-forms",
            "--log",
            "info,oncare_live=debug,tower_http=debug",
            "--log-format",
            format,
            "--database-url",
            &database.url,
        ]);
        command.args(["--listen", &web.to_string(), "--ops-listen", &ops.to_string(), "--failed-login-takes", "0s"]);
        let file = std::fs::File::create(&log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true).spawn().unwrap();
        eventually("it is ready", async || {
            let answer = reqwest::get(format!("http://{ops}/readyz")).await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        Self { base: format!("http://{web}"), log, _child: child }
    }

    /// Every line of its log so far: each begins as one, and has no character that a terminal or a reader of lines obeys.
    fn lines(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let lines: Vec<String> = log.split_terminator('\n').map(str::to_owned).collect();
        for line in &lines {
            let begins = line.starts_with("20") || serde_json::from_str::<Value>(line).is_ok();
            assert!(begins, "a line of the log: {line:?}");
            // what is for machines has escapes of its own, and the rest as it is
            let is_obeyed = |c: &char| c.is_control() || "\u{2028}\u{202e}\u{2066}".contains(*c);
            let is_json = line.starts_with('{');
            let obeyed = line.chars().find(|c| if is_json { u32::from(*c) < 0x20 } else { is_obeyed(c) });
            assert_eq!(obeyed, None, "in a line of the log: {line:?}");
        }
        lines
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Whether a page may have the text as it is: it ends nothing and begins nothing there.
fn is_harmless(text: &str) -> bool {
    let ends_a_value = text.contains(['"', '\'']) && text.contains("hacked");
    !text.contains('<') && !ends_a_value
}

async fn rows_of(client: &Browserless, ids: &[i64]) -> BTreeMap<i64, Value> {
    let mut rows = BTreeMap::new();
    for ids in ids.chunks(100) {
        let visible = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let answer = client.dashboard(&format!("?rep=1&visible={visible}")).await;
        for row in answer["visible"].as_array().unwrap() {
            rows.insert(row["id"].as_i64().unwrap(), row.clone());
        }
    }
    rows
}

#[tokio::test]
async fn hostile_texts_pass_api_stream_export_and_log_as_the_texts_that_they_are() {
    let database = Database::new().await;
    let texts = texts();
    let client = enter(&database, &texts).await;
    let [logged, as_json] = [Logged::start(&database, "text").await, Logged::start(&database, "json").await];
    let ana = Browserless::new(logged.base.clone());
    ana.sign_in("ana").await;
    let rx = Browserless::new(logged.base.clone());
    rx.sign_in("rx").await;

    // pages, as they are sent
    for (id, text) in &texts {
        let path = format!("/orders/orders/{id}/");
        let page = rx.get(&path).await;
        assert_eq!(page.status(), 200, "{path}");
        let page = page.text().await.unwrap();
        assert!(is_harmless(text) || !page.contains(text.as_str()), "{path} has {text:?} as it is");
    }
    for number in 1..=4 {
        let page = ana.get(&format!("/orders/orders/?page={number}")).await.text().await.unwrap();
        // what its script begins with is JSON, in which only this must not be as it is
        for (_, text) in texts.iter().filter(|(_, text)| text.contains('<')) {
            assert!(!page.contains(text.as_str()), "page {number} has {text:?} as it is");
        }
    }

    // the stream, byte by byte, and the API after it
    let mut stream = ana.get("/orders/api/sales-rep/events/").await.bytes_stream();
    let mut told = String::new();
    for (id, text) in &texts {
        change(&client, *id, text, REWRITE).await;
    }
    let last = format!("\"order_id\":{}", texts.len());
    let all_told = async {
        while !told.contains(&last) {
            told.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        // to its end
        while !told.ends_with("\n\n") {
            told.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(4 * crate::harness::PATIENCE, all_told).await.expect("the stream tells all");
    let mut patched = BTreeMap::new();
    for block in told.split_terminator("\n\n") {
        for line in block.split('\n') {
            let is_field = ["event: ", "id: ", "data: ", "retry: "].iter().any(|field| line.starts_with(field));
            assert!(is_field && !line.contains('\r'), "a line of the stream: {line:?}");
        }
        let Some(event) = parse(block).filter(|event| event.name == "patch") else { continue };
        for change in event.data["changes"].as_array().unwrap() {
            patched.insert(change["order_id"].as_i64().unwrap(), change.clone());
        }
        assert!(["patch", "sync", "ping"].contains(&&*event.name), "{event:?}");
    }
    let ids: Vec<i64> = texts.iter().map(|(id, _)| *id).collect();
    let rows = rows_of(&ana, &ids).await;
    for (id, text) in &texts {
        let (row, change) = (&rows[id], &patched[id]);
        assert_eq!(
            (&row["customer_name"], &row["status"], &row["payment_status"]),
            (&json!(text), &json!(text), &json!(text))
        );
        assert_eq!(row["order_number"], format!("B{text}"));
        // its number was another before
        let number = change["order_number"].as_str().unwrap();
        assert!(
            number.strip_prefix('B').unwrap_or(number) == text.strip_prefix('B').unwrap_or(text),
            "{id}: {number:?}"
        );
        let by = if id % 4 == 0 { &change["application"] } else { &change["user"] };
        let is_said = if id % 4 == 0 { !by.as_str().unwrap().contains(char::is_control) } else { *by == json!(text) };
        assert!(is_said, "{id}: {change}");
    }

    // for a spreadsheet, which cuts at any of these
    for (client, path) in [(&ana, "/orders/orders/export.csv"), (&rx, "/orders/pharmacist/orders/export.csv")] {
        let file = client.get(path).await.text().await.unwrap();
        let mut reader = csv::Reader::from_reader(file.trim_start_matches('\u{feff}').as_bytes());
        let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), texts.len(), "{path}");
        for field in records.iter().flatten() {
            for cell in field.split([';', '\t', '\r', '\n']) {
                assert!(
                    !cell
                        .trim_start()
                        .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']),
                    "{cell:?}"
                );
            }
        }
        // nothing but apostrophes is added
        let plain = |text: &str| text.replace('\'', "");
        let customers: Vec<String> = records.iter().map(|record| plain(&record[2])).collect();
        for (id, text) in &texts {
            assert!(customers.contains(&plain(text)), "{path} lacks the customer of {id}");
        }
    }

    // names to sign in by: two services, as an address that fails too often must wait
    for (nth, (id, text)) in texts.iter().enumerate() {
        let base = if nth % 2 == 0 { &logged.base } else { &as_json.base };
        let client = Browserless::new(base.clone());
        let answer = client.try_sign_in(text, PASSWORD).await;
        // what a form trims, or has other ends of lines in, is another name
        let is_plain = text.trim() == text && !text.contains('\r');
        assert!(
            if is_plain { answer.status() == 303 } else { answer.status().is_client_error() || answer.status() == 303 },
            "{id}: {answer:?}"
        );
        assert!(answer.headers().get("x-evil").is_none());
        if is_plain && !is_harmless(text) {
            let home = client.get("/orders/orders/").await.text().await.unwrap();
            assert!(!home.contains(text.as_str()), "the page of the user of {id}");
        }
    }

    // what is asked for and sent, also what can't be a text
    let percent = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let sent =
        texts.iter().map(|(_, text)| percent(&text.chars().take(500).collect::<String>())).chain(corpus().encoded);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (nth, sent) in sent.enumerate() {
        let mut asks = vec![
            (Method::GET, format!("/orders/orders/{}/", sent.replace('?', "%3f")), String::new()),
            (Method::GET, format!("{API}?status={sent}&visible={sent}&rep=1"), String::new()),
            (
                Method::POST,
                "/orders/orders/1/edit/".to_owned(),
                format!("customer_name={sent}&customer_phone={sent}&version={sent}"),
            ),
        ];
        let asked =
            ["q", "status", "sort", "page", "date_from", "total_min"].map(|name| format!("{name}={sent}")).join("&");
        asks.push((Method::GET, format!("/orders/orders/?{asked}"), String::new()));
        if nth % 3 == 0 {
            asks.push((Method::GET, format!("/orders/find/?number={sent}"), String::new()));
            asks.push((Method::GET, format!("/static/{sent}"), String::new()));
        }
        // a user has so many views at most
        if nth % 10 == 0 {
            asks.push((Method::POST, "/orders/orders/views/".to_owned(), format!("name={sent}&query={sent}")));
        }
        for (method, path, body) in asks {
            let answer = ana.ask(method, &path.replace('\\', "%5c"), &form, &body).await;
            assert!(answer.status().as_u16() < 500, "{path}: {answer:?}");
            assert!(
                answer.headers().get("x-evil").is_none() && answer.headers().get_all("set-cookie").iter().count() == 0,
                "{path}"
            );
            if answer.headers().get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8") {
                let text = percent_encoding_of(&sent);
                let page = answer.text().await.unwrap();
                assert!(is_harmless(&text) || !page.contains(&text), "{path} has {text:?} as it is");
            }
        }
    }
    let lines = logged.lines();
    assert!(lines.iter().filter(|line| line.contains("signed_in")).count() > 20, "{} lines", lines.len());
    let signed_in = |line: &&String| line.contains("signed_in") && line.contains("\"name\"");
    assert!(as_json.lines().iter().filter(signed_in).count() > 20);
}

/// What a form's value says.
fn percent_encoding_of(sent: &str) -> String {
    url::form_urlencoded::parse(format!("a={sent}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// What a page must not have done, or have in it, whatever it shows: what went wrong, as texts. From before its first script on.
const WATCH: &str = r#"(() => {
    window.reports = [];
    const report = (what) => window.reports.push(what);
    document.addEventListener("securitypolicyviolation", (e) => report(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
    new ReportingObserver((reports) => reports.forEach(({ body, type }) => report(`${type} ${JSON.stringify(body)}`)),
        { types: ["csp-violation"], buffered: true }).observe();
    addEventListener("error", (e) => report(`error: ${e.message}`));
    addEventListener("unhandledrejection", (e) => report(`rejection: ${e.reason}`));
})()"#;

/// What went wrong so far.
const WRONG: &str = r#"[
    ...window.reports,
    ...("hacked" in window ? ["hacked"] : []),
    ...[...document.querySelectorAll("script:not([src]):not([type='application/json']), script:not([src^='/']):not([type]), img, iframe, object, embed, base, style, math, meta[http-equiv], form[action]:not([action^='/'])")].map((e) => e.outerHTML),
    ...[...document.querySelectorAll("*")].filter((e) => [...e.attributes].some(({ name }) => name.startsWith("on"))).map((e) => e.outerHTML),
    ...[...document.links].filter((a) => a.origin !== location.origin).map((a) => a.href),
    ...(window.trustedTypes && (() => { try { document.createElement("p").innerHTML = "<b>"; return true; } catch { return false; } })() ? ["markup is taken without a policy"] : []),
].filter((what) => !what.includes("Element innerHTML|<b>"))"#;

/// Every text of the page and every value of its fields, as a page has them: with one kind of ends of lines, and no spaces around.
const SHOWN: &str = r#"(() => {
    const shown = new Set();
    const add = (text) => shown.add(text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").trim());
    for (const e of document.querySelectorAll("body *")) {
        if (e.value !== undefined) add(String(e.value));
        if (e.children.length === 0) add(e.textContent);
        for (const node of e.childNodes) if (node.nodeType === 3) add(node.data);
    }
    return shown;
})()"#;

/// Nothing went wrong on the page.
async fn is_right(browser: &Browser, page: &str) {
    assert_eq!(browser.script(WRONG).await, json!([]), "{page}");
}

/// Which of these the page does not show.
async fn lacking(browser: &Browser, texts: &[&str]) -> Value {
    let script = format!(
        "((shown) => {}.filter((text) => !shown.has(text.replaceAll('\\r\\n', '\\n').replaceAll('\\r', '\\n').trim())))({SHOWN})",
        json!(texts)
    );
    browser.script(&script).await
}

#[tokio::test]
async fn hostile_texts_are_texts_on_every_page_and_in_whatever_it_is_told() {
    let database = Database::new().await;
    let (texts, bundles) = (texts(), bundles());
    let client = enter(&database, &[&texts[..], &bundles].concat()).await;
    let [one, other] = [&bundles[0].1, &bundles[1].1];
    client
        .execute("update accounts_user set first_name = $1, last_name = '' where id in (1, 3)", &[one])
        .await
        .unwrap();
    database.sql("insert into live.account (user_id, sound, desktop, version) values (1, true, true, 9) on conflict do nothing").await;
    let service = Service::start_with(&database, &["--poll-interval", "1s"]).await;
    let proxy = Proxy::start(service.web).await;
    let browser = Browser::open(&format!("http://{}", proxy.address)).await;
    let watch = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;

    // lists, with what is told of them by the stream and without it
    browser.sign_in("ana").await;
    for page in 1..=5 {
        browser.goto(&format!("/orders/orders/?page={page}")).await;
        browser.state("live").await;
        is_right(&browser, &format!("page {page}")).await;
    }
    browser.goto("/orders/orders/").await;
    browser.knows_what_is_news().await;
    for way in ["live", "polling"] {
        if way == "polling" {
            proxy.block_streams();
        }
        browser.state(way).await;
        for (id, text) in &bundles {
            let text = format!("{way}{text}");
            let sql = "update orders_order set customer_name = $2, order_number = $2 || 'B', status = $2, payment_status = $2 where id = $1";
            change(&client, *id, &text, sql).await;
        }
        for (id, text) in &bundles {
            let said = format!(
                "document.querySelector('tr[data-order-id=\"{id}\"] [data-cell=customer]')?.textContent.trim()
                === {}.trim()",
                json!(format!("{way}{text}"))
            );
            browser.until(&said).await;
        }
        browser.script("document.querySelector('#bell .ring').click()").await;
        browser.until("document.querySelectorAll('.bell-panel li').length > 5").await;
        is_right(&browser, way).await;
    }
    proxy.unblock();
    browser.state("live").await;
    is_right(&browser, "the way back").await;

    // what is asked for
    for (_, text) in &bundles {
        let asked = |most| {
            url::form_urlencoded::byte_serialize(text.chars().take(most).collect::<String>().as_bytes())
                .collect::<String>()
        };
        let [short, long] = [asked(90), asked(700)];
        browser
            .goto(&format!("/orders/orders/?q={long}&status={long}&date_from={short}&sort={short}&total_min={short}"))
            .await;
        is_right(&browser, "a filter").await;
    }

    // orders, their forms, what answers a form, and what the pharmacy has
    for (id, text) in &bundles {
        database
            .sql(&format!("update orders_order set status = 'pending', payment_status = 'pending' where id = {id}"))
            .await;
        browser.goto(&format!("/orders/orders/{id}/")).await;
        browser.state("live").await;
        assert_eq!(lacking(&browser, &[&format!("polling{text}"), text]).await, json!([]), "the page of {id}");
        is_right(&browser, "an order's page").await;
        // the page reads itself anew
        change(
            &client,
            *id,
            text,
            "update orders_order set customer_notes = 'N' || $2, total_amount = total_amount + 1 where id = $1",
        )
        .await;
        let noted = format!("N{text}");
        eventually("the order's page is renewed", async || {
            (lacking(&browser, &[&noted]).await == json!([])).then_some(())
        })
        .await;
        is_right(&browser, "an order's page, renewed").await;
        for form in ["edit/", "cancel/"] {
            browser.goto(&format!("/orders/orders/{id}/{form}")).await;
            is_right(&browser, form).await;
        }
    }
    browser.goto("/orders/orders/1001/edit/").await;
    assert_eq!(lacking(&browser, &[one]).await, json!([]), "the form");
    let typed = "(field => { field.value = 'x'.repeat(5000) + '<img src=x onerror=hacked=1>'; field.form.requestSubmit(); })(document.querySelector('[name=customer_address]'))";
    browser.script(typed).await;
    browser.until("document.querySelector('#error-customer_address') !== null").await;
    is_right(&browser, "a form that came back").await;
    for order in [1_001, 1_002] {
        let mute = format!(
            "fetch('/orders/api/orders/{order}/mute/', {{ method: 'POST', body: new URLSearchParams({{ muted: '1' }}) }}).then((a) => a.ok)"
        );
        browser.script(&mute).await;
    }
    for page in [
        "/accounts/preferences/",
        "/accounts/sessions/",
        "/orders/orders/999999/",
        "/orders/orders/%3Cscript%3Ehacked=1%3C/script%3E/",
    ] {
        browser.goto(page).await;
        is_right(&browser, page).await;
    }
    browser.goto("/accounts/preferences/").await;
    assert_eq!(
        lacking(&browser, &[&format!("polling{one}B"), &format!("polling{other}B")]).await,
        json!([]),
        "muted orders"
    );

    browser.client.delete_all_cookies().await.unwrap();
    browser.sign_in("rx").await;
    for page in [
        "/orders/pharmacist/dashboard/",
        "/orders/pharmacist/orders/?page=1",
        "/orders/pharmacist/orders/?page=5",
        "/orders/pharmacist/orders/1001/",
    ] {
        browser.goto(page).await;
        browser.state("live").await;
        is_right(&browser, page).await;
    }
    let note = "(form => { form.elements.note.value = '<img src=x onerror=hacked=1>'; form.elements.status.value = 'confirmed'; form.requestSubmit(); })(document.querySelector('#change'))";
    browser.script(note).await;
    eventually("the note is in the timeline", async || {
        (lacking(&browser, &["<img src=x onerror=hacked=1>"]).await == json!([])).then_some(())
    })
    .await;
    is_right(&browser, "a note").await;

    // signing in by such a name
    for (_, text) in &bundles[..2] {
        browser.client.delete_all_cookies().await.unwrap();
        browser.goto("/accounts/login/?next=javascript:hacked=1").await;
        let fill = format!(
            "(form => {{ form.elements.username.value = {}; form.elements.password.value = 'wrong'; form.requestSubmit(); return true; }})(document.querySelector('form.panel'))",
            json!(text)
        );
        browser.script(&fill).await;
        browser.until("document.querySelector('.problem') !== null").await;
        is_right(&browser, "a login").await;
    }
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", watch).await;
    browser.close().await;
}

#[tokio::test]
async fn hostile_texts_are_texts_on_the_shops_page() {
    let shop = Shop::new("(1, 1, 'pending', 'paid', 5)", "").await;
    let bundles = bundles();
    let [(id, text), rest @ ..] = &bundles[..] else { panic!("there are bundles") };
    shop.database.sql("delete from orders_order").await;
    let client = enter(&shop.database, &bundles).await;
    let browser = Browser::open(&shop.base).await;
    let watch = browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    browser.sign_in("ana").await;
    for way in ["live", "polling"] {
        browser.goto("/orders/orders/").await;
        browser.state("live").await;
        if way == "polling" {
            shop.proxy.block_streams();
            browser.state(way).await;
        }
        for (id, text) in rest {
            change(
                &client,
                *id,
                text,
                "update orders_order set status = $2, payment_status = $2, order_number = 'C' || $2 where id = $1",
            )
            .await;
        }
        change(&client, *id, text, &REWRITE.replace("'B'", &format!("'{way}'"))).await;
        // its badges have words of their own for a status; what is told has the number as it is
        let told = format!(
            "[...document.querySelectorAll('.oncare-live-toast')].some((toast) => toast.textContent.includes({}))",
            json!(text)
        );
        let patience = 2 * crate::harness::PATIENCE;
        let is_told = async || (browser.script(&told).await == true).then_some(());
        eventually_within(patience, "the shop's page tells it", is_told).await;
        is_right(&browser, way).await;
        shop.proxy.unblock();
    }
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", watch).await;
    browser.close().await;
}
