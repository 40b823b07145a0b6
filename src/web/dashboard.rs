//! The rep's dashboard as a page, complete without JavaScript.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::App;
use super::failure::Failure;
use super::session::SalesRep;
use super::shell::{Shell, page as render};
use crate::order::{
    Filter, Invalid, LateAfter, OrderRow, PAGE_SIZE, Pagination, RepId, Status, Summary, display_time, for_how_long,
    iso_time,
};
use crate::store::{Dashboard, Shown};

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    shell: Shell,
    summary: Summary,
    segments: Vec<Segment>,
    filter: Filter,
    invalid: Vec<Invalid>,
    /// What stands in the filter's fields: what was asked for, right or wrong.
    asked: Asked,
    lines: Vec<Line>,
    pagination: Pagination,
    rep: RepId,
    cursor: String,
    revision: String,
    poll_milliseconds: u128,
    created_from: String,
    created_before: String,
    zone: String,
    late_after: LateAfter,
}

/// One status of the breakdown, with its place in the bar in percent.
struct Segment {
    status: &'static Status,
    count: i64,
    start: f64,
    width: f64,
}

#[derive(Default)]
struct Asked {
    status: String,
    date_from: String,
    date_to: String,
}

/// A row as the template writes it.
struct Line {
    row: OrderRow,
    created_iso: String,
    created_display: String,
    /// Of an unfinished order, where it is known.
    in_status: Option<InStatus>,
}

/// How long an order has been in its status.
struct InStatus {
    since_iso: String,
    since_display: String,
    words: String,
    late: bool,
}

impl InStatus {
    fn new(status: &Status, since: DateTime<Utc>, late_after: &LateAfter, zone: Tz) -> Option<Self> {
        let now = Utc::now();
        let late = late_after.is_late(status, since, now);
        status.is_unfinished().then(|| Self {
            since_iso: iso_time(since),
            since_display: display_time(since, zone),
            words: format!("{}{}", for_how_long(now - since), if late { ", late" } else { "" }),
            late,
        })
    }
}

impl DashboardPage {
    fn error(&self, parameter: &str) -> Option<&'static str> {
        self.invalid.iter().find(|invalid| invalid.parameter == parameter).map(|invalid| invalid.expected)
    }

    fn range(&self) -> String {
        if self.lines.is_empty() {
            return "0 of 0".to_owned();
        }
        let first = self.pagination.offset() + 1;
        let last = self.pagination.offset() + (self.lines.len() as u64).min(PAGE_SIZE);
        format!("{first}–{last} of {}", self.pagination.total_orders)
    }

    fn page_link(&self, page: u64) -> String {
        format!("/orders/orders/{}", self.filter.query(page))
    }

    /// What the API is asked for to get this same list.
    fn query(&self) -> String {
        self.filter.query(self.pagination.current_page)
    }

    fn revenue(&self) -> String {
        self.shell.currency.show(self.summary.statistics.total_revenue)
    }

    fn is_narrowed(&self) -> bool {
        self.filter.is_narrowed()
    }
}

pub(super) async fn page(
    State(app): State<App>,
    SalesRep { rep, user }: SalesRep,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    let (filter, invalid) = match Filter::parse(&query) {
        Ok(filter) => (filter, Vec::new()),
        Err(invalid) => (Filter::default(), invalid),
    };
    let zone = app.settings.zone;
    let dashboard = app.store.dashboard(rep, &filter, Shown::List, zone).await?;
    let Dashboard { cursor, summary, rows, pagination, status_since, .. } = dashboard;
    let status = if invalid.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let lines = rows.into_iter().map(|row| Line {
        created_iso: row.created_at.map(iso_time).unwrap_or_default(),
        created_display: row.created_at.map_or_else(|| "–".to_owned(), |at| display_time(at, zone)),
        in_status: status_since
            .get(&row.id)
            .and_then(|since| InStatus::new(&row.status, *since, &app.settings.late_after, zone)),
        row,
    });
    let (from, before) = filter.instants(zone);
    let html = render(&DashboardPage {
        shell: Shell::for_user(&app, &user),
        rep,
        segments: segments(&summary),
        asked: asked(&query),
        lines: lines.collect(),
        created_from: from.map(iso_time).unwrap_or_default(),
        created_before: before.map(iso_time).unwrap_or_default(),
        poll_milliseconds: app.settings.poll_interval.as_millis(),
        revision: cursor.revision().to_string(),
        cursor: cursor.to_string(),
        zone: zone.name().to_owned(),
        late_after: app.settings.late_after.clone(),
        summary,
        filter,
        invalid,
        pagination,
    })?;
    Ok((status, html).into_response())
}

fn segments(summary: &Summary) -> Vec<Segment> {
    let listed: i64 = summary.orders_by_status.iter().map(|(_, count)| count).sum();
    let share = |count: i64| if listed > 0 { 100.0 * count as f64 / listed as f64 } else { 0.0 };
    let mut start = 0.0;
    let segments = summary.orders_by_status.iter().map(|(status, count)| {
        let segment = Segment { status, count, start, width: share(count) };
        start += segment.width;
        segment
    });
    segments.collect()
}

fn asked(query: &str) -> Asked {
    let mut asked = Asked::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "status" => asked.status = value.into_owned(),
            "date_from" => asked.date_from = value.into_owned(),
            "date_to" => asked.date_to = value.into_owned(),
            _ => {}
        }
    }
    asked
}
