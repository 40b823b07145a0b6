//! The Debian package, on a machine of its own: this one's files, under a layer that takes what is written, with a systemd of its own. The
//! commands are those of `docs/PACKAGES.md`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::CommandFactory;
use oncare_live::config::Cli;
use serde_json::Value;
use tokio::process::Command;

use crate::harness::database::{Database, temporary_folder};
use crate::harness::eventually;
use crate::harness::http::Browserless;
use crate::harness::instance::{free_address, program};
use crate::harness::service::Service;
use crate::harness::supervised::Supervised;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// Of 10, as systemd counts it.
const MOST_EXPOSED: f64 = 1.5;

/// What the layer has whoever works on the machine, beside what is in this one's own folders for it.
const LOGS_AND_CACHES: [&str; 5] = ["var/lib/dpkg/", "var/log/", "var/cache/", "var/lib/systemd/", "var/tmp/"];

/// Arguments of `unshare`: a script comes next, whose mounts it alone sees.
const APART: [&str; 5] = ["--mount", "--propagation", "private", "bash", "-c"];

/// Puts the layer over all files, in a folder. Nobody outside sees the layer, and it goes with the last who does.
const LAYER: &str = r#"
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
"#;

/// Starts systemd on the files with the layer.
const MACHINE: &str = r#"
mkdir "$1/root/packages"
# this one may forbid packages to start services, and need not know the manual
rm -f "$1/root/usr/sbin/policy-rc.d" "$1/root/var/lib/man-db/auto-update"
cp "$2"/*.deb "$1/root/packages"
echo $$ >"$2/pid.new"
mv "$2/pid.new" "$2/pid"
exec systemd-nspawn -q -D "$1/root" --register=no --keep-unit "--machine=$3" --boot -- systemd.unit=basic.target systemd.log_target=console
"#;

/// Whether that is allowed here, as it is not in every container: with a program that ends at once in systemd's place.
const MAY: &str = r#"systemd-nspawn -q -D "$1/root" --register=no --keep-unit --machine=oncare-live-may --pipe true"#;

/// A machine with a systemd of its own, on this one's network. It ends with this.
struct Machine {
    folder: PathBuf,
    /// Its first process, as this machine counts.
    first: u32,
    _nspawn: Supervised,
}

impl Machine {
    /// With the packages of a folder in `/packages`.
    async fn boot(packages: &Path) -> Self {
        let folder = packages.join("machine");
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new("unshare");
        command.args(APART).args([&format!("{LAYER}{MACHINE}"), "machine"]);
        command.arg(&folder).arg(packages).arg(format!("oncare-live-{}", std::process::id()));
        let log = packages.join("machine.log");
        let mut nspawn = Supervised::start(&command, &log);
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let pid = eventually("the machine starts", async || {
            assert!(!nspawn.has_ended(), "{}", said());
            std::fs::read_to_string(packages.join("pid")).ok()?.trim().parse::<u32>().ok()
        })
        .await;
        let folder = PathBuf::from(format!("/proc/{pid}/root")).join(folder.strip_prefix("/").unwrap());
        let first = eventually("its systemd has started what it is to start", async || {
            assert!(!nspawn.has_ended(), "{}", said());
            let first = first_of(pid)?;
            let state = within(first, "systemctl is-system-running").output().await.unwrap();
            ["running\n", "degraded\n"].contains(&&*String::from_utf8_lossy(&state.stdout)).then_some(first)
        })
        .await;
        Self { folder, first, _nspawn: nspawn }
    }

    /// What the commands say, which must succeed.
    async fn run(&self, commands: &str) -> String {
        let output = within(self.first, &format!("set -e\n{commands}")).output().await.unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{commands}: {said}{}", self.journal().await);
        said
    }

    /// Waits until the command succeeds.
    async fn until(&self, command: &str) {
        let succeeds = async || within(self.first, command).output().await.unwrap().status.success().then_some(());
        eventually(command, succeeds).await;
    }

    /// What a command says, whether it succeeds or not.
    async fn says(&self, command: &str) -> String {
        String::from_utf8(within(self.first, command).output().await.unwrap().stdout).unwrap().trim().to_owned()
    }

    async fn journal(&self) -> String {
        self.says("journalctl --no-pager --unit oncare-live --output cat").await
    }

    /// A property of the unit, as `ActiveState`.
    async fn property(&self, name: &str) -> String {
        self.says(&format!("systemctl show --property {name} --value oncare-live")).await
    }

    /// What is said of the service's process under `/proc`.
    async fn of_process(&self, file: &str) -> String {
        self.says(&format!("cat /proc/{}/{file}", self.property("MainPID").await)).await
    }

    /// What is on its disk that is not on this machine's, but for what it keeps of all packages.
    fn files(&self) -> BTreeSet<String> {
        let upper = self.folder.join("upper");
        let (mut files, mut folders) = (BTreeSet::new(), vec![upper.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                let name = path.strip_prefix(&upper).unwrap().to_str().unwrap().to_owned();
                let is_folder = entry.file_type().unwrap().is_dir();
                let is_new = std::fs::symlink_metadata(Path::new("/").join(&name)).is_err();
                if is_new && !LOGS_AND_CACHES.iter().any(|folder| name.starts_with(folder)) {
                    files.insert(name);
                }
                if is_folder {
                    folders.push(path);
                }
            }
        }
        files
    }
}

/// The only process that another one has started.
fn first_of(parent: u32) -> Option<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    })
}

/// A shell's commands on the machine of that process.
fn within(first: u32, commands: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--all", "--target", &first.to_string(), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    command.args(["LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", commands]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// The commands of `docs/PACKAGES.md`, a block each.
fn commands() -> [String; 4] {
    let text = std::fs::read_to_string(Path::new(HOME).join("docs/PACKAGES.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect::<Vec<_>>().try_into().expect("to install, to start, to update, to take off")
}

async fn is_there(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

/// Runs a script of the project's.
async fn script(name: &str, arguments: &[&str]) {
    let done = Command::new(Path::new(HOME).join("scripts").join(name)).args(arguments).output().await.unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Packs the program that is tested as cargo-deb would, of which to build it takes a minute: by the same list, with the same scripts.
async fn pack(folder: &Path, version: &str) {
    let described = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(Path::new(HOME).join("Cargo.toml"))
        .output()
        .await
        .unwrap();
    let described: Value = serde_json::from_slice(&described.stdout).unwrap();
    let packages = described["packages"].as_array().unwrap();
    let deb = &packages.iter().find(|package| package["name"] == "oncare-live").unwrap()["metadata"]["deb"];
    let root = folder.join(format!("tree-{version}"));
    for asset in deb["assets"].as_array().unwrap() {
        let [from, to, mode] = [0, 1, 2].map(|n| asset[n].as_str().unwrap());
        let to = root.join(to);
        let (to, name) = match asset[1].as_str().unwrap().ends_with('/') {
            true => (to, None),
            false => (to.parent().unwrap().to_owned(), to.file_name().map(ToOwned::to_owned)),
        };
        std::fs::create_dir_all(&to).unwrap();
        let files = matching(&Path::new(HOME).join(from));
        assert!(!files.is_empty(), "{from}");
        for file in files {
            let to = to.join(name.as_deref().unwrap_or(file.file_name().unwrap()));
            std::fs::copy(&file, &to).unwrap();
            let mode = u32::from_str_radix(mode, 8).unwrap();
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    let about = root.join("DEBIAN");
    std::fs::create_dir_all(&about).unwrap();
    let control = format!(
        "Package: oncare-live\nVersion: {version}\nArchitecture: {}\nMaintainer: {}\nDescription: the package of a test\n",
        architecture(),
        deb["maintainer"].as_str().unwrap()
    );
    std::fs::write(about.join("control"), control).unwrap();
    let configuration =
        deb["conf-files"].as_array().unwrap().iter().map(|file| format!("{}\n", file.as_str().unwrap()));
    std::fs::write(about.join("conffiles"), configuration.collect::<String>()).unwrap();
    for name in ["preinst", "postinst", "prerm", "postrm"] {
        let script = Path::new(HOME).join(deb["maintainer-scripts"].as_str().unwrap()).join(name);
        std::fs::copy(script, about.join(name)).unwrap();
    }
    let mut packed = Command::new("dpkg-deb");
    packed.args(["--build", "--root-owner-group", "-Zgzip", "-z1"]).arg(&root).arg(folder).stdout(Stdio::null());
    assert!(packed.status().await.unwrap().success());
}

/// The files of a path, in which the last part may be `*` with an ending.
fn matching(path: &Path) -> Vec<PathBuf> {
    let Some(ending) = path.file_name().unwrap().to_str().unwrap().strip_prefix('*') else {
        return vec![path.to_owned()];
    };
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.is_file() && file.to_str().unwrap().ends_with(ending)).collect()
}

#[tokio::test]
async fn it_is_installed_started_updated_and_purged() {
    if !is_possible().await {
        return;
    }
    let folder = temporary_folder("oncare-live-package");
    std::fs::create_dir_all(&folder).unwrap();
    script("prepare-deb", &[program().to_str().unwrap()]).await;
    for version in VERSIONS {
        pack(&folder, version).await;
    }
    walk(&folder).await;
}

/// The same with the packages of cargo-deb, which Debian's own measure finds right, too.
#[tokio::test]
#[ignore = "builds cargo-deb, which takes a minute"]
async fn that_of_cargo_deb_is_right_and_is_the_same() {
    if !is_possible().await {
        return;
    }
    let folder = temporary_folder("oncare-live-cargo-deb");
    std::fs::create_dir_all(&folder).unwrap();
    let into = folder.to_str().unwrap();
    for version in VERSIONS {
        script("build-deb", &["--of", program().to_str().unwrap(), "--version", version, "--into", into]).await;
    }
    let package = folder.join(package(VERSIONS[0]));
    let checked = Command::new("lintian").args(["--allow-root", "--fail-on", "none"]).arg(&package).output().await;
    let checked = checked.expect("lintian is installed; install it with `scripts/install-tools lintian`");
    assert_eq!(String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()), "");

    let ours = folder.join("ours");
    std::fs::create_dir_all(&ours).unwrap();
    pack(&ours, VERSIONS[0]).await;
    let (theirs, ours) = (files_of(&package).await, files_of(&ours.join(self::package(VERSIONS[0]))).await);
    // what cargo-deb adds by itself
    let added: Vec<&String> = theirs.difference(&ours).filter(|name| !name.ends_with(".1.gz")).collect();
    let documents = "-rw-r--r-- ./usr/share/doc/oncare-live";
    assert_eq!(added, [&format!("{documents}/changelog.Debian.gz"), &format!("{documents}/copyright")]);
    let lacking: Vec<&String> = ours.difference(&theirs).filter(|name| !name.ends_with(".1")).collect();
    assert_eq!(lacking, Vec::<&String>::new());
    walk(&folder).await;
}

/// The files of a package, each with who may do what with it.
async fn files_of(package: &Path) -> BTreeSet<String> {
    let listed = Command::new("dpkg-deb").arg("--contents").arg(package).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.lines().filter(|line| !line.starts_with('d'));
    files.map(|line| format!("{} {}", line.split(' ').next().unwrap(), line.rsplit(' ').next().unwrap())).collect()
}

const VERSIONS: [&str; 2] = ["0.1.0-1", "0.1.0-2"];

fn package(version: &str) -> String {
    format!("oncare-live_{version}_{}.deb", architecture())
}

async fn is_possible() -> bool {
    let is_possible = is_there("dpkg-deb", &["--version"]).await
        && is_there("unshare", &[&APART[..], &[&format!("{LAYER}{MAY}"), "may", "/mnt"]].concat()).await;
    if !is_possible {
        eprintln!(
            "LEFT OUT: the package, for which it takes root, dpkg and systemd-nspawn (scripts/install-tools nspawn)."
        );
    }
    is_possible
}

/// Installs, starts, updates and purges the packages of a folder, by the commands of the document.
async fn walk(folder: &Path) {
    let database = Database::new().await;
    let (web, ops) = (free_address(), free_address());
    let machine = Machine::boot(folder).await;
    let [install, start, update, purge] = commands();
    // the packages are in a folder of theirs, and other tests use this machine's network as well
    let here = |commands: &str| {
        let commands = commands.replace("_amd64.deb", &format!("_{}.deb", architecture()));
        let commands = commands.replace("dpkg -i ", "dpkg -i /packages/");
        commands.replace("postgresql://oncare_live:…@db.example:5432/oncare?sslmode=verify-full", &database.url)
    };
    let before = machine.files();

    // who has said nothing of a database is told what to do, and has nothing that fails
    let said = machine.run(&here(&install)).await;
    let told: Vec<&str> = said.lines().filter(|line| line.starts_with("oncare-live:")).collect();
    assert_eq!(told.len(), 1, "{said}");
    assert!(told[0].contains("/etc/oncare-live/database-url") && told[0].contains("systemctl start"), "{said}");
    assert_eq!(machine.says("systemctl is-enabled oncare-live").await, "enabled");
    machine.run("systemctl start oncare-live").await;
    assert_eq!(machine.property("ActiveState").await, "inactive");
    assert_eq!(machine.says("systemctl is-failed oncare-live").await, "inactive");
    machine.run("systemd-analyze verify --man=no oncare-live.service").await;
    machine.run("bash -n /usr/share/bash-completion/completions/oncare-live").await;
    let exposed = machine.run("systemd-analyze security --offline=true oncare-live.service").await;
    let exposed = exposed.lines().last().unwrap().split_whitespace().find_map(|word| word.parse::<f64>().ok());
    assert!(exposed.is_some_and(|exposed| exposed < MOST_EXPOSED), "{exposed:?}");

    // the service has what the unit says, and no more
    machine.run(&configuration(web, ops)).await;
    let (start, health) = start.trim_end().rsplit_once('\n').unwrap();
    machine.run(&here(start)).await;
    machine.until(&here(health)).await;
    let status = machine.of_process("status").await;
    for (name, value) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapBnd", "0000000000000000"), ("Umask", "0077")] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        assert_eq!(line.map(str::trim), Some(value), "{name}");
    }
    assert!(!status.contains("Uid:\t0"), "{status}");
    // as many as it may have here, which may be less
    assert_eq!(machine.property("LimitNOFILE").await, "524288");
    // what it reads of the system it may read, as what no process has is missed by nobody
    let journal = machine.journal().await;
    assert!(!journal.contains("WARN") && !journal.contains("ERROR"), "{journal}");
    let metrics = reqwest::get(format!("http://{ops}/metrics")).await.unwrap().text().await.unwrap();
    for name in ["process_start_time_seconds", "process_open_fds", "process_max_fds", "process_resident_memory_bytes"] {
        assert!(metrics.contains(&format!("\n{name} ")), "{name}");
    }
    let secret = machine.says("stat -c '%a %U' /etc/oncare-live/database-url").await;
    assert_eq!(secret, "600 root");

    // an update ends streams gently, and keeps what was configured
    let ana = Browserless::new(format!("http://{web}"));
    ana.sign_in("ana").await;
    let mut stream = ana.events().await;
    stream.wait_for("sync").await;
    let old = machine.property("MainPID").await;
    let newer = here(&update);
    let (_, bye) = tokio::join!(machine.run(&newer), stream.wait_for("bye"));
    assert_eq!(bye.data["reason"], "draining");
    assert_eq!(machine.property("Result").await, "success");
    machine.until(&here(health)).await;
    assert_ne!(machine.property("MainPID").await, old);
    assert!(machine.says("dpkg -s oncare-live").await.contains("Version: 0.1.0-2"));
    ana.events().await.wait_for("sync").await;

    // one that was stopped stays so, also if it is updated
    machine.run("systemctl stop oncare-live").await;
    machine.run(&here(&install)).await;
    machine.run(&here(&update)).await;
    assert_eq!(machine.property("ActiveState").await, "inactive");
    machine.run("systemctl start oncare-live").await;
    assert_eq!(machine.property("ActiveState").await, "active");

    // one that was taken off and is installed again starts, as its configuration is there
    machine.run("dpkg --remove oncare-live").await;
    assert_eq!(machine.property("ActiveState").await, "inactive");
    machine.run(&here(&update)).await;
    machine.until(&here(health)).await;

    let said = machine.run(&here(&purge)).await;
    assert!(said.contains("schema live remain") && said.contains("oncare-live uninstall"), "{said}");
    let left: Vec<String> = machine.files().difference(&before).cloned().collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(machine.says("systemctl list-unit-files --no-legend 'oncare-live*'").await.is_empty());
    assert!(tokio::net::TcpStream::connect(web).await.is_err(), "nobody serves");
    let kept = database.value("select count(*) from pg_namespace where nspname = 'live'").await;
    assert_eq!(kept, "1");
    drop(machine);
    let gone = async || std::fs::remove_dir_all(folder).is_ok().then_some(());
    eventually("the machine has left its folder", gone).await;
}

/// As the package is called by.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// Where it serves, as an administrator would say it.
fn configuration(web: SocketAddr, ops: SocketAddr) -> String {
    format!("printf 'listen = \"{web}\"\\nops_listen = \"{ops}\"\\n' >>/etc/oncare-live/oncare-live.toml")
}

/// What Distroless' image of glibc has.
const OF_THE_IMAGE: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux"];

/// The images are not fetched here. That the program runs on the second one is seen by what it needs.
#[tokio::test]
async fn the_container_has_what_the_program_needs() {
    let linked = Command::new("ldd").arg(program()).output().await.unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let needed = linked.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| !name.contains("vdso"));
    let strange = needed.filter(|name| !OF_THE_IMAGE.iter().any(|known| name.contains(known)));
    assert_eq!(strange.collect::<Vec<_>>(), Vec::<&str>::new());

    // and what it is called by there it understands
    let text = std::fs::read_to_string(Path::new(HOME).join("deploy/docker/Dockerfile")).unwrap();
    let compose = std::fs::read_to_string(Path::new(HOME).join("deploy/docker/compose.yaml")).unwrap();
    let lists = text.lines().chain(compose.lines()).filter_map(|line| Some(&line[line.find("[\"")?..]));
    let lists: Vec<Vec<String>> = lists.map(|list| serde_json::from_str(list).unwrap()).collect();
    let lists: Vec<&[String]> = lists
        .iter()
        .map(|list| list.strip_prefix(&["/usr/bin/oncare-live".to_owned()][..]).unwrap_or(list))
        .filter(|list| list.first().is_some_and(|word| ["serve", "health", "migrate"].contains(&&**word)))
        .collect();
    assert_eq!(lists.len(), 3, "{lists:?}");
    for list in lists {
        let known = Command::new(program()).args(list).arg("--help").output().await.unwrap();
        assert!(known.status.success(), "{list:?}");
    }
}

/// Each setting of the service, and nothing that is none. The database's URL has a file of its own.
#[test]
fn the_configuration_that_it_brings_names_every_setting() {
    let mut program = Cli::command();
    program.build();
    let serve = program.find_subcommand("serve").unwrap();
    let settings = serve.get_arguments().filter(|argument| argument.get_env().is_some() && !argument.is_hide_set());
    let keys = settings.filter_map(|argument| Some(argument.get_long()?.replace('-', "_")));
    let settings: BTreeSet<String> = keys.filter(|key| !key.starts_with("database_") && key != "config").collect();
    let text = std::fs::read_to_string(Path::new(HOME).join("deploy/debian/oncare-live.toml")).unwrap();
    let named = text.lines().filter_map(|line| Some(line.strip_prefix('#')?.split_once(" = ")?.0.to_owned()));
    assert_eq!(named.filter(|name| !name.contains(' ')).collect::<BTreeSet<_>>(), settings);
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "all of it is commented out");
}

#[tokio::test]
async fn health_is_what_the_service_says() {
    let database = Database::new().await;
    let service = Service::start(&database).await;
    let nowhere = Service::start_unready("postgresql://oncare@127.0.0.1:1/oncare", &[]).await;
    let unused = free_address();
    for (ops, alive, success, said) in [
        (service.ops, false, true, "\"ready\":true"),
        (service.ops, true, true, "ok"),
        (nowhere.ops, false, false, "/readyz: 503: {\"ready\":false"),
        (nowhere.ops, true, true, "ok"),
        (unused, false, false, "refused"),
    ] {
        let mut health = Command::new(program());
        health.args(["health", "--ops-listen", &ops.to_string()]).args(alive.then_some("--alive"));
        let output = health.output().await.unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() == success && text.contains(said), "{ops} {alive}: {text}");
    }
}
