//! The URL of the database, as libpq reads it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::StoreError;
use super::tls::{Verification, connector};

/// How long the TCP connect to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may stay unacknowledged, and when a silent connection is asked for a sign of life, how often and
/// how many times. A peer that vanished is noticed within some ten seconds; by the system's defaults it takes a quarter of an
/// hour, or two hours where nothing is sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
const KEEPALIVES_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVES_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVES: u32 = 3;

/// The `sslrootcert` that stands for the authorities that the machine trusts.
const SYSTEM: &str = "system";

/// Where the database is. Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    verification: Verification,
    root_certificate: Option<PathBuf>,
    shown: String,
}

/// The URL has a password, and there is another one.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the URL has a password in it already: expected one of them")]
pub struct PasswordGiven;

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.shown)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl DatabaseUrl {
    /// Reads `postgresql://user:password@host:port/database?sslmode=…&sslrootcert=…`.
    ///
    /// # Errors
    /// What was expected. The message never repeats the URL, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected a URL such as postgresql://user:password@host:5432/database?sslmode=require";
        if !(text.starts_with("postgresql://") || text.starts_with("postgres://")) {
            return Err(EXPECTED.to_owned());
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut roots) = (None, None);
        let mut given = Vec::new();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "sslmode" => mode = Some(value),
                "sslrootcert" => roots = Some(value).filter(|roots| !roots.is_empty()),
                _ => {
                    // the driver has another name for it than libpq
                    let name = if name == "keepalives_count" { "keepalives_retries".into() } else { name };
                    rest.append_pair(&name, &value);
                    given.push(name);
                }
            }
        }
        let (ssl_mode, verification) = checked(mode.as_deref(), roots.as_deref())?;
        let root_certificate = roots.filter(|roots| roots != SYSTEM).map(|roots| PathBuf::from(roots.as_ref()));
        // the driver takes a query's plus sign literally, unlike a form
        let rest = rest.finish().replace('+', "%20");
        let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{rest}") };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
            format!("{EXPECTED}{cause}")
        })?;
        if config.get_hosts().is_empty() {
            return Err(format!("{EXPECTED} (the host is missing)"));
        }
        config.ssl_mode(ssl_mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("oncare-live");
        }
        let is_given = |name: &str| given.iter().any(|given| given == name);
        if !is_given("tcp_user_timeout") {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if !is_given("keepalives_idle") {
            config.keepalives_idle(KEEPALIVES_IDLE);
        }
        if !is_given("keepalives_interval") {
            config.keepalives_interval(KEEPALIVES_INTERVAL);
        }
        if !is_given("keepalives_retries") {
            config.keepalives_retries(KEEPALIVES);
        }
        let shown = without_password(base);
        Ok(Self { config, verification, root_certificate, shown })
    }

    /// With a password that was given apart from it.
    ///
    /// # Errors
    /// If it has one already.
    pub fn with_password(mut self, password: &[u8]) -> Result<Self, PasswordGiven> {
        if self.config.get_password().is_some() {
            return Err(PasswordGiven);
        }
        self.config.password(password);
        Ok(self)
    }

    /// Whether it has a password in it.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some_and(|password| !password.is_empty())
    }

    pub(in crate::store) fn config(&self) -> Config {
        self.config.clone()
    }

    pub(in crate::store) fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        connector(self.verification, self.root_certificate.as_deref())
    }
}

/// Whether there must be TLS, and how the server's certificate is checked, by `sslmode` and `sslrootcert`. As with libpq, whoever
/// names authorities has them verified. Unlike libpq nothing is read from a home folder: `verify-full` alone trusts those
/// that the machine trusts.
fn checked(mode: Option<&str>, roots: Option<&str>) -> Result<(SslMode, Verification), String> {
    use Verification::{Authority, Full, None as Unchecked};
    let if_named = if roots.is_some() { Authority } else { Unchecked };
    match (mode, roots) {
        (None | Some("verify-full"), Some(SYSTEM)) => Ok((SslMode::Require, Full)),
        // everybody has a certificate of some such authority for a name
        (Some(_), Some(SYSTEM)) => Err("sslrootcert=system: expected sslmode=verify-full with it".to_owned()),
        (Some("disable"), _) => Ok((SslMode::Disable, Unchecked)),
        (None | Some("allow" | "prefer"), _) => Ok((SslMode::Prefer, if_named)),
        (Some("require"), _) => Ok((SslMode::Require, if_named)),
        (Some("verify-ca"), Some(_)) => Ok((SslMode::Require, Authority)),
        (Some("verify-ca"), None) => {
            Err("sslmode=verify-ca: expected sslrootcert with a file of the authority's certificate".to_owned())
        }
        (Some("verify-full"), _) => Ok((SslMode::Require, Full)),
        (Some(_), _) => Err("sslmode: expected disable, allow, prefer, require, verify-ca or verify-full".to_owned()),
    }
}

