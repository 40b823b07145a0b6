//! Every route, for everybody: what it shows, where it leads, what it writes, and in which words it refuses. `tests/cases/routes.txt`
//! has a line for each route of the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use oncare_live::routes::Route;
use oncare_live::web::{Host as HostSite, Site};
use oncare_live::{ops, web};
use reqwest::{Client, Method, Response, redirect};
use tokio_postgres::Client as Connection;

use crate::django::{Host, KEY, of_user, session_key, signed};
use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::service::Service;

/// Whose columns these are, with the ids of the users. Nobody has none.
const PEOPLE: [(&str, i64); 9] = [
    ("nobody", 0),
    ("ana", 1),
    ("ben", 2),
    ("rx", 3),
    ("boss", 4),
    ("root", 7),
    ("left", 8),
    ("late", 9),
    ("moved", 10),
];

/// What every order of a rep has in its number, and nothing else has.
const MARKS: [&str; 3] = ["Mark-ana", "Mark-ben", "Mark-moved"];

/// An order of ana's.
const ORDER: i64 = 101;

/// Where `>…` leads.
const LEADS: [(&str, &str); 12] = [
    (">home", "{root}/"),
    (">list", "{root}/orders/orders/"),
    (">queue", "{root}/orders/pharmacist/orders/"),
    (">pharmacy", "{root}/orders/pharmacist/dashboard/"),
    (">found", "{root}/orders/orders/?q=N"),
    (">sought", "{root}/orders/pharmacist/orders/?q=N"),
    (">order", "{root}/orders/orders/101/"),
    (">login", "{root}/accounts/login/"),
    (">sessions", "{root}/accounts/sessions/"),
    (">saved", "{root}/accounts/preferences/?saved"),
    (">out", "/orders/"),
    (">host", "/accounts/login/?next=%2Flive%2F"),
];

/// What a refusal says.
const REFUSALS: [(&str, u16, &str); 9] = [
    ("login", 401, "not signed in"),
    ("unsaved", 401, "not signed in"),
    ("401", 401, "not signed in"),
    ("reps", 403, "only for sales representatives"),
    ("rxs", 403, "only for pharmacists and administrators"),
    ("all3", 403, "only for sales representatives, pharmacists and administrators"),
    ("admins", 403, "only for administrators"),
    ("404", 404, "not found"),
    ("host", 409, "orders are changed in the application that manages them, and not here"),
];
const GONE: &str = "this address is a page of the application in which orders are changed, and this service has none of its own: the \
                    proxy before both must send it there";

/// What is looked at for whether something was written.
const TABLES: [&str; 9] = [
    "accounts_user",
    "orders_order",
    "orders_orderitem",
    "orders_orderstatushistory",
    "live.session",
    "live.saved_view",
    "live.account",
    "live.muted_order",
    "live.viewing",
];

/// A line of the table.
#[derive(Clone)]
struct Line {
    method: Method,
    /// As the route has it.
    path: String,
    query: String,
    body: String,
    cells: Vec<String>,
    done: String,
}

impl Line {
    fn is_of(&self, route: &Route) -> bool {
        self.method == route.method && self.path == route.path
    }
}

/// The lines of one part of the table.
fn table(heading: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut is_here = false;
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/routes.txt")).unwrap();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "GET" | "POST" if is_here => {
                let cells = words.len() - PEOPLE.len();
                let (path, query) = words[1].split_once('?').unwrap_or((words[1], ""));
                lines.push(Line {
                    method: words[0].parse().unwrap(),
                    path: path.to_owned(),
                    query: query.to_owned(),
                    body: words[2..cells].join(""),
                    cells: words[cells..].iter().map(|cell| (*cell).to_owned()).collect(),
                    done: String::new(),
                });
            }
            ":" if is_here => lines.last_mut().unwrap().done = words[1..].join(" "),
            "GET" | "POST" | ":" => {}
            _ => {
                assert!(words.ends_with(&PEOPLE.map(|(name, _)| name)), "{line}");
                is_here = line.starts_with(heading);
            }
        }
    }
    assert!(!lines.is_empty(), "{heading}");
    lines
}

