//! The sessions that somebody has, and their ends.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};

use super::shell::{Shell, render};
use crate::order::iso_time;
use crate::security::End;
use crate::store::ListedSession;
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::session::Visitor;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    shell: Shell,
    sessions: Vec<ListedSession>,
}

impl SessionsPage {
    #[expect(clippy::unused_self, reason = "templates reach it through the page")]
    fn iso(&self, time: &DateTime<Utc>) -> String {
        iso_time(*time)
    }

    fn shown(&self, time: &DateTime<Utc>) -> String {
        let zone: Option<chrono_tz::Tz> = self.shell.zone.parse().ok();
        time.with_timezone(&zone.unwrap_or(chrono_tz::UTC)).format("%Y-%m-%d %H:%M").to_string()
    }
}

pub(crate) async fn form(State(app): State<App>, Visitor(user): Visitor) -> Result<Response, Failure> {
    // sessions of the host's are the host's to end
    if app.settings.site.host().is_some() {
        return Err(Failure::OfTheHost);
    }
    let _turn = turn(&app, &user, Kind::Other).await?;
    let sessions = app.store.sessions_of(user.id, Some(user.session)).await?;
    render(&SessionsPage { shell: Shell::for_user(&app, &user), sessions })
}

/// Ends one of the user's sessions, by its handle, or all but the present one; and at once the streams that these have here.
pub(crate) async fn end(State(app): State<App>, Visitor(user): Visitor, form: Form) -> Result<Response, Failure> {
    if app.settings.site.host().is_some() {
        return Err(Failure::OfTheHost);
    }
    form.is_theirs(&user)?;
    let handle = Some(form.field("session")).filter(|handle| !handle.is_empty());
    if handle.is_none() && form.field("others").is_empty() {
        return Err(Failure::Unwritable("session: expected the handle of a session, or others=1".to_owned()));
    }
    let _turn = turn(&app, &user, Kind::Other).await?;
    let except = handle.is_none().then_some(user.session);
    let ended = app.store.end_sessions_of(user.id, handle, except).await?;
    for _ in &ended {
        app.live.meter.security.ended(End::EndedByUser, user.id);
    }
    app.live.hub.end_sessions(|session| ended.contains(&session));
    let site = &app.settings.site;
    let is_over = ended.contains(&user.session);
    Ok(Redirect::to(&if is_over { site.login() } else { site.sessions() }).into_response())
}
