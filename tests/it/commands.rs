//! The program as it is started: arguments, exit statuses, signals.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::database::{Database, temporary_folder};
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::instance::{self, free_address};

/// How long a command may take that does not serve.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

fn program() -> Command {
    let mut command = Command::new(instance::program());
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = timeout(ENDS_WITHIN, program().args(arguments).output()).await.expect("the program ends").unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    // which it is, and right to be said
    let lines = text.split_inclusive('\n').filter(|line| !line.contains("--database-url has a password in it"));
    (output.status.code(), lines.collect())
}

#[tokio::test]
async fn help_shows_flags_with_their_variables_and_defaults() {
    let (status, text) = run(&["serve", "--help"]).await;
    assert_eq!(status, Some(0));
    for (flag, variable, default) in [
        ("--database-url", "ONCARE_LIVE_DATABASE_URL", ""),
        ("--listen", "ONCARE_LIVE_LISTEN", "127.0.0.1:8080"),
        ("--ops-listen", "ONCARE_LIVE_OPS_LISTEN", "127.0.0.1:9464"),
        ("--poll-interval", "ONCARE_LIVE_POLL_INTERVAL", "5s"),
        ("--time-zone", "ONCARE_LIVE_TIME_ZONE", "UTC"),
        ("--currency", "ONCARE_LIVE_CURRENCY", "₱"),
        ("--own-forms", "ONCARE_LIVE_OWN_FORMS", ""),
        ("--own-forms-bypass-django", "ONCARE_LIVE_OWN_FORMS_BYPASS_DJANGO", ""),
        ("--host-edit-path", "ONCARE_LIVE_HOST_EDIT_PATH", "/orders/orders/{id}/edit/"),
        ("--host-cancel-path", "ONCARE_LIVE_HOST_CANCEL_PATH", "/orders/orders/{id}/cancel/"),
        ("--host-order-path", "ONCARE_LIVE_HOST_ORDER_PATH", "/orders/pharmacist/orders/{id}/"),
    ] {
        assert!(
            text.contains(flag) && text.contains(&format!("[env: {variable}")) && text.contains(default),
            "{flag}: {text}"
        );
    }
    let secret = program()
        .args(["serve", "--help"])
        .env("ONCARE_LIVE_DATABASE_URL", "postgresql://u:s3cret@h/d")
        .output()
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&secret.stdout).contains("s3cret"));
}