/// Where the host signs people on.
fn beside_host() -> Site {
    let [session_cookie, login, logout] = ["sessionid", "/accounts/login/", "/orders/"].map(str::to_owned);
    Site::new("/live/", Some(HostSite { session_cookie, login, logout }), None)
}

fn all_routes(site: &Site) -> Vec<Route> {
    web::all_routes(site, ops::for_administrators().list())
}

/// A line for each route beside a host: its own, or that of the same route where there is none.
fn table_beside_host() -> Vec<Line> {
    let (alone, own) = (table("own sign-on"), table("host's sign-on"));
    let routes = all_routes(&beside_host());
    for line in &own {
        assert!(routes.iter().any(|route| line.is_of(route)), "there is no route {} {}", line.method, line.path);
    }
    let line = |route: &Route| {
        let as_alone =
            Route { path: route.path.strip_prefix("/live").unwrap_or(&route.path).to_owned(), ..route.clone() };
        let line =
            own.iter().find(|line| line.is_of(route)).or_else(|| alone.iter().find(|line| line.is_of(&as_alone)));
        let line = line.unwrap_or_else(|| panic!("the table has no line for {} {}", route.method, route.path));
        Line { path: route.path.clone(), ..line.clone() }
    };
    routes.iter().map(line).collect()
}

#[test]
fn every_route_has_a_line_and_every_line_a_route() {
    let named = |method: &Method, path: &str| format!("{method} {path}");
    let routes_of =
        |routes: &[Route]| routes.iter().map(|route| named(&route.method, &route.path)).collect::<BTreeSet<_>>();
    let lines_of = |lines: &[Line]| lines.iter().map(|line| named(&line.method, &line.path)).collect::<BTreeSet<_>>();
    assert_eq!(routes_of(&all_routes(&Site::new("/", None, None))), lines_of(&table("own sign-on")));
    assert_eq!(routes_of(&all_routes(&beside_host())), lines_of(&table_beside_host()));
    assert_eq!(routes_of(ops::routes().list()), lines_of(&table("ops")));
}

/// What an answer is to be.
#[derive(Debug, Default)]
struct Expected {
    status: u16,
    location: Option<String>,
    /// Whose orders are seen.
    marks: Vec<&'static str>,
    /// Which tables are written.
    written: Vec<&'static str>,
    /// What it says: all of it, where that is JSON.
    words: String,
}

/// A service with everybody signed in, who may be so no more, and their orders.
struct World {
    service: Service,
    database: Database,
    connection: Connection,
    client: Client,
    /// What stands before the pages' paths.
    root: &'static str,
    is_beside_host: bool,
    cookies: Vec<String>,
    /// What stands for what is in braces in the table.
    names: Vec<(&'static str, String)>,
    /// Puts back what was written.
    restore: Vec<String>,
    base: Vec<String>,
}

/// Those who are in the table and in no other test.
const MORE_PEOPLE: &str = "insert into accounts_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,
         is_active, date_joined, role, phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at)
     select id, password, superuser, name, name, 'Tester', '', superuser, true, now(), role, '', '', '', '', '', '', true, now(), now()
     from (select password from accounts_user where id = 1) p, (values (7, 'root', '', true), (8, 'left', 'pharmacist_admin', false),
         (9, 'late', 'pharmacist_admin', false), (10, 'moved', 'pharmacist_admin', false)) v (id, name, role, superuser)";

/// What has become of them since they signed in.
const SINCE: &str = "update accounts_user set is_active = false where username = 'left';
     update accounts_user set role = 'sales_rep' where username = 'moved'";

