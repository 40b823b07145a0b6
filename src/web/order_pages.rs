//! Editing and cancelling an order.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};

use super::App;
use super::dashboard::{ORDERS, QUEUE};
use super::failure::{Failure, accepts_json, sentence};
use super::form::{Form, LONGEST_TEXT, too_long_or_unwritable};
use super::overtaken::{self, Overtaken};
use super::path::OrderPath;
use super::session::OrderReader;
use super::shell::{Shell, page};
use super::timeline::last_changed;
use crate::order::{DeliveryMethod, Entry, OrderId, Standing, Status, Wanted, display_time};
use crate::store::{Edit, OrderDetail, Role, SignedIn, WriteOutcome};

/// What a rep may write by the rules of the existing system: edit while pending, cancel while pending or
/// confirmed.
const REP_EDITS: &[Status] = &[Status::Pending];
const REP_CANCELS: &[Status] = &[Status::Pending, Status::Confirmed];

/// Longest values that the host's columns take, in characters.
const LONGEST_NAME: usize = 100;
const LONGEST_PHONE: usize = 15;

#[derive(Template)]
#[template(path = "edit.html")]
struct EditPage {
    shell: Shell,
    id: OrderId,
    number: String,
    edit: Edit,
    /// Of what the form was made from: it tells on return whether that is still there.
    version: String,
    overtaken: Option<EditOvertaken>,
    /// Why it can't be written any more.
    refused: Option<String>,
    errors: Vec<(&'static str, String)>,
}

/// An edit that somebody else's change overtook.
struct EditOvertaken {
    /// By whom and when, as far as it is known: of most of what is edited, nobody records who changed it.
    by: Option<String>,
    /// When the order was written last.
    written: Option<String>,
}

impl EditPage {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| *name == field).map(|(_, message)| message.as_str())
    }
}

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
    reason: String,
    error: Option<String>,
    overtaken: Option<Overtaken>,
}

/// An address of former times: the list finds an order by its number as well.
pub(super) async fn find(reader: OrderReader, RawQuery(query): RawQuery) -> Redirect {
    let query = query.unwrap_or_default();
    let number = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "number").map(|(_, value)| value);
    let list = if reader.user.role == Role::SalesRep { ORDERS } else { QUEUE };
    match number.as_deref().map(str::trim) {
        None | Some("") => Redirect::to(list),
        Some(number) => {
            let searched = form_urlencoded::Serializer::new(String::new()).append_pair("q", number).finish();
            Redirect::to(&format!("{list}?{searched}"))
        }
    }
}

pub(super) async fn edit_form(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    if !edits(&reader.user).contains(&order.row.status) {
        return Err(refused("edited", &order, &edits(&reader.user), &app));
    }
    let shell = Shell::for_user(&app, &reader.user);
    let version = version(&order.editable);
    let number = order.row.order_number;
    page(&EditPage {
        shell,
        id,
        number,
        edit: order.editable,
        version,
        overtaken: None,
        refused: None,
        errors: Vec::new(),
    })
}

