//! A real Chromium, driven through ChromeDriver.

use std::path::Path;
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use cookie::Cookie;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::header::SET_COOKIE;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::database::{Database, PASSWORD};
use super::{PATIENCE, eventually, eventually_within};

/// Ends ChromeDriver, and with it its browsers, when this process ends, however it ends. They are one process group with
/// it, as ChromeDriver leaves the browsers of failed tests behind.
const SUPERVISOR: &str = r#"
exec 3<&0
chromedriver --port=0 </dev/null 3<&- &
read -r line <&3
kill -KILL 0
"#;

struct Driver {
    address: String,
    _supervisor: Child,
}

static DRIVER: OnceCell<Driver> = OnceCell::const_new();

async fn driver() -> &'static Driver {
    DRIVER
        .get_or_init(|| async {
            let mut supervisor = Command::new("/bin/sh")
                .args(["-c", SUPERVISOR])
                // a shell without a terminal makes no groups
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("sh runs");
            let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
            let port = loop {
                let line = lines.next_line().await.unwrap().expect("chromedriver starts; install it with `make tools`");
                if let Some((_, port)) = line.split_once("successfully on port ") {
                    break port.trim_end_matches('.').to_owned();
                }
            };
            // ChromeDriver must not fill a pipe that nobody reads
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            });
            Driver { address: format!("http://127.0.0.1:{port}"), _supervisor: supervisor }
        })
        .await
}

/// Where what drives the browsers runs: they outlive the tests, each of which has a runtime of its own.
static DRIVING: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made")
});

/// Browsers without a trace of the tests that have closed them, for the next tests: to start one takes as long as many a test.
static IDLE: [Mutex<Vec<Client>>; 2] = [const { Mutex::new(Vec::new()) }; 2];

/// Chromium without the parts that only a person at a screen needs: tests take two thirds of the time. Where it is not installed
/// the whole one does as well.
const WITHOUT_A_SCREEN: &str = "/usr/bin/chromium-headless-shell";

/// Chromium gives each site a process of its own, and a new one to whatever comes next. For one page at a time a third of what it
/// takes to open the first is saved without that.
const IN_FEW_PROCESSES: [&str; 4] = [
    "--renderer-process-limit=1",
    "--disable-site-isolation-trials",
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2",
];

/// Whether a browser has all that a person at a screen needs.
#[derive(Clone, Copy)]
enum Kind {
    WithoutAScreen,
    Whole,
}

async fn start(kind: Kind) -> Client {
    let mut options = json!({ "args": [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,1000",
    ] });
    if matches!(kind, Kind::WithoutAScreen) && Path::new(WITHOUT_A_SCREEN).exists() {
        options["binary"] = json!(WITHOUT_A_SCREEN);
        options["args"].as_array_mut().unwrap().extend(IN_FEW_PROCESSES.map(Value::from));
    }
    let mut capabilities = serde_json::Map::new();
    capabilities.insert("goog:chromeOptions".to_owned(), options);
    let address = &driver().await.address;
    let connecting = DRIVING.spawn(async move {
        ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(address).await
    });
    connecting.await.unwrap().expect("Chromium starts")
}

/// One window.
pub struct Browser {
    pub client: Client,
    base: String,
    kind: Kind,
}

impl Browser {
    /// One that knows nothing. The base is the service's address.
    pub async fn open(base: &str) -> Self {
        Self::of(Kind::WithoutAScreen, base).await
    }

    /// One that asks people what pages may do, and whose tabs come to the front one after the other.
    pub async fn whole(base: &str) -> Self {
        Self::of(Kind::Whole, base).await
    }

    async fn of(kind: Kind, base: &str) -> Self {
        let idle = IDLE[kind as usize].lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = match idle {
            Some(client) => client,
            None => start(kind).await,
        };
        Self { client, base: base.to_owned(), kind }
    }

    /// Where scripts are not run.
    pub async fn without_javascript(base: &str) -> Self {
        let browser = Self::open(base).await;
        browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        browser
    }

    /// That takes any certificate.
    pub async fn trusting(base: &str) -> Self {
        let browser = Self::open(base).await;
        browser.devtools("Security.setIgnoreCertificateErrors", json!({ "ignore": true })).await;
        browser
    }

    pub async fn goto(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Gives it the cookies of somebody who signed in elsewhere: few tests look at how a person does it, which takes as long as many a test.
    pub async fn sign_in(&self, username: &str) {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let fields = [("username", username), ("password", PASSWORD)];
        let answer = client.post(format!("{}/accounts/login/", self.base)).form(&fields).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{username} signs in");
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let cookie = Cookie::parse(cookie.to_str().unwrap()).unwrap();
            let (name, value) = cookie.name_value();
            let kept = json!({ "name": name, "value": value, "url": self.base, "httpOnly": true, "sameSite": "Lax" });
            self.devtools("Network.setCookie", kept).await;
        }
    }

