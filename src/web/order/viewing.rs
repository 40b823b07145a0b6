//! Who looks at an order now: a page says so every few seconds while it is looked at, and is told who else does.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::order::Invalid;
use crate::store::Viewed;
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::path::OrderPath;
use crate::web::request::session::OrderReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

/// Longest id that a page may give itself, in bytes.
const LONGEST_PAGE_ID: usize = 64;

/// The page is looked at; or, with `leaving`, no more. Says with the others whether anything of the order was written, as
/// the triggers record only what the list shows.
pub(crate) async fn heartbeat(
    State(app): State<App>,
    OrderReader { user, .. }: OrderReader,
    OrderPath(id): OrderPath,
    form: Form,
) -> Result<Response, Failure> {
    if form.is_anothers(&user) {
        return Err(Failure::NotSignedIn);
    }
    let page = form.field("page");
    let is_id = !page.is_empty() && page.len() <= LONGEST_PAGE_ID && page.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id {
        return Err(Failure::Invalid(vec![Invalid {
            parameter: "page",
            expected: "expected 1 to 64 letters and digits",
        }]));
    }
    let _turn = turn(&app, &user, Kind::Other).await?;
    if !form.field("leaving").is_empty() {
        app.store.leave_order(id, page, &user).await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Viewed { viewers, touched } = app.store.view_order(id, page, &user).await?.ok_or(Failure::NotFound)?;
    let about = [(header::CACHE_CONTROL, "no-store")];
    Ok((about, Json(json!({ "viewers": viewers, "touched": touched }))).into_response())
}