#[tokio::test]
async fn a_wrong_value_is_named_on_standard_error() {
    for (arguments, expected) in [
        (&["serve", "--database-url", "postgresql://h/d", "--listen", "nowhere"][..], "--listen"),
        (
            &["serve", "--database-url", "mysql://u:s3cret@h/d"][..],
            "for '--database-url <URL>': expected a URL such as",
        ),
        (&["migrate", "--database-url", "postgresql://u:s3cret@h/d?sslmode=maybe"][..], "sslmode: expected disable"),
        (&["serve"][..], "--database-url"),
        (&["serve", "--database-url", "postgresql://h/d", "--log", "=="][..], "--log"),
    ] {
        let (status, text) = run(arguments).await;
        assert!(status != Some(0) && text.contains(expected) && !text.contains("s3cret"), "{text}");
    }
    let (status, text) = run(&["migrate", "--database-url", "postgresql://u:s3cret@127.0.0.1:1/d"]).await;
    assert!(status == Some(1) && text.contains("could not connect") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn doctor_exits_1_if_anything_is_wrong() {
    let database = Database::empty().await;
    let (status, text) = run(&["doctor", "--database-url", &database.url]).await;
    assert!(status == Some(1) && text.contains("PROBLEM  migrations"), "{text}");
    let (status, text) = run(&["migrate", "--create-tables", "--database-url", &database.url]).await;
    assert!(status == Some(0) && text.contains("Applied oncare_tables"), "{text}");
    let (status, text) = run(&["doctor", "--database-url", &database.url]).await;
    assert!(status == Some(0) && !text.contains("PROBLEM"), "{text}");
    let (_, text) = run(&["migrate", "--database-url", &database.url]).await;
    assert!(text.contains("up to date"), "{text}");
}

#[tokio::test]
async fn an_empty_or_mistyped_database_is_named_and_left_as_it_is() {
    let database = Database::empty().await;
    let named = format!("the database \"{}\" has none of the OnCare tables: public.accounts_user, ", database.name);
    let url = ["--database-url", &database.url];
    for arguments in [&["migrate"][..], &["serve", "--migrate"]] {
        let (status, text) = run(&[arguments, &url].concat()).await;
        assert!(status == Some(1) && text.contains(&named), "{text}");
        assert!(text.contains("migrate --create-tables") && text.contains("nothing was changed"), "{text}");
    }
    let (status, text) = run(&[&["doctor"][..], &url].concat()).await;
    assert!(status == Some(1) && text.contains(&named) && text.contains("--create-tables"), "{text}");

    // Django's own migrations would fail over tables that are there
    database.sql("create table django_migrations (id bigint)").await;
    let (status, text) = run(&[&["migrate", "--create-tables"][..], &url].concat()).await;
    assert!(
        status == Some(1) && text.contains(&named) && text.contains("run the shop's own migrations first"),
        "{text}"
    );
    let objects = "select (select count(*) from pg_namespace where nspname = 'live') || ' '
        || string_agg(relname, ',') from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(database.value(objects).await, "0 django_migrations");
}

#[tokio::test]
async fn a_name_that_is_no_text_is_taken_as_it_is() {
    let file = OsStr::from_bytes(b"/nowhere/\xff");
    let command = ["sessions", "--username", "ana", "--database-url-file"];
    let output = program().args(command).arg(file).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("--database-url-file /nowhere/\u{fffd}"), "{said}");
}

#[tokio::test]
async fn what_is_granted_and_taken_off_is_said() {
    let database = Database::empty().await;
    let url = ["--database-url", &database.url];
    let (status, text) = run(&[&["doctor", "--grants", "Odd \"role"][..], &url].concat()).await;
    assert!(status == Some(0) && text.contains("grant select on live.migration to \"Odd \"\"role\";\n"), "{text}");
    assert!(text.contains("grant select on public.orders_order to \"Odd \"\"role\";\n"), "{text}");
    assert!(text.lines().all(|line| !line.contains("public.") || line.starts_with("grant select ")), "{text}");
    let (_, text) = run(&[&["doctor", "--own-forms", "--grants", "service"][..], &url].concat()).await;
    for (right, table) in
        [("update (customer_name, ", "orders_order"), ("insert (order_id, ", "orders_orderstatushistory")]
    {
        let line = text.lines().find(|line| line.starts_with(&format!("grant {right}"))).unwrap();
        assert!(line.ends_with(&format!(") on public.{table} to \"service\";")), "{text}");
    }
    let (status, text) = run(&[&["uninstall"][..], &url].concat()).await;
    assert!(status == Some(0) && text.contains("There was nothing of oncare-live"), "{text}");
    run(&[&["migrate", "--create-tables"][..], &url].concat()).await;
    database.sql("insert into live.migration (version, name) values (9001, 'of_tomorrow')").await;
    for arguments in [&["migrate"][..], &["serve", "--migrate"]] {
        let (status, text) = run(&[arguments, &url].concat()).await;
        assert!(status == Some(1) && text.contains("9001_of_tomorrow"), "{arguments:?}: {text}");
    }
    let (status, text) = run(&[&["uninstall", "--yes"][..], &url].concat()).await;
    assert!(
        status == Some(0) && text.contains("Took off 9 triggers") && text.contains("Dropped schema live"),
        "{text}"
    );
}

#[tokio::test]
async fn detaching_and_uninstalling_say_what_goes_and_only_the_last_asks() {
    let database = Database::new().await;
    let url = ["--database-url", &database.url];
    let attached = "select (select count(*) from pg_trigger where not tgisinternal) || ' '
        || (to_regclass('public.orders_order_live_list_idx') is not null) || ' '
        || (to_regnamespace('live') is not null)";
    let (status, text) = run(&[&["detach"][..], &url].concat()).await;
    assert!(
        status == Some(0) && text.contains("Took off 9 triggers: ") && text.contains("orders_order_live_list_idx"),
        "{text}"
    );
    assert_eq!(database.value(attached).await, "0 false true");
    let (status, text) = run(&[&["detach"][..], &url].concat()).await;
    assert!(status == Some(0) && text.contains("Nothing watched the orders"), "{text}");
    let (status, text) = run(&[&["migrate"][..], &url].concat()).await;
    assert!(status == Some(0) && text.contains("Put back triggers") && text.contains("index"), "{text}");
    assert_eq!(database.value(attached).await, "9 true true");

    let (status, text) = run(&[&["uninstall"][..], &url].concat()).await;
    for part in
        ["9 triggers: ", "orders_order_live_list_idx", "schema live: people's sessions", "oncare-live detach", "--yes"]
    {
        assert!(status == Some(1) && text.contains(part), "{part}: {text}");
    }
    assert_eq!(database.value(attached).await, "9 true true");
    for (answer, goes) in [("", false), ("no", false), (&database.name, true)] {
        let Some((status, text)) = at_a_terminal(&[&["uninstall"][..], &url].concat(), answer).await else { return };
        assert!(text.contains("Type the database's name"), "{text}");
        assert_eq!(
            (status, text.contains("Dropped schema live")),
            (Some(i32::from(!goes)), goes),
            "{answer:?}: {text}"
        );
        assert_eq!(database.value(attached).await, if goes { "0 false false" } else { "9 true true" });
    }
}

/// Status and output of the program at a terminal where somebody types that; nothing on a machine that can't make one.
async fn at_a_terminal(arguments: &[&str], typed: &str) -> Option<(Option<i32>, String)> {
    let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line = format!("{} {}", instance::program().display(), quoted.join(" "));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().ok()?;
    child.stdin.as_mut().unwrap().write_all(format!("{typed}\n").as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    Some((output.status.code(), String::from_utf8(output.stdout).unwrap()))
}

#[tokio::test]
async fn own_forms_are_refused_where_django_manages_the_database_unless_it_is_to_be_bypassed() {
    let database = Database::new().await;
    database.sql("create table django_migrations (id bigint)").await;
    let url = ["--database-url", &database.url];
    let (status, text) =
        run(&[&["serve", "--own-forms"][..], &url, &["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]]
            .concat())
        .await;
    for part in [
        "--own-forms is refused: Django manages",
        "stock and stock movements",
        "payment transactions",
        "--own-forms-bypass-django",
    ] {
        assert!(status == Some(1) && text.contains(part), "{part}: {text}");
    }
    let (status, text) = run(&[&["doctor", "--own-forms"][..], &url].concat()).await;
    assert!(status == Some(1) && text.contains("PROBLEM  own forms: Django manages"), "{text}");
    let (status, text) = run(&[&["doctor"][..], &url].concat()).await;
    assert!(status == Some(0) && !text.contains("own forms"), "{text}");
    let (status, text) = run(&[&["doctor", "--own-forms", "--own-forms-bypass-django"][..], &url].concat()).await;
    assert!(
        status == Some(0) && text.contains("warning  own forms: Django") && text.contains("notifications"),
        "{text}"
    );

    let (web, ops) = two_addresses();
    let mut child = program()
        .args(["serve", "--own-forms-bypass-django"])
        .envs([
            ("DATABASE_URL", database.url.as_str()),
            ("ONCARE_LIVE_LISTEN", &web),
            ("ONCARE_LIVE_OPS_LISTEN", &ops),
            ("ONCARE_LIVE_OWN_FORMS", "true"),
        ])
        .spawn()
        .unwrap();
    wait_until_ready(&ops).await;
    let rx = Browserless::new(format!("http://{web}"));
    rx.sign_in("rx").await;
    database.orders("(1, 1, 'pending', 'paid', 5)").await;
    assert_eq!(rx.post("/orders/orders/1/status/", &[("status", "confirmed")]).await.status(), 303);
    terminate(&child);
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(log.contains("own forms bypass the code of") && log.contains("stock movements"), "{log}");
}

#[tokio::test]
async fn the_right_that_migrating_lacks_is_named_and_nothing_is_changed() {
    let database = Database::empty().await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    let name = &database.name;
    let owner = format!("owner_{name}");
    database
        .sql(&format!("create role {owner} login password 'secret'; revoke all on schema public from public"))
        .await;
    let url = database.url.replace("oncare:oncare@", &format!("{owner}:secret@"));
    let of_tables = "select string_agg(format('alter table %s owner to ', oid::regclass), '|') from pg_class
        where relkind = 'r' and relnamespace = 'public'::regnamespace";
    let migrate = ["migrate", "--database-url", &url];
    let lacks = async |grants: &[&str]| {
        let (status, text) = run(&migrate).await;
        assert!(status == Some(1) && text.contains("nothing was changed"), "{text}");
        for grant in grants {
            let statement = format!("grant {grant} to \"{owner}\";");
            assert!(text.contains(&statement), "{statement}: {text}");
            assert_eq!(database.value("select to_regnamespace('live') is null").await, "true");
            database.sql(&statement).await;
        }
    };
    lacks(&["usage on schema public"]).await;
    // the tables are another's
    lacks(&[&format!("create on database \"{name}\""), "create on schema public", "oncare"]).await;
    database
        .sql(&format!(
            "revoke oncare from {owner}; revoke create on database {name} from {owner}; revoke create on schema public from {owner}"
        ))
        .await;
    for statement in database.value(of_tables).await.split('|') {
        database.sql(&format!("{statement}{owner}")).await;
    }
    // its own: what is printed for it is what it lacks
    let admin = ["doctor", "--database-url", &database.url, "--grants", &owner];
    let (status, grants) = run(&admin).await;
    let expected = format!(
        "grant create on database \"{name}\" to \"{owner}\";\ngrant usage, create on schema public to \"{owner}\";\n"
    );
    assert_eq!((status, grants.as_str()), (Some(0), expected.as_str()));
    let (_, text) = run(&migrate).await;
    assert!(
        text.contains(&format!("grant create on database \"{name}\""))
            && text.contains("grant create on schema public"),
        "{text}"
    );
    database.sql(&grants).await;
    let (status, text) = run(&migrate).await;
    assert!(status == Some(0) && text.contains("Applied"), "{text}");

    // all is as it should be: a role of the service's own may look, and serve with --migrate
    let role = format!("service_{name}");
    database.sql(&format!("create role {role} login password 'secret'")).await;
    let of_role = database.url.replace("oncare:oncare@", &format!("{role}:secret@"));
    let as_role = ["migrate", "--database-url", &of_role];
    let (status, text) = run(&as_role).await;
    for grant in ["usage on schema live", "usage on schema public", "select on live.migration"] {
        assert!(status == Some(1) && text.contains(&format!("grant {grant} to \"{role}\";")), "{text}");
    }
    database.grant(&role, false).await;
    let (status, text) = run(&as_role).await;
    assert!(status == Some(0) && text.contains("up to date"), "{text}");
    database.sql("drop trigger live_delete on orders_order").await;
    let (status, text) = run(&as_role).await;
    assert!(status == Some(1) && text.contains(&format!("grant {owner} to \"{role}\";")), "{text}");
}

async fn create_user(database: &Database, username: &str, password: &str) -> (Option<i32>, String) {
    let mut child = program()
        .args([
            "create-user",
            "--database-url",
            &database.url,
            "--username",
            username,
            "--role",
            "sales_rep",
            "--name",
            "Cora Diaz",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn a_user_is_created_with_a_password_from_standard_input() {
    let database = Database::new().await;
    // what other software wrote has ids of its own
    database.sql("select setval(pg_get_serial_sequence('accounts_user', 'id'), 100)").await;
    let (status, text) = create_user(&database, "cora", "mauve kettle drifts\n").await;
    assert!(status == Some(0) && text.contains("Created cora (sales_rep) with id 101"), "{text}");
    assert!(
        database
            .value("select password from accounts_user where username = 'cora'")
            .await
            .starts_with("pbkdf2_sha256$")
    );
    assert_eq!(
        database.value("select first_name || '/' || last_name from accounts_user where username = 'cora'").await,
        "Cora/Diaz"
    );
    let (status, text) = create_user(&database, "cora", "mauve kettle drifts").await;
    assert!(status == Some(1) && text.contains("exists already"), "{text}");
    let (status, text) = create_user(&database, "short", "short").await;
    assert!(status == Some(1) && text.contains("at least 8 characters"), "{text}");

    for guessed in ["password1", "cora diaz", "qwertyuiop"] {
        let (status, text) = create_user(&database, "guessed", guessed).await;
        assert!(status == Some(1) && text.contains("easily guessed") && !text.contains(guessed), "{text}");
    }

    // from files nothing is in an argument that others on the machine could read
    let folder = crate::harness::database::temporary_folder("oncare-live-files");
    std::fs::create_dir_all(&folder).unwrap();
    let (url, password) = (folder.join("url"), folder.join("password"));
    std::fs::write(&url, format!("{}\n", database.url)).unwrap();
    std::fs::write(&password, "amber tundra whistles\n").unwrap();
    for secret in [&url, &password] {
        std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (url, password) = (url.to_str().unwrap(), password.to_str().unwrap());
    let with_files = [
        "create-user",
        "--database-url-file",
        url,
        "--username",
        "dora",
        "--role",
        "admin",
        "--password-file",
        password,
    ];
    let (status, text) = run(&with_files).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(status == Some(0) && text.contains("Created dora (admin)"), "{text}");
    assert!(!text.contains("everybody on this machine"), "{text}");

    let service = crate::harness::service::Service::start(&database).await;
    assert_eq!(service.anonymous().try_sign_in("cora", "mauve kettle drifts").await.status(), 303);
    assert_eq!(service.anonymous().try_sign_in("dora", "amber tundra whistles").await.status(), 303);
}

fn two_addresses() -> (String, String) {
    (free_address().to_string(), free_address().to_string())
}

async fn wait_until_ready(ops: &str) {
    eventually("the program is ready", async || {
        let response = reqwest::get(format!("http://{ops}/readyz")).await.ok()?;
        (response.status() == 200).then_some(())
    })
    .await;
}

fn terminate(child: &tokio::process::Child) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

#[tokio::test]
async fn sigterm_says_goodbye_and_exits_0_within_ten_seconds() {
    let database = Database::new().await;
    let (web, ops) = two_addresses();
    let mut child = program()
        .args(["serve", "--log-format", "json"])
        .envs([("DATABASE_URL", &database.url), ("ONCARE_LIVE_LISTEN", &web), ("ONCARE_LIVE_OPS_LISTEN", &ops)])
        .spawn()
        .unwrap();
    wait_until_ready(&ops).await;
    let ana = Browserless::new(format!("http://{web}"));
    ana.sign_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("ping").await;
    terminate(&child);
    assert_eq!(stream.wait_for("bye").await.data["reason"], "draining");
    let status =
        tokio::time::timeout(std::time::Duration::from_secs(10), child.wait()).await.expect("it exits in time");
    assert_eq!(status.unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_demo_keeps_its_data_and_takes_its_database_down_with_it() {
    let folder = temporary_folder("oncare-live-demo");
    let data = folder.to_str().unwrap();
    let (web, ops) = two_addresses();
    let start = || {
        let mut command = program();
        command.args(["demo", "--data-dir", data, "--listen", &web, "--ops-listen", &ops, "--demo-database-port", "0"]);
        command.spawn().unwrap()
    };
    let port = || std::fs::read_to_string(folder.join("postgresql/postmaster.pid")).ok();

    let mut child = start();
    wait_until_ready(&ops).await;
    let maria = Browserless::new(format!("http://{web}"));
    assert_eq!(maria.try_sign_in("maria", "oncare-demo").await.status(), 303);
    let total = maria.dashboard("").await["statistics"]["total_orders"].as_i64().unwrap();
    assert!(total > 300, "{total}");
    let mut stream = maria.events().await;
    stream.wait_for("patch").await;
    drop(stream);
    terminate(&child);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    assert_eq!(port(), None, "PostgreSQL is stopped too");

    let mut child = start();
    wait_until_ready(&ops).await;
    assert!(
        maria.dashboard("").await["statistics"]["total_orders"].as_i64().unwrap() >= total,
        "still signed in, data kept"
    );
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    eventually("PostgreSQL goes with a program that was killed", async || port().is_none().then_some(())).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
