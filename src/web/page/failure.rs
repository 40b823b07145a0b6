//! The page that a person gets of a failure.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::address::{LOGIN, local_path};
use super::shell::Shell;
use crate::web::app::App;
use crate::web::request::accept::accepts_json;
use crate::web::request::failure::Reason;
use crate::web::request::guard::host;
use crate::web::request::session::who;

/// Below this path every answer is for programs.
const API: &str = "/orders/api/";

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    shell: Shell,
    heading: &'static str,
    message: String,
}

/// Makes pages of failures, and of "not signed in" the way to the login and back.
pub(crate) async fn as_page(State(app): State<App>, uri: Uri, request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let response = next.run(request).await;
    let status = response.status();
    let for_programs = uri.path().starts_with(API) || accepts_json(&headers);
    let Some(Reason(message)) = response.extensions().get::<Reason>().filter(|_| !for_programs).cloned() else {
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
        return Redirect::to(&format!("{LOGIN}?{}", query.finish())).into_response();
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
pub(crate) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}
