//! The documents: every command in them is run as it stands, every link and path leads somewhere, and what they name of flags,
//! variables, metrics and states is what the program has, and the other way round. (The steps of `docs/DJANGO.md` are carried out by
//! `guide.rs`, those of `docs/PACKAGES.md` by `package.rs`.)

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use oncare_live::config;
use serde_json::Value;
use tokio::process::Command;

use crate::harness::PATIENCE;
use crate::harness::database::{Database, people, temporary_folder};
use crate::harness::eventually_within;
use crate::harness::instance::{self, free_address};
use crate::harness::service::Service;
use crate::harness::supervised::Supervised;
use crate::openapi::OpenApi;

const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// What a fenced block may be in. Only `sh` is to be typed.
const LANGUAGES: [&str; 7] = ["sh", "json", "text", "sql", "mermaid", "python", "toml"];

/// The first folders of paths.
const FOLDERS: [&str; 10] =
    ["src/", "sql/", "static/", "templates/", "tests/", "docs/", "bench/", "benches/", "scripts/", "deploy/"];

/// Flags that are of other programs.
const OTHERS_FLAGS: [(&str, &str); 12] = [
    ("--data-urlencode", "curl"),
    ("--disable-triggers", "pg_restore"),
    ("--help", "every program"),
    ("--locked", "cargo"),
    ("--only", "oncare-bench"),
    ("--open", "cargo doc"),
    ("--purge", "dpkg"),
    ("--quick", "oncare-bench"),
    ("--release", "cargo"),
    ("--test", "cargo"),
    ("--version", "every program"),
    ("--workspace", "cargo"),
];

/// Variables that are of other programs, or in no help.
const OTHERS_VARIABLES: [(&str, &str); 19] = [
    ("CREDENTIALS_DIRECTORY", "systemd's"),
    ("DATABASE_URL", "a standard name, which is read as well"),
    ("DATABASE_URL_FILE", "likewise"),
    ("DJANGO_SECRET_KEY", "likewise"),
    ("DJANGO_SECRET_KEY_FALLBACKS", "likewise"),
    ("DJANGO_SECRET_KEY_FALLBACKS_FILE", "likewise"),
    ("DJANGO_SECRET_KEY_FILE", "likewise"),
    ("ONCARE_LIVE_", "what all variables begin with"),
    ("ONCARE_LIVE_DATABASE_PASSWORD", "a secret, which no argument may have"),
    ("ONCARE_LIVE_DJANGO_SECRET_KEY", "likewise"),
    ("ONCARE_LIVE_DJANGO_SECRET_KEY_FALLBACKS", "likewise"),
    ("OPS_LISTEN", "a former name"),
    ("POSTGRES_BIN", "the tests'"),
    ("SECRET_KEY", "Django's"),
    ("SECRET_KEY_FALLBACKS", "Django's"),
    ("SESSION_COOKIE_NAME", "Django's"),
    ("SESSION_ENGINE", "Django's"),
    ("SESSION_SERIALIZER", "Django's"),
    ("SQL_ASCII", "an encoding of PostgreSQL's"),
];

struct Document {
    /// Below the project's folder.
    name: String,
    text: String,
}

/// A fenced block: what stands behind the fence, and what is in it.
struct Block {
    kind: String,
    text: String,
}

