//! Changing where an order stands, from its page.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::overtaken::{Overtaken, standing_seen};
use super::page::{Attempt, Why, show};
use super::refusal::{against_rule, locked};
use crate::order::{OrderId, PaymentStatus, Status, Wanted};
use crate::store::{SignedIn, StatusChange, StatusOutcome};
use crate::web::app::App;
use crate::web::page::host::takes_form;
use crate::web::request::accept::accepts_json;
use crate::web::request::failure::Failure;
use crate::web::request::form::{Form, LONGEST_TEXT, too_long_or_unwritable};
use crate::web::request::path::OrderPath;
use crate::web::request::session::Pharmacist;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

pub(crate) async fn change(
    State(app): State<App>,
    Pharmacist { user, .. }: Pharmacist,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&user)?;
    let _turn = turn(&app, &user, Kind::Change).await?;
    takes_form(&app).await?;
    let (wanted, note) = (wanted(&form)?, form.text("note"));
    let was = standing_seen(form.field("version"))?;
    let why = match too_long_or_unwritable(&note, LONGEST_TEXT) {
        Some(problem) => Why::Note(problem),
        None => {
            let change = StatusChange { wanted: wanted.clone(), note: note.clone() };
            let (_, outcome) =
                app.store.change_status(id, was.as_ref(), &change, &user).await?.ok_or(Failure::NotFound)?;
            match outcome {
                StatusOutcome::Changed => return Ok(Redirect::to(&app.settings.site.order(id)).into_response()),
                StatusOutcome::Refused(refusal) => Why::Refused(refusal),
                StatusOutcome::Locked => Why::Locked,
                StatusOutcome::Overtaken => Why::Overtaken,
                StatusOutcome::AgainstRule(rule) => Why::AgainstRule(rule),
            }
        }
    };
    let attempt = Attempt { was, wanted, note, why };
    if accepts_json(&headers) {
        Err(failure(&app, &user, id, attempt).await?)
    } else {
        show(&app, &user, id, Some(attempt)).await
    }
}

/// The same for a client that can't read pages.
async fn failure(app: &App, user: &SignedIn, id: OrderId, attempt: Attempt) -> Result<Failure, Failure> {
    let order = app.store.order(id, user).await?.ok_or(Failure::NotFound)?;
    let number = &order.row.order_number;
    Ok(match attempt.why {
        Why::Note(problem) => Failure::Unwritable(format!("note: {problem}")),
        Why::Refused(refusal) => Failure::Conflict(refusal.sentence(number)),
        Why::Locked => Failure::Conflict(locked(number)),
        Why::AgainstRule(rule) => Failure::Unwritable(against_rule(&rule)),
        Why::Overtaken => {
            let was = attempt.was.unwrap_or_else(|| order.row.standing());
            Failure::Conflict(Overtaken::of(&was, &attempt.wanted, &order, app).sentence(number))
        }
    })
}

/// What the form asks for. What is not sent or empty stays as it is; only listed codes can be asked for.
pub(super) fn wanted(form: &Form) -> Result<Wanted, Failure> {
    let listed = |name: &str| Some(form.field(name)).filter(|code| !code.is_empty());
    let unlisted =
        |name: &str, code: &str| Failure::Unwritable(format!("{name}: there is none that is called “{code}”"));
    let status = listed("status").map(|code| Status::listed(code).ok_or_else(|| unlisted("status", code)));
    let payment_status = listed("payment_status")
        .map(|code| PaymentStatus::listed(code).ok_or_else(|| unlisted("payment_status", code)));
    Ok(Wanted { status: status.transpose()?, payment_status: payment_status.transpose()? })
}