/// Two orders of ana's, and one of each other rep's; a muted one of everybody's, of moved also one that is another's by now; and views.
const THEIRS: &str = "insert into orders_order (id, order_number, sales_rep_id, customer_name, customer_phone, customer_address, status,
         payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method, delivery_address,
         delivery_instructions, prescription_required, prescription_verified, created_at, updated_at, customer_notes, internal_notes)
     select v.id, 'Mark-' || u.username || v.id, u.id, 'Customer', '0917', 'Address', 'pending', 'pending', 0, 0, 0, 0, 5, 'pickup', '', '',
         false, false, now(), now(), 'Mark-' || u.username, 'Mark-' || u.username
     from (values (101, 1), (102, 2), (103, 10), (104, 1)) v (id, rep) join accounts_user u on u.id = v.rep;
     insert into live.muted_order (user_id, order_id)
     values (1, 104), (2, 102), (3, 102), (3, 103), (3, 104), (4, 102), (4, 103), (4, 104), (10, 103), (10, 104);
     insert into live.saved_view (user_id, list, name, query)
     select id, list, 'View', '' from accounts_user, unnest(array['orders', 'queue']) list";

impl World {
    /// People sign in here, and orders are changed here.
    async fn alone() -> Self {
        let database = Database::new().await;
        database.sql(MORE_PEOPLE).await;
        let service = Service::start(&database).await;
        // each twice, so that everybody has a session besides
        let names = PEOPLE[1..].iter().flat_map(|(name, _)| [*name, *name]);
        let clients = join_all(names.map(|name| service.signed_in(name))).await;
        let session = |client: &crate::harness::http::Browserless| {
            let cookies = client.cookies();
            let session = cookies.split("; ").find(|cookie| cookie.starts_with("oncare_live_session=")).unwrap();
            session.to_owned()
        };
        let cookies = clients.iter().step_by(2).map(session);
        let cookies = [String::new()].into_iter().chain(cookies).collect();
        database.sql("update live.session set expires_at = now() where user_id = 9").await;
        Self::new(service, database, "", cookies).await
    }

    /// The host signs people on, and orders are changed there.
    async fn beside_host() -> Self {
        let host = Host::new().await;
        host.database.sql(MORE_PEOPLE).await;
        let service =
            Service::start_beside_host(&host.database.url, &["--django-secret-key-file", &host.key_file()]).await;
        let password = host.password(1).await;
        for (name, id) in &PEOPLE[1..] {
            host.row(name, &signed(&of_user(*id, &password, KEY), KEY)).await;
        }
        host.database.sql("update django_session set expire_date = now() where session_key like 'late%'").await;
        let cookie = |(name, _): &(&str, i64)| match *name {
            "nobody" => String::new(),
            name => format!("sessionid={}", session_key(name)),
        };
        Self::new(service, host.database, "/live", PEOPLE.iter().map(cookie).collect()).await
    }

