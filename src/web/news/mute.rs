//! Muting an order: its owner's bell goes on to list its changes, and nobody is told of them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use crate::order::Invalid;
use crate::store::{MOST_MUTED, MuteOutcome};
use crate::web::address::local_path;
use crate::web::app::App;
use crate::web::request::accept::accepts_json;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::path::OrderPath;
use crate::web::request::session::OrderReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

/// `muted` is `1` to mute, and empty to be told again. A browser's form leads on to `next`, else to the order.
pub(crate) async fn change(
    State(app): State<App>,
    OrderReader { user, .. }: OrderReader,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&user)?;
    let muted = match form.fields("muted").last() {
        Some("1") => true,
        Some("") => false,
        _ => return Err(Failure::Invalid(vec![Invalid { parameter: "muted", expected: "expected 1, or nothing" }])),
    };
    let _turn = turn(&app, &user, Kind::Other).await?;
    let outcome = if muted { app.store.mute(&user, id).await? } else { app.store.unmute(&user, id).await? };
    match outcome {
        MuteOutcome::Done => {}
        MuteOutcome::NoSuchOrder => return Err(Failure::NotFound),
        MuteOutcome::TooMany => {
            return Err(Failure::Conflict(format!("there are {MOST_MUTED} muted orders already; unmute some first")));
        }
    }
    if accepts_json(&headers) {
        let answer = Json(json!({ "order_id": id, "muted": muted }));
        return Ok(([(header::CACHE_CONTROL, "no-store")], answer).into_response());
    }
    let order = app.settings.site.order(id);
    Ok(Redirect::to(local_path(form.field("next")).unwrap_or(&order)).into_response())
}
