//! The command line: commands, and what only one of them has.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::Targets;

use super::database::Database;
use super::django::Django;
use super::serve::{OwnForms, Serve, Service};
use super::values;
use crate::proxy::Proxy;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "oncare-live", version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to log, as `warn` or `oncare_live=debug`. Of other crates never more than warnings.
    #[arg(long, env = "ONCARE_LIVE_LOG", default_value = "info", global = true, value_name = "FILTER", value_parser = values::log_filter)]
    pub log: Targets,
    /// How to log.
    #[arg(long, env = "LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: LogFormat,
    /// A TOML file with settings: what has neither a flag nor a variable is taken from it. Its keys are the names of the flags, with _
    /// for -.
    #[arg(long, env = "ONCARE_LIVE_CONFIG", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
pub enum Command {
    /// Serve the dashboards.
    Serve(Serve),
    /// Attach: apply what is missing of schema `live`, the triggers and the index.
    Migrate(Migrate),
    /// Run everything on a private PostgreSQL with demonstration data.
    Demo(Demo),
    /// Say what is wrong with the database or the configuration, and what to do about it.
    Doctor(Doctor),
    /// Take triggers and index off, and keep schema `live` with sessions, preferences and history. `migrate` puts them back.
    Detach(Detach),
    /// Take every trace off: triggers, index, and schema `live` with all that is in it. Says what goes, and asks.
    Uninstall(Uninstall),
    /// Create a user. The password is asked for, or read from a file, or from standard input where that is no terminal.
    CreateUser(CreateUser),
    /// List the sessions of a user here, or end them all.
    Sessions(UserSessions),
    /// Say whether the service that runs here can serve, as its exit status says as well.
    Health(Health),
    /// Print what a command, `serve` if none is named, is configured with, and whence each value is. Its arguments may follow. Ends with
    /// an error where something is wrong.
    Config(Printed),
    /// Print what a shell needs to complete the arguments of this program.
    Completions(Completions),
    /// Print the manual page, for `man`.
    Man,
}

impl Command {
    /// Whether settings that are right each by itself go together, and those are there without which the command can do nothing.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let database = match self {
            Self::Serve(serve) => {
                serve.service.check()?;
                serve.service.django.sign_on()?;
                &serve.database
            }
            Self::Demo(demo) => return demo.service.django.sign_on().map(drop),
            Self::Migrate(arguments) => &arguments.database,
            Self::Doctor(arguments) => {
                arguments.own.check()?;
                arguments.django.sign_on()?;
                if arguments.proxy.is_some() {
                    return Ok(());
                }
                &arguments.database
            }
            Self::Detach(arguments) => &arguments.database,
            Self::Uninstall(arguments) => &arguments.database,
            Self::CreateUser(arguments) => &arguments.database,
            Self::Sessions(arguments) => &arguments.database,
            Self::Health(_) | Self::Config(_) | Self::Completions(_) | Self::Man => return Ok(()),
        };
        database.url().map(drop)
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Arguments of `sessions`.
#[derive(Debug, Clone, Args)]
pub struct UserSessions {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// Whose.
    #[arg(long, value_name = "LOGIN", value_parser = values::username)]
    pub username: String,
    /// End them. Their pages say so within seconds.
    #[arg(long)]
    pub end: bool,
}

/// Arguments of `migrate`.
#[derive(Debug, Clone, Args)]
pub struct Migrate {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// Make the OnCare tables where there are none, in a database that no other application manages.
    #[arg(long)]
    pub create_tables: bool,
    /// Build the statistics anew from the orders.
    #[arg(long)]
    pub rebuild_statistics: bool,
    /// Print what would be run, as a script for psql, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// Also measure what triggers and index add to an update of an order, on copies that nobody sees, in some seconds.
    #[arg(long)]
    pub cost: bool,
    /// Examine nothing, and print the statements that grant this role what it needs: to serve, or to migrate if the OnCare tables
    /// are its own.
    #[arg(long, value_name = "ROLE")]
    pub grants: Option<String>,
    /// What `serve` is started with.
    #[command(flatten)]
    pub own: OwnForms,
    /// Examine nothing, and print what a proxy before the host must be told of a service that is started with these arguments.
    #[arg(long, value_name = "PROXY")]
    pub proxy: Option<Proxy>,
    /// Where the service listens.
    #[arg(long, env = "ONCARE_LIVE_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = values::address)]
    pub listen: SocketAddr,
    /// Who signs people on, and where the pages are.
    #[command(flatten)]
    pub django: Django,
}

/// Arguments of `detach`.
#[derive(Debug, Clone, Args)]
pub struct Detach {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
}

/// Arguments of `uninstall`.
#[derive(Debug, Clone, Args)]
pub struct Uninstall {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// Take back what this role was granted by the statements of `doctor --grants`.
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// How to serve it.
    #[command(flatten)]
    pub service: Service,
    /// Where the private PostgreSQL keeps its data between runs.
    #[arg(long, env = "DATA_DIR", default_value = "data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// The port of the private PostgreSQL on 127.0.0.1; another free one where it is taken.
    #[arg(long, env = "DEMO_DATABASE_PORT", alias = "database-port", default_value_t = 54329, value_name = "PORT")]
    pub demo_database_port: u16,
}

/// Arguments of `health`.
#[derive(Debug, Clone, Args)]
pub struct Health {
    /// Address and port of the /healthz and /readyz that are asked.
    #[arg(long, env = "OPS_LISTEN", default_value = "127.0.0.1:9464", value_name = "ADDRESS", value_parser = values::address)]
    pub ops_listen: SocketAddr,
    /// Ask whether it lives, and not whether it can serve, for which it needs its database.
    #[arg(long)]
    pub alive: bool,
}

/// Arguments of `config`.
#[derive(Debug, Clone, Args)]
pub struct Printed {
    /// The command, and its arguments.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// For which shell.
    pub shell: clap_complete::Shell,
}

/// Arguments of `create-user`.
#[derive(Debug, Clone, Args)]
pub struct CreateUser {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// The login, at most 150 characters.
    #[arg(long, value_name = "LOGIN", value_parser = values::username)]
    pub username: String,
    /// What the user may do.
    #[arg(long, value_parser = crate::store::Role::CODES)]
    pub role: String,
    /// First and last name.
    #[arg(long, default_value = "", value_name = "NAME", value_parser = values::full_name)]
    pub name: String,
    /// A file with the password in its first line.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}
