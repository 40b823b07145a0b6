//! Pages, API and streams over HTTP. Knows no SQL; who may see what is said by the extractors in `session`.

mod api;
mod assets;
mod changes;
mod dashboard;
mod export;
mod failure;
mod form;
mod guard;
mod list;
mod login;
mod mute;
mod order_page;
mod order_pages;
mod overtaken;
mod path;
mod preferences;
mod saved_views;
mod session;
mod shell;
mod status;
mod stream;
mod timeline;
mod viewing;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Router, http};
use chrono_tz::Tz;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::live::Live;
use crate::order::{Currency, LateAfter};
use crate::password::Passwords;
use crate::store::{Sessions, Store};

/// How long a page or an API answer may take. Streams have no end.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest request body, in bytes. The largest form has four texts of [`form::LONGEST_TEXT`] characters, of up to twelve bytes
/// each in a form.
const BODY_LIMIT: usize = 256 * 1_024;

/// What the handlers need.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub store: Store,
    /// Who is signed in.
    pub sessions: Sessions,
    /// The streams.
    pub live: Arc<Live>,
    /// The checking of passwords.
    pub passwords: Passwords,
    /// What was configured.
    pub settings: Arc<WebSettings>,
}

/// What the pages are told by the configuration.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Zone of days and times.
    pub zone: Tz,
    /// Sign before amounts.
    pub currency: Currency,
    /// How long orders may stay in a status.
    pub late_after: LateAfter,
    /// How often a page polls while its stream is down.
    pub poll_interval: Duration,
    /// How long somebody stays signed in.
    pub session_lifetime: Duration,
}

/// Every route.
pub fn router(app: App) -> Router {
    let pages = Router::new()
        .route("/", get(login::home))
        .route("/accounts/login/", get(login::form).post(login::sign_in))
        .route("/accounts/logout/", post(login::sign_out))
        .route("/accounts/preferences/", get(preferences::form).post(preferences::save))
        .route("/orders/find/", get(order_pages::find))
        .route("/orders/orders/", get(dashboard::page))
        .route("/orders/orders/export.csv", get(export::orders))
        .route("/orders/orders/views/", post(saved_views::save))
        .route("/orders/orders/views/delete/", post(saved_views::delete))
        .route("/orders/pharmacist/dashboard/", get(dashboard::pharmacy))
        .route("/orders/pharmacist/orders/", get(dashboard::queue))
        .route("/orders/pharmacist/orders/export.csv", get(export::queue))
        .route("/orders/pharmacist/orders/views/", post(saved_views::save_of_queue))
        .route("/orders/pharmacist/orders/views/delete/", post(saved_views::delete_of_queue))
        .route("/orders/orders/status/", post(status::change_selection))
        .route("/orders/orders/{id}/", get(order_page::detail))
        .route("/orders/orders/{id}/status/", post(status::change))
        .route("/orders/pharmacist/orders/{id}/", get(order_page::detail_for_pharmacists))
        .route("/orders/orders/{id}/edit/", get(order_pages::edit_form).post(order_pages::edit))
        .route("/orders/orders/{id}/cancel/", get(order_pages::cancel_form).post(order_pages::cancel))
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed);
    let api = Router::new()
        .route("/orders/api/sales-rep/dashboard/", get(api::dashboard))
        .route("/orders/api/pharmacist/dashboard/", get(api::queue))
        .route("/orders/api/sales-rep/changes/", get(changes::of_rep))
        .route("/orders/api/sales-rep/changes/read/", post(changes::read_by_rep))
        .route("/orders/api/pharmacist/changes/", get(changes::of_all))
        .route("/orders/api/pharmacist/changes/read/", post(changes::read_of_all))
        .route("/orders/api/orders/{id}/mute/", post(mute::change))
        .route("/orders/api/orders/{id}/viewing/", post(viewing::heartbeat))
        .method_not_allowed_fallback(failure::method_not_allowed);
    let assets = Router::new().route("/static/{*path}", get(assets::serve));
    let streams = Router::new()
        .route("/orders/api/sales-rep/events/", get(api::events))
        .route("/orders/api/pharmacist/events/", get(api::queue_events))
        .method_not_allowed_fallback(failure::method_not_allowed);

    let answers = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CompressionLayer::new())
        .layer(from_fn(guard::finish_writes));
    let everything = ServiceBuilder::new()
        // what failed is logged once, with its cause, where it becomes a response
        .layer(TraceLayer::new_for_http().on_failure(()).make_span_with(|request: &http::Request<_>| {
            tracing::debug_span!("request", method = %request.method(), path = request.uri().path())
        }))
        .layer(from_fn(guard::security_headers))
        .layer(from_fn_with_state(app.clone(), failure::as_page))
        .layer(CatchPanicLayer::custom(failure::panicked))
        .layer(from_fn(guard::refuse_cross_site))
        .layer(from_fn(failure::in_one_form))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT));
    pages.merge(api).merge(assets).layer(answers).merge(streams).layer(everything).with_state(app)
}
