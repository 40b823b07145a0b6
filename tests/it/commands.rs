//! The program as it is started: arguments, exit statuses, signals.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::database::{Database, temporary_folder};
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::instance;

fn program() -> Command {
    let mut command = Command::new(instance::program());
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = program().args(arguments).output().await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), text)
}

#[tokio::test]
async fn help_shows_flags_with_their_variables_and_defaults() {
    let (status, text) = run(&["serve", "--help"]).await;
    assert_eq!(status, Some(0));
    for (flag, variable, default) in [
        ("--database-url", "DATABASE_URL", ""),
        ("--listen", "LISTEN", "127.0.0.1:8080"),
        ("--ops-listen", "OPS_LISTEN", "127.0.0.1:9464"),
        ("--poll-interval", "POLL_INTERVAL", "5s"),
        ("--time-zone", "TIME_ZONE", "UTC"),
        ("--currency", "CURRENCY", "₱"),
    ] {
        assert!(
            text.contains(flag) && text.contains(&format!("[env: {variable}")) && text.contains(default),
            "{flag}: {text}"
        );
    }
    let secret =
        program().args(["serve", "--help"]).env("DATABASE_URL", "postgresql://u:s3cret@h/d").output().await.unwrap();
    assert!(!String::from_utf8_lossy(&secret.stdout).contains("s3cret"));
}

#[tokio::test]
async fn a_wrong_value_is_named_on_standard_error() {
    for (arguments, expected) in [
        (&["serve", "--database-url", "postgresql://h/d", "--listen", "nowhere"][..], "--listen"),
        (&["serve", "--database-url", "mysql://u:s3cret@h/d"][..], "--database-url: expected a URL such as"),
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
    let (status, text) = run(&["migrate", "--database-url", &database.url]).await;
    assert!(status == Some(0) && text.contains("Applied oncare_tables"), "{text}");
    let (status, text) = run(&["doctor", "--database-url", &database.url]).await;
    assert!(status == Some(0) && !text.contains("PROBLEM"), "{text}");
    let (_, text) = run(&["migrate", "--database-url", &database.url]).await;
    assert!(text.contains("up to date"), "{text}");
}

#[tokio::test]
async fn what_is_granted_and_taken_off_is_said() {
    let database = Database::empty().await;
    let (status, text) = run(&["grants", "--role", "Odd \"role"]).await;
    assert!(status == Some(0) && text.contains("grant select on live.migration to \"Odd \"\"role\";\n"), "{text}");
    let (status, text) = run(&["uninstall", "--database-url", &database.url]).await;
    assert!(status == Some(0) && text.contains("There was nothing of oncare-live"), "{text}");
    run(&["migrate", "--database-url", &database.url]).await;
    database.sql("insert into live.migration (version, name) values (9001, 'of_tomorrow')").await;
    for command in ["migrate", "serve"] {
        let arguments = [command, "--database-url", &database.url, "--migrate"];
        let (status, text) = run(if command == "serve" { &arguments } else { &arguments[..3] }).await;
        assert!(status == Some(1) && text.contains("9001_of_tomorrow"), "{command}: {text}");
    }
    let (status, text) = run(&["uninstall", "--database-url", &database.url]).await;
    assert!(
        status == Some(0) && text.contains("Took off 8 triggers") && text.contains("Dropped schema live"),
        "{text}"
    );
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
    let (status, text) = create_user(&database, "cora", "long enough\n").await;
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
    let (status, text) = create_user(&database, "cora", "long enough").await;
    assert!(status == Some(1) && text.contains("exists already"), "{text}");
    let (status, text) = create_user(&database, "short", "short").await;
    assert!(status == Some(1) && text.contains("at least 8 characters"), "{text}");

    let service = crate::harness::service::Service::start(&database).await;
    assert_eq!(service.anonymous().try_sign_in("cora", "long enough").await.status(), 303);
}

fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
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
    let (web, ops) = (free_address(), free_address());
    let mut child = program()
        .args(["serve", "--log-format", "json"])
        .envs([("DATABASE_URL", &database.url), ("LISTEN", &web), ("OPS_LISTEN", &ops)])
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
    let (web, ops) = (free_address(), free_address());
    let start = || {
        let mut command = program();
        command.args(["demo", "--data-dir", data, "--listen", &web, "--ops-listen", &ops, "--database-port", "0"]);
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
