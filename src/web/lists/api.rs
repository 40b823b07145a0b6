//! The lists as JSON.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono_tz::Tz;
use serde::Serialize;

use crate::live::Poll;
use crate::order::{Filter, FullRowJson, Invalid, OrderId, OrderKey, Pagination, RowJson, Scope, Summary, iso_time};
use crate::store::{Dashboard, Listed, NEWEST_CHANGES, Shown, StatusSince};
use crate::web::app::App;
use crate::web::page::live::MOST_VISIBLE;
use crate::web::request::etag::{self, known_revision};
use crate::web::request::failure::Failure;
use crate::web::request::query::{last_value, refuse_anothers};
use crate::web::request::session::ListReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Serialize)]
struct DashboardJson<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    orders: Vec<AnyRowJson<'a>>,
    pagination: Pagination,
    /// The newest of all orders, as the shop's page of the pharmacists shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_orders: Option<Vec<AnyRowJson<'a>>>,
    revision: String,
    #[serde(flatten)]
    page: Option<PageJson<'a>>,
    #[serde(flatten)]
    shop_page: Option<ShopPageJson<'a>>,
}

/// So many are the newest orders.
const RECENT: u8 = 10;

/// The header in which a page says why it asks.
const REASON: &str = "oncare-reason";

/// What a page is answered besides.
#[derive(Serialize)]
struct PageJson<'a> {
    visible: Vec<VisibleJson<'a>>,
    /// How many orders the list has, on all pages.
    total: u64,
}

/// What our script on a page of the shop is told: our own pages have it in their markup.
#[derive(Serialize)]
struct ShopPageJson<'a> {
    cursor: String,
    user: String,
    login: &'a str,
    poll_interval: u128,
    /// How many changes the bell's answer lists.
    most_listed: usize,
    time_zone: &'static str,
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
        row: Box<StandingRowJson<'a>>,
        fits: bool,
    },
    Gone {
        id: OrderId,
        key: OrderKey,
        removed: bool,
    },
}

/// A row with its key and since when it is in its status.
#[derive(Serialize)]
struct StandingRowJson<'a> {
    #[serde(flatten)]
    row: FullRowJson<'a>,
    status_since: Option<String>,
}

/// What a page has from the start, for its script: the answer that it would be given now.
pub(super) fn first_answer(dashboard: &Dashboard, zone: Tz) -> String {
    #[derive(Serialize)]
    struct FirstAnswer<'a> {
        #[serde(flatten)]
        summary: &'a Summary,
        orders: Vec<StandingRowJson<'a>>,
        total: u64,
    }
    let row = |listed| standing_row(listed, &dashboard.status_since, zone);
    let answer = FirstAnswer {
        summary: &dashboard.summary,
        orders: dashboard.rows.iter().map(row).collect(),
        total: dashboard.pagination.total_orders,
    };
    // these plain structures can't fail to become JSON
    serde_json::to_string(&answer).unwrap_or_default()
}

/// The dashboard under a filter; 304, without a look at the orders, to who has it and for whom nothing has changed since.
/// With `visible=1,2,3` also the present state of those rows, for a page that shows them.
///
/// Who names no `rep=` asks as the shop's own scripts do, which know of none: they are refused nothing ([`Filter::as_shop`]), and of
/// all orders they are given the newest as well.
pub(crate) async fn answer<R: ListReader>(
    State(app): State<App>,
    reader: R,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (sight, ref user) = reader.whose();
    let scope = sight.scope();
    let query = query.as_deref().unwrap_or_default();
    refuse_anothers(scope, user, query)?;
    let is_of_shop = last_value(query, "rep").is_none();
    let filter = if is_of_shop { Ok(Filter::as_shop(query)) } else { Filter::parse(query) };
    let (filter, visible) = match (filter, visible(query)) {
        (Ok(filter), Ok(visible)) => (filter, visible),
        (filter, visible) => {
            let mut invalid = filter.err().unwrap_or_default();
            invalid.extend(visible.err());
            return Err(Failure::Invalid(invalid));
        }
    };
    let reason = headers.get(REASON).and_then(|reason| reason.to_str().ok());
    app.live.meter.polled(Poll::said(reason));
    app.live.polls(scope);
    if let Some(known) = known_revision(scope, &headers)
        && app.live.is_unchanged(scope, known, user.as_of).await
    {
        return Ok((StatusCode::NOT_MODIFIED, etag::headers(scope, user.as_of)).into_response());
    }
    let _turn = turn(&app, user, Kind::of(&filter)).await?;
    let zone = app.settings.zone;
    let asked = visible.as_deref().unwrap_or_default();
    let dashboard = app.store.dashboard(sight, &filter, Shown::Orders(asked), zone).await?;
    // after the rest, as what is newer than its revision does no harm
    let recent = if is_of_shop && scope == Scope::All {
        Some(app.store.newest_orders(sight, &dashboard.summary, RECENT, zone).await?)
    } else {
        None
    };
    let revision = dashboard.cursor.revision();
    let present = |id: &OrderId| match dashboard.visible.iter().find(|listed| listed.row.id == *id) {
        Some(listed) => VisibleJson::Present {
            row: Box::new(standing_row(listed, &dashboard.status_since, zone)),
            fits: dashboard.fitting.contains(id),
        },
        None => VisibleJson::Gone { id: *id, key: OrderKey(*id), removed: true },
    };
    let json = DashboardJson {
        summary: &dashboard.summary,
        orders: dashboard.rows.iter().map(|listed| row(listed, scope, visible.is_some(), zone)).collect(),
        pagination: dashboard.pagination,
        recent_orders: recent
            .as_ref()
            .map(|recent| recent.iter().map(|listed| row(listed, scope, visible.is_some(), zone)).collect()),
        revision: revision.to_string(),
        page: visible.as_ref().map(|ids| PageJson {
            visible: ids.iter().map(present).collect(),
            total: dashboard.pagination.total_orders,
        }),
        shop_page: (is_of_shop && visible.is_some()).then(|| ShopPageJson {
            cursor: dashboard.cursor.to_string(),
            user: user.id.to_string(),
            login: &user.username,
            poll_interval: app.settings.poll_interval.as_millis(),
            most_listed: NEWEST_CHANGES,
            time_zone: zone.name(),
        }),
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

fn standing_row<'a>(listed: &'a Listed, status_since: &StatusSince, zone: Tz) -> StandingRowJson<'a> {
    let status_since = status_since.get(&listed.row.id).copied().map(iso_time);
    StandingRowJson { row: full(listed, zone).with_key(), status_since }
}

fn full(listed: &Listed, zone: Tz) -> FullRowJson<'_> {
    listed.row.full_json(listed.rep, listed.rep_name.as_deref(), zone)
}

fn visible(query: &str) -> Result<Option<Vec<OrderId>>, Invalid> {
    let Some(list) = last_value(query, "visible") else { return Ok(None) };
    let ids = list.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().ok().map(OrderId));
    // one more than may be, whatever comes after it
    let ids: Option<Vec<OrderId>> = ids.take(MOST_VISIBLE + 1).collect();
    match ids {
        Some(ids) if ids.len() <= MOST_VISIBLE => Ok(Some(ids)),
        _ => Err(Invalid { parameter: "visible", expected: "expected at most 100 order ids such as 12,15,17" }),
    }
}
