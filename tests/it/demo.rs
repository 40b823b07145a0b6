//! The demonstration's folder: whose it is, and what is in the way of its database.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::harness::database::temporary_folder;
use crate::harness::http::Browserless;
use crate::harness::instance::{free_address, program};
use crate::harness::{PATIENCE, eventually_within};

/// How long a demonstration may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The demonstration of a folder, on ports of its own.
struct Demonstration {
    web: String,
    ops: String,
    command: Command,
}

impl Demonstration {
    fn of(folder: &Path) -> Self {
        let (web, ops) = (free_address().to_string(), free_address().to_string());
        let mut command = Command::new(program());
        command.args(["demo", "--data-dir"]).arg(folder);
        command.args(["--listen", &web, "--ops-listen", &ops, "--demo-database-port", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { web, ops, command }
    }

    async fn ready(&mut self) -> Child {
        let mut child = self.command.spawn().unwrap();
        eventually_within(READY_WITHIN, "the demonstration is ready", async || {
            assert_eq!(child.try_wait().unwrap(), None, "it ended");
            let answer = reqwest::get(format!("http://{}/readyz", self.ops)).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        child
    }

    /// What it says where it does not run, and that it is a failure.
    async fn fails(&mut self) -> String {
        let Output { status, stderr, .. } =
            timeout(READY_WITHIN, self.command.output()).await.expect("it ends").unwrap();
        assert_eq!(status.code(), Some(1));
        String::from_utf8(stderr).unwrap()
    }
}

async fn stop(mut child: Child) {
    signal(&child, "-INT").await;
    assert_eq!(timeout(PATIENCE, child.wait()).await.expect("it stops").unwrap().code(), Some(0));
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
}

/// A folder with the server's programs in it, one of which is this script.
fn programs_with(folder: &Path, name: &str, script: &str) -> PathBuf {
    let programs = folder.join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let installed = named.unwrap_or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap();
        versions.map(|version| version.unwrap().path().join("bin")).max().unwrap()
    });
    for other in ["initdb", "postgres", "pg_ctl"].iter().filter(|other| **other != name) {
        std::os::unix::fs::symlink(installed.join(other), programs.join(other)).unwrap();
    }
    std::fs::write(programs.join(name), script).unwrap();
    std::fs::set_permissions(programs.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    programs
}

#[tokio::test]
async fn a_folder_is_one_demonstrations_and_what_is_in_its_way_is_told() {
    let folder = temporary_folder("oncare-live-demo-held");
    let database = folder.join("postgresql");
    let mut first = Demonstration::of(&folder);
    let child = first.ready().await;

    // another one says who has the folder, and leaves it alone
    let said = Demonstration::of(&folder).fails().await;
    let expected = format!("already running, pid {}, at http://{}/", child.id().unwrap(), first.web);
    assert!(said.contains(&expected), "{said}");
    let maria = Browserless::new(format!("http://{}", first.web));
    assert_eq!(maria.try_sign_in("maria", "oncare-demo").await.status(), 303);
    maria.dashboard("").await;
    stop(child).await;

    // a pid file that was left behind, whose number is another process's by now: of the user whom a signal could reach
    let owner = std::fs::metadata(&database).unwrap().uid();
    let mut other = Command::new("sleep");
    other.arg("600").uid(owner).kill_on_drop(true);
    let mut other = other.spawn().unwrap();
    let pid_file = database.join("postmaster.pid");
    std::fs::write(&pid_file, format!("{}\n{}\n", other.id().unwrap(), database.display())).unwrap();
    let child = Demonstration::of(&folder).ready().await;
    assert_eq!(other.try_wait().unwrap(), None, "it got no signal");
    stop(child).await;
    other.kill().await.unwrap();

    // a server that starts and says nothing does not make it deaf
    let started = database.join("started");
    let script = format!("#!/bin/sh\n: >{0}\nwhile [ -e {0} ]; do sleep 0.1; done\n", started.display());
    let mut silent = Demonstration::of(&folder);
    silent.command.env("POSTGRES_BIN", programs_with(&folder, "postgres", &script));
    let child = silent.command.spawn().unwrap();
    eventually_within(READY_WITHIN, "its server is started", async || started.exists().then_some(())).await;
    stop(child).await;
    std::fs::remove_file(&started).unwrap();

    // one that does not start says why, and not what its log ends with
    let settings = database.join("postgresql.conf");
    let kept = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{kept}\nhba_file = '/nowhere'\n")).unwrap();
    let said = Demonstration::of(&folder).fails().await;
    assert!(said.contains("PostgreSQL did not start: ") && said.contains("FATAL: "), "{said}");
    std::fs::write(&settings, kept).unwrap();
    let child = Demonstration::of(&folder).ready().await;
    stop(child).await;
    std::fs::remove_dir_all(&folder).unwrap();
}
