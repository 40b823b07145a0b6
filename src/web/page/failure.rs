//! The page that a person gets of a failure.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::shell::Shell;
use super::way_back::{forget, is_kept, lead_to_host, led_for, login_for};
use crate::web::address::local_path;
use crate::web::app::App;
use crate::web::headers::is_page;
use crate::web::request::accept::accepts_json;
use crate::web::request::failure::Reason;
use crate::web::request::guard::host;
use crate::web::request::id::RequestId;
use crate::web::request::session::{cookies, who};

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    shell: Shell,
    heading: &'static str,
    message: String,
    /// Where to sign in, where that would help.
    login: Option<String>,
    /// The request's name, where the log has more.
    request: Option<String>,
}

/// Makes pages of failures, and of "not signed in" the way to the login and back.
pub(crate) async fn as_page(State(app): State<App>, uri: Uri, request: Request, next: Next) -> Response {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone());
    let response = next.run(request).await;
    let status = response.status();
    let site = &app.settings.site;
    let for_programs = site.is_for_programs(uri.path()) || accepts_json(&headers);
    let Some(Reason(message)) = response.extensions().get::<Reason>().filter(|_| !for_programs).cloned() else {
        return arrived(&app, &headers, response);
    };
    if status == StatusCode::UNAUTHORIZED {
        let here = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        if let Some(host) = site.host() {
            let page = if method.is_safe() { Some(here.to_owned()) } else { form_page(&uri, &headers) };
            let page = page.unwrap_or_else(|| site.home());
            // led to the host a moment ago, and back by it: again would be for ever
            let was_led = led_for(site, &headers).is_some_and(|wanted| wanted == page);
            if was_led && cookies(&headers, &host.session_cookie).next().is_some() {
                let message = "You are not signed in here. If you are at the other pages, sign out there and in again; if that \
                               does not help, tell your administrator: the log says why.";
                let page = FailurePage {
                    shell: Shell::for_nobody(&app),
                    heading: "Not signed in",
                    message: message.to_owned(),
                    login: Some(login_for(host, &page)),
                    request: None,
                };
                return page.render().map_or(response, |html| {
                    (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
                });
            }
            return lead_to_host(site, host, &page, &headers);
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        if method.is_safe() {
            query.append_pair("next", here);
        } else {
            query
                .append_pair("next", form_page(&uri, &headers).as_deref().unwrap_or(&site.home()))
                .append_pair("unsaved", "1");
        }
        return Redirect::to(&format!("{}?{}", site.login(), query.finish())).into_response();
    }
    let heading = match status {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::FORBIDDEN => "Not for this account",
        StatusCode::CONFLICT => "That is no longer possible",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        StatusCode::TOO_MANY_REQUESTS => "Too much at once",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "That could not be understood",
        _ => "That did not work",
    };
    // where the database is out of reach, nobody knows who it is
    let user = if status.is_client_error() { who(&app, &headers).await.ok().flatten() } else { None };
    let shell = user.map_or_else(|| Shell::for_nobody(&app), |user| Shell::for_user(&app, &user));
    let page = FailurePage {
        shell,
        heading,
        message: sentence(&message),
        login: None,
        request: id.filter(|_| status.is_server_error()),
    };
    match page.render() {
        Ok(html) => {
            let mut page = (status, [(header::CACHE_CONTROL, "no-store")], Html(html)).into_response();
            if let Some(time) = response.headers().get(header::RETRY_AFTER) {
                page.headers_mut().insert(header::RETRY_AFTER, time.clone());
            }
            page
        }
        Err(_) => response,
    }
}

/// Who sees a page has come to where they wanted, or does not want it any more.
fn arrived(app: &App, headers: &HeaderMap, mut response: Response) -> Response {
    if response.status() == StatusCode::OK && is_page(&response) && is_kept(&app.settings.site, headers) {
        let cookie = HeaderValue::from_str(&forget(&app.settings.site, headers));
        if let Ok(cookie) = cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
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