    /// Signs in as a person does.
    pub async fn sign_in_on_page(&self, username: &str) {
        self.goto("/accounts/login/").await;
        self.fill_in_login(username).await;
    }

    /// Signs in on the page that asks for it.
    pub async fn fill_in_login(&self, username: &str) {
        let fill = async |name: &str, text: &str| {
            let field = self.client.find(Locator::Css(&format!("[name={name}]"))).await.unwrap();
            field.send_keys(text).await.unwrap();
        };
        fill("username", username).await;
        fill("password", PASSWORD).await;
        self.client.find(Locator::Css("form.panel button")).await.unwrap().click().await.unwrap();
        eventually("signing in leads on", async || {
            let url = self.client.current_url().await.unwrap();
            (!url.path().contains("login")).then_some(())
        })
        .await;
    }

    /// The dashboard of somebody, live.
    pub async fn live_dashboard(base: &str, username: &str, query: &str) -> Self {
        Self::open(base).await.on_live_dashboard(username, query).await
    }

    /// Signs in and waits until the dashboard is live.
    pub async fn on_live_dashboard(self, username: &str, query: &str) -> Self {
        self.sign_in(username).await;
        self.goto(&format!("/orders/orders/{query}")).await;
        self.state("live").await;
        self
    }

    /// Waits until the badge says that state.
    pub async fn state(&self, state: &str) {
        let said = format!("document.getElementById('live-badge').dataset.state === '{state}'");
        // what is shown is trusted for as long as a condition may usually take
        self.until_within(2 * PATIENCE, &said).await;
    }

    /// Waits until the page is live and its bell knows what the person wants to be told.
    pub async fn knows_what_is_news(&self) {
        self.state("live").await;
        self.until(
            "performance.getEntriesByType('resource').some((e) => e.name.includes('/changes/') && e.responseEnd > 0)",
        )
        .await;
    }

    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(&format!("return ({script})"), vec![]).await.unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    /// Waits until the expression is true.
    pub async fn until(&self, expression: &str) {
        self.until_within(PATIENCE, expression).await;
    }