    async fn new(service: Service, database: Database, root: &'static str, cookies: Vec<String>) -> Self {
        database.sql(SINCE).await;
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        let connection = database.client().await;
        let mut world = Self {
            service,
            connection,
            client,
            root,
            is_beside_host: !root.is_empty(),
            cookies,
            names: Vec::new(),
            restore: Vec::new(),
            base: Vec::new(),
            database,
        };
        let dashboard = world.get("/orders/api/sales-rep/dashboard/?visible=", 1).await.text().await.unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
        let cursor = dashboard["cursor"].as_str().unwrap().to_owned();
        world.database.sql(THEIRS).await;
        let of_ana =
            "select encode(sha256(token_hash), 'hex') from live.session where user_id = 1 and token_hash = sha256(
             convert_to(split_part('{cookie}', '=', 2), 'UTF8'))";
        let session =
            world.database.value(&format!("select ({})", of_ana.replace("{cookie}", &world.cookies[1]))).await;
        world.names = vec![
            ("{id}", ORDER.to_string()),
            ("{session}", session),
            ("{cursor}", cursor),
            ("{*path}", "css/oncare.css".to_owned()),
            ("{name}", "realtime_salesrep_dashboard.js".to_owned()),
        ];
        world.keep().await;
        world
    }

    /// Notes what is there now, to put it back.
    async fn keep(&mut self) {
        self.database.sql("create schema saved").await;
        for table in TABLES {
            let saved = format!("saved.{}", table.replace("live.", ""));
            self.database.sql(&format!("create table {saved} as table {table}")).await;
            let columns = format!(
                "select string_agg(quote_ident(attname), ', ') from pg_attribute
                 where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped and attname <> 'id'"
            );
            let columns = self.database.value(&columns).await;
            self.restore.push(match table {
                "orders_order" | "accounts_user" => {
                    format!("update {table} t set ({columns}) = (select {columns} from {saved} s where s.id = t.id)")
                }
                _ => format!("delete from {table}; insert into {table} select * from {saved}"),
            });
        }
        self.base = self.tables().await;
    }

    /// Each table's content, as a hash. Sessions that are over may be deleted at any time.
    async fn tables(&self) -> Vec<String> {
        let each = TABLES.map(|table| {
            let which = if table == "live.session" { "where user_id not in (8, 9)" } else { "" };
            format!("(select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t {which})")
        });
        let row = self.connection.query_one(&format!("select array[{}]", each.join(", ")), &[]).await.unwrap();
        row.get(0)
    }

    fn named(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    async fn get(&self, path: &str, person: usize) -> Response {
        let request = self.client.get(format!("{}{path}", self.service.base()));
        request.header("cookie", &self.cookies[person]).send().await.unwrap()
    }

    /// Asks a route, and gives the answer and its body; of a stream as much as the state with which it begins.
    async fn ask(&self, line: &Line, base: &str, person: usize, is_program: bool) -> (Response, String) {
        let query = if line.query.is_empty() { String::new() } else { format!("?{}", line.query) };
        let address = format!("{base}{}", self.named(&format!("{}{query}", line.path)));
        let accept = if is_program { "application/json" } else { "text/html" };
        let mut request = self.client.request(line.method.clone(), address).header("accept", accept);
        if !self.cookies[person].is_empty() {
            request = request.header("cookie", &self.cookies[person]);
        }
        if line.method == Method::POST {
            let body = self.named(&line.body).replace(':', "%3A").replace('/', "%2F");
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        }
        let mut response = request.send().await.unwrap();
        let mut body = String::new();
        let is_stream = response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream");
        while let Some(chunk) = response.chunk().await.unwrap() {
            body.push_str(&String::from_utf8_lossy(&chunk));
            let has_begun = |event| body.split_once(event).is_some_and(|(_, state): (_, &str)| state.contains("\n\n"));
            if is_stream && ["event: sync", "event: status"].into_iter().any(has_begun) {
                break;
            }
        }
        (response, body)
    }

    /// The tables that were written since the world began, which are as they were then by now.
    async fn written(&self) -> Vec<&'static str> {
        let now = self.tables().await;
        let written: Vec<usize> = (0..TABLES.len()).filter(|table| now[*table] != self.base[*table]).collect();
        if !written.is_empty() {
            let restore: Vec<&str> = written.iter().map(|table| self.restore[*table].as_str()).collect();
            self.connection.batch_execute(&restore.join("; ")).await.unwrap();
            assert_eq!(self.tables().await, self.base, "what was written is put back");
        }
        written.into_iter().map(|table| TABLES[table]).collect()
    }

    /// What a person is to be answered. As a program they are asked only where that is a refusal, which then has the very words.
    fn expected(&self, line: &Line, person: usize, is_program: bool) -> Option<Expected> {
        let cell = line.cells[person].as_str();
        if cell == "unasked" {
            return None;
        }
        let refusal = REFUSALS.iter().find(|(name, ..)| *name == cell).map(|(_, status, words)| (*status, *words));
        let refusal = refusal.or((cell == "gone").then_some((404, GONE)));
        let Some((status, words)) = refusal else {
            let answer = self.answer(if cell == "done" { &line.done } else { cell }, person);
            return (!is_program).then_some(answer);
        };
        let refused = Expected { status, ..Expected::default() };
        Some(if is_program || line.path.contains("/orders/api/") {
            Expected { words: format!("{{\"error\":\"{words}\"}}"), ..refused }
        } else if status == 401 {
            Expected { status: 303, location: Some(self.login(line)), ..refused }
        } else {
            let mut letters = words.chars();
            let capital = letters.next().unwrap().to_uppercase();
            Expected { words: format!("<p>{capital}{}.</p>", letters.as_str()), ..refused }
        })
    }

    /// What is wrong with an answer.
    fn fault(
        &self,
        line: &Line,
        person: usize,
        expected: &Expected,
        (response, body): &(Response, String),
    ) -> Option<String> {
        let location = response.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let (status, marks) = (response.status().as_u16(), marks(body));
        let has_words =
            if expected.words.starts_with('{') { *body == expected.words } else { body.contains(&expected.words) };
        let is_right =
            status == expected.status && location == expected.location && marks == expected.marks && has_words;
        (!is_right).then(|| {
            let (cell, (name, _)) = (&line.cells[person], PEOPLE[person]);
            let found = format!("{status} {location:?} {marks:?} {body:.200}");
            format!("{} {} by {name}: {cell} is {expected:?}, found {found}", line.method, line.path)
        })
    }

    /// Where those are led who are not signed in.
    fn login(&self, line: &Line) -> String {
        let query = if line.query.is_empty() { String::new() } else { format!("?{}", line.query) };
        let home = format!("{}/", self.root);
        let next = if line.method == Method::GET { self.named(&format!("{}{query}", line.path)) } else { home };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        match (self.is_beside_host, &line.method) {
            (false, method) if method == Method::POST => format!("/accounts/login/?next={next}&unsaved=1"),
            _ => format!("/accounts/login/?next={next}"),
        }
    }

    /// What the table says of an answer that is no refusal.
    fn answer(&self, told: &str, person: usize) -> Expected {
        let (mut status, mut location, mut seen, mut written) = (200, None, Vec::new(), Vec::new());
        for word in told.split(' ') {
            match word {
                "none" => {}
                "own" => seen.extend(MARKS.iter().filter(|mark| mark.ends_with(PEOPLE[person].0))),
                "all" => seen.extend(MARKS),
                "it" => seen.push(MARKS[0]),
                word if word.starts_with('>') => {
                    let (_, lead) = LEADS.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("{word}"));
                    (status, location) = (303, Some(lead.replace("{root}", self.root)));
                }
                word if word.starts_with('+') => {
                    written.push(*TABLES.iter().find(|table| **table == &word[1..]).unwrap())
                }
                number => status = number.parse().unwrap_or_else(|_| panic!("{told}: {number}")),
            }
        }
        written.sort_by_key(|table| TABLES.iter().position(|other| other == table));
        Expected { status, location, marks: seen, written, words: String::new() }
    }

    /// Asks each route as each person: at once where nothing is to be written, one after the other where something is.
    async fn walk(&self, lines: &[Line], base: &str) {
        let mut faults = Vec::new();
        for line in lines {
            if !self.is_beside_host {
                let over = "insert into live.session select * from saved.session where user_id in (8, 9) on conflict do nothing";
                self.connection.batch_execute(over).await.unwrap();
            }
            let everybody = (0..PEOPLE.len()).flat_map(|person| [(person, false), (person, true)]);
            let asked = everybody.filter_map(|(person, is_program)| {
                Some((person, is_program, self.expected(line, person, is_program)?))
            });
            let (quiet, writing): (Vec<_>, Vec<_>) = asked.partition(|(.., expected)| expected.written.is_empty());
            let answers = quiet.iter().map(|(person, is_program, _)| self.ask(line, base, *person, *is_program));
            for ((person, _, expected), answer) in quiet.iter().zip(join_all(answers).await) {
                faults.extend(self.fault(line, *person, expected, &answer));
            }
            let written = self.written().await;
            if !written.is_empty() {
                faults.push(format!("{} {} writes {written:?} for somebody who may not", line.method, line.path));
            }
            for (person, is_program, expected) in &writing {
                let answer = self.ask(line, base, *person, *is_program).await;
                faults.extend(self.fault(line, *person, expected, &answer));
                let (written, name) = (self.written().await, PEOPLE[*person].0);
                if written != expected.written {
                    faults.push(format!("{} {} writes {written:?} for {name}", line.method, line.path));
                }
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }
}

/// Whose orders something shows.
fn marks(body: &str) -> Vec<&'static str> {
    MARKS.into_iter().filter(|mark| body.contains(mark)).collect()
}

