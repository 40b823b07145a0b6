//! What a path names.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::asker;
use super::failure::Failure;
use crate::order::OrderId;
use crate::web::app::App;

/// An order's id in a path. What is no id is no order.
pub(crate) struct OrderPath(pub(crate) OrderId);

impl FromRequestParts<App> for OrderPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Path(id) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| Failure::NotFound)?;
        let order = id.parse().map(|id| Self(OrderId(id))).map_err(|_| Failure::NotFound)?;
        asker::names_order(parts);
        Ok(order)
    }
}
