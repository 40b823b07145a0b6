//! Signing in and out, and where to go from there.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;

use super::App;
use super::api::last_value;
use super::dashboard::{ORDERS, PHARMACY};
use super::failure::Failure;
use super::form::Form;
use super::session::{Token, Visitor, no_cookie};
use super::shell::{Shell, page};
use crate::store::Role;

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
pub(super) async fn home(Visitor(user): Visitor) -> Redirect {
    Redirect::to(home_of(user.role))
}

fn home_of(role: Role) -> &'static str {
    if role == Role::SalesRep { ORDERS } else { PHARMACY }
}

pub(super) async fn form(
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
    page(&LoginPage { shell: Shell::for_nobody(&app), username: String::new(), next, refused: false, is_unsaved })
}

pub(super) async fn sign_in(State(app): State<App>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let (username, next) = (form.text("username"), local_path(form.field("next")));
    // PostgreSQL has no text with a zero byte in it, so nobody has such a name
    let user = if username.contains('\0') { None } else { app.store.user_for_login(&username).await? };
    let encoded = user.as_ref().filter(|user| user.is_active).map(|user| user.encoded_password.clone());
    let matches = app.passwords.check(form.field("password").to_owned(), encoded).await?;
    let Some(user) = user.filter(|_| matches) else {
        let next = next.unwrap_or_default().to_owned();
        let shell = Shell::for_nobody(&app);
        let refused = page(&LoginPage { shell, username, next, refused: true, is_unsaved: false })?;
        return Ok((StatusCode::UNAUTHORIZED, refused).into_response());
    };
    let token = Token::new();
    let lifetime = app.settings.session_lifetime;
    app.store.begin_session(token.hash(), &user, Utc::now() + lifetime).await?;
    let cookie = token.cookie(lifetime, &headers);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next.unwrap_or("/"))).into_response())
}

/// Ends the session and, at once, the streams that it has open here.
pub(super) async fn sign_out(
    State(app): State<App>,
    headers: HeaderMap,
    user: Option<Visitor>,
) -> Result<Response, Failure> {
    if let Some(Visitor(user)) = user {
        app.store.end_session(user.session).await?;
        app.live.hub.end_sessions(|session| session == user.session);
    }
    Ok(([(header::SET_COOKIE, no_cookie(&headers))], Redirect::to("/accounts/login/")).into_response())
}

/// A path on this site; anything that a browser could take for another site is refused.
pub(super) fn local_path(next: &str) -> Option<&str> {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    local.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_on_this_site_are_followed() {
        for next in ["", "//evil", "/\\evil", "https://evil", "javascript:x", "/a\r\nb", "/\tb", "evil"] {
            assert_eq!(local_path(next), None, "{next}");
        }
        assert_eq!(local_path("/orders/orders/?page=2"), Some("/orders/orders/?page=2"));
    }
}
