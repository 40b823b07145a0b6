//! Cancelling an order.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::overtaken::{Overtaken, standing_seen};
use super::refusal::{against_rule, locked, refused, refused_now};
use super::watched::Watched;
use crate::order::{OrderId, Standing, Status, Wanted};
use crate::store::WriteOutcome;
use crate::web::app::App;
use crate::web::page::host::{shows_form, takes_form};
use crate::web::page::shell::{Shell, render};
use crate::web::request::accept::accepts_json;
use crate::web::request::deed::Deed;
use crate::web::request::failure::Failure;
use crate::web::request::form::{Form, LONGEST_TEXT, too_long_or_unwritable};
use crate::web::request::path::OrderPath;
use crate::web::request::session::OrderReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Template)]
#[template(path = "cancel.html")]
struct CancelPage {
    shell: Shell,
    id: OrderId,
    number: String,
    customer: String,
    total: String,
    now: Standing,
    /// Of what the form was made from.
    version: String,
    watched: Watched,
    reason: String,
    error: Option<String>,
    /// Why it can't be cancelled right now, or not like this.
    problem: Option<String>,
    overtaken: Option<Overtaken>,
}

impl CancelPage {
    /// Whether it has what somebody entered.
    fn is_refilled(&self) -> bool {
        self.overtaken.is_some() || self.problem.is_some() || self.error.is_some()
    }
}

pub(crate) async fn form(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    shows_form(&app).await?;
    let _turn = turn(&app, &reader.user, Kind::Other).await?;
    show(&app, &reader, id, Attempt::default()).await
}

pub(crate) async fn cancel(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&reader.user)?;
    let _turn = turn(&app, &reader.user, Kind::Change).await?;
    takes_form(&app).await?;
    let reason = form.text("reason");
    if let Some(error) = too_long_or_unwritable(&reason, LONGEST_TEXT) {
        let known = standing_seen(form.field("version"))?;
        let attempt = Attempt { reason, error: Some(error), known, ..Attempt::default() };
        let again = show(&app, &reader, id, attempt).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    // a client that never saw a form knows of no version and cancels whatever it is
    let was = standing_seen(form.field("version"))?;
    let is_known = |present: &Standing| was.as_ref().is_none_or(|was| was.version() == present.version());
    let is_allowed = |status: &Status| Deed::Cancel.is_allowed(&reader.user, status);
    match app.store.cancel_order(id, &reason, is_known, &reader.user, is_allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&app.settings.site.order(id)).into_response()),
        WriteOutcome::Refused => Err(refused_now(&app, &reader, id, Deed::Cancel).await?),
        WriteOutcome::Locked if accepts_json(&headers) => Err(Failure::Conflict(locked("the order"))),
        WriteOutcome::Locked => {
            let attempt = Attempt { reason, known: was, is_locked: true, ..Attempt::default() };
            Ok((StatusCode::CONFLICT, show(&app, &reader, id, attempt).await?).into_response())
        }
        WriteOutcome::AgainstRule(rule) if accepts_json(&headers) => Err(Failure::Unwritable(against_rule(&rule))),
        WriteOutcome::AgainstRule(rule) => {
            let attempt = Attempt { reason, known: was, rule: Some(rule), ..Attempt::default() };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, show(&app, &reader, id, attempt).await?).into_response())
        }
        WriteOutcome::Overtaken => {
            let again = show(&app, &reader, id, Attempt { reason, was, ..Attempt::default() }).await?;
            Ok((StatusCode::CONFLICT, again).into_response())
        }
        WriteOutcome::Gone => Err(Failure::NotFound),
    }
}

/// A cancellation that was asked for and not made.
#[derive(Default)]
struct Attempt {
    reason: String,
    /// What is wrong with the reason.
    error: Option<String>,
    /// What its form was made from, and still is.
    known: Option<Standing>,
    /// What the form was made from, where the order is that no more.
    was: Option<Standing>,
    /// Somebody else is changing the order and takes long.
    is_locked: bool,
    /// The rule of the tables' owner that forbids it.
    rule: Option<String>,
}

async fn show(
    app: &App,
    reader: &OrderReader,
    id: OrderId,
    Attempt { reason, error, known, was, is_locked, rule }: Attempt,
) -> Result<Response, Failure> {
    let order = app.store.order(id, &reader.user).await?.ok_or(Failure::NotFound)?;
    if !Deed::Cancel.is_allowed(&reader.user, &order.row.status) {
        return Err(refused(Deed::Cancel, &reader.user, &order, app));
    }
    let shell = Shell::for_user(app, &reader.user);
    let wanted = Wanted { status: Some(Status::Cancelled), payment_status: None };
    render(&CancelPage {
        watched: Watched::of(app, &reader.user, &order)?,
        id,
        total: shell.amount(&order.row.total_amount),
        overtaken: was.map(|was| Overtaken::of(&was, &wanted, &order, app)),
        version: known.unwrap_or_else(|| order.row.standing()).version(),
        now: order.row.standing(),
        problem: rule.map(|rule| against_rule(&rule)).or_else(|| is_locked.then(|| locked(&order.row.order_number))),
        number: order.row.order_number,
        customer: order.row.customer_name,
        reason,
        error,
        shell,
    })
}
