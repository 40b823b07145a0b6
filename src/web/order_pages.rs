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
use super::order_page::locked;
use super::overtaken::{self, Overtaken};
use super::path::OrderPath;
use super::session::OrderReader;
use super::shell::{Shell, page};
use super::timeline::last_changed;
use crate::order::{DeliveryMethod, Entry, OrderId, Standing, Status, Wanted, display_time};
use crate::store::{Edit, OrderDetail, Role, SignedIn, WriteOutcome};

/// What people write of an order from here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Edit,
    Cancel,
}

/// In which statuses an order may be written so.
enum Allowed {
    While(&'static [Status]),
    Until(&'static [Status]),
}

/// A deed as a list offers it beside each order.
pub(super) struct Offer {
    pub(super) label: &'static str,
    /// Where it is, below the order's address.
    pub(super) path: &'static str,
    /// The statuses in which it can be done.
    statuses: Vec<&'static Status>,
}

impl Offer {
    /// Whether it is offered for an order in this status.
    pub(super) fn is_for(&self, status: &Status) -> bool {
        self.statuses.contains(&status)
    }

    /// The codes of the statuses in which it is, with spaces between, by which the page goes on deciding it.
    pub(super) fn codes(&self) -> String {
        self.statuses.iter().map(|status| status.code()).collect::<Vec<_>>().join(" ")
    }
}

impl Deed {
    /// Of reps by the rules of the existing system. Pharmacists and admins change all, also in a status that is not listed.
    fn allowed(self, user: &SignedIn) -> Allowed {
        match (self, user.role == Role::SalesRep) {
            (Self::Edit, true) => Allowed::While(&[Status::Pending]),
            (Self::Cancel, true) => Allowed::While(&[Status::Pending, Status::Confirmed]),
            (Self::Edit, false) => Allowed::Until(&[]),
            (Self::Cancel, false) => Allowed::Until(&[Status::Delivered, Status::Cancelled, Status::Returned]),
        }
    }

    /// The same as a list offers it beside each order.
    pub(super) fn offer(self, user: &SignedIn) -> Offer {
        let (label, path) = match self {
            Self::Edit => ("Edit", "edit"),
            Self::Cancel => ("Cancel", "cancel"),
        };
        let statuses = Status::ALL.iter().filter(|status| self.is_allowed(user, status));
        Offer { label, path, statuses: statuses.collect() }
    }

    /// Whether the user may do so with an order in this status.
    pub(super) fn is_allowed(self, user: &SignedIn, status: &Status) -> bool {
        match self.allowed(user) {
            Allowed::While(statuses) => statuses.contains(status),
            Allowed::Until(statuses) => !statuses.contains(status),
        }
    }

    /// `it can be edited only while it is pending`.
    fn rule(self, user: &SignedIn) -> String {
        let done = match self {
            Self::Edit => "edited",
            Self::Cancel => "cancelled",
        };
        let (when, statuses) = match self.allowed(user) {
            Allowed::While(statuses) => ("while", statuses),
            Allowed::Until(statuses) => ("until", statuses),
        };
        let statuses: Vec<_> = statuses.iter().map(|status| status.label().to_lowercase()).collect();
        format!("it can be {done} only {when} it is {}", statuses.join(" or "))
    }
}

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
    /// Why it can't be written right now.
    locked: Option<String>,
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
    /// The form for what the order is, or for what somebody wrote in it.
    fn new(app: &App, user: &SignedIn, id: OrderId, number: String, edit: Edit, version: String) -> Self {
        let shell = Shell::for_user(app, user);
        Self { shell, id, number, edit, version, overtaken: None, refused: None, locked: None, errors: Vec::new() }
    }

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
    /// Why it can't be cancelled right now.
    locked: Option<String>,
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
    if !Deed::Edit.is_allowed(&reader.user, &order.row.status) {
        return Err(refused(Deed::Edit, &reader.user, &order, &app));
    }
    let version = version(&order.editable);
    page(&EditPage::new(&app, &reader.user, id, order.row.order_number, order.editable, version))
}

pub(super) async fn edit(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&reader.user)?;
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    let (number, present) = (order.row.order_number, order.editable);
    let edit = Edit {
        customer_name: form.text_or("customer_name", &present.customer_name),
        customer_phone: form.text_or("customer_phone", &present.customer_phone),
        customer_address: form.text_or("customer_address", &present.customer_address),
        delivery_method: form.text_or("delivery_method", present.delivery_method.code()).as_str().into(),
        delivery_address: form.text_or("delivery_address", &present.delivery_address),
        delivery_instructions: form.text_or("delivery_instructions", &present.delivery_instructions),
        customer_notes: form.text_or("customer_notes", &present.customer_notes),
    };
    // a client that never saw a form knows of no version and overwrites
    let known = form.field("version");
    let again = EditPage::new(&app, &reader.user, id, number, edit, known.to_owned());
    let errors = check(&again.edit, &present);
    if !errors.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&EditPage { errors, ..again })?).into_response());
    }
    let is_known = |present: &Edit| known.is_empty() || known == version(present);
    let is_allowed = |status: &Status| Deed::Edit.is_allowed(&reader.user, status);
    match app.store.edit_order(id, &again.edit, is_known, &reader.user, is_allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
        WriteOutcome::Refused if accepts_json(&headers) => Err(refused_now(&app, &reader, id, Deed::Edit).await?),
        WriteOutcome::Locked if accepts_json(&headers) => Err(Failure::Conflict(locked(&again.number))),
        WriteOutcome::Locked => {
            let locked = Some(locked(&again.number));
            Ok((StatusCode::CONFLICT, page(&EditPage { locked, ..again })?).into_response())
        }
        outcome @ (WriteOutcome::Refused | WriteOutcome::Overtaken) => {
            let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
            let (errors, version) = (differences(&again.edit, &order.editable), version(&order.editable));
            let (overtaken, refused) = match outcome {
                WriteOutcome::Refused => (None, Some(sentence(&refusal(Deed::Edit, &reader.user, &order, &app)))),
                _ => (Some(edit_overtaken(&again.edit, &order, &app)), None),
            };
            let again = page(&EditPage { version, overtaken, refused, errors, ..again })?;
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
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&reader.user)?;
    let reason = form.text("reason");
    if let Some(error) = too_long_or_unwritable(&reason, LONGEST_TEXT) {
        let known = overtaken::known(form.field("version"))?;
        let attempt = CancelAttempt { reason, error: Some(error), known, ..CancelAttempt::default() };
        let again = cancel_page(&app, &reader, id, attempt).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    // a client that never saw a form knows of no version and cancels whatever it is
    let was = overtaken::known(form.field("version"))?;
    let is_known = |present: &Standing| was.as_ref().is_none_or(|was| was.version() == present.version());
    let is_allowed = |status: &Status| Deed::Cancel.is_allowed(&reader.user, status);
    match app.store.cancel_order(id, &reason, is_known, &reader.user, is_allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
        WriteOutcome::Refused => Err(refused_now(&app, &reader, id, Deed::Cancel).await?),
        WriteOutcome::Locked if accepts_json(&headers) => Err(Failure::Conflict(locked("the order"))),
        WriteOutcome::Locked => {
            let attempt = CancelAttempt { reason, known: was, is_locked: true, ..CancelAttempt::default() };
            Ok((StatusCode::CONFLICT, cancel_page(&app, &reader, id, attempt).await?).into_response())
        }
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
    /// Somebody else is changing the order and takes long.
    is_locked: bool,
}

async fn cancel_page(
    app: &App,
    reader: &OrderReader,
    id: OrderId,
    CancelAttempt { reason, error, known, was, is_locked }: CancelAttempt,
) -> Result<Response, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    if !Deed::Cancel.is_allowed(&reader.user, &order.row.status) {
        return Err(refused(Deed::Cancel, &reader.user, &order, app));
    }
    let shell = Shell::for_user(app, &reader.user);
    let wanted = Wanted { status: Some(Status::Cancelled), payment_status: None };
    page(&CancelPage {
        id,
        total: shell.amount(&order.row.total_amount),
        overtaken: was.map(|was| Overtaken::of(&was, &wanted, &order, app)),
        version: known.unwrap_or_else(|| order.row.standing()).version(),
        now: order.row.standing(),
        locked: is_locked.then(|| locked(&order.row.order_number)),
        number: order.row.order_number,
        customer: order.row.customer_name,
        reason,
        error,
        shell,
    })
}

fn refused(deed: Deed, user: &SignedIn, order: &OrderDetail, app: &App) -> Failure {
    Failure::Conflict(refusal(deed, user, order, app))
}

/// Why it can't be done in the present status, and by whom that is so.
fn refusal(deed: Deed, user: &SignedIn, order: &OrderDetail, app: &App) -> String {
    let by = last_changed(&order.timeline, Entry::changed_standing, app.settings.zone);
    let by = by.map(|by| format!(" (changed by {by})")).unwrap_or_default();
    format!("this order is {} now; {}{by}", order.row.status.label().to_lowercase(), deed.rule(user))
}

/// The same for a write that found the order so.
async fn refused_now(app: &App, reader: &OrderReader, id: OrderId, deed: Deed) -> Result<Failure, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    Ok(refused(deed, &reader.user, &order, app))
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

/// What keeps an edit from being written. What was there before and stays is not the writer's to mend.
fn check(edit: &Edit, present: &Edit) -> Vec<(&'static str, String)> {
    let mut errors = Vec::new();
    let unchanged = |field: &str| texts(edit).into_iter().zip(texts(present)).any(|(a, b)| a.0 == field && a.1 == b.1);
    let limits = [
        ("customer_name", &edit.customer_name, LONGEST_NAME, true),
        ("customer_phone", &edit.customer_phone, LONGEST_PHONE, true),
        ("customer_address", &edit.customer_address, LONGEST_TEXT, false),
        ("delivery_address", &edit.delivery_address, LONGEST_TEXT, false),
        ("delivery_instructions", &edit.delivery_instructions, LONGEST_TEXT, false),
        ("customer_notes", &edit.customer_notes, LONGEST_TEXT, false),
    ];
    for (field, text, longest, required) in limits.into_iter().filter(|(field, ..)| !unchanged(field)) {
        if required && text.is_empty() {
            errors.push((field, "This is needed.".to_owned()));
        }
        errors.extend(too_long_or_unwritable(text, longest).map(|error| (field, error)));
    }
    let delivery_stays = unchanged("delivery_method") && unchanged("delivery_address");
    match edit.delivery_method {
        _ if delivery_stays => {}
        DeliveryMethod::Unknown(_) => errors.push(("delivery_method", "Choose pickup or delivery.".to_owned())),
        DeliveryMethod::Delivery if edit.delivery_address.is_empty() => {
            errors.push(("delivery_address", "A delivery needs an address.".to_owned()));
        }
        _ => {}
    }
    errors
}
