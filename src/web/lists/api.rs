//! The lists as JSON.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use serde::Serialize;

use crate::order::{Filter, FullRowJson, Invalid, OrderId, OrderKey, Pagination, RowJson, Scope, Summary, iso_time};
use crate::store::{Listed, Shown};
use crate::web::app::App;
use crate::web::page::live::MOST_VISIBLE;
use crate::web::request::etag::{self, known_revision};
use crate::web::request::failure::Failure;
use crate::web::request::query::{last_value, refuse_anothers};
use crate::web::request::session::ListReader;

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
        key: OrderKey,
        removed: bool,
    },
}

/// The dashboard under a filter; 304, without a look at the orders, to who has it and for whom nothing has changed since.
/// With `visible=1,2,3` also the present state of those rows, for a page that shows them.
pub(crate) async fn answer<R: ListReader>(
    State(app): State<App>,
    reader: R,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (scope, ref user) = reader.whose();
    let query = query.as_deref().unwrap_or_default();
    refuse_anothers(scope, user, query)?;
    let (filter, visible) = match (Filter::parse(query), visible(query)) {
        (Ok(filter), Ok(visible)) => (filter, visible),
        (filter, visible) => {
            let mut invalid = filter.err().unwrap_or_default();
            invalid.extend(visible.err());
            return Err(Failure::Invalid(invalid));
        }
    };
    app.live.polls(scope);
    if let Some(known) = known_revision(scope, &headers)
        && app.live.is_unchanged(scope, known, user.as_of).await
    {
        return Ok((StatusCode::NOT_MODIFIED, etag::headers(scope, user.as_of)).into_response());
    }
    let zone = app.settings.zone;
    let asked = visible.as_deref().unwrap_or_default();
    let dashboard = app.store.dashboard(scope, &filter, Shown::Orders(asked), zone).await?;
    let revision = dashboard.cursor.revision();
    let present = |id: &OrderId| match dashboard.visible.iter().find(|listed| listed.row.id == *id) {
        Some(listed) => {
            let status_since = dashboard.status_since.get(id).copied().map(iso_time);
            let row = Box::new(full(listed, zone).with_key());
            VisibleJson::Present { row, status_since, fits: dashboard.fitting.contains(id) }
        }
        None => VisibleJson::Gone { id: *id, key: OrderKey(*id), removed: true },
    };
    let json = DashboardJson {
        summary: &dashboard.summary,
        orders: dashboard.rows.iter().map(|listed| row(listed, scope, visible.is_some(), zone)).collect(),
        pagination: dashboard.pagination,
        revision: revision.to_string(),
        visible: visible.as_ref().map(|ids| ids.iter().map(present).collect()),
    };
    Ok((etag::headers(scope, revision), Json(json)).into_response())
}

/// A row of the list; with its key for a page.
fn row(listed: &Listed, scope: Scope, is_for_page: bool, zone: Tz) -> AnyRowJson<'_> {
    match (scope, is_for_page) {
        (Scope::Rep(_), false) => AnyRowJson::OfRep(listed.row.json(zone)),
        (Scope::Rep(_), true) => AnyRowJson::OfRep(listed.row.json(zone).with_key()),
        (Scope::All, false) => AnyRowJson::OfAll(full(listed, zone)),
        (Scope::All, true) => AnyRowJson::OfAll(full(listed, zone).with_key()),
    }
}

fn full(listed: &Listed, zone: Tz) -> FullRowJson<'_> {
    listed.row.full_json(listed.rep, listed.rep_name.as_deref(), zone)
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
