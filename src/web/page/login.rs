//! Signing in and out, and where to go from there. Where the host signs people on, all of it leads there.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;

use super::shell::{Shell, render};
use super::way_back::{forget, lead_to_host, wanted};
use crate::store::Role;
use crate::web::address::{Host, Site, local_path};
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::query::last_value;
use crate::web::request::session::{Token, Visitor, no_cookie};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    shell: Shell,
    username: String,
    next: String,
    refused: bool,
    /// Whether a form was sent that had no session any more.
    is_unsaved: bool,
}

/// Where a user's work is; or the page that they wanted before the host signed them on.
pub(crate) async fn home(State(app): State<App>, Visitor(user): Visitor, headers: HeaderMap) -> Response {
    let site = &app.settings.site;
    match wanted(site, &headers) {
        Some(page) => ([(header::SET_COOKIE, forget(site, &headers))], Redirect::to(&page)).into_response(),
        None => Redirect::to(&home_of(site, user.role)).into_response(),
    }
}

fn home_of(site: &Site, role: Role) -> String {
    match role {
        Role::SalesRep => site.orders(),
        Role::Pharmacist | Role::Admin | Role::Other => site.pharmacy(),
    }
}

pub(crate) async fn form(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    let site = &app.settings.site;
    let query = query.unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next").map(|(_, value)| value);
    let next = next.as_deref().and_then(local_path);
    if let Some(Visitor(user)) = user {
        return Ok(Redirect::to(next.unwrap_or(&home_of(site, user.role))).into_response());
    }
    if let Some(host) = site.host() {
        return Ok(lead_to_host(site, host, next.unwrap_or(&site.home()), &headers));
    }
    let next = next.unwrap_or_default().to_owned();
    let is_unsaved = last_value(&query, "unsaved").is_some();
    render(&LoginPage { shell: Shell::for_nobody(&app), username: String::new(), next, refused: false, is_unsaved })
}

pub(crate) async fn sign_in(State(app): State<App>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let site = &app.settings.site;
    let (username, next) = (form.text("username"), local_path(form.field("next")));
    if let Some(host) = site.host() {
        return Ok(lead_to_host(site, host, next.unwrap_or(&site.home()), &headers));
    }
    // PostgreSQL has no text with a zero byte in it, so nobody has such a name
    let user = if username.contains('\0') { None } else { app.store.user_for_login(&username).await? };
    let encoded = user.as_ref().filter(|user| user.is_active).map(|user| user.encoded_password.clone());
    let matches = app.passwords.check(form.field("password").to_owned(), encoded).await?;
    let Some(user) = user.filter(|_| matches) else {
        let next = next.unwrap_or_default().to_owned();
        let shell = Shell::for_nobody(&app);
        let refused = render(&LoginPage { shell, username, next, refused: true, is_unsaved: false })?;
        return Ok((StatusCode::UNAUTHORIZED, refused).into_response());
    };
    let token = Token::new();
    let lifetime = app.settings.session_lifetime;
    app.store.begin_session(token.hash(), &user, Utc::now() + lifetime).await?;
    let cookie = token.cookie(lifetime, site, &headers);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next.unwrap_or(&site.home()))).into_response())
}

/// Ends the session and, at once, the streams that it has open here. A session of the host's is left for the host to end.
pub(crate) async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    let site = &app.settings.site;
    if let Some(Host { logout, .. }) = site.host() {
        return Ok(Redirect::to(logout).into_response());
    }
    if let Some(Visitor(user)) = user {
        app.store.end_session(user.session).await?;
        app.live.hub.end_sessions(|session| session == user.session);
    }
    Ok(([(header::SET_COOKIE, no_cookie(site, &headers))], Redirect::to(&site.login())).into_response())
}
