//! The command line of OnCare Live. Everything else is in the library.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use oncare_live::config::{
    self, Cli, Command, CreateUser, Detach, Doctor, Health, Loaded, LogFormat, Migrate, Refused, Serve, Uninstall,
    UserSessions,
};
use oncare_live::log::{OneLine, Quiet, is_ours};
use oncare_live::ops::{Levels, Recent};
use oncare_live::security::{By, End, Security};
use oncare_live::server::{Listeners, run};
use oncare_live::store::{Attached, Detached, NewUser, Removed, Script, SignOn, Store, Verdict, chain, session_grant};
use oncare_live::{demo, doctor, health, password, proxy, proxy::snippet, sign_on_check};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The system's allocator keeps what a storm of connections needed, as what is left of each lies in between. How soon this
/// one gives it back is said in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the program is called.
const NAME: &str = "oncare-live";

/// The status of a command line that is wrong, as clap has it.
const WRONG_USAGE: u8 = 2;

/// How long what still runs may take when all is done.
const LAST_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let loaded = match config::load(std::env::args_os(), std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(Refused::Arguments(error)) => error.exit(),
        Err(Refused::Settings(wrong)) => {
            wrong.iter().for_each(|wrong| eprintln!("error: {wrong}"));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let checked = loaded.check();
    let Loaded { cli, printed, notices, .. } = loaded;
    if let (Err(wrong), None) = (&checked, &printed) {
        eprintln!("error: {wrong}");
        return ExitCode::from(WRONG_USAGE);
    }
    let quiet = Quiet::default();
    let outcome = start_log(&cli, &quiet).and_then(|()| {
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if let Some(printed) = printed {
            print_all(printed.as_bytes())?;
            let Err(wrong) = checked else { return Ok(ExitCode::SUCCESS) };
            eprintln!("error: {wrong}");
            return Ok(ExitCode::from(WRONG_USAGE));
        }
        let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
        let outcome = runtime.block_on(obey(cli.command));
        // a name look-up that hangs must not hold the process
        runtime.shutdown_timeout(LAST_GRACE);
        outcome
    });
    quiet.tell();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("oncare-live: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn obey(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(serve) => serve_until_stopped(serve).await?,
        Command::Migrate(arguments) => migrate(arguments).await?,
        Command::Demo(arguments) => demo::run(arguments, stop_signal()?).await?,
        Command::Doctor(arguments) => return examine(&arguments).await,
        Command::Detach(arguments) => detach(arguments).await?,
        Command::Uninstall(arguments) => uninstall(arguments).await?,
        Command::CreateUser(arguments) => create_user(arguments).await?,
        Command::Sessions(arguments) => sessions(arguments).await?,
        Command::Health(Health { ops_listen, alive }) => {
            print!("{}", health::ask(proxy::reachable(ops_listen), alive).await?);
        }
        Command::Completions(arguments) => {
            let mut script = Vec::new();
            clap_complete::generate(arguments.shell, &mut config::completed(), NAME, &mut script);
            // for bash the parts of a program with a hyphen in its name have two names, of which one is looked for and the other is there
            let script = String::from_utf8(script)?.replace("oncare__subcmd__live", "oncare__live");
            print_all(script.as_bytes())?;
        }
        // it has been printed in place of being obeyed
        Command::Config(_) => {}
        Command::Man => print_all(config::man::page(config::program())?.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whoever reads may have enough before the end, as `head` has.
fn print_all(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("could not write to standard output"),
    }
}

async fn serve_until_stopped(Serve { database, service, migrate }: Serve) -> anyhow::Result<()> {
    let url = database.url()?;
    let shutdown = stop_signal()?;
    let listeners = Listeners::bind(&service)?;
    tokio::pin!(shutdown);
    if migrate {
        let store = Store::new(url.clone(), service.pool_size)?;
        tokio::select! {
            applied = store.migrate() => drop(applied?),
            () = &mut shutdown => return Ok(()),
        }
    }
    run(url, service, listeners, shutdown).await?;
    Ok(())
}

async fn migrate(Migrate { database, create_tables, rebuild_statistics, dry_run }: Migrate) -> anyhow::Result<()> {
    let store = Store::new(database.url()?, 2)?;
    if dry_run {
        let mut script = Script::default();
        let outcome = store.write_migration(create_tables, rebuild_statistics, &mut script).await;
        let text = match script.text() {
            "" if outcome.is_ok() => {
                "-- The database is up to date: migrate would only add to the statistics what is new.\n"
            }
            text => text,
        };
        print_all(text.as_bytes())?;
        return Ok(outcome?);
    }
    let applied = if create_tables { store.create_tables_and_migrate().await? } else { store.migrate().await? };
    match applied.migrations.as_slice() {
        [] if applied.put_back || applied.index_put_back || !applied.faults.is_empty() => {}
        [] => println!("The database is up to date."),
        names => println!("Applied {}.", names.join(", ")),
    }
    if applied.index_put_back {
        println!("Built the lists' index, which had been dropped or broken, again.");
    }
    if applied.put_back {
        println!("Put back triggers and functions that had been changed, and built the statistics anew.");
    } else if rebuild_statistics && applied.faults.is_empty() {
        store.rebuild_statistics().await?;
        println!("Built the statistics anew.");
    }
    if let Some(fault) = applied.fault() {
        bail!(fault);
    }
    Ok(())
}

async fn examine(arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let Doctor { database, cost, grants, own, proxy, listen, django } = arguments;
    if let Some(proxy) = proxy {
        print_all(snippet(*proxy, *listen, django.prefix(&django.sign_on()?)).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let url = database.url()?;
    if let Some(role) = grants {
        let statements = Store::new(url, 2)?.grants(role, own.own_forms).await?;
        let lines: String = statements.iter().flat_map(|statement| [statement.as_str(), "\n"]).collect();
        print_all(lines.as_bytes())?;
        if let SignOn::Django(_) = django.sign_on()? {
            println!("{}", session_grant(role));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut findings = doctor::examine(&url).await;
    if own.own_forms {
        findings.extend(doctor::own_forms(&url, own.own_forms_bypass_django).await);
    }
    findings.extend(sign_on_check::examine(&url, django).await);
    if *cost {
        findings.extend(doctor::cost(&url).await);
    }
    for finding in &findings {
        match &finding.verdict {
            Verdict::Good => println!("ok       {}", finding.subject),
            Verdict::Warning(warning) => println!("warning  {}: {warning}", finding.subject),
            Verdict::Problem(problem) => println!("PROBLEM  {}: {problem}", finding.subject),
        }
    }
    let healthy = findings.iter().all(|finding| finding.problem().is_none());
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn detach(Detach { database }: Detach) -> anyhow::Result<()> {
    let Detached { triggers, index } = Store::new(database.url()?, 2)?.detach().await?;
    if triggers.is_empty() && !index {
        println!("Nothing watched the orders. oncare-live migrate attaches to them.");
        return Ok(());
    }
    said_of_triggers(&triggers);
    said_of_index(index);
    println!("Changes go unnoticed from here on. oncare-live migrate attaches again, and makes up for them.");
    Ok(())
}

fn said_of_triggers(triggers: &[String]) {
    if !triggers.is_empty() {
        println!("Took off {} triggers: {}.", triggers.len(), triggers.join(", "));
    }
}

fn said_of_index(is_dropped: bool) {
    if is_dropped {
        println!("Dropped the index orders_order_live_list_idx.");
    }
}

/// Says what goes, and asks for the database's name where somebody can answer.
fn confirm(attached: &Attached, role: Option<&str>) -> anyhow::Result<()> {
    let Attached { database, triggers, schema, index } = attached;
    println!("From the database {database} this takes off, for ever:");
    if !triggers.is_empty() {
        println!("  {} triggers: {}", triggers.len(), triggers.join(", "));
    }
    if *index {
        println!("  the index orders_order_live_list_idx");
    }
    if *schema {
        println!(
            "  schema live: people's sessions, preferences and saved views, and the recorded history of the orders"
        );
    }
    if let Some(role) = role {
        println!("  what {role} was granted on schema public");
    }
    println!("(oncare-live detach takes off triggers and index alone, and keeps the rest.)");
    if !std::io::stdin().is_terminal() {
        bail!("nothing was changed: nobody can be asked here; say --yes if this is wanted");
    }
    println!("Type the database's name, or yes, to go on:");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("could not read the answer")?;
    if ![database.as_str(), "yes"].contains(&answer.trim()) {
        bail!("nothing was changed");
    }
    Ok(())
}

async fn uninstall(Uninstall { database, role, yes }: Uninstall) -> anyhow::Result<()> {
    let store = Store::new(database.url()?, 2)?;
    let attached = store.attached().await?;
    let is_there = attached.schema || attached.index || !attached.triggers.is_empty();
    if !yes && (is_there || role.is_some()) {
        confirm(&attached, role.as_deref())?;
    }
    let Removed { triggers, schema, index, left_granted, instances } = store.uninstall(role.as_deref()).await?;
    if triggers.is_empty() && !schema && !index {
        println!("There was nothing of oncare-live in this database.");
    }
    said_of_triggers(&triggers);
    if schema {
        println!("Dropped schema live.");
    }
    said_of_index(index);
    if let Some(role) = role {
        println!("Took back what {role} was granted on schema public.");
    }
    if !left_granted.is_empty() {
        println!(
            "Roles that could use the schema still have other rights. Where these were granted for oncare-live alone, run:"
        );
        left_granted.iter().for_each(|statement| println!("  {statement}"));
    }
    if instances > 0 {
        println!(
            "{instances} instances of the service are still connected: stop them, and their restarts with --migrate."
        );
    }
    Ok(())
}

async fn create_user(arguments: CreateUser) -> anyhow::Result<()> {
    let CreateUser { database, username, role, name, password_file } = arguments;
    let store = Store::new(database.url()?, 2)?;
    let password = new_password(password_file.as_deref())?;
    if let Some(why) = password::guessable(&password, &[&username, &name]) {
        bail!("the password is easily guessed: {why}");
    }
    let (first_name, last_name) = name.split_once(' ').unwrap_or((&name, ""));
    let encoded_password = &password::encode(&password);
    let user = NewUser { username: &username, role: &role, first_name, last_name, encoded_password };
    let id = store.create_user(&user).await?;
    println!("Created {username} ({role}) with id {id}.");
    Ok(())
}

async fn sessions(UserSessions { database, username, end }: UserSessions) -> anyhow::Result<()> {
    let store = Store::new(database.url()?, 2)?;
    let user = store.user_for_login(&username).await?.with_context(|| format!("there is no user {username}"))?;
    let sessions = store.sessions_of(user.id, None).await?;
    for session in &sessions {
        let said = |text: &Option<String>| text.as_deref().unwrap_or("unknown").escape_debug().to_string();
        println!(
            "signed in {} and used last {}, from {}, with {}",
            session.began_at.format("%Y-%m-%d %H:%M UTC"),
            session.seen_at.format("%Y-%m-%d %H:%M UTC"),
            said(&session.address),
            said(&session.browser)
        );
    }
    if !end {
        println!("{username} has {} sessions.", sessions.len());
        return Ok(());
    }
    let ended = store.end_sessions_of(user.id, None, None).await?;
    let (security, whose) = (Security::default(), (user.id, Some(&*username)));
    ended.iter().for_each(|_| security.ended(End::EndedByAdmin, whose, By::command("sessions --end")));
    println!("Ended {} sessions of {username}.", ended.len());
    Ok(())
}

/// From a file; else from a prompt, twice; from standard input as it is, where that is no terminal.
fn new_password(file: Option<&Path>) -> anyhow::Result<String> {
    const SHORTEST: usize = 8;
    let password = if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("--password-file {}", file.display()))?;
        if let Some(notice) = config::open_to_all(file) {
            tracing::warn!("{notice}");
        }
        text.lines().next().unwrap_or_default().to_owned()
    } else if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").context("could not read the password")?;
        if rpassword::prompt_password("Again: ").context("could not read the password")? != password {
            bail!("the two passwords differ");
        }
        password
    } else {
        let mut input = String::new();
        std::io::stdin().read_to_string(&mut input).context("could not read the password from standard input")?;
        input.lines().next().unwrap_or_default().to_owned()
    };
    if password.chars().count() < SHORTEST {
        bail!("the password is too short: expected at least {SHORTEST} characters");
    }
    Ok(password)
}

/// Ready on SIGTERM or SIGINT. A second one ends the process, whatever is under way.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("could not watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not watch for SIGINT")?;
    let mut signalled = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        signalled().await;
        tokio::spawn(async move {
            signalled().await;
            tracing::warn!("a second signal: stopping at once");
            std::process::exit(1);
        });
    })
}

/// Whatever the filter asks for, what [`Quiet`] holds back is not written.
fn start_log(cli: &Cli, quiet: &Quiet) -> anyhow::Result<()> {
    let filter = cli.log.clone();
    let in_vain =
        filter.iter().find(|(target, level)| !target.is_empty() && !is_ours(target) && *level > LevelFilter::WARN);
    let in_vain = in_vain.map(|(target, _)| target.to_owned());
    let registry = tracing_subscriber::registry().with(Levels::new(filter)).with(quiet.clone()).with(Recent::default());
    let has_colours = matches!(cli.log_format, LogFormat::Text) && std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt::layer().with_writer(move || OneLine::new(std::io::stderr(), has_colours));
    match cli.log_format {
        LogFormat::Text => registry.with(log.with_target(false).with_ansi(has_colours)).init(),
        LogFormat::Json => registry.with(log.json()).init(),
    }
    quiet.tell_for_ever();
    if let Some(target) = in_vain {
        tracing::warn!(
            target,
            "--log: of other crates nothing below a warning is written, as it may have people's data in it"
        );
    }
    Ok(())
}
