//! What goes wrong with the database, with what was attempted and its cause.

use std::error::Error;
use std::sync::Arc;

use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};

use super::said::ServerSaid;

type Cause = Box<dyn Error + Send + Sync>;

/// A failed attempt at the database. `Display` says what was attempted; [`StoreError::chain`] says all.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, ended the connection, or says that it can't serve now. Trying again later may help.
    #[error("could not {attempted}{}", unless_said(.cause))]
    Unavailable {
        /// What was attempted.
        attempted: &'static str,
        /// What the driver or the server said.
        #[source]
        cause: Cause,
    },
    /// The statement took too long, or somebody ended it.
    #[error("could not {attempted} in time")]
    TooSlow {
        /// What was attempted.
        attempted: &'static str,
        /// What the driver said.
        #[source]
        cause: Cause,
    },
    /// The database refused the statement.
    #[error("could not {attempted}")]
    Refused {
        /// What was attempted.
        attempted: &'static str,
        /// What the driver said.
        #[source]
        cause: Cause,
    },
    /// A value from the database is not what it must be.
    #[error("could not read {what} from the database")]
    Unreadable {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
    /// The server just recovered from a crash and its new epoch is not named yet; the listener names it on connecting.
    #[error("the server has just recovered from a crash")]
    NoEpoch,
    /// The configured server is a standby: it cannot notify, and its snapshots can omit transactions in progress.
    #[error("the database server is a standby; the URL must name the primary")]
    Standby,
    /// The database can't be used as it is, and says what to do.
    #[error("{0}")]
    Unsuitable(String),
    /// A read that answered many at once failed for all of them.
    #[error(transparent)]
    Shared(Arc<StoreError>),
}

impl StoreError {
    pub(in crate::store) fn of(error: tokio_postgres::Error, attempted: &'static str) -> Self {
        let (state, is_outage) = (error.code().cloned(), is_outage(&error));
        let cause = without_values(error);
        // a trigger may raise any state, also one that else says that the server can't answer
        let breaks_rule = cause.downcast_ref::<ServerSaid>().is_some_and(|said| said.broken_rule().is_some());
        if breaks_rule {
            Self::Refused { attempted, cause }
        } else if state == Some(SqlState::QUERY_CANCELED) {
            Self::TooSlow { attempted, cause }
        } else if is_outage {
            Self::Unavailable { attempted, cause }
        } else {
            Self::Refused { attempted, cause }
        }
    }

    pub(in crate::store) fn unreadable(what: &'static str, cause: impl Into<Cause>) -> Self {
        Self::Unreadable { what, cause: cause.into() }
    }

