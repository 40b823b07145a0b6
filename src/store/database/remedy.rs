//! What helps against a failure that goes on by itself until somebody does something.

use tokio_postgres::error::SqlState;

use super::error::StoreError;

/// What a database lacks that has not been migrated, or of which somebody took something away.
const MISSING: [SqlState; 4] = [
    SqlState::UNDEFINED_TABLE,
    SqlState::UNDEFINED_FUNCTION,
    SqlState::UNDEFINED_COLUMN,
    SqlState::INVALID_SCHEMA_NAME,
];

impl StoreError {
    /// What somebody can do about it, if anything is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        if let Self::Shared(error) = self {
            return error.remedy();
        }
        match self.said()?.state() {
            state if MISSING.contains(state) => {
                Some("run oncare-live migrate; if that does not help, oncare-live doctor says what is missing")
            }
            &SqlState::INSUFFICIENT_PRIVILEGE => {
                Some("oncare-live doctor --grants ROLE prints what the service's role needs")
            }
            &SqlState::DISK_FULL => Some("make room on the database server's disk"),
            &SqlState::TOO_MANY_CONNECTIONS => {
                Some("the database server has no connection left: raise its max_connections, or lower --pool-size")
            }
            _ => None,
        }
    }
}
