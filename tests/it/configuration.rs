//! The command line, the environment and the file as their users meet them, each by starting the program.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use clap::{Arg, ArgAction};
use oncare_live::config;
use tokio::process::Command;

use crate::harness::database::temporary_folder;
use crate::harness::instance;

/// What no output may have.
const SECRET: &str = "s3cret-of-some-length";

/// With nothing in its environment but where programs are.
fn program() -> Command {
    let mut command = Command::new(instance::program());
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn printed(arguments: &[&str]) -> String {
    let output = program().args(arguments).output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Status, standard output and standard error. None of it has the secret.
async fn run(arguments: &[String], variables: &[(String, String)]) -> (i32, String, String) {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let output = program().args(arguments).envs(variables).output().await.unwrap();
    let [printed, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!printed.contains(SECRET) && !said.contains(SECRET), "{arguments:?}: {printed}{said}");
    (output.status.code().unwrap(), printed, said)
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = temporary_folder("oncare-live-configuration").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// A file that nobody else may read.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The settings of a command.
fn settings(command: &str) -> Vec<Arg> {
    let program = config::program();
    let own = program.find_subcommand(command).unwrap().get_arguments();
    let all = own.chain(program.get_arguments()).filter(|argument| argument.get_env().is_some());
    all.filter(|argument| argument.get_id() != "config").cloned().collect()
}

fn variable(setting: &Arg) -> String {
    setting.get_env().unwrap().to_str().unwrap().to_owned()
}

fn is_boolean(setting: &Arg) -> bool {
    setting.get_num_args().is_some_and(|count| count.min_values() == 0)
}

/// Values of a setting: for the file, for the variable and for the flag, of which no two neighbours are alike.
fn values(setting: &Arg, folder: &Folder) -> [String; 3] {
    let id = setting.get_id().as_str();
    let default = setting.get_default_values().first().map(|default| default.to_str().unwrap()).unwrap_or_default();
    let of = |values: [&str; 3]| values.map(str::to_owned);
    if is_boolean(setting) {
        return of(["true", "false", "true"]);
    }
    match (setting.get_value_names().unwrap()[0].as_str(), id) {
        (_, "database_url_file") => ["u1", "u2", "u3"].map(|name| folder.file(name, "postgresql://u@h/d\n")),
        ("FILE", _) => ["s1", "s2", "s3"].map(|name| folder.file(name, SECRET)),
        ("ADDRESS", _) if default.starts_with('/') => of(["/a/{id}/", "/b/{id}/", "/c/{id}/"]),
        ("ADDRESS", _) => of(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]),
        ("DURATION", _) if default.contains("day") => of(["2days", "3days", "4days"]),
        ("DURATION", _) => of(["2s", "3s", "4s"]),
        ("ZONE", _) => of(["Asia/Manila", "Europe/Berlin", "Asia/Tokyo"]),
        ("LIMITS", _) => of(["pending=1h", "pending=2h", "pending=3h"]),
        ("NUMBER" | "PORT", _) => of(["7", "8", "9"]),
        ("URL", _) => of(["https://a.example", "https://b.example", "https://c.example"]),
        ("NETWORK", _) => of(["10.0.0.0/8", "10.0.0.1", "10.0.0.2"]),
        ("PATH", _) => of(["/a/", "/b/", "/c/"]),
        ("FILTER", _) => of(["warn", "error", "off"]),
        ("db|cached_db", _) => of(["cached_db", "db", "cached_db"]),
        ("SIGN" | "NAME" | "FOLDER", _) => of(["a", "b", "c"]),
        ("LOG_FORMAT", _) => of(["json", "text", "json"]),
        (other, _) => panic!("a value of --{id}, which is a {other}"),
    }
}

/// As the file has it.
fn in_toml(setting: &Arg, value: &str) -> String {
    let is_bare = is_boolean(setting) || ["NUMBER", "PORT"].contains(&setting.get_value_names().unwrap()[0].as_str());
    match setting.get_action() {
        _ if is_bare => value.to_owned(),
        ArgAction::Append => format!("[\"{value}\"]"),
        _ => format!("\"{value}\""),
    }
}

/// What is printed, by key: the value, and whence it is.
fn lines(printed: &str) -> BTreeMap<&str, (&str, &str)> {
    let of_line = |line| str::split_once(line, " = ").and_then(|(key, rest)| Some((key, rest.rsplit_once(" # ")?)));
    printed.lines().filter(|line| !line.starts_with('#')).filter_map(of_line).collect()
}

#[tokio::test]
async fn every_setting_goes_from_flag_to_variable_to_file_to_default() {
    let folder = Folder::new("precedence");
    for command in ["serve", "demo", "migrate"] {
        // a secret has its file in its place
        let settings: Vec<Arg> = settings(command).into_iter().filter(|one| !one.is_hide_env_values_set()).collect();
        let mut text = String::from("# all of them\n");
        let (mut variables, mut flags) = (Vec::new(), strings(&["config", command]));
        let (mut by_file, mut by_variable, mut by_flag) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (at, setting) in settings.iter().enumerate() {
            let (key, long) = (setting.get_id().as_str(), setting.get_long().unwrap());
            let [one, two, three] = values(setting, &folder);
            text.push_str(&format!("{key} = {}\n", in_toml(setting, &one)));
            variables.push((variable(setting), two.clone()));
            flags.push(format!("--{long}={three}"));
            by_file.insert(
                key,
                (in_toml(setting, &one), format!("from {}:{}", folder.0.join("all.toml").display(), at + 2)),
            );
            by_variable.insert(key, (in_toml(setting, &two), format!("from {}", variable(setting))));
            by_flag.insert(key, (in_toml(setting, &three), format!("from --{long}")));
        }
        let has = |printed: &str, expected: &BTreeMap<&str, (String, String)>| {
            let printed = lines(printed);
            for (key, (value, source)) in expected {
                assert_eq!(printed.get(key), Some(&(value.as_str(), source.as_str())), "{command}: {key}");
            }
            assert_eq!(printed.len(), expected.len(), "{command}");
        };
        let nothing = run(&flags[..2], &[]).await.1;
        assert!(lines(&nothing).values().all(|(_, source)| *source == "default"), "{nothing}");
        let file = folder.file("all.toml", &text);
        variables.push(("ONCARE_LIVE_CONFIG".to_owned(), file.clone()));
        let with_file = [flags[..2].to_vec(), strings(&["--config", &file])].concat();
        let (status, printed, said) = run(&with_file, &[]).await;
        assert!(status == 0 && said.is_empty(), "{printed}{said}");
        has(&printed, &by_file);
        has(&run(&flags[..2], &variables).await.1, &by_variable);
        let (_, printed, _) = run(&flags, &variables).await;
        has(&printed, &by_flag);
        // and nothing between is left out where it is not there
        has(&run(&[flags.clone(), strings(&["--config", &file])].concat(), &[]).await.1, &by_flag);

        // what is printed is read again, and says the same
        let again = folder.file("again.toml", &printed);
        let (_, read_again, _) = run(&[flags[..2].to_vec(), strings(&["--config", &again])].concat(), &[]).await;
        let values =
            |text| lines(text).into_iter().map(|(key, (value, _))| (key, value.to_owned())).collect::<Vec<_>>();
        assert_eq!(values(&printed), values(&read_again));
    }
}

#[tokio::test]
async fn what_is_wrong_is_called_by_the_name_that_it_has_where_it_stands() {
    let folder = Folder::new("wrong");
    let serve = strings(&["serve"]);
    // all that has a parser, all at once
    let (mut variables, mut text, mut types) = (Vec::new(), String::new(), String::new());
    let (mut of_variables, mut of_text, mut of_types) = (Vec::new(), Vec::new(), Vec::new());
    let file = |name: &str| folder.0.join(name).display().to_string();
    for setting in settings("serve").iter().filter(|setting| !setting.get_id().as_str().ends_with("_file")) {
        let key = setting.get_id().as_str();
        let is_bare = !in_toml(setting, "").contains('"');
        let is_secret = setting.is_hide_env_values_set();
        let (wrong, in_file, shown) = match key {
            "log" => ("==".to_owned(), "==", "=="),
            "database_password" | "django_secret_key" => ("\n".to_owned(), "\\n", ""),
            _ => (format!("\u{1}{}", "wrong ".repeat(40)), "\\u0001wrong", "\\u{1}wrong"),
        };
        // no former keys at all are right
        if key != "django_secret_key_fallbacks" {
            let shown = if is_secret { ": ".to_owned() } else { format!("={shown}") };
            of_variables.push(variable(setting) + &shown);
            variables.push((variable(setting), wrong));
            if !is_bare {
                text.push_str(&format!("{key} = {}\n", in_toml(setting, in_file)));
                of_text.push(format!("{}:{}: {key}", file("text.toml"), text.lines().count()));
            }
        }
        types.push_str(&format!("{key} = {}\n", if is_bare { format!("'{SECRET}'") } else { "5".to_owned() }));
        of_types.push(format!("{}:{}: {key}: expected ", file("types.toml"), types.lines().count()));
    }
    folder.file("text.toml", &text);
    folder.file("types.toml", &types);
    let with = |name: &str| pairs(&[("ONCARE_LIVE_CONFIG", &file(name))]);
    for (expected, variables) in
        [(of_variables, variables), (of_text, with("text.toml")), (of_types, with("types.toml"))]
    {
        let (status, _, said) = run(&serve, &variables).await;
        assert_eq!(status, 2, "{said}");
        let unsaid: Vec<_> = expected.iter().filter(|name| !said.contains(&format!("error: {name}"))).collect();
        assert!(unsaid.is_empty(), "{unsaid:?} in {said}");
        assert!(said.lines().all(|line| line.starts_with("error: ") && !line.contains(" --")), "{said}");
    }

    let named = |text: &str| {
        let name = format!("{:016x}.toml", rand::random::<u64>());
        (folder.file(&name, text), name)
    };
    for (text, expected) in [
        ("\nlisten_ = 'x'\n", ":2: listen_: there is no such setting; did you mean listen?"),
        ("pool-size = 5", ":1: pool-size: there is no such setting; did you mean pool_size?"),
        ("[serve]\nlisten = '127.0.0.1:1'", ":1: serve: there is no such setting"),
        ("config = 'other.toml'", ":1: config: there is no such setting"),
        ("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:2'", ":2: listen: duplicate key"),
        (&format!("log = 'info'\ndatabase_url = \"postgresql://u:{SECRET}@h/d"), ":2: "),
        (&format!("database_url = postgresql://u:{SECRET}@h/d"), ":1: "),
        (&format!("database_url = ['{SECRET}']"), ":1: database_url: expected a text in quotes"),
        (&format!("database_url = 'mysql://u:{SECRET}@h/d'"), ":1: database_url: expected a URL such as"),
        ("django_secret_key = 'short'", ":1: django_secret_key: it is too short"),
        ("database_url_file = '/nowhere'", ":1: database_url_file = \"/nowhere\": No such file"),
        ("database_url = 'postgresql://h/d'\ndatabase_url_file = '/dev/null'", ":2: database_url_file are both given"),
        ("trusted_proxy = ['10.0.0.1', '10.0.0.0/40']", "\"10.0.0.0/40\": expected"),
    ] {
        let (path, name) = named(text);
        let (status, _, said) = run(&serve, &pairs(&[("ONCARE_LIVE_CONFIG", &path)])).await;
        assert!(status == 2 && said.contains(expected) && said.contains(&name), "{text}: {said}");
    }
    for (name, value, expected) in [
        (
            "ONCARE_LIVE_LISTNE",
            SECRET,
            "error: ONCARE_LIVE_LISTNE: there is no such setting; did you mean ONCARE_LIVE_LISTEN?",
        ),
        ("ONCARE_LIVE_CONFIG", "/nowhere.toml", "error: ONCARE_LIVE_CONFIG: \"/nowhere.toml\": No such file"),
        ("ONCARE_LIVE_CONFIG", "", "error: ONCARE_LIVE_CONFIG: \"\": No such file"),
        ("ONCARE_LIVE_LOG_FORMAT", "", "error: ONCARE_LIVE_LOG_FORMAT=: expected one of text, json"),
        ("DJANGO_SECRET_KEY_FALLBACKS", SECRET, "error: DJANGO_SECRET_KEY_FALLBACKS: there is no key beside them"),
        ("ONCARE_LIVE_LISTEN", "abc", "error: ONCARE_LIVE_LISTEN=abc: expected an address and port such as"),
        ("ONCARE_LIVE_LOG_FORMAT", "xml", "error: ONCARE_LIVE_LOG_FORMAT=xml: expected one of text, json"),
        ("OPS_LISTEN", "abc", "error: OPS_LISTEN=abc: expected an address"),
        ("OPS_LISTEN", "abc", "if this is another program's, set ONCARE_LIVE_OPS_LISTEN"),
        ("DATABASE_URL", SECRET, "error: DATABASE_URL: expected a URL such as"),
        ("DJANGO_SECRET_KEY", "changeme", "error: DJANGO_SECRET_KEY: it is too short"),
    ] {
        let (status, _, said) = run(&serve, &pairs(&[(name, value)])).await;
        assert!(status == 2 && said.contains(expected), "{name}={value}: {said}");
    }
    for (arguments, status, expected) in [
        (&["serve"][..], 2, "no database is named: expected --database-url"),
        (&["serve", "--database-url", &format!("mysql://u:{SECRET}@h/d")], 2, "'***' for '--database-url <URL>'"),
        (&["serve", "--database-password", SECRET], 2, "error: --database-password: everybody on this machine"),
        (
            &["serve", "--database-url", "postgresql://h/d", "--upgrade-password-hashes"],
            2,
            "error: --upgrade-password-hashes is set: expected own_forms",
        ),
        (
            &["serve", "--database-url", "postgresql://h/d", "--own-forms-bypass-django"],
            2,
            "expected own_forms with it",
        ),
        (&["config", "serve", "--listen", "abc"], 2, "'abc' for '--listen <ADDRESS>'"),
        (&["config"], 2, "no database is named"),
    ] {
        let (ended, _, said) = run(&strings(arguments), &[]).await;
        assert!(ended == status && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn secrets_are_taken_from_variables_and_files_and_never_shown() {
    let folder = Folder::new("secrets");
    let url = format!("postgresql://u:{SECRET}@127.0.0.1:1/d");
    let open_url = "postgresql://u@127.0.0.1:1/d";
    let (url_file, password_file) = (folder.file("url", &format!("{url}\n")), folder.file("password", SECRET));
    let toml = folder.file("all.toml", &format!("database_url = '{url}'\ndjango_secret_key = '{SECRET}'"));
    let (of_url, of_key) = ("# database_url = \"***\" # ", "# django_secret_key = \"***\" # ");
    for (variables, expected) in [
        (&[("DATABASE_URL", url.as_str())][..], format!("{of_url}from DATABASE_URL\n")),
        (
            &[("ONCARE_LIVE_DATABASE_URL", &url), ("DATABASE_URL", "no")],
            format!("{of_url}from ONCARE_LIVE_DATABASE_URL\n"),
        ),
        (&[("ONCARE_LIVE_DATABASE_URL_FILE", &url_file)], format!("{of_url}in the file of database_url_file\n")),
        // what goes before takes the place of the other way to say it
        (
            &[("ONCARE_LIVE_DATABASE_URL_FILE", &url_file), ("DATABASE_URL", "no")],
            format!("{of_url}from DATABASE_URL, but ONCARE_LIVE_DATABASE_URL_FILE takes precedence\n"),
        ),
        (
            &[("DATABASE_URL", open_url), ("ONCARE_LIVE_DATABASE_PASSWORD_FILE", &password_file)],
            "in the file of database_password_file\n".to_owned(),
        ),
        (
            &[("DATABASE_URL", open_url), ("ONCARE_LIVE_DATABASE_PASSWORD", SECRET)],
            "# database_password = \"***\" # from ONCARE_LIVE_DATABASE_PASSWORD\n".to_owned(),
        ),
        (
            &[("DATABASE_URL", open_url), ("DJANGO_SECRET_KEY", SECRET), ("DJANGO_SECRET_KEY_FALLBACKS", SECRET)],
            format!("{of_key}from DJANGO_SECRET_KEY\n"),
        ),
        (
            &[("DATABASE_URL", open_url), ("DJANGO_SECRET_KEY_FILE", &password_file)],
            format!("{of_key}in the file of django_secret_key_file\n"),
        ),
        (&[("ONCARE_LIVE_CONFIG", &toml)], format!("{of_key}from {toml}:2\n")),
    ] {
        let (status, printed, said) = run(&strings(&["config"]), &pairs(variables)).await;
        assert!(status == 0 && printed.contains(&expected), "{variables:?}: {printed}{said}");
        assert_eq!(said, "", "a standard name, and a file that nobody else reads, are nothing to tell");
        // nothing that is logged has it
        let (status, _, said) = run(&strings(&["migrate", "--log", "trace"]), &pairs(variables)).await;
        assert!(status == 1 && said.contains("could not connect"), "{variables:?}: {said}");
    }
    let both = pairs(&[("DATABASE_URL", &url), ("ONCARE_LIVE_DATABASE_PASSWORD", SECRET)]);
    let (status, _, said) = run(&strings(&["migrate"]), &both).await;
    let named = said.contains("error: ONCARE_LIVE_DATABASE_PASSWORD: the URL has a password in it already");
    assert!(status == 2 && named, "{said}");
    // a URL without one can be read back
    let (_, printed, _) = run(&strings(&["config"]), &pairs(&[("DATABASE_URL", open_url)])).await;
    assert!(printed.contains(&format!("\ndatabase_url = \"{open_url}\" # from DATABASE_URL\n")), "{printed}");
    let long = folder.file("long", &"x".repeat(70_000));
    let (status, _, said) = run(&strings(&["config"]), &pairs(&[("ONCARE_LIVE_DATABASE_PASSWORD_FILE", &long)])).await;
    assert!(status == 2 && said.contains("64 KiB at most"), "{said}");
    // what others may read is told
    for (file, variable) in
        [(&url_file, "DATABASE_URL_FILE"), (&password_file, "DJANGO_SECRET_KEY_FILE"), (&toml, "ONCARE_LIVE_CONFIG")]
    {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (_, _, said) = run(&strings(&["config"]), &pairs(&[(variable, file)])).await;
        assert!(said.contains(&format!("{file} has a secret in it, and everybody")), "{variable}: {said}");
    }
}

#[tokio::test]
async fn the_file_of_the_documents_is_read() {
    let folder = Folder::new("documents");
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).unwrap();
    let (_, example) = document.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let password = folder.file("password", SECRET);
    let example = example.replace("/run/credentials/oncare-live.service/database-password", &password);
    let file = folder.file("example.toml", &example);
    let (status, printed, said) = run(&strings(&["config", "--config", &file]), &[]).await;
    assert!(status == 0 && said.is_empty(), "{said}");
    // the URL, which may have a password, is not shown
    let taken = printed.lines().filter(|line| line.contains(&format!("from {file}:"))).count();
    assert_eq!(taken, example.lines().count(), "{printed}");
}

#[tokio::test]
async fn former_names_are_read_and_told_and_those_of_others_are_not() {
    let url = ("DATABASE_URL", "postgresql://h/d");
    let former =
        pairs(&[url, ("OPS_LISTEN", "127.0.0.1:1"), ("RETENTION", "5days"), ("ONCARE_LIVE_RETENTION", "6days")]);
    let (status, printed, said) = run(&strings(&["config"]), &former).await;
    let shown = lines(&printed);
    assert_eq!(shown["ops_listen"], ("\"127.0.0.1:1\"", "from OPS_LISTEN"));
    assert_eq!(shown["retention"], ("\"6days\"", "from ONCARE_LIVE_RETENTION"));
    assert!(status == 0 && said.lines().count() == 1, "{said}");
    assert!(said.contains("deprecated variables are read: OPS_LISTEN: put ONCARE_LIVE_ before"), "{said}");

    // perf has a PREFIX; a service that is named oncare-live has these in every container of Kubernetes
    let others = [url, ("PREFIX", "/usr"), ("LOG", "/var/log/x"), ("LISTEN", "80"), ("ONCARE_LIVE_LOG", "info")];
    let kubernetes = [("ONCARE_LIVE_SERVICE_HOST", "10.0.0.1"), ("ONCARE_LIVE_PORT", "tcp://10.0.0.1:80")];
    let (status, printed, said) = run(&strings(&["config"]), &pairs(&[&others[..], &kubernetes].concat())).await;
    assert!(status == 0 && printed.contains("# prefix is not set\n"), "{printed}");
    assert_eq!(lines(&printed)["listen"], ("\"127.0.0.1:8080\"", "default"));
    assert!(said.lines().count() == 1 && said.contains("variables are not read: LISTEN, PREFIX: "), "{said}");
}

#[tokio::test]
async fn the_manual_page_and_the_completions_have_every_command_and_every_flag() {
    let page = printed(&["man"]).await;
    assert!(page.contains("\n.TH oncare-live 1 "), "{page}");
    let mut scripts = Vec::new();
    for (shell, flag) in [("bash", "--"), ("zsh", "--"), ("fish", "-l ")] {
        scripts.push((shell, flag, printed(&["completions", shell]).await));
    }
    let mut program = config::program();
    program.build();
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        let heading = format!(".SH \"{}\"\n", name.to_uppercase());
        assert!(page.contains(&heading), "{name}");
        for long in command.get_arguments().filter(|one| !one.is_hide_set()).filter_map(Arg::get_long) {
            let escaped = format!("\\-\\-{}", long.replace('-', "\\-"));
            assert!(page.contains(&escaped), "the manual page has no --{long}");
            for (shell, flag, script) in &scripts {
                assert!(script.contains(name) && script.contains(&format!("{flag}{long}")), "{shell}: {name} --{long}");
            }
        }
    }
    let completed = Command::new("bash")
        .args(["-c", "eval \"$1\"; COMP_WORDS=(oncare-live serve --ops-l); COMP_CWORD=2; _oncare__live oncare-live --ops-l serve; echo \"${COMPREPLY[@]}\"", "-"])
        .arg(&scripts[0].2)
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8(completed.stdout).unwrap(), "--ops-listen\n");
}
