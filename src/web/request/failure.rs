//! What goes wrong in a request, as a value, and the one place where that becomes a response: JSON with a reason.

use std::any::Any;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http::Late;
use crate::live::ListenerState;
use crate::order::Invalid;
use crate::security::Refused;
use crate::store::StoreError;
use crate::web::app::App;

/// Why a request gets no answer, or not the one it wanted.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 401.
    NotSignedIn,
    /// 403: the role may not do this.
    WrongRole(&'static str),
    /// 403: another site sent it.
    CrossSite,
    /// 404: there is no such thing for this user.
    NotFound,
    /// 404: the page is one of the application that manages the orders.
    OfTheHost,
    /// 405.
    WrongMethod,
    /// 413.
    TooLarge,
    /// 408: the request's body did not arrive in time.
    Late,
    /// 503: the answer took too long.
    TooSlow,
    /// 503: as many streams are open as there may be.
    Full,
    /// 503: the server is stopping; a balancer that hears of it asks another.
    Draining,
    /// 429: the user has too much under way.
    Crowded,
    /// 400: parameters that do not parse.
    Invalid(Vec<Invalid>),
    /// 422: what was sent can't be written.
    Unwritable(String),
    /// 409: the order is in a status in which this can't be done.
    Conflict(String),
    /// 503 if the database is out of reach, or the service lacks a right or something else in it, else 500.
    Store(StoreError),
    /// 500: a page could not be rendered.
    Page(askama::Error),
    /// 500: a defect.
    Panicked,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::Page(error)
    }
}

const TOO_SLOW: &str = "the answer took too long; try again in a moment";

/// Why, in plain words. In a response's extensions, so that a page can be made of the response.
#[derive(Clone)]
pub(crate) struct Reason(pub(crate) String);

/// In a response's extensions: it failed as the database is away, and nothing has been said of that in the log.
#[derive(Clone)]
struct Untold(Arc<StoreError>);

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::WrongRole(_) | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound | Self::OfTheHost => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unwritable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::TooSlow | Self::Full | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Crowded => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(error)
                if error.is_outage()
                    || error.is_slowness()
                    || error.is_lack_of_rights()
                    || error.is_of_the_schema() =>
            {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(_) | Self::Page(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Plain words, no internals.
    fn message(&self) -> String {
        match self {
            Self::NotSignedIn => "not signed in".to_owned(),
            Self::WrongRole(needed) => format!("only for {needed}"),
            Self::CrossSite => "the request came from another site and was refused".to_owned(),
            Self::NotFound => "not found".to_owned(),
            Self::OfTheHost => {
                "this address is a page of the application in which orders are changed, and this service has none \
                                of its own: the proxy before both must send it there"
                    .to_owned()
            }
            Self::WrongMethod => "this method is not allowed here".to_owned(),
            Self::TooLarge => "the request is too large".to_owned(),
            Self::Late => "the request took too long to arrive".to_owned(),
            Self::TooSlow => TOO_SLOW.to_owned(),
            Self::Full => "too many pages are open; try again in a moment".to_owned(),
            Self::Draining => "this server is being stopped; try again in a moment".to_owned(),
            Self::Crowded => "too much of what you asked for is still under way; try again in a moment".to_owned(),
            Self::Invalid(invalid) => {
                let each = invalid.iter().map(|Invalid { parameter, expected }| format!("{parameter}: {expected}"));
                each.collect::<Vec<_>>().join("; ")
            }
            Self::Unwritable(why) | Self::Conflict(why) => why.clone(),
            Self::Store(error) if error.is_slowness() => TOO_SLOW.to_owned(),
            Self::Store(error) if error.is_outage() => "the database is unavailable; try again in a moment".to_owned(),
            Self::Store(error) if error.is_lack_of_rights() => {
                "this service lacks a right in its database; its log says what to do".to_owned()
            }
            Self::Store(error) if error.is_of_the_schema() => {
                "something is missing in this service's database; its log says what to do".to_owned()
            }
            Self::Store(_) | Self::Page(_) | Self::Panicked => "an internal error; it has been logged".to_owned(),
        }
    }

    /// In how many seconds it may be otherwise.
    fn retry_after(&self) -> &'static str {
        if matches!(self, Self::Draining) { "1" } else { "5" }
    }

    /// For an answer that goes on without what failed.
    pub(crate) fn logged_message(&self) -> String {
        self.log();
        self.message()
    }

    fn log(&self) {
        match self {
            Self::Store(error) if error.is_lack_of_rights() => {
                tracing::error!(
                    error = error.chain(),
                    "answered 503: oncare-live doctor names the rights that are missing, and oncare-live doctor --grants ROLE \
                     prints all that the service's role needs"
                );
            }
            Self::Store(error) if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!(error = error.chain(), remedy = error.remedy(), "answered 503");
            }
            Self::Store(error) => tracing::error!(error = error.chain(), "answered 500"),
            Self::Page(error) => tracing::error!(%error, "could not render a page"),
            _ => {}
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let is_outage = matches!(&self, Self::Store(error) if error.is_outage());
        let message = if is_outage { self.message() } else { self.logged_message() };
        let body = Json(json!({ "error": message }));
        let mut response = (self.status(), [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&self.status()) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(self.retry_after()));
        }
        response.extensions_mut().insert(Reason(message));
        match self {
            Self::WrongRole(_) => drop(response.extensions_mut().insert(Refused::Role)),
            Self::CrossSite => drop(response.extensions_mut().insert(Refused::CrossSite)),
            Self::Crowded | Self::Full => drop(response.extensions_mut().insert(Refused::TooMany)),
            Self::Store(error) if is_outage => drop(response.extensions_mut().insert(Untold(Arc::new(error)))),
            _ => {}
        }
        response
    }
}

/// Says in the log that the database is away, unless the listener does: of that one line is enough, however many ask.
pub(crate) async fn tell_outages(State(app): State<App>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(Untold(error)) = response.extensions().get()
        && app.live.hub.listener_state() == ListenerState::Live
    {
        tracing::warn!(error = error.chain(), remedy = error.remedy(), "answered 503");
    }
    response
}

/// Gives what layers refuse by themselves the same form as all failures.
pub(crate) async fn in_one_form(request: Request, next: Next) -> Response {
    let late = request.extensions().get::<Late>().cloned();
    let response = next.run(request).await;
    if late.is_some_and(|late| late.is_late()) {
        return Failure::Late.into_response();
    }
    let ours =
        response.extensions().get::<Reason>().is_some() || response.headers().contains_key(header::CACHE_CONTROL);
    match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE if !ours => Failure::TooLarge.into_response(),
        StatusCode::SERVICE_UNAVAILABLE if !ours => Failure::TooSlow.into_response(),
        _ => response,
    }
}

pub(crate) async fn not_found() -> Failure {
    Failure::NotFound
}

pub(crate) async fn method_not_allowed() -> Failure {
    Failure::WrongMethod
}

/// A handler that panicked is a defect: the person is told so, the log has the panic.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Failure::Panicked.into_response()
}