pub(super) async fn edit(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    let (number, present) = (order.row.order_number, order.editable);
    let edit = Edit {
        customer_name: form.text_or("customer_name", present.customer_name),
        customer_phone: form.text_or("customer_phone", present.customer_phone),
        customer_address: form.text_or("customer_address", present.customer_address),
        delivery_method: form.text_or("delivery_method", present.delivery_method.code().to_owned()).as_str().into(),
        delivery_address: form.text_or("delivery_address", present.delivery_address),
        delivery_instructions: form.text_or("delivery_instructions", present.delivery_instructions),
        customer_notes: form.text_or("customer_notes", present.customer_notes),
    };
    let shell = Shell::for_user(&app, &reader.user);
    let errors = check(&edit);
    if !errors.is_empty() {
        let version = form.field("version").to_owned();
        let again = page(&EditPage { shell, id, number, edit, version, overtaken: None, refused: None, errors })?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    let allowed = edits(&reader.user);
    // a client that never saw a form knows of no version and overwrites
    let known = form.field("version");
    let is_known = |present: &Edit| known.is_empty() || known == version(present);
    match app.store.edit_order(id, &edit, is_known, &reader.user, &allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
        WriteOutcome::Refused if accepts_json(&headers) => {
            Err(refused_now(&app, &reader, id, "edited", &allowed).await?)
        }
        outcome @ (WriteOutcome::Refused | WriteOutcome::Overtaken) => {
            let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
            let (errors, version) = (differences(&edit, &order.editable), version(&order.editable));
            let (overtaken, refused) = match outcome {
                WriteOutcome::Refused => (None, Some(sentence(&refusal("edited", &order, &allowed, &app)))),
                _ => (Some(edit_overtaken(&edit, &order, &app)), None),
            };
            let again = page(&EditPage { shell, id, number, edit, version, overtaken, refused, errors })?;
            Ok((StatusCode::CONFLICT, again).into_response())
        }
        WriteOutcome::Gone => Err(Failure::NotFound),
    }
}

/// Who renames a customer is recorded; of the other fields only the order's time of writing tells.
fn edit_overtaken(edit: &Edit, order: &OrderDetail, app: &App) -> EditOvertaken {
    let zone = app.settings.zone;
    let renames = |entry: &Entry| {
        let event = entry.recorded.as_ref().map(|recorded| &recorded.event);
        event.is_some_and(|event| event.other.iter().any(|(column, ..)| column == "customer_name"))
    };
    let is_renamed = edit.customer_name != order.editable.customer_name;
    EditOvertaken {
        by: is_renamed.then(|| last_changed(&order.timeline, renames, zone)).flatten(),
        written: order.updated_at.map(|at| display_time(at, zone)),
    }
}

pub(super) async fn cancel_form(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    cancel_page(&app, &reader, id, CancelAttempt::default()).await
}

pub(super) async fn cancel(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
    form: Form,
) -> Result<Response, Failure> {
    let reason = form.text("reason");
    if let Some(error) = too_long_or_unwritable(&reason, LONGEST_TEXT) {
        let known = overtaken::known(form.field("version"))?;
        let attempt = CancelAttempt { reason, error: Some(error), known, ..CancelAttempt::default() };
        let again = cancel_page(&app, &reader, id, attempt).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    let allowed = cancels(&reader.user);
    // a client that never saw a form knows of no version and cancels whatever it is
    let was = overtaken::known(form.field("version"))?;
    let is_known = |present: &Standing| was.as_ref().is_none_or(|was| was.version() == present.version());
    match app.store.cancel_order(id, &reason, is_known, &reader.user, &allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
        WriteOutcome::Refused => Err(refused_now(&app, &reader, id, "cancelled", &allowed).await?),
        WriteOutcome::Overtaken => {
            let again =
                cancel_page(&app, &reader, id, CancelAttempt { reason, was, ..CancelAttempt::default() }).await?;
            Ok((StatusCode::CONFLICT, again).into_response())
        }
        WriteOutcome::Gone => Err(Failure::NotFound),
    }
}

/// A cancellation that was asked for and not made.
#[derive(Default)]
struct CancelAttempt {
    reason: String,
    /// What is wrong with the reason.
    error: Option<String>,
    /// What its form was made from, and still is.
    known: Option<Standing>,
    /// What the form was made from, where the order is that no more.
    was: Option<Standing>,
}

async fn cancel_page(
    app: &App,
    reader: &OrderReader,
    id: OrderId,
    CancelAttempt { reason, error, known, was }: CancelAttempt,
) -> Result<Response, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    let allowed = cancels(&reader.user);
    if !allowed.contains(&order.row.status) {
        return Err(refused("cancelled", &order, &allowed, app));
    }
    let shell = Shell::for_user(app, &reader.user);
    let wanted = Wanted { status: Some(Status::Cancelled), payment_status: None };
    page(&CancelPage {
        id,
        total: shell.amount(&order.row.total_amount),
        overtaken: was.map(|was| Overtaken::of(&was, &wanted, &order, app)),
        version: known.unwrap_or_else(|| order.row.standing()).version(),
        now: order.row.standing(),
        number: order.row.order_number,
        customer: order.row.customer_name,
        reason,
        error,
        shell,
    })
}

/// The statuses in which the user may edit: a rep as the rules say, pharmacists and admins in all listed ones.
pub(super) fn edits(user: &SignedIn) -> Vec<Status> {
    if user.role == Role::SalesRep { REP_EDITS.to_vec() } else { Status::ALL.to_vec() }
}

/// The statuses in which the user may cancel: for pharmacists and admins until the order has reached its end.
pub(super) fn cancels(user: &SignedIn) -> Vec<Status> {
    if user.role == Role::SalesRep {
        return REP_CANCELS.to_vec();
    }
    let ended = [Status::Delivered, Status::Cancelled, Status::Returned];
    Status::ALL.iter().filter(|status| !ended.contains(status)).cloned().collect()
}

fn refused(done: &str, order: &OrderDetail, allowed: &[Status], app: &App) -> Failure {
    Failure::Conflict(refusal(done, order, allowed, app))
}

/// Why it can't be done in the present status, and by whom that is so.
fn refusal(done: &str, order: &OrderDetail, allowed: &[Status], app: &App) -> String {
    let while_it_is: Vec<_> = allowed.iter().map(|status| status.label().to_lowercase()).collect();
    let by = last_changed(&order.timeline, Entry::changed_standing, app.settings.zone);
    let by = by.map(|by| format!(" (changed by {by})")).unwrap_or_default();
    format!(
        "this order is {} now; it can be {done} only while it is {}{by}",
        order.row.status.label().to_lowercase(),
        while_it_is.join(" or ")
    )
}

/// The same for a write that found the order so.
async fn refused_now(
    app: &App,
    reader: &OrderReader,
    id: OrderId,
    done: &str,
    allowed: &[Status],
) -> Result<Failure, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    Ok(refused(done, &order, allowed, app))
}