fn without_password(base: &str) -> String {
    let Some((scheme, rest)) = base.split_once("://") else { return String::new() };
    match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}")
        }
        None => base.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let url = DatabaseUrl::parse("postgresql://rep:s3cret@db.example:5432/oncare?password=s3cret").unwrap();
        for shown in [format!("{url}"), format!("{url:?}")] {
            assert!(shown.contains("rep:***@db.example:5432/oncare") && !shown.contains("s3cret"), "{shown}");
        }
        let tricky = DatabaseUrl::parse("postgresql://rep:p@ss@db/oncare").map(|url| url.to_string());
        assert!(!tricky.clone().unwrap_or_default().contains("ss@"), "{tricky:?}");
    }

    #[test]
    fn a_wrong_url_says_what_was_expected_and_not_what_was_given() {
        for text in
            ["", "s3cret", "mysql://u:s3cret@h/d", "postgresql://u:s3cret@h:port/d", "postgresql:///d?sslmode=s3cret"]
        {
            let error = DatabaseUrl::parse(text).unwrap_err();
            assert!(error.contains("expected") && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn sslmode_and_sslrootcert_mean_what_they_mean_to_libpq() {
        use Verification::{Authority, Full, None as Unchecked};
        for (parameters, ssl, verification, file) in [
            ("", SslMode::Prefer, Unchecked, None),
            ("sslmode=disable", SslMode::Disable, Unchecked, None),
            ("sslmode=disable&sslrootcert=ca.pem", SslMode::Disable, Unchecked, Some("ca.pem")),
            ("sslmode=allow", SslMode::Prefer, Unchecked, None),
            ("sslmode=prefer", SslMode::Prefer, Unchecked, None),
            ("sslmode=prefer&sslrootcert=ca.pem", SslMode::Prefer, Authority, Some("ca.pem")),
            ("sslrootcert=ca.pem", SslMode::Prefer, Authority, Some("ca.pem")),
            ("sslmode=require", SslMode::Require, Unchecked, None),
            ("sslmode=require&sslrootcert=", SslMode::Require, Unchecked, None),
            ("sslmode=require&sslrootcert=ca.pem", SslMode::Require, Authority, Some("ca.pem")),
            ("sslrootcert=ca.pem&sslmode=verify-ca", SslMode::Require, Authority, Some("ca.pem")),
            ("sslmode=verify-full&sslrootcert=ca.pem", SslMode::Require, Full, Some("ca.pem")),
            ("sslmode=verify-full&sslrootcert=system", SslMode::Require, Full, None),
            ("sslrootcert=system", SslMode::Require, Full, None),
            ("sslmode=verify-full", SslMode::Require, Full, None),
        ] {
            let url = DatabaseUrl::parse(&format!("postgres://h/d?connect_timeout=3&{parameters}")).unwrap();
            assert_eq!((url.config.get_ssl_mode(), url.verification), (ssl, verification), "{parameters}");
            assert_eq!(url.root_certificate, file.map(PathBuf::from), "{parameters}");
            assert_eq!(url.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        }
        for (parameters, expected) in [
            ("sslmode=verify-ca", "sslmode=verify-ca: expected sslrootcert"),
            ("sslmode=verify-ca&sslrootcert=", "sslmode=verify-ca: expected sslrootcert"),
            ("sslmode=verify-ca&sslrootcert=system", "sslrootcert=system: expected sslmode=verify-full"),
            ("sslmode=require&sslrootcert=system", "sslrootcert=system: expected sslmode=verify-full"),
            ("sslmode=disable&sslrootcert=system", "sslrootcert=system: expected sslmode=verify-full"),
            ("sslmode=verify", "sslmode: expected disable, "),
        ] {
            let error = DatabaseUrl::parse(&format!("postgres://h/d?{parameters}")).unwrap_err();
            assert!(error.starts_with(expected), "{parameters}: {error}");
        }
    }

    #[test]
    fn a_peer_that_vanished_is_noticed_and_the_url_says_otherwise() {
        let seconds = |text: &str| {
            let config = DatabaseUrl::parse(&format!("postgres://h/d{text}")).unwrap().config;
            let (idle, interval) = (config.get_keepalives_idle(), config.get_keepalives_interval());
            let times = [config.get_tcp_user_timeout().copied(), Some(idle), interval];
            (times.map(|time| time.unwrap_or_default().as_secs()), config.get_keepalives_retries())
        };
        assert_eq!(seconds(""), ([10, 5, 2], Some(3)));
        let given = "?tcp_user_timeout=60&keepalives_idle=30&keepalives_interval=9&keepalives_count=7";
        assert_eq!(seconds(given), ([60, 30, 9], Some(7)));
        assert_eq!(seconds("?keepalives_retries=8"), ([10, 5, 2], Some(8)));
    }
}
