//! Arguments and environment. Every flag has an environment variable of the same name.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono_tz::Tz;
use clap::builder::ArgPredicate;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::django::SecretKeys;
use crate::network::Network;
use crate::order::{Currency, LateAfter, OrderLink};
use crate::proxy::Proxy;
use crate::store::{DatabaseUrl, SignOn};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "oncare-live", version, about, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to log, as `warn` or `oncare_live=debug`. Of other crates never more than warnings.
    #[arg(long, env = "LOG", default_value = "info", global = true, value_name = "FILTER")]
    pub log: String,
    /// How to log.
    #[arg(long, env = "LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: LogFormat,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
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
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Which database.
#[derive(Debug, Clone, Args)]
pub struct Database {
    /// The database, as `postgresql://user@host:5432/name?sslmode=verify-full`. With a password in it, give it by the environment or by
    /// a file: who is on the machine can read the arguments of every process.
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        required_unless_present = "database_url_file"
    )]
    pub database_url: Option<UncheckedUrl>,
    /// A file with the URL alone, in place of the URL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
}

impl Database {
    /// The URL, parsed.
    ///
    /// # Errors
    /// What was expected, without repeating the URL; if both a URL and a file are given, or the file can't be read.
    pub fn url(&self) -> anyhow::Result<DatabaseUrl> {
        let parse =
            |flag: &str, url: &str| DatabaseUrl::parse(url).map_err(|expected| anyhow::anyhow!("{flag}: {expected}"));
        match (&self.database_url, &self.database_url_file) {
            (Some(_), Some(_)) => bail!("--database-url and --database-url-file are both given: expected one of them"),
            (None, Some(file)) => {
                let flag = format!("--database-url-file {}", file.display());
                let url = std::fs::read_to_string(file).with_context(|| flag.clone())?;
                parse(&flag, url.trim())
            }
            (url, None) => parse("--database-url", url.as_ref().map_or("", |url| &url.0)),
        }
    }

    /// Whether an argument of the command line has a URL with a password in it, which everybody on the machine can read.
    #[must_use]
    pub fn shows_password(arguments: impl IntoIterator<Item = String>) -> bool {
        arguments.into_iter().any(|argument| {
            let url = argument.strip_prefix("--database-url=").unwrap_or(&argument);
            let has_scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
            let user = || url.split_once("://")?.1.split(['/', '?']).next()?.rsplit_once('@')?.0.split_once(':');
            has_scheme && (user().is_some_and(|(_, password)| !password.is_empty()) || url.contains("password="))
        })
    }
}

/// Arguments of `sessions`.
#[derive(Debug, Clone, Args)]
pub struct UserSessions {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// Whose.
    #[arg(long, value_name = "LOGIN", value_parser = username)]
    pub username: String,
    /// End them. Their pages say so within seconds.
    #[arg(long)]
    pub end: bool,
}

/// A URL as given. It is parsed only after the command line, whose error messages would repeat it with its password.
#[derive(Clone)]
pub struct UncheckedUrl(String);

impl From<String> for UncheckedUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for UncheckedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Arguments of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// How to serve it.
    #[command(flatten)]
    pub service: Service,
    /// Migrate before serving.
    #[arg(long, env = "MIGRATE")]
    pub migrate: bool,
}

