//! Pages, API and streams over HTTP. Knows no SQL. Each room knows only rooms that stand above it here:
//!
//! | room | what lives there |
//! |---|---|
//! | `address.rs` | where the pages of this installation are: the only place that knows |
//! | `app.rs` | what every handler is given: the store, the live side, what was configured |
//! | `headers.rs` | what a browser may do with an answer, by the kind of the answer |
//! | `turns.rs` | how much one person may have under way at once |
//! | `other_assets.rs` | scripts and styles of other versions, whose pages a balancer may lead here |
//! | `request/` | who asks, and so what they may see (`session.rs`); what is asked: forms, queries; why not: a failure, as a value |
//! | `page/` | what every page has: shell, assets, where orders are changed; the login, or the way to the host's and back; the page of a failure |
//! | `stream/` | opening a stream, and writing it on a connection that it takes over |
//! | `lists/` | a rep's list and that of all orders: page, JSON, export, saved views |
//! | `order/` | one order's page with its timeline, and who looks at it; editing, cancelling, its status |
//! | `news/` | the bell, muting, what somebody wants to be told of |
//!
//! The last three do not know one another. Below is every route.

mod address;
mod app;
mod headers;
mod lists;
mod news;
mod order;
mod other_assets;
mod page;
mod request;
mod stream;
mod turns;

use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::{Router, http};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::routes::{Route, Routes};
use crate::security::beginning;
pub use address::{Host, Site};
pub use app::{App, Forms, HostPages, WebSettings};
use lists::{api, export, pages, saved_views};
use news::{bell, mute, preferences};
use order::{cancel, edit, selection, status, viewing};
pub use other_assets::OtherAssets;
pub use page::assets::packed as packed_assets;
use page::{assets, login, sessions};
use request::administration::administrators_alone;
use request::id::RequestId;
use request::session::{Pharmacist, SalesRep};
use request::{asker, failure, guard, id, tally};
pub use turns::Turns;

/// How long a page or an API answer may take. Streams have no end.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest request body, in bytes. The largest form has four texts of [`request::form::LONGEST_TEXT`] characters, of up to
/// twelve bytes each in a form.
const BODY_LIMIT: usize = 256 * 1_024;

/// What answers to every route. `administration` is for administrators alone, and belongs to whoever runs the service.
pub fn router(app: App, administration: Routes<App>) -> Router {
    let everything = ServiceBuilder::new()
        .layer(from_fn(id::name))
        // what failed is logged once, with its cause, where it becomes a response: within this
        .layer(TraceLayer::new_for_http().on_failure(()).make_span_with(|request: &http::Request<_>| {
            let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.as_str());
            tracing::error_span!("request", method = %request.method(), path = beginning(request.uri().path()), id)
        }))
        .layer(from_fn_with_state(app.clone(), tally::count))
        .layer(from_fn_with_state(app.clone(), headers::add))
        .layer(from_fn_with_state(app.clone(), page::failure::as_page))
        .layer(from_fn_with_state(app.clone(), asker::say_refusals))
        .layer(from_fn_with_state(app.clone(), failure::tell_outages))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(from_fn(guard::refuse_cross_site))
        .layer(from_fn(failure::in_one_form))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    let administration = administration
        .method_not_allowed_fallback(failure::method_not_allowed)
        .layer(from_fn_with_state(app.clone(), administrators_alone));
    let administration = Routes::new().nest(&app.settings.site.administration(), administration);
    routes(&app.settings.site).merge(administration).into_router().layer(everything).with_state(app)
}

/// Every route there is, where administrators have these.
#[must_use]
pub fn all_routes(site: &Site, administration: &[Route]) -> Vec<Route> {
    let theirs = administration.iter().map(|route| route.clone().below(&site.administration()));
    routes(site).list().iter().cloned().chain(theirs).collect()
}