    /// The page looks for itself, and answers after a moment in any case: a look from here costs the processor many times as much.
    /// Pages that are left meanwhile, or are frozen, give no answer.
    async fn until_within(&self, patience: Duration, expression: &str) {
        let watch = format!(
            "return (async () => {{
                for (const end = performance.now() + {MOMENT}; ; await new Promise((look) => setTimeout(look, {LOOK}))) {{
                    const found = ({expression}) === true;
                    if (found || performance.now() > end) return found;
                }}
            }})()"
        );
        eventually_within(patience, expression, async || match self.client.execute(&watch, vec![]).await {
            Ok(found) => (found == true).then_some(()),
            Err(error) if error.is_timeout() || error.is_script_timeout() => None,
            Err(error) => panic!("{expression}: {error}"),
        })
        .await;
    }

    /// Has the page take note of when its rows and figures changed last.
    pub async fn note_changes(&self) {
        assert_eq!(self.script(NOTE_CHANGES).await, true, "it has rows and figures");
    }

    /// Asserts that the page took the last change at once after the database had it, by the clock that both go by: how soon a test
    /// gets to look is another matter.
    pub async fn assert_at_once(&self, database: &Database, what: &str) {
        let changed = self.script("window.changedAt").await.as_f64().expect("something changed");
        let written = "select extract(epoch from max(at)) * 1000 from live.order_event";
        let written: f64 = database.value(written).await.parse().unwrap();
        assert!(changed - written < AT_ONCE.as_secs_f64() * 1_000.0, "{what}: after {} ms", changed - written);
    }

    /// The text of the first element.
    pub async fn text(&self, css: &str) -> String {
        let element = self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.text().await.unwrap()
    }

    /// Waits until the first element has that text.
    pub async fn wait_for_text(&self, css: &str, text: &str) {
        let expression = format!("document.querySelector({})?.textContent.trim() === {}", json!(css), json!(text));
        self.until(&expression).await;
    }

    /// Has the page take note of what a screen reader is told from now on.
    pub async fn listen(&self) {
        let record = "(() => { const region = document.getElementById('live-region'); window.said = [];
            new MutationObserver(() => window.said.push([performance.now(), region.textContent]))
                .observe(region, { childList: true, characterData: true, subtree: true }); return true; })()";
        self.script(record).await;
    }

    /// Waits until a screen reader was told something with that in it.
    pub async fn until_said(&self, part: &str) {
        self.until(&format!("window.said.some(([, text]) => text.includes({}))", json!(part))).await;
    }

    pub async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Types into the first element, in place of what it holds.
    pub async fn fill_in(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses in the first element.
    pub async fn choose(&self, css: &str, value: &str) {
        let field = self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.select_by_value(value).await.unwrap();
    }

    /// Clicks what leads to another page, and waits until that has begun.
    pub async fn follow(&self, css: &str) {
        self.script("window.leaving = true").await;
        self.click(css).await;
        self.until("!('leaving' in window) && document.readyState === 'complete'").await;
    }

    /// Puts the pointer on the first element.
    pub async fn point_at(&self, css: &str) {
        let middle = format!(
            "(box => [box.x + box.width / 2, box.y + box.height / 2])(document.querySelector({}).getBoundingClientRect())",
            json!(css)
        );
        let middle = self.script(&middle).await;
        let moved = json!({ "type": "mouseMoved", "x": middle[0], "y": middle[1] });
        self.devtools("Input.dispatchMouseEvent", moved).await;
        self.until(&format!("document.querySelector({}).matches(':hover')", json!(css))).await;
    }

    /// The orders of the list, from the top: `3,1,2`.
    pub async fn ids(&self) -> String {
        self.script(IDS).await.as_str().unwrap().to_owned()
    }

    /// Waits until the list has these orders, from the top.
    pub async fn wait_for_ids(&self, ids: &str) {
        self.until(&format!("{IDS} === {}", json!(ids))).await;
    }

    /// What the address asks for, without what it leaves open: `q=maria&sort=-total_amount`.
    pub async fn asked(&self) -> String {
        let asked = "[...new URLSearchParams(location.search)].filter(([, value]) => value !== '').map(pair => pair.join('=')).join('&')";
        self.script(asked).await.as_str().unwrap().to_owned()
    }

    /// Whether the first element is not shown.
    pub async fn hidden(&self, css: &str) -> bool {
        !self.client.find(Locator::Css(css)).await.unwrap().is_displayed().await.unwrap()
    }

    /// Makes the page that wide.
    pub async fn resize(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        assert_eq!(self.script("innerWidth").await, width);
    }

    /// Sends a command of Chromium's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let call = DevTools(json!({ "cmd": command, "params": parameters }));
        self.client.issue_cmd(call).await.unwrap()
    }

    /// Ends all of its pages.
    pub async fn close(self) {
        self.forget_everything().await;
        IDLE[self.kind as usize].lock().unwrap_or_else(PoisonError::into_inner).push(self.client);
    }

    /// Leaves one new tab, to which nothing that was set for another applies, and no cookie, permission or stored data.
    async fn forget_everything(&self) {
        let windows = self.client.windows().await.unwrap();
        let fresh = self.client.new_window(true).await.unwrap().handle;
        for window in windows {
            self.client.switch_to_window(window).await.unwrap();
            self.client.close_window().await.unwrap();
        }
        self.client.switch_to_window(fresh).await.unwrap();
        let origin = json!({ "origin": self.base, "storageTypes": "all" });
        for (command, parameters) in [
            ("Network.clearBrowserCookies", json!({})),
            ("Network.clearBrowserCache", json!({})),
            ("Browser.resetPermissions", json!({})),
            ("Storage.clearDataForOrigin", origin),
        ] {
            self.devtools(command, parameters).await;
        }
    }
}

/// For how many milliseconds a page waits for what is asked of it, and how often it looks.
const MOMENT: u32 = 1_000;
const LOOK: u32 = 20;

const IDS: &str = "[...document.querySelectorAll('#orders-table-tbody tr')].map(row => row.dataset.orderId).join()";

const NOTE_CHANGES: &str = "(() => {
    const observer = new MutationObserver(() => { window.changedAt = Date.now(); });
    const places = document.querySelectorAll('#orders-table-tbody, #recent-orders-tbody, [id^=stat-], [id^=status-count-]');
    for (const place of places) observer.observe(place, { subtree: true, childList: true, characterData: true });
    return places.length > 10;
})()";

/// How long a change may take from the database to the page on a machine that has much else to do: no poll is so soon. How long it
/// does take is measured by `make latency`.
pub const AT_ONCE: Duration = Duration::from_secs(2);

/// How long a page may look live while what it shows is old.
pub const NOTICED: Duration = Duration::from_secs(12);

/// How soon a page that hears nothing at all says that what it shows is stale.
pub const STALE: Duration = Duration::from_secs(17);

#[derive(Debug)]
struct DevTools(Value);

impl fantoccini::wd::WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}
