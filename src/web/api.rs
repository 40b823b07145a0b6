//! The dashboard's JSON, and its stream.

use std::fmt::Display;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use serde::Serialize;

use super::failure::Failure;
use super::session::{Pharmacist, SalesRep};
use super::{App, stream};
use crate::cursor::{Cursor, Revision};
use crate::live::Subscriber;
use crate::order::{Filter, FullRowJson, Invalid, OrderId, Pagination, RowJson, Scope, Summary, iso_time};
use crate::store::{Listed, Shown, SignedIn};

/// How many rows a page may ask for by id. It shows twenty, and of a queue what has arrived since, and offers others.
pub(super) const MOST_VISIBLE: usize = 100;

#[derive(Serialize)]
struct DashboardJson<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    orders: Vec<AnyRowJson<'a>>,
    pagination: Pagination,
    revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    visible: Option<Vec<VisibleJson<'a>>>,
}

/// A row of one rep's list, or of the list of all orders.
#[derive(Serialize)]
#[serde(untagged)]
enum AnyRowJson<'a> {
    OfRep(RowJson<'a>),
    OfAll(FullRowJson<'a>),
}

/// A row that the page shows, whatever its filter: with the customer, since when it is in its status, and whether it is on the
/// list; or gone.
#[derive(Serialize)]
#[serde(untagged)]
enum VisibleJson<'a> {
    Present {
        #[serde(flatten)]
        row: Box<FullRowJson<'a>>,
        status_since: Option<String>,
        fits: bool,
    },
    Gone {
        id: OrderId,
        removed: bool,
    },
}

pub(super) async fn dashboard(
    State(app): State<App>,
    rep: SalesRep,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    answer(&app, rep.scope(), &rep.user, &headers, &query.unwrap_or_default()).await
}

pub(super) async fn queue(
    State(app): State<App>,
    Pharmacist { user }: Pharmacist,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    answer(&app, Scope::All, &user, &headers, &query.unwrap_or_default()).await
}

/// The dashboard under a filter; 304, without a look at the orders, to who has it and for whom nothing has changed since.
/// With `visible=1,2,3` also the present state of those rows, for a page that shows them.
async fn answer(
    app: &App,
    scope: Scope,
    user: &SignedIn,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, Failure> {
    still_the_same(scope, user, query)?;
    let (filter, visible) = match (Filter::parse(query), visible(query)) {
        (Ok(filter), Ok(visible)) => (filter, visible),
        (filter, visible) => {
            let mut invalid = filter.err().unwrap_or_default();
            invalid.extend(visible.err());
            return Err(Failure::Invalid(invalid));
        }
    };
    app.live.polls(scope);
    if let Some(known) = known_revision(scope, headers)
        && app.live.is_unchanged(scope, known, user.as_of).await
    {
        return Ok((StatusCode::NOT_MODIFIED, about(scope, user.as_of)).into_response());
    }
    let zone = app.settings.zone;
    let asked = visible.as_deref().unwrap_or_default();
    let dashboard = app.store.dashboard(scope, &filter, Shown::Orders(asked), zone).await?;
    let revision = dashboard.cursor.revision();
    let present = |id: &OrderId| match dashboard.visible.iter().find(|listed| listed.row.id == *id) {
        Some(listed) => {
            let status_since = dashboard.status_since.get(id).copied().map(iso_time);
            let row = Box::new(full(listed, zone));
            VisibleJson::Present { row, status_since, fits: dashboard.fitting.contains(id) }
        }
        None => VisibleJson::Gone { id: *id, removed: true },
    };
    let json = DashboardJson {
        summary: &dashboard.summary,
        orders: dashboard.rows.iter().map(|listed| row(listed, scope, zone)).collect(),
        pagination: dashboard.pagination,
        revision: revision.to_string(),
        visible: visible.as_ref().map(|ids| ids.iter().map(present).collect()),
    };
    Ok((about(scope, revision), Json(json)).into_response())
}

fn row(listed: &Listed, scope: Scope, zone: Tz) -> AnyRowJson<'_> {
    match scope {
        Scope::Rep(_) => AnyRowJson::OfRep(listed.row.json(zone)),
        Scope::All => AnyRowJson::OfAll(full(listed, zone)),
    }
}

fn full(listed: &Listed, zone: Tz) -> FullRowJson<'_> {
    listed.row.full_json(listed.rep, listed.rep_name.as_deref(), zone)
}

/// An answer's tag is the state that it tells, and of what. That of "not modified" is the present one, in which the
/// answer is still right.
pub(super) fn about(of: impl Display, revision: Revision) -> [(HeaderName, String); 2] {
    [(header::CACHE_CONTROL, "no-store".to_owned()), (header::ETAG, format!("\"{revision}-{of}\""))]
}

/// The state that the client has of this. A tag that this service did not give is none.
pub(super) fn known_revision(of: impl Display, headers: &HeaderMap) -> Option<Revision> {
    let tag = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    // a proxy that compresses makes a tag weak
    let (revision, known) =
        tag.trim().trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    (known == of.to_string()).then(|| revision.parse().ok()).flatten()
}

/// A page says whose orders it shows, and to whom: in its browser somebody else may be signed in by now, whose orders it must
/// not show, and whom it must not take for the other.
pub(super) fn still_the_same(scope: Scope, user: &SignedIn, query: &str) -> Result<(), Failure> {
    let is_another = |parameter: &str, now: &str| last_value(query, parameter).is_some_and(|expected| expected != now);
    if is_another("rep", &scope.to_string()) || is_another("user", &user.id.to_string()) {
        return Err(Failure::NotSignedIn);
    }
    Ok(())
}

pub(super) fn last_value(query: &str, parameter: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.filter(|(name, _)| name == parameter).last().map(|(_, value)| value)
}

fn visible(query: &str) -> Result<Option<Vec<OrderId>>, Invalid> {
    let Some(list) = last_value(query, "visible") else { return Ok(None) };
    let ids: Option<Vec<OrderId>> =
        list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok().map(OrderId)).collect();
    match ids {
        Some(ids) if ids.len() <= MOST_VISIBLE => Ok(Some(ids)),
        _ => Err(Invalid { parameter: "visible", expected: "expected at most 100 order ids such as 12,15,17" }),
    }
}

pub(super) async fn events(State(app): State<App>, rep: SalesRep, request: Request) -> Result<Response, Failure> {
    open_stream(&app, rep.scope(), &rep.user, request).await
}

pub(super) async fn queue_events(
    State(app): State<App>,
    Pharmacist { user }: Pharmacist,
    request: Request,
) -> Result<Response, Failure> {
    open_stream(&app, Scope::All, &user, request).await
}

/// The stream. The cursor comes from the browser's own reconnect, else from the query. One that can't be read is no cursor:
/// the page gets the whole state.
async fn open_stream(app: &App, scope: Scope, user: &SignedIn, request: Request) -> Result<Response, Failure> {
    let (request, _) = request.into_parts();
    let query = request.uri.query().unwrap_or_default();
    still_the_same(scope, user, query)?;
    if request.method == Method::HEAD {
        return Ok(stream::about().into_response());
    }
    let from_header = request.headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cursor = from_header.or_else(|| last_value(query, "cursor"));
    let cursor = cursor.and_then(|text| Cursor::from_outside(&text));
    let events = app.live.open(Subscriber { scope, session: user.session }, cursor.as_ref()).await?;
    Ok(stream::respond(events, stream::may_take_over(&request)))
}