/// Those of the pages themselves, below the prefix of the pages; all but the pages also without it, where the host's own page asks for them.
#[must_use]
pub fn routes(site: &Site) -> Routes<App> {
    let pages = Routes::new()
        .get("/", login::home)
        .post("/accounts/logout/", login::sign_out)
        .get("/accounts/sessions/", sessions::form)
        .post("/accounts/sessions/", sessions::end)
        .get("/accounts/preferences/", preferences::form)
        .post("/accounts/preferences/", preferences::save)
        .get("/orders/find/", pages::find)
        .get("/orders/orders/", pages::page::<SalesRep>)
        .get("/orders/orders/export.csv", export::export::<SalesRep>)
        .post("/orders/orders/views/", saved_views::save::<SalesRep>)
        .post("/orders/orders/views/delete/", saved_views::delete::<SalesRep>)
        .get("/orders/pharmacist/dashboard/", pages::oldest_unfinished)
        .get("/orders/pharmacist/orders/", pages::page::<Pharmacist>)
        .get("/orders/pharmacist/orders/export.csv", export::export::<Pharmacist>)
        .post("/orders/pharmacist/orders/views/", saved_views::save::<Pharmacist>)
        .post("/orders/pharmacist/orders/views/delete/", saved_views::delete::<Pharmacist>)
        .post("/orders/orders/status/", selection::change)
        .get("/orders/orders/{id}/", order::page::of_reader)
        .post("/orders/orders/{id}/status/", status::change)
        .get("/orders/pharmacist/orders/{id}/", order::page::of_pharmacist)
        .get("/orders/orders/{id}/edit/", edit::form)
        .post("/orders/orders/{id}/edit/", edit::save)
        .get("/orders/orders/{id}/cancel/", cancel::form)
        .post("/orders/orders/{id}/cancel/", cancel::cancel)
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed);
    let login = Routes::new()
        .get("/accounts/login/", login::form)
        .post("/accounts/login/", login::sign_in)
        .method_not_allowed_fallback(failure::method_not_allowed);
    let api = Routes::new()
        .get("/orders/api/sales-rep/dashboard/", api::answer::<SalesRep>)
        .get("/orders/api/pharmacist/dashboard/", api::answer::<Pharmacist>)
        .get("/orders/api/sales-rep/changes/", bell::answer::<SalesRep>)
        .post("/orders/api/sales-rep/changes/read/", bell::mark_read::<SalesRep>)
        .get("/orders/api/pharmacist/changes/", bell::answer::<Pharmacist>)
        .post("/orders/api/pharmacist/changes/read/", bell::mark_read::<Pharmacist>)
        .post("/orders/api/orders/{id}/mute/", mute::change)
        .post("/orders/api/orders/{id}/viewing/", viewing::heartbeat)
        .method_not_allowed_fallback(failure::method_not_allowed);
    let assets = Routes::new()
        .get("/static/{*path}", assets::serve)
        .get("/static/js/{name}", assets::serve_shop_script)
        .method_not_allowed_fallback(failure::method_not_allowed);
    let streams = Routes::new()
        .get("/orders/api/sales-rep/events/", stream::open::open::<SalesRep>)
        .get("/orders/api/pharmacist/events/", stream::open::open::<Pharmacist>)
        .method_not_allowed_fallback(failure::method_not_allowed);

    let answered = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CompressionLayer::new());
    // a login whose sender has left makes room for others; what it writes in the end goes on by itself
    let login = login.layer(answered.clone());
    let answers = answered.layer(from_fn(guard::finish_writes));
    match site.root() {
        "" => pages.merge(api).merge(assets).layer(answers).merge(streams).merge(login),
        root => {
            let below = pages.merge(api.clone()).merge(assets.clone()).layer(answers.clone()).merge(streams.clone());
            let below = below.merge(login);
            let home = site.home();
            let to_home = Routes::new().get(root, async move || Redirect::to(&home));
            let besides = api.merge(assets).fallback(failure::not_found).layer(answers).merge(streams);
            Routes::new().nest(&site.home(), below).merge(to_home).merge(besides)
        }
    }
}