#[tokio::test]
async fn each_route_gives_each_person_what_is_theirs() {
    let world = World::alone().await;
    world.walk(&table("own sign-on"), &world.service.base()).await;
    world.walk(&table("ops"), &format!("http://{}", world.service.ops)).await;
}

#[tokio::test]
async fn each_route_gives_each_person_what_is_theirs_beside_a_host() {
    let world = World::beside_host().await;
    world.walk(&table_beside_host(), &world.service.base()).await;
}

#[tokio::test]
async fn a_route_takes_no_other_method_and_says_which_it_takes() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let (web, ops) = (web::routes(&Site::new("/", None, None)), ops::routes());
    let (web, ops) =
        (web.list().iter().map(|route| (service.web, route)), ops.list().iter().map(|route| (service.ops, route)));
    let routes: Vec<_> = web.chain(ops).collect();
    let (file, script) = ("css/oncare.css", "realtime_salesrep_dashboard.js");
    for (address, route) in &routes {
        let path = route.path.replace("{id}", "1").replace("{*path}", file).replace("{name}", script);
        let send = async |method: &Method| {
            let request = client.request(method.clone(), format!("http://{address}{path}"));
            request.header("accept", "application/json").send().await.unwrap()
        };
        let taken: BTreeSet<&str> = routes
            .iter()
            .filter(|(on, other)| on == address && other.path == route.path)
            .flat_map(|(_, other)| if other.method == Method::GET { vec!["GET", "HEAD"] } else { vec!["POST"] })
            .collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            // what is taken, others ask
            if taken.contains(method) && method != "HEAD" {
                continue;
            }
            let response = send(&method.parse().unwrap()).await;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.text().await.unwrap();
            if !taken.contains(method) {
                let allowed =
                    headers.get("allow").map(|allowed| allowed.to_str().unwrap().to_owned()).unwrap_or_default();
                assert_eq!(status, 405, "{method} {path}");
                assert_eq!(allowed.split(',').map(str::trim).collect::<BTreeSet<_>>(), taken, "{method} {path}");
                if *address == service.web && method != "HEAD" {
                    assert_eq!(body, r#"{"error":"this method is not allowed here"}"#, "{method} {path}");
                }
            } else {
                let got = send(&Method::GET).await;
                assert_eq!(
                    (status, headers.get("content-type")),
                    (got.status(), got.headers().get("content-type")),
                    "{path}"
                );
                assert_eq!(body, "");
            }
        }
    }
}