/// How the service is run.
#[derive(Debug, Clone, Args)]
pub struct Service {
    /// Address and port of the dashboards.
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = address)]
    pub listen: SocketAddr,
    /// Address and port of /healthz, /readyz and /metrics.
    #[arg(long, env = "OPS_LISTEN", default_value = "127.0.0.1:9464", value_name = "ADDRESS", value_parser = address)]
    pub ops_listen: SocketAddr,
    /// How often a page polls while its stream is down.
    #[arg(long, env = "POLL_INTERVAL", default_value = "5s", value_name = "DURATION", value_parser = poll_interval)]
    pub poll_interval: Duration,
    /// The zone of the days in filters and of the times shown, as Asia/Manila.
    #[arg(long, env = "TIME_ZONE", default_value = "UTC", value_name = "ZONE", value_parser = time_zone)]
    pub time_zone: Tz,
    /// The sign before amounts.
    #[arg(long, env = "CURRENCY", default_value = "₱", value_name = "SIGN", value_parser = Currency::from_str)]
    pub currency: Currency,
    /// How long an order may stay in a status before it is marked as late; no limit where a status is not listed.
    #[arg(long, env = "LATE_AFTER", default_value = "pending=4h,confirmed=1day,processing=2days,ready_for_pickup=3days,shipped=5days", value_name = "LIMITS", value_parser = LateAfter::from_str)]
    pub late_after: LateAfter,
    /// Connections to the database in the pool, of which searches and exports get half; the listener has two more.
    #[arg(long, env = "POOL_SIZE", default_value_t = 8, value_name = "NUMBER", value_parser = pool_size)]
    pub pool_size: usize,
    /// How long somebody stays signed in at most.
    #[arg(long, env = "SESSION_LIFETIME", default_value = "14days", value_name = "DURATION", value_parser = long_duration)]
    pub session_lifetime: Duration,
    /// After how long without a request somebody is signed out.
    #[arg(long, env = "SESSION_IDLE", default_value = "3days", value_name = "DURATION", value_parser = long_duration)]
    pub session_idle: Duration,
    /// How safe signing in is.
    #[command(flatten)]
    pub sign_in: SignIn,
    /// What clients may hold, and for how long.
    #[command(flatten)]
    pub clients: Clients,
    /// How long events are kept: the timeline of an order, and how far back a page can be told what it missed.
    #[arg(long, env = "RETENTION", default_value = "90days", value_name = "DURATION", value_parser = long_duration)]
    pub retention: Duration,
    /// How it stops.
    #[command(flatten)]
    pub drain: Drain,
    /// Who has the forms that change orders.
    #[command(flatten)]
    pub forms: Forms,
    /// Who signs people on, and where the pages are.
    #[command(flatten)]
    pub django: Django,
}

/// What clients may hold, and for how long.
#[derive(Debug, Clone, Args)]
pub struct Clients {
    /// How long a client may take to send a request's head, as long again for its body, and how long it may take nothing of an answer,
    /// or leave a connection unused.
    #[arg(long, env = "CLIENT_PATIENCE", default_value = "20s", value_name = "DURATION", value_parser = client_patience)]
    pub client_patience: Duration,
    /// Connections of all clients at most; by default as many as the limit of open files allows beside what the service needs itself.
    #[arg(long, env = "MAX_CONNECTIONS", value_name = "NUMBER", value_parser = count)]
    pub max_connections: Option<usize>,
    /// Connections of one address, or behind a trusted proxy requests, and streams. By default a quarter of all connections, and any
    /// number for this machine's own addresses, which a proxy may have.
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", value_parser = count)]
    pub connections_per_address: Option<usize>,
    /// Streams of one user, with all sessions, at most: beyond, the oldest is replaced. A browser has one, however many tabs.
    #[arg(long, env = "STREAMS_PER_USER", default_value_t = 120, value_name = "NUMBER", value_parser = count)]
    pub streams_per_user: usize,
}

/// How the service stops.
#[derive(Debug, Clone, Args)]
pub struct Drain {
    /// How long it goes on serving after a signal while /readyz says that it is stopping: as long as whoever shares out requests
    /// takes to notice. Streams that are opened meanwhile end at once.
    #[arg(long, env = "DRAIN_NOTICE", default_value = "0s", value_name = "DURATION", value_parser = drain_time)]
    pub drain_notice: Duration,
    /// Over what time it then ends the open streams, so that they do not come back all at once; less where they are few.
    #[arg(long, env = "DRAIN_FOR", default_value = "2s", value_name = "DURATION", value_parser = drain_time)]
    pub drain_for: Duration,
}

/// How safe signing in is.
#[derive(Debug, Clone, Args)]
pub struct SignIn {
    /// Where people reach the service, as `https://live.example`: with https its cookies are for HTTPS alone. Without, that is so where a
    /// request says that it came by HTTPS.
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<PublicUrl>,
    /// A proxy, or a network of them, that is believed about who its clients are (X-Forwarded-For or Forwarded); several, or commas
    /// between.
    #[arg(long, env = "TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxy: Vec<Network>,
    /// How long every failed login takes at least, so that nobody can tell by the time what failed: more than it takes here to check a
    /// password.
    #[arg(long, env = "FAILED_LOGIN_TAKES", default_value = "1s", value_name = "DURATION", value_parser = short_duration)]
    pub failed_login_takes: Duration,
    /// Put a present-day hash in the place of a weaker one when its user signs in: for users that no other application manages. Needs
    /// the right to update accounts_user.
    #[arg(long, env = "UPGRADE_PASSWORD_HASHES", requires = "own_forms")]
    pub upgrade_password_hashes: bool,
}