impl Document {
    fn read(name: &str) -> Self {
        let text =
            std::fs::read_to_string(Path::new(HOME).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    /// All of them.
    fn all() -> Vec<Self> {
        let mut names = Vec::new();
        for folder in ["", "docs", "sql", "deploy"] {
            let Ok(entries) = std::fs::read_dir(Path::new(HOME).join(folder)) else { continue };
            let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.extend(
                files
                    .filter(|file| file.ends_with(".md"))
                    .map(|file| format!("{folder}/{file}").trim_start_matches('/').to_owned()),
            );
        }
        names.sort();
        assert!(names.contains(&"README.md".to_owned()) && names.contains(&"docs/PROTOCOL.md".to_owned()));
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// Its fenced blocks, and what is around them.
    fn parts(&self) -> (Vec<Block>, String) {
        let (mut blocks, mut prose, mut is_in) = (Vec::<Block>::new(), String::new(), false);
        for line in self.text.lines() {
            match line.strip_prefix("```") {
                Some(kind) => {
                    is_in = !is_in;
                    if is_in {
                        blocks.push(Block { kind: kind.to_owned(), text: String::new() });
                    }
                }
                None if is_in => blocks.last_mut().unwrap().text.extend([line, "\n"]),
                None => prose.extend([line, "\n"]),
            }
        }
        assert!(!is_in, "{}: a block has its end", self.name);
        (blocks, prose)
    }

    /// What stands between backticks, outside of blocks.
    fn spans(&self) -> Vec<String> {
        let (_, prose) = self.parts();
        let paragraphs = prose.split("\n\n").flat_map(|paragraph| {
            let pieces: Vec<&str> = paragraph.split('`').collect();
            assert!(pieces.len() % 2 == 1, "{}: a backtick is missing in {paragraph}", self.name);
            pieces
                .into_iter()
                .skip(1)
                .step_by(2)
                .map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        });
        paragraphs.collect()
    }

    /// Where its headings can be reached.
    fn anchors(&self) -> BTreeSet<String> {
        let (_, prose) = self.parts();
        let headings =
            prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        headings
            .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
            .collect()
    }

    /// Where its links and pictures lead.
    fn links(&self) -> Vec<String> {
        let (_, prose) = self.parts();
        prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect()
    }

    /// The rows of its tables, by their cells.
    fn rows(&self) -> Vec<Vec<String>> {
        let (_, prose) = self.parts();
        let rows = prose.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    }
}

#[test]
fn links_and_paths_lead_somewhere() {
    let documents = Document::all();
    let anchors: BTreeMap<String, BTreeSet<String>> =
        documents.iter().map(|document| (document.name.clone(), document.anchors())).collect();
    let mut lost = Vec::new();
    for document in &documents {
        let folder = Path::new(&document.name).parent().unwrap();
        for link in document.links().iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { PathBuf::from(&document.name) } else { folder.join(path) };
            let is_there = Path::new(HOME).join(&target).exists();
            let target = target.to_str().unwrap();
            let is_heading = anchor.is_empty() || anchors.get(target).is_some_and(|anchors| anchors.contains(anchor));
            if !is_there || !is_heading {
                lost.push(format!("{}: {link}", document.name));
            }
        }
        let drawn = document.parts().0.into_iter().filter(|block| block.kind == "mermaid");
        let drawn: Vec<String> = drawn.flat_map(|block| words_of(&block.text)).collect();
        for span in document.spans().into_iter().chain(drawn) {
            if span.starts_with("make ") && !is_target(&span) {
                lost.push(format!("{}: {span}", document.name));
            }
            let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder)) && !span.contains([' ', '…', '{']);
            if is_path && !exists(&span) {
                lost.push(format!("{}: {span}", document.name));
            }
        }
    }
    assert_eq!(lost, Vec::<String>::new());
}

/// What may be a path in a drawing.
fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || "<>\"[](),".contains(c));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether the Makefile has the first target of `make TARGET …`. (There are folders of such names, of which `make` has nothing to say.)
fn is_target(command: &str) -> bool {
    let makefile = std::fs::read_to_string(Path::new(HOME).join("Makefile")).unwrap();
    let target = command.split(' ').nth(1).unwrap();
    makefile.lines().any(|line| line.starts_with(&format!("{target}:")))
}

/// Whether there is such a file or folder. Of a name an asterisk stands for anything.
fn exists(path: &str) -> bool {
    let Some((start, end)) = path.split_once('*') else { return Path::new(HOME).join(path).exists() };
    let (folder, start) = start.rsplit_once('/').unwrap();
    let mut names = std::fs::read_dir(Path::new(HOME).join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_str().is_some_and(|name| name.starts_with(start) && name.ends_with(end)))
}

