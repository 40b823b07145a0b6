//! Who signs people on.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::values::{self, Secret, SecretParser, SessionEngine};
use crate::django::SecretKeys;
use crate::store::SignOn;

/// Who signs people on: the service itself, or the Django that owns the tables; and where the pages are. What Django's settings say
/// can't be read from its database, so that what differs from its defaults must be said here.
#[derive(Debug, Clone, Args)]
pub struct Django {
    /// Sign people on by Django's sessions, by its SECRET_KEY. No argument has it, as others could read it.
    #[arg(long, env = "DJANGO_SECRET_KEY", hide = true, hide_env_values = true, value_parser = SecretParser(values::secret_key))]
    pub django_secret_key: Option<Secret>,
    /// Sign people on by Django's sessions: the file has its SECRET_KEY. The environment variable DJANGO_SECRET_KEY may have it instead.
    #[arg(long, env = "DJANGO_SECRET_KEY_FILE", value_name = "FILE")]
    pub django_secret_key_file: Option<PathBuf>,
    /// Django's SECRET_KEY_FALLBACKS, one a line. Likewise.
    #[arg(long, env = "DJANGO_SECRET_KEY_FALLBACKS", hide = true, hide_env_values = true, value_parser = SecretParser(values::secret_key_fallbacks))]
    pub django_secret_key_fallbacks: Option<Secret>,
    /// A file with Django's SECRET_KEY_FALLBACKS, one a line; or DJANGO_SECRET_KEY_FALLBACKS, likewise.
    #[arg(long, env = "DJANGO_SECRET_KEY_FALLBACKS_FILE", value_name = "FILE")]
    pub django_secret_key_fallbacks_file: Option<PathBuf>,
    /// Django's SESSION_COOKIE_NAME.
    #[arg(long, env = "DJANGO_SESSION_COOKIE", default_value = "sessionid", value_name = "NAME", value_parser = values::cookie_name)]
    pub django_session_cookie: String,
    /// Django's SESSION_ENGINE, by its last word.
    #[arg(long, env = "DJANGO_SESSION_ENGINE", default_value = "db", value_name = "db|cached_db", value_parser = values::session_engine)]
    pub django_session_engine: SessionEngine,
    /// Where people sign in at Django.
    #[arg(long, env = "HOST_LOGIN_PATH", default_value = "/accounts/login/", value_name = "PATH", value_parser = values::path)]
    pub host_login_path: String,
    /// The page at which people find Django's sign-out: since Django 5 that is a form, which no link can stand for.
    #[arg(long, env = "HOST_LOGOUT_PATH", default_value = "/orders/", value_name = "PATH", value_parser = values::path)]
    pub host_logout_path: String,
    /// What stands before the paths of the pages, as /live/; with a secret key that is the default, else / is.
    #[arg(long, env = "ONCARE_LIVE_PREFIX", value_name = "PATH", value_parser = values::prefix)]
    pub prefix: Option<String>,
}

impl Django {
    /// Who signs people on.
    ///
    /// # Errors
    /// If there are former keys and no key.
    pub fn sign_on(&self) -> anyhow::Result<SignOn> {
        let fallbacks = self.django_secret_key_fallbacks.as_ref();
        let Some(key) = &self.django_secret_key else {
            if fallbacks.is_some() {
                bail!(
                    "django_secret_key_fallbacks: there is no key beside them: expected django_secret_key_file as well"
                );
            }
            return Ok(SignOn::Own);
        };
        let keys = SecretKeys::parse(key.bytes(), fallbacks.map_or(b"", Secret::bytes));
        Ok(SignOn::Django(keys.context("django_secret_key")?))
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
