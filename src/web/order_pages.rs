//! One order's pages: detail, edit, cancel; and finding an order by its number.

use askama::Template;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};

use sha2::{Digest, Sha256};

use super::App;
use super::failure::Failure;
use super::form::Form;
use super::session::OrderReader;
use super::shell::{Shell, page};
use crate::order::{DeliveryMethod, OrderId, RepId, Status, display_time, iso_time};
use crate::store::{Edit, OrderDetail, Role, SignedIn, Timeline, WriteOutcome};

/// What a rep may write by the rules of the existing system: edit while pending, cancel while pending or
/// confirmed.
const REP_EDITS: &[Status] = &[Status::Pending];
const REP_CANCELS: &[Status] = &[Status::Pending, Status::Confirmed];

/// Longest values that the host's columns take, in characters; texts without a limit get one against abuse.
const LONGEST_NAME: usize = 100;
const LONGEST_PHONE: usize = 15;
const LONGEST_TEXT: usize = 4_000;

/// An order's id in a path. What is no id is no order.
pub(super) struct OrderPath(OrderId);

impl FromRequestParts<App> for OrderPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Path(id) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| Failure::NotFound)?;
        id.parse().map(|id| Self(OrderId(id))).map_err(|_| Failure::NotFound)
    }
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    shell: Shell,
    order: OrderDetail,
    created: String,
    created_iso: String,
    may_edit: bool,
    may_cancel: bool,
    entries: Vec<Entry>,
    back: &'static str,
}

/// One entry of the timeline as shown.
struct Entry {
    at: String,
    at_iso: String,
    by: String,
    lines: Vec<String>,
    notes: String,
}

#[derive(Template)]
#[template(path = "edit.html")]
struct EditPage {
    shell: Shell,
    id: OrderId,
    number: String,
    edit: Edit,
    /// Of what the form was made from: it tells on return whether that is still there.
    version: String,
    overtaken: bool,
    errors: Vec<(&'static str, String)>,
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
    status: Status,
    reason: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    shell: Shell,
    number: String,
    missing: bool,
}

/// For those who see all orders and have no list here: an order by its number.
pub(super) async fn find(
    State(app): State<App>,
    reader: OrderReader,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    if reader.user.role == Role::SalesRep {
        return Ok(Redirect::to("/orders/orders/").into_response());
    }
    let query = query.unwrap_or_default();
    let number = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "number").map(|(_, value)| value);
    let number = number.map(|number| number.trim().to_owned()).unwrap_or_default();
    if !number.is_empty()
        && !number.contains('\0')
        && let Some(OrderId(id)) = app.store.order_by_number(&number).await?
    {
        return Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response());
    }
    page(&FindPage { shell: Shell::for_user(&app, &reader.user), missing: !number.is_empty(), number })
}

pub(super) async fn detail(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    let mut order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    let zone = app.settings.zone;
    let timeline = std::mem::take(&mut order.timeline);
    let shell = Shell::for_user(&app, &reader.user);
    let entries = timeline.into_iter().map(|item| entry(item, reader.only(), &shell, zone)).collect();
    page(&OrderPage {
        created: order.row.created_at.map_or_else(|| "–".to_owned(), |at| display_time(at, zone)),
        created_iso: order.row.created_at.map(iso_time).unwrap_or_default(),
        may_edit: edits(&reader.user).contains(&order.row.status),
        may_cancel: cancels(&reader.user).contains(&order.row.status),
        back: if reader.user.role == Role::SalesRep { "/orders/orders/" } else { "/orders/find/" },
        entries,
        shell,
        order,
    })
}

pub(super) async fn edit_form(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    if !edits(&reader.user).contains(&order.row.status) {
        return Err(refused("edited", &order.row.status, &edits(&reader.user)));
    }
    let shell = Shell::for_user(&app, &reader.user);
    let version = version(&order.editable);
    let number = order.row.order_number;
    page(&EditPage { shell, id, number, edit: order.editable, version, overtaken: false, errors: Vec::new() })
}

pub(super) async fn edit(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
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
        let again = page(&EditPage { shell, id, number, edit, version, overtaken: false, errors })?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    let allowed = edits(&reader.user);
    // a client that never saw a form knows of no version and overwrites
    let known = form.field("version");
    let is_known = |present: &Edit| known.is_empty() || known == version(present);
    match app.store.edit_order(id, &edit, is_known, &reader.user, &allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
        WriteOutcome::Refused(status) => Err(refused("edited", &status, &allowed)),
        WriteOutcome::Overtaken(present) => {
            let (errors, version) = (differences(&edit, &present), version(&present));
            let again = page(&EditPage { shell, id, number, edit, version, overtaken: true, errors })?;
            Ok((StatusCode::CONFLICT, again).into_response())
        }
        WriteOutcome::Gone => Err(Failure::NotFound),
    }
}

pub(super) async fn cancel_form(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    cancel_page(&app, &reader, id, String::new(), None).await
}

