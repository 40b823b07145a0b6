//! Pages, API and streams over HTTP. Knows no SQL. Each room knows only rooms that stand above it here:
//!
//! | room | what lives there |
//! |---|---|
//! | `address.rs` | where the pages of this installation are: the only place that knows |
//! | `app.rs` | what every handler is given: the store, the live side, what was configured |
//! | `headers.rs` | what a browser may do with an answer, by the kind of the answer |
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
mod page;
mod request;
mod stream;

use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Router, http};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

pub use address::{Host, Site};
pub use app::{App, Forms, HostPages, WebSettings};
use lists::{api, export, pages, saved_views};
use news::{bell, mute, preferences};
use order::{cancel, edit, selection, status, viewing};
use page::{assets, login, sessions};
use request::session::{Pharmacist, SalesRep};
use request::{failure, guard};

/// How long a page or an API answer may take. Streams have no end.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest request body, in bytes. The largest form has four texts of [`request::form::LONGEST_TEXT`] characters, of up to
/// twelve bytes each in a form.
const BODY_LIMIT: usize = 256 * 1_024;

/// Every route, below the prefix of the pages; all but the pages also without it, where the host's own page asks for them.
pub fn router(app: App) -> Router {
    let site = &app.settings.site;
    let pages = Router::new()
        .route("/", get(login::home))
        .route("/accounts/logout/", post(login::sign_out))
        .route("/accounts/sessions/", get(sessions::form).post(sessions::end))
        .route("/accounts/preferences/", get(preferences::form).post(preferences::save))
        .route("/orders/find/", get(pages::find))
        .route("/orders/orders/", get(pages::page::<SalesRep>))
        .route("/orders/orders/export.csv", get(export::export::<SalesRep>))
        .route("/orders/orders/views/", post(saved_views::save::<SalesRep>))
        .route("/orders/orders/views/delete/", post(saved_views::delete::<SalesRep>))
        .route("/orders/pharmacist/dashboard/", get(pages::waiting_longest))
        .route("/orders/pharmacist/orders/", get(pages::page::<Pharmacist>))
        .route("/orders/pharmacist/orders/export.csv", get(export::export::<Pharmacist>))
        .route("/orders/pharmacist/orders/views/", post(saved_views::save::<Pharmacist>))
        .route("/orders/pharmacist/orders/views/delete/", post(saved_views::delete::<Pharmacist>))
        .route("/orders/orders/status/", post(selection::change))
        .route("/orders/orders/{id}/", get(order::page::of_reader))
        .route("/orders/orders/{id}/status/", post(status::change))
        .route("/orders/pharmacist/orders/{id}/", get(order::page::of_pharmacist))
        .route("/orders/orders/{id}/edit/", get(edit::form).post(edit::save))
        .route("/orders/orders/{id}/cancel/", get(cancel::form).post(cancel::cancel))
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed);
    let login = Router::new()
        .route("/accounts/login/", get(login::form).post(login::sign_in))
        .method_not_allowed_fallback(failure::method_not_allowed);
    let api = Router::new()
        .route("/orders/api/sales-rep/dashboard/", get(api::answer::<SalesRep>))
        .route("/orders/api/pharmacist/dashboard/", get(api::answer::<Pharmacist>))
        .route("/orders/api/sales-rep/changes/", get(bell::answer::<SalesRep>))
        .route("/orders/api/sales-rep/changes/read/", post(bell::mark_read::<SalesRep>))
        .route("/orders/api/pharmacist/changes/", get(bell::answer::<Pharmacist>))
        .route("/orders/api/pharmacist/changes/read/", post(bell::mark_read::<Pharmacist>))
        .route("/orders/api/orders/{id}/mute/", post(mute::change))
        .route("/orders/api/orders/{id}/viewing/", post(viewing::heartbeat))
        .method_not_allowed_fallback(failure::method_not_allowed);
    let assets = Router::new()
        .route("/static/{*path}", get(assets::serve))
        .route("/static/js/{name}", get(assets::serve_shop_script));
    let streams = Router::new()
        .route("/orders/api/sales-rep/events/", get(stream::open::open::<SalesRep>))
        .route("/orders/api/pharmacist/events/", get(stream::open::open::<Pharmacist>))
        .method_not_allowed_fallback(failure::method_not_allowed);

    let answered = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CompressionLayer::new());
    // a login whose sender has left makes room for others; what it writes in the end goes on by itself
    let login = login.layer(answered.clone());
    let answers = answered.layer(from_fn(guard::finish_writes));
    let everything = ServiceBuilder::new()
        // what failed is logged once, with its cause, where it becomes a response
        .layer(TraceLayer::new_for_http().on_failure(()).make_span_with(|request: &http::Request<_>| {
            tracing::debug_span!("request", method = %request.method(), path = request.uri().path())
        }))
        .layer(from_fn_with_state(app.clone(), headers::add))
        .layer(from_fn_with_state(app.clone(), page::failure::as_page))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(from_fn(guard::refuse_cross_site))
        .layer(from_fn(failure::in_one_form))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    let routes = match site.root() {
        "" => pages.merge(api).merge(assets).layer(answers).merge(streams).merge(login),
        root => {
            let below = pages.merge(api.clone()).merge(assets.clone()).layer(answers.clone()).merge(streams.clone());
            let below = below.merge(login);
            let home = site.home();
            let to_home = Router::new().route(root, get(async move || Redirect::to(&home)));
            let besides = api.merge(assets).fallback(failure::not_found).layer(answers).merge(streams);
            Router::new().nest(&site.home(), below).merge(to_home).merge(besides)
        }
    };
    routes.layer(everything).with_state(app)
}
