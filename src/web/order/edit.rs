//! Editing an order.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use sha2::{Digest, Sha256};

use super::refusal::{against_rule, locked, refusal, refused, refused_now};
use super::timeline::last_changed;
use super::watched::Watched;
use crate::order::{DeliveryMethod, Entry, OrderId, Status, display_time_with_zone};
use crate::store::{Edit, OrderDetail, SignedIn, WriteOutcome};
use crate::web::app::App;
use crate::web::page::failure::sentence;
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
    watched: Watched,
    overtaken: Option<Overtaken>,
    /// Why it can't be written any more.
    refused: Option<String>,
    /// Why it can't be written right now, or not like this.
    problem: Option<String>,
    errors: Vec<(&'static str, String)>,
}

/// An edit that somebody else's change overtook.
struct Overtaken {
    /// By whom and when, as far as it is known: of most of what is edited, nobody records who changed it.
    by: Option<String>,
    /// When the order was written last.
    written: Option<String>,
}

impl EditPage {
    /// The form for what the order is, or for what somebody wrote in it.
    fn new(app: &App, user: &SignedIn, id: OrderId, order: &OrderDetail, edit: Edit) -> Result<Self, Failure> {
        Ok(Self {
            shell: Shell::for_user(app, user),
            id,
            number: order.row.order_number.clone(),
            edit,
            version: version(&order.editable),
            watched: Watched::of(app, user, order)?,
            overtaken: None,
            refused: None,
            problem: None,
            errors: Vec::new(),
        })
    }

    /// Whether it has what somebody entered, and not what the order is.
    fn is_refilled(&self) -> bool {
        self.overtaken.is_some() || self.refused.is_some() || self.problem.is_some() || !self.errors.is_empty()
    }

    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|(name, _)| *name == field).map(|(_, message)| message.as_str())
    }
}

pub(crate) async fn form(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    shows_form(&app).await?;
    let _turn = turn(&app, &reader.user, Kind::Other).await?;
    let order = app.store.order(id, &reader.user).await?.ok_or(Failure::NotFound)?;
    if !Deed::Edit.is_allowed(&reader.user, &order.row.status) {
        return Err(refused(Deed::Edit, &reader.user, &order, &app));
    }
    render(&EditPage::new(&app, &reader.user, id, &order, order.editable.clone())?)
}

pub(crate) async fn save(
    State(app): State<App>,
    reader: OrderReader,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&reader.user)?;
    let _turn = turn(&app, &reader.user, Kind::Change).await?;
    takes_form(&app).await?;
    let order = app.store.order(id, &reader.user).await?.ok_or(Failure::NotFound)?;
    let present = &order.editable;
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
    let again = EditPage { version: known.to_owned(), ..EditPage::new(&app, &reader.user, id, &order, edit)? };
    let errors = check(&again.edit, present);
    if !errors.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&EditPage { errors, ..again })?).into_response());
    }
    let is_known = |present: &Edit| known.is_empty() || known == version(present);
    let is_allowed = |status: &Status| Deed::Edit.is_allowed(&reader.user, status);
    match app.store.edit_order(id, &again.edit, is_known, &reader.user, is_allowed).await? {
        WriteOutcome::Done => Ok(Redirect::to(&app.settings.site.order(id)).into_response()),
        WriteOutcome::Refused if accepts_json(&headers) => Err(refused_now(&app, &reader, id, Deed::Edit).await?),
        WriteOutcome::Locked if accepts_json(&headers) => Err(Failure::Conflict(locked(&again.number))),
        WriteOutcome::Locked => {
            let problem = Some(locked(&again.number));
            Ok((StatusCode::CONFLICT, render(&EditPage { problem, ..again })?).into_response())
        }
        WriteOutcome::AgainstRule(rule) if accepts_json(&headers) => Err(Failure::Unwritable(against_rule(&rule))),
        WriteOutcome::AgainstRule(rule) => {
            let problem = Some(against_rule(&rule));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&EditPage { problem, ..again })?).into_response())
        }
        outcome @ (WriteOutcome::Refused | WriteOutcome::Overtaken) => {
            let order = app.store.order(id, &reader.user).await?.ok_or(Failure::NotFound)?;
            let errors = differences(&again.edit, &order.editable);
            let (overtaken, refused) = match outcome {
                WriteOutcome::Refused => (None, Some(sentence(&refusal(Deed::Edit, &reader.user, &order, &app)))),
                _ => (Some(overtaken_by(&again.edit, &order, &app)), None),
            };
            let newest = EditPage::new(&app, &reader.user, id, &order, again.edit)?;
            let again = render(&EditPage { overtaken, refused, errors, ..newest })?;
            Ok((StatusCode::CONFLICT, again).into_response())
        }
        WriteOutcome::Gone => Err(Failure::NotFound),
    }
}

/// Who renames a customer is recorded; of the other fields only the order's time of writing tells.
fn overtaken_by(edit: &Edit, order: &OrderDetail, app: &App) -> Overtaken {
    let zone = app.settings.zone;
    let renames = |entry: &Entry| {
        let event = entry.recorded.as_ref().map(|recorded| &recorded.event);
        event.is_some_and(|event| event.other.iter().any(|(column, ..)| column == "customer_name"))
    };
    let is_renamed = edit.customer_name != order.editable.customer_name;
    Overtaken {
        by: is_renamed.then(|| last_changed(&order.timeline, renames, zone)).flatten(),
        written: order.updated_at.map(|at| display_time_with_zone(at, zone)),
    }
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
