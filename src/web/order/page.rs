//! One order's page: what it is, what happened to it, and for pharmacists and administrators the form that changes where it
//! stands.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::overtaken::Overtaken;
use super::refusal::{against_rule, locked};
use super::timeline::EntryView;
use super::watched::{Watched, brought_by};
use crate::order::{OrderId, PaymentStatus, Refusal, Standing, Status, Wanted, display_time, exact_time, iso_time};
use crate::store::{OrderDetail, Role, SignedIn};
use crate::web::app::App;
use crate::web::page::failure::sentence;
use crate::web::page::host::{Changing, UNAVAILABLE};
use crate::web::page::shell::{Shell, render};
use crate::web::request::deed::Deed;
use crate::web::request::failure::Failure;
use crate::web::request::path::OrderPath;
use crate::web::request::session::{OrderReader, Pharmacist};
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage {
    shell: Shell,
    order: OrderDetail,
    is_rep: bool,
    watched: Watched,
    /// Where the list is that the order is on.
    back: String,
    created: String,
    created_iso: String,
    created_exact: String,
    reached: Vec<(&'static str, String)>,
    verified: Option<String>,
    /// Where it is edited, cancelled and changed, as far as this person can: the last only where that is not on this page.
    edit: Option<String>,
    cancel: Option<String>,
    change: Option<String>,
    /// Why it can't be changed here.
    unavailable: Option<String>,
    is_muted: bool,
    entries: Vec<EntryView>,
    form: Option<StatusForm>,
}

/// The form that changes where the order stands.
struct StatusForm {
    now: Standing,
    /// What the person has seen, which the next change must come from.
    version: String,
    statuses: Vec<Choice<Status>>,
    payments: Vec<Choice<PaymentStatus>>,
    note: String,
    /// Who brought the order where it stands, if that is known.
    by: String,
    /// It shows what somebody wanted before, not what is.
    is_refilled: bool,
    problem: Option<Shortcoming>,
}

/// What a form offers, and why not.
struct Choice<T: 'static> {
    code: &'static T,
    /// Why it can't be chosen.
    refusal: Option<String>,
    /// What it needs besides.
    needs: Option<&'static str>,
    is_chosen: bool,
}

/// What the person is told of a form that was not taken.
enum Shortcoming {
    /// One sentence.
    Said(String),
    /// What is wrong with the note.
    Note(String),
    /// Somebody else was faster.
    Overtaken(Overtaken),
}

/// A change that was asked for and not made.
pub(super) struct Attempt {
    /// What its form was made from, where that is known.
    pub(super) was: Option<Standing>,
    pub(super) wanted: Wanted,
    pub(super) note: String,
    pub(super) why: Why,
}

/// Why it was not made.
pub(super) enum Why {
    /// The note can't be written.
    Note(String),
    /// The rules do not allow it.
    Refused(Refusal),
    /// Somebody else is changing the order and takes long.
    Locked,
    /// The order is no more what the form was made from.
    Overtaken,
    /// A rule of the tables' owner forbids it: which.
    AgainstRule(String),
}

pub(crate) async fn of_reader(
    State(app): State<App>,
    OrderReader { user, .. }: OrderReader,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    let _turn = turn(&app, &user, Kind::Other).await?;
    show(&app, &user, id, None).await
}

pub(crate) async fn of_pharmacist(
    State(app): State<App>,
    Pharmacist { user, .. }: Pharmacist,
    OrderPath(id): OrderPath,
) -> Result<Response, Failure> {
    let _turn = turn(&app, &user, Kind::Other).await?;
    show(&app, &user, id, None).await
}