/// Where people reach the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether that is by HTTPS.
    pub is_https: bool,
}

/// Who has the forms that change orders.
#[derive(Debug, Clone, Args)]
pub struct Forms {
    /// Whether the service has.
    #[command(flatten)]
    pub own: OwnForms,
    /// Without own forms: where orders are edited.
    #[arg(long, env = "HOST_EDIT_PATH", default_value = "/orders/orders/{id}/edit/", value_name = "ADDRESS", value_parser = OrderLink::from_str)]
    pub host_edit_path: OrderLink,
    /// Without own forms: where orders are cancelled.
    #[arg(long, env = "HOST_CANCEL_PATH", default_value = "/orders/orders/{id}/cancel/", value_name = "ADDRESS", value_parser = OrderLink::from_str)]
    pub host_cancel_path: OrderLink,
    /// Without own forms: where pharmacists change an order's status.
    #[arg(long, env = "HOST_ORDER_PATH", default_value = "/orders/pharmacist/orders/{id}/", value_name = "ADDRESS", value_parser = OrderLink::from_str)]
    pub host_order_path: OrderLink,
}

/// Whether the service writes orders itself.
#[derive(Debug, Clone, Args)]
pub struct OwnForms {
    /// Edit, cancel and change orders by forms of the service's own, which write the OnCare tables: only for a database that no other
    /// application manages. (`demo` always does.) Else these are links to the host's pages.
    #[arg(long, env = "OWN_FORMS")]
    pub own_forms: bool,
    /// Have own forms even where Django manages the database, past its code: stock, payments, notifications and its history then do
    /// not follow what is changed here.
    #[arg(long, env = "OWN_FORMS_BYPASS_DJANGO")]
    pub own_forms_bypass_django: bool,
}

/// Who signs people on: the service itself, or the Django that owns the tables; and where the pages are. What Django's settings say
/// can't be read from its database, so that what differs from its defaults must be said here.
#[derive(Debug, Clone, Args)]
pub struct Django {
    /// Sign people on by Django's sessions: the file has its SECRET_KEY. The environment variable DJANGO_SECRET_KEY may have it instead.
    #[arg(long, env = "DJANGO_SECRET_KEY_FILE", value_name = "FILE")]
    pub django_secret_key_file: Option<PathBuf>,
    /// A file with Django's SECRET_KEY_FALLBACKS, one a line; or DJANGO_SECRET_KEY_FALLBACKS, likewise.
    #[arg(long, env = "DJANGO_SECRET_KEY_FALLBACKS_FILE", value_name = "FILE")]
    pub django_secret_key_fallbacks_file: Option<PathBuf>,
    /// Django's SESSION_COOKIE_NAME.
    #[arg(long, env = "DJANGO_SESSION_COOKIE", default_value = "sessionid", value_name = "NAME", value_parser = cookie_name)]
    pub django_session_cookie: String,
    /// Django's SESSION_ENGINE, by its last word.
    #[arg(long, env = "DJANGO_SESSION_ENGINE", default_value = "db", value_name = "db|cached_db", value_parser = session_engine)]
    pub django_session_engine: SessionEngine,
    /// Where people sign in at Django.
    #[arg(long, env = "HOST_LOGIN_PATH", default_value = "/accounts/login/", value_name = "PATH", value_parser = path)]
    pub host_login_path: String,
    /// The page at which people find Django's sign-out: since Django 5 that is a form, which no link can stand for.
    #[arg(long, env = "HOST_LOGOUT_PATH", default_value = "/orders/", value_name = "PATH", value_parser = path)]
    pub host_logout_path: String,
    /// What stands before the paths of the pages, as /live/; with a secret key that is the default, else / is.
    #[arg(long, env = "PREFIX", value_name = "PATH", value_parser = prefix)]
    pub prefix: Option<String>,
}

/// Where Django keeps the sessions: a row ends with the session in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEngine {
    /// In rows.
    Db,
    /// In rows, and for its own use in a cache as well.
    CachedDb,
}

