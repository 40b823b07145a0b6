//! Changing where a selection of orders stands, from a list.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::overtaken::{Overtaken, standing_seen};
use super::refusal::{against_rule, locked};
use super::status::wanted;
use crate::order::{OrderId, OrderKey, Standing, counted};
use crate::store::{SignedIn, StatusChange, StatusOutcome};
use crate::web::address::local_path;
use crate::web::app::App;
use crate::web::page::host::takes_form;
use crate::web::page::shell::{Shell, render};
use crate::web::request::accept::accepts_json;
use crate::web::request::failure::Failure;
use crate::web::request::form::{Form, LONGEST_TEXT, too_long_or_unwritable};
use crate::web::request::session::Pharmacist;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

/// How many orders one selection may have.
const LARGEST_SELECTION: usize = 100;

/// How long the orders of a selection are worked on. What is not reached by then is told, as a request has an end.
const SELECTION_PATIENCE: Duration = Duration::from_secs(20);

/// What became of a selection.
#[derive(Serialize)]
struct Selection {
    changed: Vec<Changed>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Changed {
    id: OrderId,
    key: OrderKey,
    order_number: String,
}

#[derive(Serialize)]
struct Refused {
    id: OrderId,
    key: OrderKey,
    order_number: Option<String>,
    reason: String,
    /// The same in a few words, by which refused orders are grouped.
    brief: String,
}

/// Why an order was not changed, which has that number if there is one.
struct Refusal {
    order_number: Option<String>,
    reason: String,
    brief: String,
}

impl Refusal {
    fn not_tried(reason: &str) -> Self {
        Self { order_number: None, reason: reason.to_owned(), brief: "not tried".to_owned() }
    }
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
        format!("{changed} of {} changed", counted(all, "order", "orders"))
    }
}

/// Several orders, each in a transaction of its own: one that is refused keeps no other from being changed.
pub(crate) async fn change(
    State(app): State<App>,
    Pharmacist { user, .. }: Pharmacist,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    form.is_theirs(&user)?;
    takes_form(&app).await?;
    let (wanted, note) = (wanted(&form)?, form.text("note"));
    if let Some(problem) = too_long_or_unwritable(&note, LONGEST_TEXT) {
        return Err(Failure::Unwritable(format!("note: {problem}")));
    }
    let chosen = chosen(&form)?;
    let _turn = turn(&app, &user, Kind::Change).await?;
    let change = StatusChange { wanted, note };
    let selection = change_each(&app, &user, &chosen, &change).await;
    if accepts_json(&headers) {
        return Ok(([(header::CACHE_CONTROL, "no-store")], Json(selection)).into_response());
    }
    let next = local_path(form.field("next")).map_or_else(|| app.settings.site.home(), str::to_owned);
    render(&SelectionPage { shell: Shell::for_user(&app, &user), selection, wanted: change.wanted.label(), next })
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
            Some(reason) => Err(Refusal::not_tried(reason)),
            None => change_one(app, user, *id, known.as_ref(), change).await.unwrap_or_else(|failure| {
                let reason = failure.logged_message();
                given_up = Some(format!("not tried: {reason}"));
                Err(Refusal { order_number: None, reason, brief: "not changed, as something failed".to_owned() })
            }),
        };
        match outcome {
            Ok(order_number) => selection.changed.push(Changed { id: *id, key: OrderKey(*id), order_number }),
            Err(Refusal { order_number, reason, brief }) => {
                selection.refused.push(Refused { id: *id, key: OrderKey(*id), order_number, reason, brief });
            }
        }
    }
    selection
}

/// The number of the changed order; or why it was not changed.
async fn change_one(
    app: &App,
    user: &SignedIn,
    id: OrderId,
    known: Option<&Standing>,
    change: &StatusChange,
) -> Result<Result<String, Refusal>, Failure> {
    let gone = || {
        let reason = "there is no such order".to_owned();
        Err(Refusal { order_number: None, reason, brief: "deleted".to_owned() })
    };
    let Some((number, outcome)) = app.store.change_status(id, known, change, user).await? else { return Ok(gone()) };
    let (reason, brief) = match outcome {
        StatusOutcome::Changed => return Ok(Ok(number)),
        StatusOutcome::Refused(refusal) => (refusal.sentence(&number), refusal.brief()),
        StatusOutcome::AgainstRule(rule) => (against_rule(&rule), "forbidden by a rule of the database".to_owned()),
        StatusOutcome::Locked => (locked(&number), "being changed by somebody else".to_owned()),
        StatusOutcome::Overtaken => {
            let Some(order) = app.store.order(id, user).await? else { return Ok(gone()) };
            let now = order.row.standing();
            let overtaken = Overtaken::of(known.unwrap_or(&now), &change.wanted, &order, app);
            (overtaken.sentence(&number), "changed since you selected them".to_owned())
        }
    };
    Ok(Err(Refusal { order_number: Some(number), reason, brief }))
}

/// The chosen orders, each once, with the version that the person saw, if it was sent: `12` or `12:pending:paid`. More than may be
/// are not looked at.
fn chosen(form: &Form) -> Result<Vec<(OrderId, Option<Standing>)>, Failure> {
    let (mut chosen, mut ids) = (Vec::new(), HashSet::new());
    for field in form.fields("order") {
        let (id, version) = field.split_once(':').unwrap_or((field, ""));
        let expected = || Failure::Unwritable("order: expected an order's id such as 12".to_owned());
        let id = OrderId(id.parse().map_err(|_| expected())?);
        let known = standing_seen(version)?;
        if ids.insert(id) {
            chosen.push((id, known));
        }
        if chosen.len() > LARGEST_SELECTION {
            return Err(Failure::Unwritable(format!("order: choose at most {LARGEST_SELECTION}")));
        }
    }
    if chosen.is_empty() {
        return Err(Failure::Unwritable("order: choose at least one".to_owned()));
    }
    Ok(chosen)
}
