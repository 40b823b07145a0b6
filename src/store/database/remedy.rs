//! What helps against a failure that goes on by itself until somebody does something.

use tokio_postgres::error::SqlState;

use super::error::StoreError;
use super::said::{Crowd, ServerSaid};

impl StoreError {
    /// What somebody can do about it, if anything is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        if let Self::Shared(error) = self {
            return error.remedy();
        }
        remedy(self.said()?)
    }
}

fn remedy(said: &ServerSaid) -> Option<&'static str> {
    match *said.state() {
        _ if said.lacks_something_named() => Some(if said.is_of_own_schema() {
            "run oncare-live migrate, if the URL names the right database; oncare-live doctor says what is missing"
        } else {
            "oncare-live doctor says what is missing: what the host's tables lack only their owner can give back, or the URL names \
             another database than theirs; for what schema live lacks run oncare-live migrate"
        }),
        SqlState::INSUFFICIENT_PRIVILEGE => {
            Some("oncare-live doctor --grants ROLE prints what the service's role needs")
        }
        SqlState::DISK_FULL => Some("make room on the database server's disk"),
        SqlState::TOO_MANY_CONNECTIONS => Some(match said.crowd() {
            Some(Crowd::Role) => {
                "the role may have no further connection: alter role … connection limit, or lower --pool-size"
            }
            Some(Crowd::Database) => {
                "the database may have no further connection: alter database … connection limit, or lower --pool-size"
            }
            _ => "the database server has no connection left: raise its max_connections, or lower --pool-size",
        }),
        SqlState::INVALID_CATALOG_NAME => Some("the URL's database is not there: name the one that has the orders"),
        SqlState::INVALID_PASSWORD => {
            Some("the URL's role or password is wrong: see --database-url-file and --database-password-file")
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Some(
            "the URL's role is not there or may not log in, or the server's pg_hba.conf lets it in by no way: alter role … login",
        ),
        _ => None,
    }
}