/// A flag's variable and default; empty where it has none.
type Said = (String, String);

/// The flags of each command, and those of all.
fn flags() -> (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, Said>) {
    let mut cli = config::program();
    cli.build();
    let (mut of_commands, mut all) = (BTreeMap::new(), BTreeMap::new());
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        let mut own = BTreeSet::new();
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long().filter(|long| !["help", "version"].contains(long)) else { continue };
            if argument.is_hide_set() {
                continue;
            }
            let text = |value: &std::ffi::OsStr| value.to_str().unwrap().to_owned();
            let variable = argument.get_env().map(text).unwrap_or_default();
            let default = argument.get_default_values().first().filter(|_| argument.get_action().takes_values());
            own.insert(format!("--{long}"));
            let said = (variable, default.map(|value| text(value)).unwrap_or_default());
            // what one of several commands has is told of that
            all.entry(format!("--{long}"))
                .and_modify(|known: &mut Said| {
                    if known.1.is_empty() {
                        *known = said.clone()
                    }
                })
                .or_insert(said);
        }
        of_commands.insert(command.get_name().to_owned(), own);
    }
    (of_commands, all)
}

#[test]
fn flags_and_variables_are_those_of_the_program() {
    let (of_commands, flags) = flags();
    let unquoted = |cell: Option<&String>| cell.map(|cell| cell.trim_matches('`').to_owned()).unwrap_or_default();
    let documented: BTreeMap<String, Said> = Document::read("docs/OPERATIONS.md")
        .rows()
        .iter()
        .filter(|row| row[0].starts_with("`--") && row.len() == 4)
        .map(|row| (unquoted(row.first()), (unquoted(row.get(1)), unquoted(row.get(2)))))
        .collect();
    let row = |(flag, (variable, default)): (&String, &Said)| {
        let cells =
            [variable, default].map(|cell| if cell.is_empty() { " ".to_owned() } else { format!(" `{cell}` ") });
        format!("| `{flag}` |{}|{}|", cells[0], cells[1])
    };
    let of = |these: &BTreeMap<String, Said>, others: &BTreeMap<String, Said>| -> Vec<String> {
        these.iter().filter(|(flag, said)| others.get(*flag) != Some(said)).map(row).collect()
    };
    assert_eq!(of(&flags, &documented), Vec::<String>::new(), "to be entered in the tables of docs/OPERATIONS.md");
    assert_eq!(
        of(&documented, &flags),
        Vec::<String>::new(),
        "in the tables of docs/OPERATIONS.md, and not in the program"
    );

    let mut unknown = BTreeSet::new();
    let variables: BTreeSet<&str> = flags.values().map(|(variable, _)| variable.as_str()).collect();
    for document in Document::all().iter().filter(|document| document.name != "docs/DJANGO.md") {
        let (blocks, _) = document.parts();
        let typed = blocks.iter().filter(|block| block.kind == "sh").map(|block| block.text.clone());
        for text in document.spans().into_iter().chain(typed) {
            let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || "='\"…".contains(c)).collect();
            let of_command = of_commands.get(words[0]);
            for flag in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let is_known = match of_command {
                    Some(own) => own.contains(*flag),
                    None => flags.contains_key(*flag) || OTHERS_FLAGS.iter().any(|(others, _)| others == flag),
                };
                if !is_known {
                    unknown.insert(format!("{}: {flag} in {text}", document.name));
                }
            }
            let is_variable =
                text.len() > 3 && text.bytes().all(|c| c.is_ascii_uppercase() || c == b'_') && text.contains('_');
            if is_variable && !variables.contains(&*text) && !OTHERS_VARIABLES.iter().any(|(others, _)| *others == text)
            {
                unknown.insert(format!("{}: {text}", document.name));
            }
        }
    }
    assert_eq!(unknown, BTreeSet::new());
}

