//! The list pages, complete without JavaScript: a rep's dashboard, and the pharmacists' queue of all orders.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::api::first_answer;
use super::view::{Line, ListView, parse};
use crate::order::{Column, PAGE_SIZE, Scope, Status, Summary, grouped, iso_time};
use crate::store::{Dashboard, Listed, Shown, Sight, SignedIn, StatusSince};
use crate::web::app::App;
use crate::web::page::failure::sentence;
use crate::web::page::host::{Changing, UNAVAILABLE};
use crate::web::page::live::LiveData;
use crate::web::page::shell::{Shell, render};
use crate::web::request::deed::{Deed, Offer};
use crate::web::request::failure::Failure;
use crate::web::request::session::{ListReader, OrderReader, Pharmacist};
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

/// What a page has under its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A rep's list.
    MyOrders,
    /// The list of all orders.
    Queue,
    /// Of all orders those that are not finished, the oldest first, without a filter's fields.
    OldestUnfinished,
}

impl Content {
    fn script(self) -> &'static str {
        match self {
            Self::MyOrders => "realtime_salesrep_dashboard.js",
            Self::Queue | Self::OldestUnfinished => "pharmacist_queue.js",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::MyOrders => "My Orders",
            Self::Queue => "Orders",
            Self::OldestUnfinished => "Pharmacy",
        }
    }
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    shell: Shell,
    /// What the page is told of the streams and the API.
    live: LiveData,
    content: Content,
    /// Whether it has the orders of all reps.
    is_queue: bool,
    /// What its script begins with.
    first_answer: String,
    /// The row of an order with the id 0, from which the page makes those of orders that enter; nothing where it adds none.
    blank: Option<Line>,
    summary: Summary,
    segments: Vec<Segment>,
    list: ListView,
    page_size: u64,
    headings: &'static [Column],
    /// What can be done with an order from the list.
    offers: Vec<Offer>,
    /// Whether several can be selected and changed together.
    can_select: bool,
    /// Why they can't be changed here.
    unavailable: Option<String>,
    created_from: String,
    created_before: String,
}

/// One status of the breakdown, with its place in the bar in percent.
struct Segment {
    status: &'static Status,
    count: i64,
    start: f64,
    width: f64,
}

impl DashboardPage {
    fn revenue(&self) -> String {
        self.shell.currency.show(self.summary.statistics.total_revenue)
    }

    #[expect(clippy::unused_self, reason = "templates reach functions through what they show")]
    fn count(&self, count: &i64) -> String {
        grouped(count)
    }
}

/// The rep's dashboard, or the queue of all orders.
pub(crate) async fn page<R: ListReader>(
    State(app): State<App>,
    reader: R,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (sight, user) = reader.whose();
    let content = if sight.scope() == Scope::All { Content::Queue } else { Content::MyOrders };
    list_page(&app, content, sight, &user, &query.unwrap_or_default()).await
}

/// The statistics of all orders, and the oldest that are not finished.
pub(crate) async fn oldest_unfinished(
    State(app): State<App>,
    Pharmacist { sight, user }: Pharmacist,
) -> Result<Response, Failure> {
    list_page(&app, Content::OldestUnfinished, sight, &user, &unfinished()).await
}

/// What the pharmacists' first page lists: what is not finished, oldest first.
fn unfinished() -> String {
    let statuses: Vec<&str> = Status::unfinished().map(Status::code).collect();
    format!("status={}&sort=created_at", statuses.join(","))
}

/// An address of former times: the list finds an order by its number as well.
pub(crate) async fn find(
    State(app): State<App>,
    OrderReader { sight, .. }: OrderReader,
    RawQuery(query): RawQuery,
) -> Redirect {
    let query = query.unwrap_or_default();
    let number = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "number").map(|(_, value)| value);
    let list = app.settings.site.list(sight.scope());
    match number.as_deref().map(str::trim) {
        None | Some("") => Redirect::to(&list),
        Some(number) => {
            let searched = form_urlencoded::Serializer::new(String::new()).append_pair("q", number).finish();
            Redirect::to(&format!("{list}?{searched}"))
        }
    }
}

async fn list_page(
    app: &App,
    content: Content,
    sight: Sight,
    user: &SignedIn,
    query: &str,
) -> Result<Response, Failure> {
    let scope = sight.scope();
    let (filter, invalid) = parse(query);
    let status = if invalid.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let _turn = turn(app, user, Kind::of(&filter)).await?;
    let zone = app.settings.zone;
    let views = async {
        match content {
            Content::MyOrders | Content::Queue => app.store.saved_views(user, scope).await,
            // nothing there to choose from
            Content::OldestUnfinished => Ok(Vec::new()),
        }
    };
    let (dashboard, views) = tokio::try_join!(app.store.dashboard(sight, &filter, Shown::List, zone), views)?;
    let first_answer = first_answer(&dashboard, zone);
    let Dashboard { cursor, summary, rows, pagination, status_since, .. } = dashboard;
    let (from, before) = filter.instants(zone);
    let lines = lines(app, rows, &status_since);
    let changing = Changing::of(app).await?;
    let html = render(&DashboardPage {
        shell: Shell::for_user(app, user),
        live: LiveData::new(app, scope, &cursor),
        content,
        is_queue: scope == Scope::All,
        first_answer,
        blank: (scope == Scope::All).then(Line::blank),
        segments: segments(&summary),
        list: ListView::new(app.settings.site.list(scope), query, (filter, invalid), pagination, lines, views),
        page_size: PAGE_SIZE,
        headings: Column::ALL,
        offers: offers(content, &changing, user),
        can_select: scope == Scope::All && matches!(changing, Changing::Here(_)),
        unavailable: matches!(changing, Changing::Unavailable).then(|| sentence(UNAVAILABLE)),
        created_from: from.map(iso_time).unwrap_or_default(),
        created_before: before.map(iso_time).unwrap_or_default(),
        summary,
    })?;
    Ok((status, html).into_response())
}

/// Of all orders one is changed on its page, here or the host's; or several where they are selected.
fn offers(content: Content, changing: &Changing<'_>, user: &SignedIn) -> Vec<Offer> {
    match (content, changing) {
        (Content::MyOrders, _) => {
            let offer = |deed: Deed| Some(deed.offer(user, changing.link(deed)?));
            [Deed::Edit, Deed::Cancel].into_iter().filter_map(offer).collect()
        }
        (_, Changing::OnHost(pages)) => vec![Offer::always("Change", pages.order.clone())],
        (_, Changing::Here(_) | Changing::Unavailable) => Vec::new(),
    }
}

fn lines(app: &App, rows: Vec<Listed>, status_since: &StatusSince) -> Vec<Line> {
    let line = |listed: Listed| {
        let since = status_since.get(&listed.row.id).copied();
        Line::of(listed, since, &app.settings.late_after, app.settings.zone)
    };
    rows.into_iter().map(line).collect()
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