/// Whatever is no order of a rep's: there is none; another rep's; what can't be an id; what no path of an order has.
const NO_ORDERS_OF_ANAS: [&str; 14] = [
    "999999",
    "102",
    "0",
    "-1",
    "-102",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "1e2",
    "0x66",
    "1.0",
    "null",
    "%00",
    "%D9%A1%D9%A0%D9%A2",
];

#[tokio::test]
async fn an_order_of_another_rep_is_as_good_as_none_in_words_and_in_what_the_database_is_asked() {
    let database = Database::alone().await;
    database.sql(MORE_PEOPLE).await;
    database.sql(THEIRS).await;
    let log = Statements::of(&database).await;
    let service = Service::start(&database).await;
    let ana = service.signed_in("ana").await;
    let cookies = ana.cookies();
    let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let lines = table("own sign-on");
    let of_orders: Vec<&Line> =
        lines.iter().filter(|line| line.path.contains("{id}") && line.cells[1] != "rxs").collect();
    assert!(of_orders.len() > 5);
    for line in of_orders {
        let ask = async |id: &str, accept: &str| {
            let address = format!("{}{}", service.base(), line.path.replace("{id}", id));
            let request =
                client.request(line.method.clone(), address).header("cookie", &cookies).header("accept", accept);
            let kind = "application/x-www-form-urlencoded";
            let response = request.header("content-type", kind).body(line.body.clone()).send().await.unwrap();
            let (status, mut headers) = (response.status().as_u16(), response.headers().clone());
            // what names the request itself, or says that not all of it was read
            for own in ["date", "x-request-id", "connection"] {
                headers.remove(own);
            }
            (status, headers, response.text().await.unwrap())
        };
        for accept in ["text/html", "application/json"] {
            let absent = ask(NO_ORDERS_OF_ANAS[0], accept).await;
            assert_eq!(absent.0, 404, "{} {}", line.method, line.path);
            for id in &NO_ORDERS_OF_ANAS[1..] {
                // a page says when it was made
                let said = |(status, headers, body): (u16, _, String)| (status, headers, without_time(&body));
                assert_eq!(said(ask(id, accept).await), said(absent.clone()), "{} {} of {id}", line.method, line.path);
            }
            // what runs in the background asks something now and then: what is told by the statements is told each time
            eventually("as much is asked of the database for another's order as for none", async || {
                let (absent, foreign) =
                    (log.of_request(ask("999999", accept)).await, log.of_request(ask("102", accept)).await);
                assert!(!absent.is_empty() && !foreign.is_empty(), "the log has the statements");
                (absent == foreign).then_some(())
            })
            .await;
        }
    }
    let mine = log.of_request(ana.get("/orders/orders/101/")).await;
    let foreign = log.of_request(ana.get("/orders/orders/102/")).await;
    assert_ne!(mine, foreign, "the log tells what is asked");
}

