//! What goes wrong in a request, and the one place where that becomes a response.

use std::any::Any;

use askama::Template;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde_json::json;

use super::App;
use super::guard::host;
use super::login::local_path;
use super::session::who;
use super::shell::Shell;
use crate::order::Invalid;
use crate::password::TooBusy;
use crate::store::StoreError;

/// Why a request gets no answer, or not the one it wanted.
#[derive(Debug)]
pub(super) enum Failure {
    /// 401.
    NotSignedIn,
    /// 403: the role may not do this.
    WrongRole(&'static str),
    /// 403: another site sent it.
    CrossSite,
    /// 404: there is no such thing for this user.
    NotFound,
    /// 405.
    WrongMethod,
    /// 413.
    TooLarge,
    /// 503: the answer took too long.
    TooSlow,
    /// 400: parameters that do not parse.
    Invalid(Vec<Invalid>),
    /// 422: what was sent can't be written.
    Unwritable(String),
    /// 409: the order is in a status in which this can't be done.
    Conflict(String),
    /// 503: too much to do.
    Busy(TooBusy),
    /// 503 if the database is out of reach, else 500.
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

impl From<TooBusy> for Failure {
    fn from(error: TooBusy) -> Self {
        Self::Busy(error)
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::Page(error)
    }
}

const TOO_SLOW: &str = "the answer took too long; try again in a moment";

/// What the person is told; it travels with the response, so that a page can be made of it.
#[derive(Clone)]
struct Told(String);

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::WrongRole(_) | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unwritable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooSlow | Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.is_outage() || error.is_slowness() => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::WrongMethod => "this method is not allowed here".to_owned(),
            Self::TooLarge => "the request is too large".to_owned(),
            Self::TooSlow => TOO_SLOW.to_owned(),
            Self::Invalid(invalid) => {
                let each = invalid.iter().map(|Invalid { parameter, expected }| format!("{parameter}: {expected}"));
                each.collect::<Vec<_>>().join("; ")
            }
            Self::Unwritable(why) | Self::Conflict(why) => why.clone(),
            Self::Busy(busy) => format!("{busy}; try again in a moment"),
            Self::Store(error) if error.is_slowness() => TOO_SLOW.to_owned(),
            Self::Store(error) if error.is_outage() => "the database is unavailable; try again in a moment".to_owned(),
            Self::Store(_) | Self::Page(_) | Self::Panicked => "an internal error; it has been logged".to_owned(),
        }
    }

    /// For an answer that goes on without what failed.
    pub(super) fn logged_message(&self) -> String {
        self.log();
        self.message()
    }

    fn log(&self) {
        match self {
            Self::Store(error) if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!(error = error.chain(), "answered 503");
            }
            Self::Store(error) => tracing::error!(error = error.chain(), "answered 500"),
            Self::Page(error) => tracing::error!(%error, "could not render a page"),
            _ => {}
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let message = self.logged_message();
        let body = Json(json!({ "error": message }));
        let mut response = (self.status(), [(header::CACHE_CONTROL, "no-store")], body).into_response();
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(Told(message));
        response
    }
}

/// Below this path every answer is for programs.
const API: &str = "/orders/api/";

/// Whether a client asks for JSON where others get pages. Browsers that open a page do not.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.contains("application/json")
}

/// Gives what layers refuse by themselves the same form as all failures.
pub(super) async fn in_one_form(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let ours = response.extensions().get::<Told>().is_some() || response.headers().contains_key(header::CACHE_CONTROL);
    match response.status() {
        StatusCode::PAYLOAD_TOO_LARGE if !ours => Failure::TooLarge.into_response(),
        StatusCode::SERVICE_UNAVAILABLE if !ours => Failure::TooSlow.into_response(),
        _ => response,
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    shell: Shell,
    heading: &'static str,
    message: String,
}

/// Makes pages of failures, and of "not signed in" the way to the login and back.
pub(super) async fn as_page(State(app): State<App>, uri: Uri, request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let response = next.run(request).await;
    let status = response.status();
    let for_programs = uri.path().starts_with(API) || accepts_json(&headers);
    let Some(Told(message)) = response.extensions().get::<Told>().filter(|_| !for_programs).cloned() else {
        return response;
    };
    if status == StatusCode::UNAUTHORIZED {
        let here = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let mut query = form_urlencoded::Serializer::new(String::new());
        if method.is_safe() {
            query.append_pair("next", here);
        } else {
            query.append_pair("next", form_page(&uri, &headers).as_deref().unwrap_or("/")).append_pair("unsaved", "1");
        }
        return Redirect::to(&format!("/accounts/login/?{}", query.finish())).into_response();
    }
    let heading = match status {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::FORBIDDEN => "Not for this account",
        StatusCode::CONFLICT => "That is no longer possible",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "That could not be understood",
        _ => "That did not work",
    };
    // where the database is out of reach, nobody knows who it is
    let user = if status.is_client_error() { who(&app, &headers).await.ok().flatten() } else { None };
    let shell = user.map_or_else(|| Shell::for_nobody(&app), |user| Shell::for_user(&app, &user));
    let page = FailurePage { shell, heading, message: sentence(&message) };
    match page.render() {
        Ok(html) => (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => response,
    }
}

/// The page on which a form was sent, if it is one of ours: where the form went there may be nothing to read.
fn form_page(sent_to: &Uri, headers: &HeaderMap) -> Option<String> {
    let page: Uri = headers.get(header::REFERER)?.to_str().ok()?.parse().ok()?;
    let is_ours = page.authority().map(Authority::as_str) == host(sent_to, headers);
    let path = page.path_and_query()?.as_str();
    local_path(path).filter(|_| is_ours).map(str::to_owned)
}

/// With a capital and a full stop.
pub(super) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

pub(super) async fn not_found() -> Failure {
    Failure::NotFound
}

pub(super) async fn method_not_allowed() -> Failure {
    Failure::WrongMethod
}

/// A handler that panicked is a defect: the person is told so, the log has the panic.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Failure::Panicked.into_response()
}