#[tokio::test]
async fn metrics_and_states_are_those_of_the_service() {
    const PREFIX: &str = "oncare_live_";
    const NO_METRICS: [&str; 2] = ["oncare_live_session", "oncare_live_owner"];
    let database = Database::new().await;
    let service = Service::start(&database).await;
    // some are there only with what they count
    service.signed_in("ana").await.dashboard("").await;
    let (_, scrape) = service.get_ops("/metrics").await;
    let helped = scrape.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    let metrics: BTreeMap<&str, &str> = helped.collect();
    let operations = Document::read("docs/OPERATIONS.md");
    let documented: BTreeSet<String> = operations
        .rows()
        .iter()
        .flat_map(|row| row[0].split('`').map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| metrics.contains_key(&**name))
        .collect();
    let missing = metrics.iter().filter(|(name, _)| !documented.contains(**name));
    let missing: Vec<String> = missing.map(|(name, help)| format!("| `{name}` | {help} |")).collect();
    assert_eq!(missing, Vec::<String>::new(), "to be entered in the table of docs/OPERATIONS.md");

    let mut unknown = BTreeSet::new();
    for document in Document::all() {
        let words = document.text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        for word in words.filter(|word| word.starts_with(PREFIX) && !NO_METRICS.contains(word)) {
            let parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| word.strip_suffix(part));
            if !std::iter::once(word).chain(parts).any(|name| metrics.contains_key(name)) {
                unknown.insert(format!("{}: {word}", document.name));
            }
        }
    }
    assert_eq!(unknown, BTreeSet::new());

    let rules = std::fs::read_to_string(Path::new(HOME).join("deploy/prometheus/alerts.yml")).unwrap();
    let alerts: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let headings = operations.text.lines().filter_map(|line| line.strip_prefix("### "));
    let explained: BTreeSet<&str> = headings.filter(|heading| heading.starts_with("OnCareLive")).collect();
    assert_eq!(explained, alerts, "what each alert means, and what to do");

    let (_, readiness) = service.get_ops("/readyz").await;
    let readiness: Value = serde_json::from_str(&readiness).unwrap();
    let states: BTreeSet<String> = operations.rows().iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let unsaid = readiness.as_object().unwrap().keys().filter(|key| *key != "ready" && !states.contains(*key));
    assert_eq!(unsaid.collect::<Vec<_>>(), Vec::<&String>::new(), "to be entered in the table of states");
}

#[test]
fn examples_are_as_the_api_is_described() {
    let api = OpenApi::read();
    let mut count = 0;
    for document in Document::all() {
        for Block { kind, text } in document.parts().0 {
            let (language, schema) = kind.split_once(' ').unwrap_or((&kind, ""));
            assert!(LANGUAGES.contains(&language), "{}: a block in {kind:?}", document.name);
            if language == "json" {
                let example: Value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}: {text}", document.name));
                assert_eq!(api.faults_of(schema, &example), Vec::<String>::new(), "{}: {schema}", document.name);
                count += 1;
            }
        }
    }
    assert!(count >= 6, "{count}");
}

/// What the demonstration says.
const DEMONSTRATION: &str = "OnCare Live is running at";