impl Django {
    /// Who signs people on.
    ///
    /// # Errors
    /// If a key can't be read or is none.
    pub fn sign_on(&self) -> anyhow::Result<SignOn> {
        let Some((key, from)) = secret("DJANGO_SECRET_KEY", "--django-secret-key-file", &self.django_secret_key_file)?
        else {
            let given = &self.django_secret_key_fallbacks_file;
            let fallbacks = secret("DJANGO_SECRET_KEY_FALLBACKS", "--django-secret-key-fallbacks-file", given)?;
            return match fallbacks {
                None => Ok(SignOn::Own),
                Some((_, from)) => {
                    bail!("{from}: there are fallbacks and no key: give --django-secret-key-file as well")
                }
            };
        };
        let given = &self.django_secret_key_fallbacks_file;
        let fallbacks = secret("DJANGO_SECRET_KEY_FALLBACKS", "--django-secret-key-fallbacks-file", given)?;
        let (fallbacks, fallbacks_from) = fallbacks.unwrap_or_default();
        SecretKeys::parse(&key, b"").with_context(|| from.clone())?;
        let keys = SecretKeys::parse(&key, &fallbacks).with_context(|| fallbacks_from)?;
        Ok(SignOn::Django(keys))
    }

    /// What stands before the paths of the pages.
    #[must_use]
    pub fn prefix(&self, sign_on: &SignOn) -> &str {
        let usual = match sign_on {
            SignOn::Own => "/",
            SignOn::Django(_) => "/live/",
        };
        self.prefix.as_deref().unwrap_or(usual)
    }
}

/// A secret from the environment or from a file, and which of them it was.
fn secret(variable: &str, flag: &str, file: &Option<PathBuf>) -> anyhow::Result<Option<(Vec<u8>, String)>> {
    // of the command line others could read it
    let said = std::env::var_os(variable).map(OsStringExt::into_vec);
    match (said, file) {
        (None, None) => Ok(None),
        (Some(said), None) => Ok(Some((said, variable.to_owned()))),
        (None, Some(file)) => {
            let from = format!("{flag} {}", file.display());
            let said = std::fs::read(file).with_context(|| from.clone())?;
            Ok(Some((said, from)))
        }
        (Some(_), Some(_)) => bail!("{variable} and {flag} are both given: expected one of them"),
    }
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
#[command(mut_arg("database_url", |url| url.required(false).required_unless_present_any(["proxy", "database_url_file"]).default_value_if("proxy", ArgPredicate::IsPresent, "")))]
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
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = address)]
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
    #[arg(long, env = "DEMO_DATABASE_PORT", default_value_t = 54329, value_name = "PORT")]
    pub database_port: u16,
}

/// Arguments of `create-user`.
#[derive(Debug, Clone, Args)]
pub struct CreateUser {
    /// Which database.
    #[command(flatten)]
    pub database: Database,
    /// The login, at most 150 characters.
    #[arg(long, value_name = "LOGIN", value_parser = username)]
    pub username: String,
    /// What the user may do.
    #[arg(long, value_parser = crate::store::Role::CODES)]
    pub role: String,
    /// First and last name.
    #[arg(long, default_value = "", value_name = "NAME", value_parser = full_name)]
    pub name: String,
    /// A file with the password in its first line.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an address and port such as 127.0.0.1:8080 or [::1]:8080")
}

fn time_zone(text: &str) -> Result<Tz, &'static str> {
    text.parse().map_err(|_| "expected a time zone of the IANA database such as UTC or Asia/Manila")
}

fn duration(text: &str, from: u64, to: u64, expected: &'static str) -> Result<Duration, &'static str> {
    let duration = humantime::parse_duration(text).map_err(|_| expected)?;
    let within = (Duration::from_secs(from)..=Duration::from_secs(to)).contains(&duration);
    if within { Ok(duration) } else { Err(expected) }
}

fn poll_interval(text: &str) -> Result<Duration, &'static str> {
    duration(text, 1, 3_600, "expected a duration from 1s to 1h such as 5s")
}

fn long_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text, 60, 3_650 * 86_400, "expected a duration from 1min to 3650days such as 14days")
}

fn short_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text, 0, 10, "expected a duration from 0s to 10s such as 1s")
}

fn client_patience(text: &str) -> Result<Duration, &'static str> {
    duration(text, 1, 600, "expected a duration from 1s to 10min such as 20s")
}

fn count(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| (1..=1_000_000).contains(count)).ok_or("expected a number from 1 to 1000000")
}

fn drain_time(text: &str) -> Result<Duration, &'static str> {
    duration(text, 0, 600, "expected a duration from 0s to 10min such as 5s")
}