/// The page; with an attempt, its form is filled in as it was sent, and says why nothing came of it.
pub(super) async fn show(
    app: &App,
    user: &SignedIn,
    id: OrderId,
    attempt: Option<Attempt>,
) -> Result<Response, Failure> {
    let mut order = app.store.order(id, user).await?.ok_or(Failure::NotFound)?;
    let is_muted = app.store.is_muted(user, id).await?;
    let zone = app.settings.zone;
    let status = match attempt.as_ref().map(|attempt| &attempt.why) {
        None => StatusCode::OK,
        Some(Why::Note(_) | Why::AgainstRule(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(_) => StatusCode::CONFLICT,
    };
    let is_rep = user.role == Role::SalesRep;
    let scope = user.sight().ok_or(Failure::NotFound)?.scope();
    let watched = Watched::of(app, user, &order)?;
    let changing = Changing::of(app).await?;
    let form = (!is_rep && matches!(changing, Changing::Here(_))).then(|| StatusForm::of(&order, attempt, app));
    let allowed = |deed: Deed| changing.link(deed).filter(|_| deed.is_allowed(user, &order.row.status));
    let (edit, cancel) = (allowed(Deed::Edit).map(|link| link.of(id)), allowed(Deed::Cancel).map(|link| link.of(id)));
    let shell = Shell::for_user(app, user);
    let timeline = std::mem::take(&mut order.timeline);
    let display = |at: DateTime<Utc>| display_time(at, zone);
    let html = render(&OrderPage {
        watched,
        back: app.settings.site.list(scope),
        is_rep,
        created: order.row.created_at.map_or_else(|| "–".to_owned(), display),
        created_iso: order.row.created_at.map(iso_time).unwrap_or_default(),
        created_exact: order.row.created_at.map(|at| exact_time(at, zone)).unwrap_or_default(),
        reached: order.reached.iter().map(|(name, at)| (*name, display(*at))).collect(),
        verified: order.prescription.verified.then(|| {
            let by = order.prescription.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let at = order.prescription.at.map(|at| format!(", {}", display(at))).unwrap_or_default();
            format!("verified{by}{at}")
        }),
        is_muted,
        edit,
        cancel,
        change: match changing {
            Changing::OnHost(pages) if !is_rep => Some(pages.order.of(id)),
            Changing::OnHost(_) | Changing::Here(_) | Changing::Unavailable => None,
        },
        unavailable: matches!(changing, Changing::Unavailable).then(|| sentence(UNAVAILABLE)),
        entries: timeline.into_iter().map(|entry| EntryView::of(entry, user.as_rep(), &shell, zone)).collect(),
        form,
        shell,
        order,
    })?;
    Ok((status, html).into_response())
}

impl StatusForm {
    fn keeps_status(&self) -> bool {
        !self.statuses.iter().any(|choice| choice.is_chosen)
    }

    fn note_problem(&self) -> Option<&str> {
        match &self.problem {
            Some(Shortcoming::Note(problem)) => Some(problem),
            _ => None,
        }
    }

    fn of(order: &OrderDetail, attempt: Option<Attempt>, app: &App) -> Self {
        let now = order.row.standing();
        let by = brought_by(order);
        let Some(Attempt { was, wanted, note, why }) = attempt else {
            let wanted = Wanted::default();
            let (statuses, payments) = (statuses(&now, &wanted), payments(&now, &wanted));
            let version = now.version();
            let note = String::new();
            return Self { now, version, statuses, payments, note, by, is_refilled: false, problem: None };
        };
        let number = &order.row.order_number;
        let was = was.as_ref().unwrap_or(&now);
        // who is told what the order is now has seen it
        let (seen, problem) = match why {
            Why::Note(problem) => (was, Shortcoming::Note(problem)),
            Why::Locked => (was, Shortcoming::Said(locked(number))),
            Why::AgainstRule(rule) => (was, Shortcoming::Said(against_rule(&rule))),
            Why::Refused(refusal) => (&now, Shortcoming::Said(refusal.sentence(number))),
            Why::Overtaken => (&now, Shortcoming::Overtaken(Overtaken::of(was, &wanted, order, app))),
        };
        let (version, statuses, payments) = (seen.version(), statuses(&now, &wanted), payments(&now, &wanted));
        Self { version, statuses, payments, note, by, is_refilled: true, problem: Some(problem), now }
    }
}

/// Every other status. Delivering needs the payment, which may be chosen at the same time.
fn statuses(now: &Standing, wanted: &Wanted) -> Vec<Choice<Status>> {
    let others = Status::ALL.iter().filter(|status| **status != now.status);
    let choice = |status: &'static Status| {
        let refusal = now.status.leads_to(status).err().map(|refusal| refusal.reason());
        let unpaid = *status == Status::Delivered && now.payment_status != PaymentStatus::Paid;
        Choice {
            code: status,
            is_chosen: refusal.is_none() && wanted.status.as_ref() == Some(status),
            needs: (unpaid && refusal.is_none()).then_some("together with payment Paid"),
            refusal,
        }
    };
    others.map(choice).collect()
}

fn payments(now: &Standing, wanted: &Wanted) -> Vec<Choice<PaymentStatus>> {
    let others = PaymentStatus::ALL.iter().filter(|payment| **payment != now.payment_status);
    let choice = |payment: &'static PaymentStatus| {
        let refusal = now.pays(payment).err().map(|refusal| refusal.reason());
        let is_chosen = refusal.is_none() && wanted.payment_status.as_ref() == Some(payment);
        Choice { code: payment, refusal, needs: None, is_chosen }
    };
    others.map(choice).collect()
}