pub(super) async fn cancel(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
    form: Form,
) -> Result<Response, Failure> {
    let reason = form.text("reason");
    if let Some(error) = too_long_or_unwritable(&reason, LONGEST_TEXT) {
        let again = cancel_page(&app, &reader, id, reason, Some(error)).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response());
    }
    let allowed = cancels(&reader.user);
    match app.store.cancel_order(id, &reason, &reader.user, &allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&format!("/orders/orders/{id}/")).into_response()),
        WriteOutcome::Refused(status) => Err(refused("cancelled", &status, &allowed)),
        WriteOutcome::Overtaken(_) => Err(Failure::Conflict("this order was changed meanwhile".to_owned())),
        WriteOutcome::Gone => Err(Failure::NotFound),
    }
}

async fn cancel_page(
    app: &App,
    reader: &OrderReader,
    id: OrderId,
    reason: String,
    error: Option<String>,
) -> Result<Response, Failure> {
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    let allowed = cancels(&reader.user);
    if !allowed.contains(&order.row.status) {
        return Err(refused("cancelled", &order.row.status, &allowed));
    }
    let shell = Shell::for_user(app, &reader.user);
    page(&CancelPage {
        id,
        total: shell.amount(&order.row.total_amount),
        number: order.row.order_number,
        customer: order.row.customer_name,
        status: order.row.status,
        reason,
        error,
        shell,
    })
}

/// The statuses in which the user may edit: a rep as the rules say, pharmacists and admins in all listed ones.
fn edits(user: &SignedIn) -> Vec<Status> {
    if user.role == Role::SalesRep { REP_EDITS.to_vec() } else { Status::ALL.to_vec() }
}

/// The statuses in which the user may cancel: for pharmacists and admins until the order has reached its end.
fn cancels(user: &SignedIn) -> Vec<Status> {
    if user.role == Role::SalesRep {
        return REP_CANCELS.to_vec();
    }
    let ended = [Status::Delivered, Status::Cancelled, Status::Returned];
    Status::ALL.iter().filter(|status| !ended.contains(status)).cloned().collect()
}

fn refused(done: &str, status: &Status, allowed: &[Status]) -> Failure {
    let while_it_is: Vec<_> = allowed.iter().map(|status| status.label().to_lowercase()).collect();
    Failure::Conflict(format!(
        "this order is {} now; it can be {done} only while it is {}",
        status.label().to_lowercase(),
        while_it_is.join(" or ")
    ))
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

fn too_long_or_unwritable(text: &str, longest: usize) -> Option<String> {
    let length = text.chars().count();
    if length > longest {
        return Some(format!("At most {longest} characters; this has {length}."));
    }
    // PostgreSQL has no text with a zero byte in it
    text.contains('\0').then(|| "This has a character that can't be stored.".to_owned())
}

/// Of a move, a rep is told only that it was one; of an order's time with another rep, nothing was read.
fn entry(item: Timeline, reader: Option<RepId>, shell: &Shell, zone: chrono_tz::Tz) -> Entry {
    match item {
        Timeline::History { at, by, status, payment_status, notes } => {
            let mut lines = Vec::new();
            if status.0 != status.1 {
                lines.push(format!("Status: {} → {}", status.0.label(), status.1.label()));
            }
            if payment_status.0 != payment_status.1 {
                lines.push(format!("Payment: {} → {}", payment_status.0.label(), payment_status.1.label()));
            }
            if lines.is_empty() {
                lines.push("Noted".to_owned());
            }
            Entry { at: display_time(at, zone), at_iso: iso_time(at), by, lines, notes }
        }
        Timeline::Event(event) => {
            let moved = event.rep.0 != event.rep.1;
            let lines = match event.operation {
                crate::order::Operation::Insert => vec!["Order entered".to_owned()],
                crate::order::Operation::Delete => vec!["Order deleted".to_owned()],
                _ if moved && reader == event.rep.1 && reader.is_some() => vec!["Assigned to you".to_owned()],
                _ if moved && reader.is_some() => vec!["Assigned to another representative".to_owned()],
                _ => {
                    let fields = event.fields();
                    let mut lines: Vec<String> = fields.iter().map(|field| told(field, shell)).collect();
                    if moved {
                        lines.push("Assigned to another representative".to_owned());
                    }
                    lines
                }
            };
            let by = event.writer.name();
            Entry { at: display_time(event.at, zone), at_iso: iso_time(event.at), by, lines, notes: String::new() }
        }
    }
}

fn told(field: &crate::order::Field, shell: &Shell) -> String {
    let name = match field.field.as_str() {
        "status" => "Status",
        "payment_status" => "Payment",
        "total_amount" => "Total",
        "customer_name" => "Customer",
        "order_number" => "Number",
        "created_at" => "Placed",
        "items" => "Items",
        other => other,
    };
    let sign = if field.field == "total_amount" { shell.currency.sign() } else { "" };
    match (&field.from_display, &field.to_display) {
        (Some(from), Some(to)) => format!("{name}: {sign}{from} → {sign}{to}"),
        (None, Some(to)) => format!("{name}: {sign}{to}"),
        _ => name.to_owned(),
    }
}