fn without_time(html: &str) -> String {
    let Some((before, rest)) = html.split_once("data-now=\"") else { return html.to_owned() };
    format!("{before}{}", rest.split_once('"').unwrap().1)
}

/// The log of a server of a test's own, which has every statement.
struct Statements {
    file: PathBuf,
    marker: Connection,
}

impl Statements {
    async fn of(database: &Database) -> Self {
        for setting in ["log_min_duration_statement = 0", "log_line_prefix = '@@'"] {
            database.sql(&format!("alter system set {setting}")).await;
        }
        database.sql("select pg_reload_conf()").await;
        let folder = database.value("current_setting('data_directory')").await;
        Self { file: Path::new(&folder).join("server.log"), marker: database.client().await }
    }

    /// The texts of the statements that were executed in the course of a request.
    async fn of_request<T>(&self, request: impl Future<Output = T>) -> Vec<String> {
        let (begin, end) = (self.mark().await, {
            request.await;
            self.mark().await
        });
        let texts = self.read(&begin, &end);
        texts.iter().filter_map(|text| Some(text.split_once("  execute ")?.1.split_once(": ")?.1.to_owned())).collect()
    }

    async fn mark(&self) -> String {
        let mark = format!("mark {:016x}", rand::random::<u64>());
        self.marker.batch_execute(&format!("select '{mark}'")).await.unwrap();
        eventually("the log has the mark", async || self.text().contains(&mark).then_some(())).await;
        mark
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.file).unwrap()).into_owned()
    }

    fn read(&self, begin: &str, end: &str) -> Vec<String> {
        let text = self.text();
        let between = text.split_once(begin).unwrap().1.split_once(end).unwrap().0;
        between.split("@@").map(str::to_owned).collect()
    }
}
