//! Changing where orders stand: one from its page, or a selection from a list.

use std::time::{Duration, Instant};

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;

use super::App;
use super::failure::{Failure, accepts_json};
use super::form::{Form, LONGEST_TEXT, too_long_or_unwritable};
use super::login::local_path;
use super::order_page::{Attempt, Why, locked, show};
use super::overtaken::{self, Overtaken};
use super::path::OrderPath;
use super::session::Pharmacist;
use super::shell::{Shell, page};
use crate::order::{OrderId, PaymentStatus, Standing, Status, Wanted};
use crate::store::{SignedIn, StatusChange, StatusOutcome};

/// How many orders one selection may have.
const LARGEST_SELECTION: usize = 100;

/// How long the orders of a selection are worked on. What is not reached by then is told, as a request has an end.
const SELECTION_PATIENCE: Duration = Duration::from_secs(20);

/// One order, from its page.
pub(super) async fn change(
    State(app): State<App>,
    Pharmacist { user }: Pharmacist,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&user)?;
    let (wanted, note) = (wanted(&form)?, form.text("note"));
    let was = overtaken::known(form.field("version"))?;
    let why = match too_long_or_unwritable(&note, LONGEST_TEXT) {
        Some(problem) => Why::Note(problem),
        None => {
            let change = StatusChange { wanted: wanted.clone(), note: note.clone() };
            let (_, outcome) =
                app.store.change_status(id, was.as_ref(), &change, &user).await?.ok_or(Failure::NotFound)?;
            match outcome {
                StatusOutcome::Changed => return Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
                StatusOutcome::Refused(refusal) => Why::Refused(refusal),
                StatusOutcome::Locked => Why::Locked,
                StatusOutcome::Overtaken => Why::Overtaken,
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
    let order = app.store.order(id, user.as_rep()).await?.ok_or(Failure::NotFound)?;
    let number = &order.row.order_number;
    Ok(match attempt.why {
        Why::Note(problem) => Failure::Unwritable(format!("note: {problem}")),
        Why::Refused(refusal) => Failure::Conflict(refusal.told(number)),
        Why::Locked => Failure::Conflict(locked(number)),
        Why::Overtaken => {
            let was = attempt.was.unwrap_or_else(|| order.row.standing());
            Failure::Conflict(Overtaken::of(&was, &attempt.wanted, &order, app).told(number))
        }
    })
}

/// What became of a selection.
#[derive(Serialize)]
struct Selection {
    changed: Vec<Changed>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Changed {
    id: OrderId,
    order_number: String,
}

#[derive(Serialize)]
struct Refused {
    id: OrderId,
    order_number: Option<String>,
    reason: String,
}

#[derive(Template)]
#[template(path = "selection_outcome.html")]
struct SelectionPage {
    shell: Shell,
    selection: Selection,
    wanted: String,
    next: String,
}

impl SelectionPage {
    fn heading(&self) -> String {
        let (changed, all) =
            (self.selection.changed.len(), self.selection.changed.len() + self.selection.refused.len());
        format!("{changed} of {all} {} changed", if all == 1 { "order" } else { "orders" })
    }
}

/// Several orders, each in a transaction of its own: one that is refused keeps no other from being changed.
pub(super) async fn change_selection(
    State(app): State<App>,
    Pharmacist { user }: Pharmacist,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&user)?;
    let (wanted, note) = (wanted(&form)?, form.text("note"));
    if let Some(problem) = too_long_or_unwritable(&note, LONGEST_TEXT) {
        return Err(Failure::Unwritable(format!("note: {problem}")));
    }
    let chosen = chosen(&form)?;
    let change = StatusChange { wanted, note };
    let selection = change_each(&app, &user, &chosen, &change).await;
    if accepts_json(&headers) {
        return Ok(([(header::CACHE_CONTROL, "no-store")], Json(selection)).into_response());
    }
    let next = local_path(form.field("next")).unwrap_or("/").to_owned();
    page(&SelectionPage { shell: Shell::for_user(&app, &user), selection, wanted: change.wanted.label(), next })
}

async fn change_each(
    app: &App,
    user: &SignedIn,
    chosen: &[(OrderId, Option<Standing>)],
    change: &StatusChange,
) -> Selection {
    let began = Instant::now();
    let mut selection = Selection { changed: Vec::new(), refused: Vec::new() };
    // once the database is out of reach, the others would each wait for it
    let mut given_up = None;
    for (id, known) in chosen {
        if began.elapsed() > SELECTION_PATIENCE {
            given_up.get_or_insert("not tried, as the orders before it took too long; try again".to_owned());
        }
        let outcome = match &given_up {
            Some(reason) => Err((None, reason.clone())),
            None => change_one(app, user, *id, known.as_ref(), change).await.unwrap_or_else(|failure| {
                let reason = failure.logged_message();
                given_up = Some(format!("not tried: {reason}"));
                Err((None, reason))
            }),
        };
        match outcome {
            Ok(order_number) => selection.changed.push(Changed { id: *id, order_number }),
            Err((order_number, reason)) => selection.refused.push(Refused { id: *id, order_number, reason }),
        }
    }
    selection
}

/// The number of the changed order; or of the one that was not changed, if there is one, with the reason.
async fn change_one(
    app: &App,
    user: &SignedIn,
    id: OrderId,
    known: Option<&Standing>,
    change: &StatusChange,
) -> Result<Result<String, (Option<String>, String)>, Failure> {
    let gone = || Err((None, "there is no such order".to_owned()));
    let Some((number, outcome)) = app.store.change_status(id, known, change, user).await? else { return Ok(gone()) };
    let reason = match outcome {
        StatusOutcome::Changed => return Ok(Ok(number)),
        StatusOutcome::Refused(refusal) => refusal.told(&number),
        StatusOutcome::Locked => locked(&number),
        StatusOutcome::Overtaken => {
            let Some(order) = app.store.order(id, user.as_rep()).await? else { return Ok(gone()) };
            let now = order.row.standing();
            Overtaken::of(known.unwrap_or(&now), &change.wanted, &order, app).told(&number)
        }
    };
    Ok(Err((Some(number), reason)))
}

/// What the form asks for. What is not sent or empty stays as it is; only listed codes can be asked for.
fn wanted(form: &Form) -> Result<Wanted, Failure> {
    let listed = |name: &str| Some(form.field(name)).filter(|code| !code.is_empty());
    let unlisted =
        |name: &str, code: &str| Failure::Unwritable(format!("{name}: there is none that is called “{code}”"));
    let status = listed("status").map(|code| Status::listed(code).ok_or_else(|| unlisted("status", code)));
    let payment_status = listed("payment_status")
        .map(|code| PaymentStatus::listed(code).ok_or_else(|| unlisted("payment_status", code)));
    Ok(Wanted { status: status.transpose()?, payment_status: payment_status.transpose()? })
}

/// The chosen orders, each once, with the version that the person saw, if it was sent: `12` or `12:pending:paid`.
fn chosen(form: &Form) -> Result<Vec<(OrderId, Option<Standing>)>, Failure> {
    let mut chosen: Vec<(OrderId, Option<Standing>)> = Vec::new();
    for field in form.fields("order") {
        let (id, version) = field.split_once(':').unwrap_or((field, ""));
        let known = overtaken::known(version)?;
        let expected = || Failure::Unwritable("order: expected an order's id such as 12".to_owned());
        let id = OrderId(id.parse().map_err(|_| expected())?);
        if !chosen.iter().any(|(other, _)| *other == id) {
            chosen.push((id, known));
        }
    }
    match chosen.len() {
        0 => Err(Failure::Unwritable("order: choose at least one".to_owned())),
        1..=LARGEST_SELECTION => Ok(chosen),
        _ => Err(Failure::Unwritable(format!("order: choose at most {LARGEST_SELECTION}"))),
    }
}