/// Tells one content of the form from another.
fn version(edit: &Edit) -> String {
    let mut digest = Sha256::new();
    for (_, text) in texts(edit) {
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What is in the database now, beside each field in which the form has something else.
fn differences(edit: &Edit, present: &Edit) -> Vec<(&'static str, String)> {
    let pairs = texts(edit).into_iter().zip(texts(present));
    let different = pairs.filter(|((_, typed), (_, there))| typed != there);
    different.map(|((field, _), (_, there))| (field, format!("Now there: “{there}”"))).collect()
}

fn texts(edit: &Edit) -> [(&'static str, &str); 7] {
    [
        ("customer_name", &edit.customer_name),
        ("customer_phone", &edit.customer_phone),
        ("customer_address", &edit.customer_address),
        ("delivery_method", edit.delivery_method.code()),
        ("delivery_address", &edit.delivery_address),
        ("delivery_instructions", &edit.delivery_instructions),
        ("customer_notes", &edit.customer_notes),
    ]
}

fn check(edit: &Edit) -> Vec<(&'static str, String)> {
    let mut errors = Vec::new();
    let texts = [
        ("customer_name", &edit.customer_name, LONGEST_NAME, true),
        ("customer_phone", &edit.customer_phone, LONGEST_PHONE, true),
        ("customer_address", &edit.customer_address, LONGEST_TEXT, false),
        ("delivery_address", &edit.delivery_address, LONGEST_TEXT, false),
        ("delivery_instructions", &edit.delivery_instructions, LONGEST_TEXT, false),
        ("customer_notes", &edit.customer_notes, LONGEST_TEXT, false),
    ];
    for (field, text, longest, required) in texts {
        if required && text.is_empty() {
            errors.push((field, "This is needed.".to_owned()));
        }
        errors.extend(too_long_or_unwritable(text, longest).map(|error| (field, error)));
    }
    match edit.delivery_method {
        DeliveryMethod::Unknown(_) => errors.push(("delivery_method", "Choose pickup or delivery.".to_owned())),
        DeliveryMethod::Delivery if edit.delivery_address.is_empty() => {
            errors.push(("delivery_address", "A delivery needs an address.".to_owned()));
        }
        _ => {}
    }
    errors
}
