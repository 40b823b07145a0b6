//! Which database.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::values::{self, Secret, SecretParser};
use crate::store::DatabaseUrl;

/// Which database.
#[derive(Debug, Clone, Args)]
pub struct Database {
    /// The database, as `postgresql://user@host:5432/name?sslmode=verify-full`. With a password in it, give it by the environment or by
    /// a file: who is on the machine can read the arguments of every process.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = values::database_url)]
    pub database_url: Option<DatabaseUrl>,
    /// A file with the URL alone, in place of the URL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,
    /// The password, where the URL has none. No argument has it, as others could read it.
    #[arg(long, env = "ONCARE_LIVE_DATABASE_PASSWORD", hide = true, hide_env_values = true, value_parser = SecretParser(values::database_password))]
    pub database_password: Option<Secret>,
    /// A file with the password alone, where the URL has none.
    #[arg(long, env = "ONCARE_LIVE_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,
}

impl Database {
    /// The URL, with the password.
    ///
    /// # Errors
    /// If there is none, or if there are two passwords.
    pub fn url(&self) -> anyhow::Result<DatabaseUrl> {
        let url = self.database_url.clone().context(
            "no database is named: expected --database-url, ONCARE_LIVE_DATABASE_URL or DATABASE_URL, or database_url in the \
             file of --config; or a file with the URL, by --database-url-file",
        )?;
        match &self.database_password {
            None => Ok(url),
            Some(password) => url.with_password(password.line()).context("database_password"),
        }
    }
}

/// Whether a database's URL has a password in it, as the driver reads it; of what is no such URL, that is not known.
pub(super) fn has_password(url: &str) -> Option<bool> {
    DatabaseUrl::parse(url).ok().map(|url| url.has_password())
}
