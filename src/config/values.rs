//! What a setting's text means, and what was expected where it means nothing. No message repeats the text.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use chrono_tz::Tz;
use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use tracing_subscriber::filter::Targets;

use crate::django::SecretKeys;
use crate::log;
use crate::store::DatabaseUrl;

/// Where people reach the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicUrl {
    /// Whether that is by HTTPS.
    pub is_https: bool,
}

/// Where Django keeps the sessions: a row ends with the session in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEngine {
    /// In rows.
    Db,
    /// In rows, and for its own use in a cache as well.
    CachedDb,
}

/// A secret as it was given. Nothing shows it.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// What it is.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its only line.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        let line = self.0.strip_suffix(b"\n").unwrap_or(&self.0);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Takes a secret, which need not be text, if this finds nothing wrong with it.
#[derive(Clone, Copy)]
pub(super) struct SecretParser(pub fn(&[u8]) -> Result<(), String>);

impl TypedValueParser for SecretParser {
    type Value = Secret;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Secret, clap::Error> {
        let named = argument.map(ToString::to_string).unwrap_or_default();
        self.0(value.as_bytes()).map_err(|expected| {
            let mut error = clap::Error::new(ErrorKind::ValueValidation).with_cmd(command);
            error.insert(ContextKind::InvalidArg, ContextValue::String(named));
            error.insert(ContextKind::Custom, ContextValue::String(expected));
            error
        })?;
        Ok(Secret(value.as_bytes().to_vec()))
    }
}

pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    DatabaseUrl::parse(text.trim())
}

pub(super) fn database_password(password: &[u8]) -> Result<(), String> {
    let password = Secret(password.to_vec());
    match password.line() {
        b"" => Err("it is empty: expected the password".to_owned()),
        line if line.contains(&b'\n') => Err("it has several lines: expected the password alone".to_owned()),
        _ => Ok(()),
    }
}

pub(super) fn secret_key(key: &[u8]) -> Result<(), String> {
    SecretKeys::parse(key, b"").map(drop).map_err(|error| error.to_string())
}

pub(super) fn secret_key_fallbacks(fallbacks: &[u8]) -> Result<(), String> {
    const A_KEY: &[u8] = b"stands for the key before them";
    SecretKeys::parse(A_KEY, fallbacks).map(drop).map_err(|error| error.to_string())
}

pub(super) fn log_filter(text: &str) -> Result<Targets, &'static str> {
    log::parse_filter(text)
}

pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an address and port such as 127.0.0.1:8080 or [::1]:8080")
}

pub(super) fn time_zone(text: &str) -> Result<Tz, &'static str> {
    text.parse().map_err(|_| "expected a time zone of the IANA database such as UTC or Asia/Manila")
}

fn duration(text: &str, from: u64, to: u64, expected: &'static str) -> Result<Duration, &'static str> {
    let duration = humantime::parse_duration(text).map_err(|_| expected)?;
    let within = (Duration::from_secs(from)..=Duration::from_secs(to)).contains(&duration);
    if within { Ok(duration) } else { Err(expected) }
}

pub(super) fn poll_interval(text: &str) -> Result<Duration, &'static str> {
    duration(text, 1, 3_600, "expected a duration from 1s to 1h such as 5s")
}

pub(super) fn long_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text, 60, 3_650 * 86_400, "expected a duration from 1min to 3650days such as 14days")
}

pub(super) fn audit_interval(text: &str) -> Result<Duration, &'static str> {
    let expected = "expected a duration from 1s to 1day such as 60s, or 0s";
    duration(text, 0, 0, expected).or_else(|_| duration(text, 1, 86_400, expected))
}

pub(super) fn short_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text, 0, 10, "expected a duration from 0s to 10s such as 1s")
}

pub(super) fn client_patience(text: &str) -> Result<Duration, &'static str> {
    duration(text, 1, 600, "expected a duration from 1s to 10min such as 20s")
}

pub(super) fn count(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| (1..=1_000_000).contains(count)).ok_or("expected a number from 1 to 1000000")
}

pub(super) fn drain_time(text: &str) -> Result<Duration, &'static str> {
    duration(text, 0, 600, "expected a duration from 0s to 10min such as 5s")
}

pub(super) fn public_url(text: &str) -> Result<PublicUrl, &'static str> {
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

pub(super) fn pool_size(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|size| (1..=500).contains(size)).ok_or("expected a number of connections from 1 to 500")
}

pub(super) fn path(text: &str) -> Result<String, &'static str> {
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

pub(super) fn prefix(text: &str) -> Result<String, &'static str> {
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

pub(super) fn cookie_name(text: &str) -> Result<String, &'static str> {
    let fits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
    if fits { Ok(text.to_owned()) } else { Err("expected the name of a cookie such as sessionid") }
}

pub(super) fn session_engine(text: &str) -> Result<SessionEngine, &'static str> {
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

pub(super) fn username(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    let fits = !text.is_empty() && text.chars().count() <= 150 && text.chars().all(allowed);
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 150 letters, digits and @ . + - _") }
}

pub(super) fn full_name(text: &str) -> Result<String, &'static str> {
    let fits = text.chars().count() <= 150 && !text.chars().any(char::is_control);
    if fits { Ok(text.trim().to_owned()) } else { Err("expected at most 150 characters on one line") }
}
