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

/// Where the database is. Neither `Debug` nor `Display` shows the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    verification: Verification,
    root_certificate: Option<PathBuf>,
    shown: String,
}

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
        let mut verification = Verification::None;
        let mut ssl_mode = SslMode::Prefer;
        let mut root_certificate = None;
        let mut given = Vec::new();
        let mut rest = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "sslmode" => {
                    (ssl_mode, verification) = match value.as_ref() {
                        "disable" => (SslMode::Disable, Verification::None),
                        "allow" | "prefer" => (SslMode::Prefer, Verification::None),
                        "require" => (SslMode::Require, Verification::None),
                        "verify-ca" => (SslMode::Require, Verification::Authority),
                        "verify-full" => (SslMode::Require, Verification::Full),
                        _ => {
                            return Err("sslmode: expected disable, allow, prefer, require, verify-ca or verify-full"
                                .to_owned());
                        }
                    };
                }
                "sslrootcert" => root_certificate = Some(PathBuf::from(value.as_ref())),
                _ => {
                    // the driver has another name for it than libpq
                    let name = if name == "keepalives_count" { "keepalives_retries".into() } else { name };
                    rest.append_pair(&name, &value);
                    given.push(name);
                }
            }
        }
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

    pub(in crate::store) fn config(&self) -> Config {
        self.config.clone()
    }

    pub(in crate::store) fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        connector(self.verification, self.root_certificate.as_deref())
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
    fn every_sslmode_of_libpq_is_understood() {
        for (mode, ssl, verification) in [
            ("disable", SslMode::Disable, Verification::None),
            ("prefer", SslMode::Prefer, Verification::None),
            ("require", SslMode::Require, Verification::None),
            ("verify-ca", SslMode::Require, Verification::Authority),
            ("verify-full", SslMode::Require, Verification::Full),
        ] {
            let url = DatabaseUrl::parse(&format!("postgres://h/d?sslmode={mode}&connect_timeout=3")).unwrap();
            assert_eq!((url.config.get_ssl_mode(), url.verification), (ssl, verification));
            assert_eq!(url.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
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
