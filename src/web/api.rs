//! The dashboard's JSON, and its stream.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use serde::Serialize;

use super::failure::Failure;
use super::session::SalesRep;
use super::{App, stream};
use crate::cursor::{Cursor, Revision};
use crate::live::Subscriber;
use crate::order::{Filter, Invalid, OrderId, OrderRow, Pagination, RepId, RowJson, Summary, iso_time};
use crate::store::{Shown, StatusSince};

/// How many rows a page may ask for by id. It shows twenty.
const MOST_VISIBLE: usize = 100;

#[derive(Serialize)]
struct DashboardJson<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    orders: Vec<RowJson<'a>>,
    pagination: Pagination,
    revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    visible: Option<Vec<VisibleJson<'a>>>,
}

/// A row that the page shows, whatever its filter: as in the API, with the customer and since when it is in its status, or
/// gone.
#[derive(Serialize)]
#[serde(untagged)]
enum VisibleJson<'a> {
    Present {
        #[serde(flatten)]
        row: RowJson<'a>,
        customer_name: &'a str,
        status_since: Option<String>,
    },
    Gone {
        id: OrderId,
        removed: bool,
    },
}

/// The dashboard under a filter; 304, without a look at the orders, to who has it and for whom nothing has changed since.
/// With `visible=1,2,3` also the present state of those rows, for a page that shows them.
pub(super) async fn dashboard(
    State(app): State<App>,
    SalesRep { rep, user }: SalesRep,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    still_the_same(rep, &query)?;
    let (filter, visible) = match (Filter::parse(&query), visible(&query)) {
        (Ok(filter), Ok(visible)) => (filter, visible),
        (filter, visible) => {
            let mut invalid = filter.err().unwrap_or_default();
            invalid.extend(visible.err());
            return Err(Failure::Invalid(invalid));
        }
    };
    app.live.polls(rep);
    if let Some(known) = known_revision(rep, &headers)
        && app.live.is_unchanged(rep, known, user.as_of).await
    {
        return Ok((StatusCode::NOT_MODIFIED, about(rep, user.as_of)).into_response());
    }
    let zone = app.settings.zone;
    let asked = visible.as_deref().unwrap_or_default();
    let dashboard = app.store.dashboard(rep, &filter, Shown::Orders(asked), zone).await?;
    let revision = dashboard.cursor.revision();
    let json = DashboardJson {
        summary: &dashboard.summary,
        orders: dashboard.rows.iter().map(|row| row.json(zone)).collect(),
        pagination: dashboard.pagination,
        revision: revision.to_string(),
        visible: visible
            .as_ref()
            .map(|ids| ids.iter().map(|id| present(*id, &dashboard.visible, &dashboard.status_since, zone)).collect()),
    };
    Ok((about(rep, revision), Json(json)).into_response())
}

/// An answer's tag is the state that it tells, and of whom. That of "not modified" is the present one, in which the answer
/// is still right.
fn about(rep: RepId, revision: Revision) -> [(HeaderName, String); 2] {
    [(header::CACHE_CONTROL, "no-store".to_owned()), (header::ETAG, format!("\"{revision}-{rep}\""))]
}

/// The state that the client has of the rep's orders. A tag that this service did not give is none.
fn known_revision(rep: RepId, headers: &HeaderMap) -> Option<Revision> {
    let tag = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    // a proxy that compresses makes a tag weak
    let (revision, of) = tag.trim().trim_start_matches("W/").strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
    (of == rep.to_string()).then(|| revision.parse().ok()).flatten()
}

fn present<'a>(id: OrderId, rows: &'a [OrderRow], since: &StatusSince, zone: Tz) -> VisibleJson<'a> {
    match rows.iter().find(|row| row.id == id) {
        Some(row) => VisibleJson::Present {
            row: row.json(zone),
            customer_name: &row.customer_name,
            status_since: since.get(&id).copied().map(iso_time),
        },
        None => VisibleJson::Gone { id, removed: true },
    }
}

/// A page says whose it is: in its browser somebody else may be signed in by now, whose orders it must not show.
fn still_the_same(rep: RepId, query: &str) -> Result<(), Failure> {
    match last_value(query, "rep") {
        Some(expected) if expected != rep.to_string() => Err(Failure::NotSignedIn),
        _ => Ok(()),
    }
}

fn last_value(query: &str, parameter: &str) -> Option<String> {
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

/// The rep's stream. The cursor comes from the browser's own reconnect, else from the query. One that can't be read is
/// no cursor: the page gets the whole state.
pub(super) async fn events(
    State(app): State<App>,
    SalesRep { rep, user }: SalesRep,
    request: Request,
) -> Result<Response, Failure> {
    let (request, _) = request.into_parts();
    let query = request.uri.query().unwrap_or_default();
    still_the_same(rep, query)?;
    if request.method == Method::HEAD {
        return Ok(stream::about().into_response());
    }
    let from_header = request.headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cursor = from_header.or_else(|| last_value(query, "cursor"));
    let cursor = cursor.and_then(|text| Cursor::from_outside(&text));
    let events = app.live.open(Subscriber { rep, session: user.session }, cursor.as_ref()).await?;
    Ok(stream::respond(events, stream::may_take_over(&request)))
}