fn public_url(text: &str) -> Result<PublicUrl, &'static str> {
    let expected = "expected the URL of the service such as https://live.example";
    let (scheme, rest) = text.split_once("://").ok_or(expected)?;
    let host = rest.trim_end_matches('/');
    let is_host = !host.is_empty() && host.bytes().all(|c| c.is_ascii_graphic() && !b"/?#@\\\"<>".contains(&c));
    match scheme {
        "https" if is_host => Ok(PublicUrl { is_https: true }),
        "http" if is_host => Ok(PublicUrl { is_https: false }),
        _ => Err(expected),
    }
}

fn pool_size(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|size| (1..=500).contains(size)).ok_or("expected a number of connections from 1 to 500")
}

fn path(text: &str) -> Result<String, &'static str> {
    let is_path = text.starts_with('/') && !text.starts_with("//") && text.bytes().all(|byte| byte.is_ascii_graphic());
    let is_plain = !text.contains(['?', '#', '\\', '"', '<', '>']);
    if is_path && is_plain {
        Ok(text.to_owned())
    } else {
        Err("expected a path on the same site such as /accounts/login/")
    }
}

/// The first words of paths that the host has itself.
const HOSTS_OWN: [&str; 3] = ["accounts", "orders", "static"];

fn prefix(text: &str) -> Result<String, &'static str> {
    let expected =
        "expected / or a path that begins and ends with a slash, such as /live/, of letters, digits, - and _";
    if text == "/" {
        return Ok(text.to_owned());
    }
    let words = text.strip_prefix('/').and_then(|text| text.strip_suffix('/')).ok_or(expected)?;
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    if !words.split('/').all(is_word) {
        return Err(expected);
    }
    if words.split('/').next().is_some_and(|first| HOSTS_OWN.contains(&first)) {
        return Err("expected another path: the host has pages of its own below /accounts/, /orders/ and /static/");
    }
    Ok(text.to_owned())
}

fn cookie_name(text: &str) -> Result<String, &'static str> {
    let fits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
    if fits { Ok(text.to_owned()) } else { Err("expected the name of a cookie such as sessionid") }
}

fn session_engine(text: &str) -> Result<SessionEngine, &'static str> {
    match text {
        "db" => Ok(SessionEngine::Db),
        "cached_db" => Ok(SessionEngine::CachedDb),
        "cache" | "file" => {
            Err("expected db or cached_db: of sessions in a cache or in files no row tells whether they have ended; \
                                 set Django's SESSION_ENGINE to django.contrib.sessions.backends.cached_db")
        }
        "signed_cookies" => {
            Err("expected db or cached_db: a session that is in its cookie alone can't be ended by anybody; set \
                                 Django's SESSION_ENGINE to django.contrib.sessions.backends.cached_db")
        }
        _ => Err("expected db or cached_db"),
    }
}

fn username(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    let fits = !text.is_empty() && text.chars().count() <= 150 && text.chars().all(allowed);
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 150 letters, digits and @ . + - _") }
}