    /// Whether the database is out of reach, rather than the request wrong.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::NoEpoch | Self::Standby => true,
            Self::Shared(error) => error.is_outage(),
            Self::TooSlow { .. } | Self::Refused { .. } | Self::Unreadable { .. } | Self::Unsuitable(_) => false,
        }
    }

    /// Whether the database answers, and only what is in it can't be told: by us, or by the server, which can't turn a text or
    /// number into what was asked for.
    #[must_use]
    pub fn is_of_the_data(&self) -> bool {
        match self {
            Self::Unreadable { .. } => true,
            Self::Refused { .. } => self.said().is_some_and(|said| said.state().code().starts_with("22")),
            Self::Shared(error) => error.is_of_the_data(),
            _ => false,
        }
    }

    /// Whether this service's role lacks a right. Who grants it mends that.
    #[must_use]
    pub fn is_lack_of_rights(&self) -> bool {
        match self {
            Self::Refused { .. } => {
                let lacks = |said: &ServerSaid| *said.state() == SqlState::INSUFFICIENT_PRIVILEGE;
                self.said().is_some_and(lacks) && self.broken_rule().is_none()
            }
            Self::Shared(error) => error.is_lack_of_rights(),
            _ => false,
        }
    }

    /// Whether the server's disk is full.
    #[must_use]
    pub fn is_lack_of_room(&self) -> bool {
        match self {
            Self::Shared(error) => error.is_lack_of_room(),
            _ => self.said().is_some_and(|said| *said.state() == SqlState::DISK_FULL),
        }
    }

    /// Whether a table, column or function is missing of which our own statements are made: the schema is older or somebody changed
    /// what is there, and who puts that right mends it.
    #[must_use]
    pub fn is_of_the_schema(&self) -> bool {
        match self {
            Self::Refused { .. } => {
                self.said().is_some_and(ServerSaid::lacks_something_named) && self.broken_rule().is_none()
            }
            Self::Shared(error) => error.is_of_the_schema(),
            _ => false,
        }
    }

    /// Which rule of the host's a write broke, in plain words: a constraint's, or one that a trigger keeps. Nobody's fault but the
    /// writer's, who is told.
    #[must_use]
    pub fn broken_rule(&self) -> Option<String> {
        match self {
            Self::Refused { .. } => self.said()?.broken_rule(),
            _ => None,
        }
    }

    pub(super) fn said(&self) -> Option<&ServerSaid> {
        match self {
            Self::Refused { cause, .. } | Self::Unavailable { cause, .. } => cause.downcast_ref(),
            _ => None,
        }
    }

    /// Whether the database answers, and only this took it too long.
    #[must_use]
    pub fn is_slowness(&self) -> bool {
        match self {
            Self::TooSlow { .. } => true,
            Self::Shared(error) => error.is_slowness(),
            _ => false,
        }
    }

    /// What was attempted and every cause below it, on one line. (The driver's own `Display` says only "db error".)
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and every cause below it, on one line. Of what the server said only what has nobody's data in it.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said =
            cause.downcast_ref::<DbError>().map_or_else(|| cause.to_string(), |said| ServerSaid::of(said).to_string());
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// That the database is unavailable, where no answer of its own says more.
fn unless_said(cause: &Cause) -> &'static str {
    if cause.is::<ServerSaid>() { "" } else { ": the database is unavailable" }
}

/// The same error, of which nothing shows anybody's data, however it is written.
fn without_values(error: tokio_postgres::Error) -> Cause {
    match error.as_db_error() {
        Some(said) => ServerSaid::of(said).into(),
        None => error.into(),
    }
}

/// What was to be written of a form: it is, or which rule of the host's it broke.
///
/// # Errors
/// All others.
pub(in crate::store) fn unless_against_rule<T>(
    written: Result<T, StoreError>,
) -> Result<Result<T, String>, StoreError> {
    written.map(Ok).or_else(|error| match error.broken_rule() {
        Some(rule) => {
            tracing::warn!(error = error.chain(), "a rule of the tables' owner refused what a form was to write");
            Ok(Err(rule))
        }
        None => Err(error),
    })
}

/// What the server said to a statement that defines something, else what kept it from saying anything.
pub(in crate::store) fn words_of(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| chain(error), |said| ServerSaid::of_definition(said).to_string())
}

/// Says what was attempted when it failed.
pub(in crate::store) trait Attempt<T> {
    /// Adds what was attempted to an error, as in "could not {attempted}".
    ///
    /// # Errors
    /// The same, told better.
    fn attempt(self, attempted: &'static str) -> Result<T, StoreError>;
}

impl<T> Attempt<T> for Result<T, tokio_postgres::Error> {
    fn attempt(self, attempted: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::of(error, attempted))
    }
}

impl<T> Attempt<T> for Result<T, deadpool_postgres::PoolError> {
    fn attempt(self, attempted: &'static str) -> Result<T, StoreError> {
        let cause = |error| match error {
            PoolError::Backend(error) => without_values(error),
            other => other.into(),
        };
        self.map_err(|error| StoreError::Unavailable { attempted, cause: cause(error) })
    }
}

impl<T> Attempt<T> for Result<T, deadpool_postgres::BuildError> {
    fn attempt(self, attempted: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Refused { attempted, cause: error.into() })
    }
}

/// Lost connections have no SQL state. Classes 08, 53 and 57P say that the server can't serve now,
/// 25006 that it is a standby.
fn is_outage(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        None => error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>()),
        Some(state) => ["08", "25006", "53", "57P"].iter().any(|class| state.code().starts_with(class)),
    }
}
