//! Signing in and out, and where to go from there.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;

use super::address::{LOGIN, ORDERS, PHARMACY, local_path};
use super::shell::{Shell, render};
use crate::store::Role;
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

/// Where a user's work is.
pub(crate) async fn home(Visitor(user): Visitor) -> Redirect {
    Redirect::to(home_of(user.role))
}

fn home_of(role: Role) -> &'static str {
    if role == Role::SalesRep { ORDERS } else { PHARMACY }
}

pub(crate) async fn form(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next").map(|(_, value)| value);
    if let Some(Visitor(user)) = user {
        return Ok(Redirect::to(next.as_deref().and_then(local_path).unwrap_or(home_of(user.role))).into_response());
    }
    let next = next.as_deref().and_then(local_path).unwrap_or_default().to_owned();
    let is_unsaved = last_value(&query, "unsaved").is_some();
    render(&LoginPage { shell: Shell::for_nobody(&app), username: String::new(), next, refused: false, is_unsaved })
}

pub(crate) async fn sign_in(State(app): State<App>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let (username, next) = (form.text("username"), local_path(form.field("next")));
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
    let cookie = token.cookie(lifetime, &headers);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next.unwrap_or("/"))).into_response())
}

/// Ends the session and, at once, the streams that it has open here.
pub(crate) async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    if let Some(Visitor(user)) = user {
        app.store.end_session(user.session).await?;
        app.live.hub.end_sessions(|session| session == user.session);
    }
    Ok(([(header::SET_COOKIE, no_cookie(&headers))], Redirect::to(LOGIN)).into_response())
}
