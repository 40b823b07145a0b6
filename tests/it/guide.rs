//! The guide to a running shop, `docs/DJANGO.md`: its commands are taken from the document and carried out on a real shop, from zero
//! to a live page in Chromium, and back.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::browser::Browser;
use crate::harness::database::Database;
use crate::harness::eventually;
use crate::harness::http::API;
use crate::harness::instance::{self, free_address};
use crate::harness::nginx::Nginx;
use crate::harness::shop::{Customer, SOURCES, Shop};
use crate::harness::supervised::Supervised;
use crate::shop::{assert_has, enter_a_few};
use crate::shop_live::{at_the_shop, shows_what_the_shop_would};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DJANGO.md");

/// How many steps lead to live pages.
const STEPS: usize = 10;

/// A step of the guide, with its commands and those that take it back.
#[derive(Default)]
struct Step {
    title: String,
    commands: String,
    undo: String,
}

/// What is exported before the first step, a line each, and the steps.
fn read_guide() -> (Vec<String>, Vec<Step>) {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let (mut exported, mut steps) = (Vec::new(), Vec::<Step>::new());
    let (mut is_code, mut is_undo) = (false, false);
    for line in guide.lines().take_while(|line| *line != "# What to know") {
        if let Some(title) = line.strip_prefix("## ") {
            assert!(steps.is_empty() || is_undo, "{} has its undo", steps[steps.len() - 1].title);
            assert!(title.starts_with(&format!("{}. ", steps.len() + 1)), "steps are numbered: {title}");
            steps.push(Step { title: title.to_owned(), ..Step::default() });
            is_undo = false;
        } else if line.starts_with("```") {
            is_code = !is_code;
            assert_eq!(line, if is_code { "```sh" } else { "```" }, "whatever is to be done is a command");
        } else if is_code {
            match steps.last_mut() {
                None => exported.push(line.to_owned()),
                Some(step) => writeln!(if is_undo { &mut step.undo } else { &mut step.commands }, "{line}").unwrap(),
            }
        }
        is_undo |= line.starts_with("*Undo:*");
    }
    assert_eq!(steps.len(), STEPS);
    (exported, steps)
}