fn full_name(text: &str) -> Result<String, &'static str> {
    let fits = text.chars().count() <= 150 && !text.chars().any(char::is_control);
    if fits { Ok(text.trim().to_owned()) } else { Err("expected at most 150 characters on one line") }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["oncare-live"].iter().chain(arguments))
    }

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        for (flag, value, expected) in [
            ("--listen", "8080", "127.0.0.1:8080"),
            ("--poll-interval", "0s", "from 1s to 1h"),
            ("--poll-interval", "five", "from 1s to 1h"),
            ("--time-zone", "Manila", "Asia/Manila"),
            ("--currency", "", "₱"),
            ("--pool-size", "0", "from 1 to 500"),
            ("--session-idle", "1s", "such as 14days"),
            ("--public-url", "live.example", "https://live.example"),
            ("--public-url", "https://live.example/a/b", "https://live.example"),
            ("--public-url", "ftp://live.example", "https://live.example"),
            ("--trusted-proxy", "10.0.0.0/40", "10.0.0.0/8"),
            ("--failed-login-takes", "1min", "from 0s to 10s"),
            ("--client-patience", "0s", "from 1s to 10min"),
            ("--max-connections", "0", "from 1 to 1000000"),
            ("--connections-per-address", "many", "from 1 to 1000000"),
            ("--streams-per-user", "0", "from 1 to 1000000"),
            ("--late-after", "pending=4", "pending=4h,shipped=5days"),
            ("--late-after", "delivered=4h", "unfinished statuses"),
            ("--host-edit-path", "/orders/edit/", "with {id} in it"),
            ("--host-cancel-path", "javascript:{id}", "http or https"),
            ("--host-order-path", "//evil/{id}/", "expected a path"),
            ("--prefix", "live", "begins and ends with a slash"),
            ("--prefix", "/live", "begins and ends with a slash"),
            ("--prefix", "//live/", "begins and ends with a slash"),
            ("--prefix", "/../", "begins and ends with a slash"),
            ("--prefix", "/{id}/", "begins and ends with a slash"),
            ("--prefix", "/orders/", "pages of its own"),
            ("--host-login-path", "https://evil.example/", "on the same site"),
            ("--host-logout-path", "//evil.example/", "on the same site"),
            ("--django-session-cookie", "a=b", "such as sessionid"),
            ("--django-session-engine", "cache", "cached_db"),
            ("--django-session-engine", "file", "cached_db"),
            ("--django-session-engine", "signed_cookies", "can't be ended"),
        ] {
            let error = parse(&["serve", "--database-url", "postgresql://h/d", flag, value]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(flag) && text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_its_password() {
        let cli = parse(&["doctor", "--database-url", "mysql://u:s3cret@h/d"]).unwrap();
        let Command::Doctor(Doctor { database, .. }) = &cli.command else { panic!("not the doctor") };
        let error = format!("{:#} {cli:?}", database.url().unwrap_err());
        assert!(error.contains("--database-url: expected a URL such as") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn no_database_is_needed_for_what_a_proxy_is_told() {
        // where the environment names one, there is none to be missed
        if std::env::var_os("DATABASE_URL").is_none() {
            assert!(parse(&["doctor", "--proxy", "nginx"]).is_ok());
            assert_eq!(parse(&["doctor"]).unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
        }
    }

    #[test]
    fn a_password_in_an_argument_is_noticed() {
        let shows =
            |arguments: &[&str]| Database::shows_password(arguments.iter().map(|&argument| argument.to_owned()));
        for url in [
            "postgresql://u:s3cret@h/d",
            "postgres://u:s3cret@h:5432/d?sslmode=require",
            "--database-url=postgresql://u:p@ss@h/d",
            "postgresql://h/d?user=u&password=s3cret",
        ] {
            assert!(shows(&["oncare-live", "serve", url]), "{url}");
        }
        for url in ["postgresql://u@h/d", "postgresql://h:5432/d", "postgresql://u:@h/d", "mysql://u:p@h/d", "a:b@c"] {
            assert!(!shows(&["oncare-live", "serve", url]), "{url}");
        }
    }

    #[test]
    fn a_url_may_stand_in_a_file() {
        let file = std::env::temp_dir().join(format!("oncare-live-url.{}", std::process::id()));
        std::fs::write(&file, "postgresql://u:s3cret@h/d\n").unwrap();
        let name = file.to_str().unwrap();
        let url = |arguments: &[&str]| {
            let cli = parse(&[&["doctor"], arguments].concat()).unwrap();
            let Command::Doctor(Doctor { database, .. }) = cli.command else { panic!("not the doctor") };
            database.url()
        };
        let said = url(&["--database-url-file", name]).map(|url| url.to_string());
        let both = url(&["--database-url-file", name, "--database-url", "postgresql://h/d"]).map(drop);
        std::fs::remove_file(&file).unwrap();
        let missing = url(&["--database-url-file", name]).map(drop);
        if std::env::var_os("DATABASE_URL").is_none() {
            assert!(said.unwrap().contains("h"));
            assert!(missing.unwrap_err().to_string().contains(name));
        }
        assert!(both.unwrap_err().to_string().contains("expected one of them"));
    }

    /// Everybody on the machine reads arguments. A secret is named by a file, or stands in the environment; of the one that may have a
    /// password in it, that is said.
    #[test]
    fn no_argument_has_a_secret_but_the_url_that_is_warned_of() {
        let program = <Cli as clap::CommandFactory>::command();
        let mut arguments = 0;
        for command in program.get_subcommands() {
            for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
                arguments += 1;
                let name = argument.get_id().as_str();
                let is_secret = ["password", "secret", "key", "token", "url"].iter().any(|word| name.contains(word));
                let is_known = name.ends_with("_file") || ["database_url", "public_url"].contains(&name);
                assert!(!is_secret || is_known, "{} --{name}", command.get_name());
                // nor does the help show what the environment has
                assert!(name != "database_url" || argument.is_hide_env_values_set());
            }
        }
        assert!(arguments > 40, "{arguments}");
    }

    #[test]
    fn there_is_no_argument_for_a_password() {
        let error = parse(&["create-user", "--username", "a", "--role", "admin", "--password", "x"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
    }
}