/// What a command is that does not end by itself, and by what it is seen that it does what it should.
enum Endless {
    /// It says this.
    Says(&'static str),
    /// The service is ready.
    Ready,
}

/// Somebody at a terminal, who types what a document says.
struct Reader {
    folder: PathBuf,
    path: OsString,
    /// What the document has, and what is here in its place.
    differs: Vec<(&'static str, String)>,
    web: SocketAddr,
    ops: SocketAddr,
    running: Vec<Supervised>,
}

impl Reader {
    fn new(name: &str) -> Self {
        let folder = temporary_folder("oncare-live-documents").join(name);
        for below in ["programs", "target/release"] {
            std::fs::create_dir_all(folder.join(below)).unwrap();
        }
        std::os::unix::fs::symlink(instance::program(), folder.join("target/release/oncare-live")).unwrap();
        std::fs::write(folder.join("exported"), "").unwrap();
        let path = std::env::join_paths(
            std::iter::once(folder.join("programs")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        // the program is built already
        let cargo = folder.join("programs/cargo");
        std::fs::write(&cargo, "#!/bin/sh\nexit 0\n").unwrap();
        std::fs::set_permissions(cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let (web, ops) = (free_address(), free_address());
        let differs = vec![
            ("http://127.0.0.1:8080", format!("http://{web}")),
            ("http://127.0.0.1:9464", format!("http://{ops}")),
        ];
        Self { folder, path: path.unwrap(), differs, web, ops, running: Vec::new() }
    }

    /// What is typed in place of what stands there.
    fn here(&self, command: &str) -> String {
        self.differs.iter().fold(command.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
    }

    fn bash(&self, commands: &str) -> Command {
        let mut bash = Command::new("bash");
        // what one command exports the next one has
        bash.args(["-c", &format!("set -euo pipefail; . ./exported; {commands}\nexport -p >./exported")]);
        bash.current_dir(&self.folder).env("PATH", &self.path).env("ONCARE_LIVE_DATA_DIR", self.folder.join("data"));
        bash.env("ONCARE_LIVE_LISTEN", self.web.to_string()).env("ONCARE_LIVE_OPS_LISTEN", self.ops.to_string());
        bash.kill_on_drop(true);
        bash
    }

    /// Types all commands of a document, in their order.
    async fn follow(&mut self, document: &Document) {
        for block in document.parts().0.iter().filter(|block| block.kind == "sh") {
            let mut together = String::new();
            for line in block.text.lines().map(|line| line.split("  # ").next().unwrap().trim_end()) {
                let endless = match line {
                    "make run" => Some(Endless::Says(DEMONSTRATION)),
                    _ if line.starts_with("curl -N ") => Some(Endless::Says("event: ping")),
                    _ if line.ends_with("/oncare-live serve") => Some(Endless::Ready),
                    _ => None,
                };
                if let Some(endless) = endless {
                    self.run(&document.name, &std::mem::take(&mut together)).await;
                    self.begin(&document.name, line, endless).await;
                } else if let Some(target) = line.strip_prefix("make ") {
                    // these take minutes to hours: that there is such a target has to do
                    assert!(is_target(line), "{}: {line}", document.name);
                    self.run(&document.name, &format!("make -C '{HOME}' -n {target}")).await;
                } else {
                    together.extend([line, "\n"]);
                }
            }
            self.run(&document.name, &together).await;
        }
    }

    async fn run(&self, document: &str, commands: &str) {
        if !commands.trim().is_empty() {
            let output = self.bash(&self.here(commands)).output().await.unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success(), "{document}: {commands}{}\n{said}", output.status);
        }
    }

    /// Begins what goes on, and waits until it does what it should.
    async fn begin(&mut self, document: &str, line: &str, endless: Endless) {
        // one that serves takes the address of what served before, which its reader has stopped
        if !line.starts_with("curl") {
            self.running.clear();
        }
        // the demonstration's program is built already
        let line = line.replace("make run", "exec target/release/oncare-live demo --demo-database-port 0");
        let log = self.folder.join(format!("said.{}", self.running.len()));
        let mut running = Supervised::start(&self.bash(&self.here(&line)), &log);
        let ready = format!("http://{}/readyz", self.ops);
        eventually_within(4 * PATIENCE, &format!("{document}: {line} goes on"), async || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(!running.has_ended(), "{document}: {line} ended: {said}");
            match endless {
                Endless::Says(text) => said.contains(text).then_some(()),
                Endless::Ready => (reqwest::get(&ready).await.ok()?.status() == 200).then_some(()),
            }
        })
        .await;
        self.running.push(running);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.running.clear();
        // a test that failed leaves it, for who looks for the reason; the next run removes it
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A reader with a database of the OnCare tables, of an owner of their own, to which nothing is attached.
async fn with_database(name: &str) -> (Reader, Database) {
    let database = Database::new_of("oncare_owner", "template template0").await;
    database.sql(include_str!("../../sql/0001_oncare_tables.sql")).await;
    database.sql(&people()).await;
    // their ids were given, and are none of the sequence's yet
    database.sql("select setval(pg_get_serial_sequence('accounts_user', 'id'), 100)").await;
    let mut reader = Reader::new(name);
    // roles are the whole server's, which other tests use as well
    let role = format!("reader_{}", database.name);
    let as_role = |who: &str| database.url.replace("oncare_owner:oncare_owner@", who);
    reader.differs.extend([
        ("postgresql://oncare_owner:…@db.example:5432/oncare?sslmode=verify-full", database.url.clone()),
        ("postgresql://postgres:…@db.example:5432/oncare?sslmode=verify-full", as_role("oncare:oncare@")),
        (
            "postgresql://oncare_live:…@db.example:5432/oncare?sslmode=verify-full",
            as_role(&format!("{role}:of-a-reader@")),
        ),
        ("password '…'", "password 'of-a-reader'".to_owned()),
        ("oncare_live", role),
        // it asks, and here nobody is asked
        ("oncare-live uninstall", "oncare-live uninstall --yes".to_owned()),
    ]);
    (reader, database)
}

#[tokio::test]
async fn the_commands_of_the_readme_do_what_they_say() {
    let (mut reader, _database) = with_database("readme").await;
    reader.follow(&Document::read("README.md")).await;
}

#[tokio::test]
async fn the_commands_of_the_protocol_do_what_they_say() {
    let mut reader = Reader::new("protocol");
    reader.begin("docs/PROTOCOL.md", "make run", Endless::Says(DEMONSTRATION)).await;
    reader.follow(&Document::read("docs/PROTOCOL.md")).await;
}

#[tokio::test]
async fn the_commands_of_operations_do_what_they_say() {
    let (mut reader, database) = with_database("operations").await;
    reader.follow(&Document::read("docs/OPERATIONS.md")).await;
    let left = "select count(*) from pg_namespace where nspname = 'live'";
    assert_eq!(database.value(left).await, "0", "it is taken off at the end");
}

/// All sources as one text, in which a text that goes on on the next line is one.
fn sources() -> String {
    let (mut text, mut folders) = (String::new(), vec![Path::new(HOME).join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension().and_then(|extension| extension.to_str()) {
                None if entry.is_dir() => folders.push(entry),
                Some("rs") => text.push_str(&std::fs::read_to_string(entry).unwrap()),
                _ => {}
            }
        }
    }
    let lines = text.split("\\\n").map(str::trim_start);
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn lines_of_the_log_are_those_of_the_program() {
    let operations = Document::read("docs/OPERATIONS.md").text;
    let (_, section) = operations.split_once("## Log lines that need a person").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let document = Document { name: "docs/OPERATIONS.md".to_owned(), text: section.to_owned() };
    let sources = sources();
    let quoted: Vec<String> = document
        .rows()
        .iter()
        .flat_map(|row| row[0].split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(quoted.len() > 20, "{quoted:?}");
    let unsaid = quoted.iter().filter(|line| line.split('…').any(|part| !sources.contains(part.trim())));
    assert_eq!(unsaid.collect::<Vec<_>>(), Vec::<&String>::new(), "no source says so");
}

#[test]
fn the_readme_is_for_five_minutes() {
    let readme = Document::read("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 100, "{lines} lines");
    assert!(readme.text.contains("![") && readme.text.contains("make run") && readme.text.contains("make test"));
}

#[test]
fn no_other_document_has_commands() {
    for document in Document::all() {
        let is_followed = ["README.md", "docs/PROTOCOL.md", "docs/OPERATIONS.md", "docs/DJANGO.md", "docs/PACKAGES.md"]
            .contains(&&*document.name);
        let has_commands = document.parts().0.iter().any(|block| block.kind == "sh");
        assert!(is_followed || !has_commands, "{} has commands that no test runs", document.name);
    }
}