/// A machine with a shop on it, which the guide's reader works at. Root's folders are below one of its own.
struct Machine {
    root: PathBuf,
    shop: Shop,
    nginx: Nginx,
    /// Where the service listens by default; here others may as well.
    web: SocketAddr,
    ops: SocketAddr,
    /// What the guide's reader exported.
    exported: Vec<(&'static str, String)>,
    /// What the guide has, and what this machine has in its place.
    differs: Vec<(&'static str, String)>,
    service: Option<Supervised>,
}

impl Machine {
    async fn new() -> Self {
        let shop = Shop::open().await;
        enter_a_few(&shop).await;
        let nginx = Nginx::before_alone(&shop).await;
        let root = shop.folder.join("root");
        for folder in ["etc/systemd/system", "usr/local/bin", "programs", "run", "sources/target/release"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let built = root.join("sources/target/release/oncare-live");
        std::os::unix::fs::symlink(instance::program(), built).unwrap();
        // the program is built already; what the system's own supervisor is told is done after the commands
        program(&root, "cargo", "exit 0");
        program(&root, "systemctl", &format!("echo \"$@\" >>'{}'", root.join("systemctl").display()));
        program(&root, "nginx", &format!("exec {} \"$@\"", nginx.command()));

        // roles are the whole server's, which other tests use as well
        let role = format!("guide_{}", shop.database.name);
        let (web, ops) = (free_address(), free_address());
        let owner = &shop.database.url;
        let as_role = |who: &str| owner.replace("oncare_owner:oncare_owner@", who);
        let exported = vec![
            ("SHOP", SOURCES.to_owned()),
            ("SITE", nginx.folder.join("nginx.conf").display().to_string()),
            ("ADMIN_URL", as_role("oncare:oncare@")),
            ("OWNER_URL", owner.clone()),
            ("LIVE_PASSWORD", "of a test".replace(' ', "-")),
            ("LIVE_URL", as_role(&format!("{role}:of-a-test@"))),
        ];
        let below = |folder: &str| format!("{}/{folder}", root.display());
        let differs = vec![
            ("/etc/", below("etc/")),
            ("/usr/local/bin/", below("usr/local/bin/")),
            ("127.0.0.1:9464", ops.to_string()),
            ("oncare_live", role),
            // it asks, and here nobody is asked
            ("oncare-live uninstall", "oncare-live uninstall --yes".to_owned()),
        ];
        Self { root, shop, nginx, web, ops, exported, differs, service: None }
    }

    /// Carries commands out, each line if the one before it succeeded. Their status, and what they said.
    async fn carry_out(&mut self, commands: &str) -> (i32, String) {
        let here = self.differs.iter().fold(commands.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
        let (python, of_shop) = self.shop.python();
        let folders = [self.root.join("programs"), self.root.join("usr/local/bin"), python];
        let path =
            std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &here]).current_dir(self.root.join("sources"));
        bash.env("PATH", path.unwrap()).env("ONCARE_LIVE_LISTEN", self.web.to_string()).envs(of_shop);
        bash.envs(self.exported.iter().map(|(name, value)| (name, value)));
        let output = bash.kill_on_drop(true).output().await.unwrap();
        self.obey_systemctl();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    fn obey_systemctl(&mut self) {
        let told = self.root.join("systemctl");
        let Ok(lines) = std::fs::read_to_string(&told) else { return };
        std::fs::remove_file(told).unwrap();
        let unit = self.root.join("etc/systemd/system/oncare-live.service");
        for line in lines.lines() {
            match line {
                "daemon-reload" => {}
                "reload nginx" => self.nginx.reload(),
                "enable --now oncare-live" => self.service = Some(self.start(&std::fs::read_to_string(&unit).unwrap())),
                "disable --now oncare-live" => drop(self.service.take().expect("it runs")),
                other => panic!("systemctl {other}"),
            }
        }
    }

    /// Starts the program of a unit, with nothing in its environment but what that says.
    fn start(&self, unit: &str) -> Supervised {
        let credentials = self.root.join("run");
        let of = |key: &'static str| {
            let lines = unit.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='));
            lines.map(|value| value.replace("%d", credentials.to_str().unwrap())).collect::<Vec<_>>()
        };
        for credential in of("LoadCredential") {
            let (name, path) = credential.split_once(':').unwrap();
            std::fs::copy(path, credentials.join(name)).unwrap();
        }
        let start = of("ExecStart").remove(0);
        let mut command = Command::new("env");
        command.args([
            "-i",
            &format!("ONCARE_LIVE_LISTEN={}", self.web),
            &format!("ONCARE_LIVE_OPS_LISTEN={}", self.ops),
        ]);
        command.args(of("Environment"));
        for file in of("EnvironmentFile") {
            command.args(std::fs::read_to_string(file).unwrap().lines());
        }
        command.args(start.split(' '));
        Supervised::start(&command, &self.root.join("service.log"))
    }

    /// What root's folders have of the service.
    fn left_behind(&self) -> Vec<String> {
        let mut find = std::process::Command::new("find");
        let found =
            find.args([self.root.join("etc"), self.root.join("usr")]).args(["-type", "f"]).output().unwrap().stdout;
        String::from_utf8(found).unwrap().lines().map(str::to_owned).collect()
    }
}

fn program(root: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = root.join("programs").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// All that a database has, a line each: schemas, relations with their columns, indexes, constraints, triggers and functions, who may
/// do what with them, and every row.
async fn contents(database: &Database) -> Vec<String> {
    let listed = |acl: &str| format!("array(select a::text from unnest({acl}) a order by 1)::text");
    let (schemas, relations) =
        (listed("coalesce(nspacl, acldefault('n', nspowner))"), listed("coalesce(relacl, acldefault('r', relowner))"));
    let of_database = listed("coalesce(datacl, acldefault('d', datdba))");
    let catalog = format!(
        "select concat_ws(' ', 'database', {of_database}) from pg_database where datname = current_database()
         union all select concat_ws(' ', 'schema', nspname, {schemas}) from pg_namespace where nspname !~ '^pg_(toast_)?temp'
         union all select concat_ws(' ', 'relation', c.oid::regclass, relkind, {relations}, reloptions)
             from pg_class c where relnamespace = 'public'::regnamespace
         union all select concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull,
                 pg_get_expr(d.adbin, d.adrelid), attacl)
             from pg_attribute a join pg_class c on c.oid = attrelid and relnamespace = 'public'::regnamespace
             left join pg_attrdef d on d.adrelid = attrelid and d.adnum = attnum where attnum > 0
         union all select concat_ws(' ', 'index', pg_get_indexdef(indexrelid))
             from pg_index i join pg_class c on c.oid = indrelid and relnamespace = 'public'::regnamespace
         union all select concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
             from pg_constraint where connamespace = 'public'::regnamespace
         union all select concat_ws(' ', 'trigger', pg_get_triggerdef(oid), tgenabled) from pg_trigger where not tgisinternal
         union all select concat_ws(' ', 'function', oid::regprocedure) from pg_proc where pronamespace = 'public'::regnamespace
         union all select concat_ws(' ', 'event trigger', evtname) from pg_event_trigger
         union all select concat_ws(' ', 'granted by default', defaclacl) from pg_default_acl"
    );
    let client = database.client().await;
    let mut lines: Vec<String> = client.query(&catalog, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let tables = "select c.oid::regclass::text from pg_class c where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace";
    for table in client.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let rows = client.query(&format!("select '{table} ' || t::text from {table} t"), &[]).await.unwrap();
        lines.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    lines.sort();
    lines
}

#[tokio::test]
async fn in_a_browser_the_ten_steps_of_the_guide_lead_to_live_pages_and_back() {
    let (exported, steps) = read_guide();
    let mut machine = Machine::new().await;
    let names: Vec<String> = machine.exported.iter().map(|(name, _)| format!("export {name}=")).collect();
    assert_eq!(exported.len(), names.len());
    assert!(names.iter().zip(exported).all(|(name, line)| line.starts_with(name)), "the reader is told of {names:?}");

    // the shop as it was: its page polls, and its API answers
    let alone = Customer::signed_in(&format!("http://{}", machine.nginx.shop), "ana").await;
    let through = Customer::signed_in(&machine.nginx.base(), "ana").await;
    let rx = Customer::signed_in(&machine.nginx.base(), "rx").await;
    let works_as_before = async |when: &str| {
        let expected: Value = alone.browser.dashboard("").await;
        let answer = through.browser.get(API).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{when}: {text}");
        assert_has(&serde_json::from_str(&text).unwrap(), &expected, when);
        for page in ["/orders/orders/", "/orders/orders/1/", "/orders/orders/1/edit/"] {
            assert_eq!(through.browser.get(page).await.status(), 200, "{when}: {page}");
        }
        assert_eq!(rx.browser.get("/orders/pharmacist/dashboard/").await.status(), 200, "{when}");
    };
    // nginx answers by its former rules until the process that has the new ones took over
    let until_led_to_service = async |expected: bool| {
        eventually("nginx has read its rules", async || {
            let is_led = through.browser.get("/live/").await.status() == 303;
            (is_led == expected).then_some(())
        })
        .await;
    };
    let browser = at_the_shop(Browser::open(&machine.nginx.base()).await, "ana").await;
    let has_badge = "document.getElementById('live-badge') !== null";
    assert_eq!(browser.script(has_badge).await, false);
    let before = contents(&machine.shop.database).await;

    for (number, Step { title, commands, .. }) in (1..).zip(&steps) {
        let (status, said) = machine.carry_out(commands).await;
        // the second finds that the third has yet to be done
        let problems: Vec<&str> = said.lines().filter(|line| line.contains("PROBLEM")).collect();
        let expected = if number == 2 { (1, 1) } else { (0, 0) };
        assert_eq!((status, problems.len()), expected, "{title}: {said}");
        assert!(problems.iter().all(|problem| problem.contains("migrations")), "{title}: {said}");
        match number {
            9 => until_led_to_service(true).await,
            6 => assert!(said.contains("TIME_ZONE=America/New_York") && said.contains("SESSION_ENGINE=db"), "{said}"),
            8 => {
                assert!(said.contains("\"ready\":true") && said.contains("sessions are of somebody who may"), "{said}")
            }
            _ => {}
        }
        works_as_before(title).await;
    }

    // a browser that keeps the shop's script polls on; without its cache the page is live
    browser.goto("/orders/orders/").await;
    assert_eq!(browser.script(has_badge).await, false);
    browser.devtools("Page.reload", json!({ "ignoreCache": true })).await;
    browser.until(has_badge).await;
    browser.state("live").await;
    browser.note_changes().await;
    machine.shop.deed("Order.objects.filter(id=1).update(status='shipped')").await;
    shows_what_the_shop_would(&browser, &alone, "at the end of the guide").await;
    browser.assert_at_once(&machine.shop.database, "at the end of the guide").await;
    assert_eq!(browser.text("#status-count-shipped").await, "1");
    browser.goto("/live/orders/orders/").await;
    browser.state("live").await;
    machine.shop.deed("Order.objects.filter(id=1).update(status='pending')").await;
    browser.wait_for_text("[data-order-id='1'] .status-badge", "Pending").await;

    for Step { title, undo, .. } in steps.iter().rev() {
        let (status, said) = machine.carry_out(undo).await;
        assert_eq!(status, 0, "undo of {title}: {said}");
        if title.starts_with("9. ") {
            until_led_to_service(false).await;
        }
        works_as_before(&format!("undo of {title}")).await;
        if title.starts_with("9. ") {
            browser.goto("/orders/orders/").await;
            assert_eq!(browser.script(has_badge).await, false, "the shop's own script is in force again");
        }
    }
    browser.close().await;
    assert_eq!(contents(&machine.shop.database).await, before);
    assert_eq!(machine.left_behind(), Vec::<String>::new());
    let role = &machine.differs.iter().find(|(theirs, _)| *theirs == "oncare_live").unwrap().1;
    assert_eq!(machine.shop.database.value(&format!("select to_regrole('{role}')")).await, "null");
}
