//! How long something may take.

use std::time::Duration;

use tokio::time::timeout;

use crate::store::StoreError;

/// Does something within `patience`. `attempted` says what, and in what time: `read the events within 20 s`.
pub(super) async fn within<T>(
    patience: Duration,
    attempted: &'static str,
    attempt: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |elapsed: tokio::time::error::Elapsed| StoreError::Unavailable { attempted, cause: elapsed.into() };
    timeout(patience, attempt).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}
