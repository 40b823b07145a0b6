//! The sessions that somebody has, and their ends. Administrators see and end everybody's.

use askama::Template;
use axum::extract::{OriginalUri, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};

use super::browser;
use super::shell::{Shell, render};
use crate::order::{UserId, display_time, exact_time, iso_time};
use crate::security::{By, End};
use crate::store::{ListedSession, Role, SignedIn};
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::origin::Sender;
use crate::web::request::query::last_value;
use crate::web::request::session::Visitor;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    shell: Shell,
    zone: chrono_tz::Tz,
    /// Whether this is an administrator's, who may look for others.
    is_admin: bool,
    /// The login that an administrator looks for; empty where it is one's own page.
    of: String,
    /// Nobody has that login.
    is_nobody: bool,
    sessions: Vec<ListedSession>,
}

impl SessionsPage {
    #[expect(clippy::unused_self, reason = "templates reach it through the page")]
    fn iso(&self, time: &DateTime<Utc>) -> String {
        iso_time(*time)
    }

    #[expect(clippy::unused_self, reason = "templates reach it through the page")]
    fn browser(&self, user_agent: &str) -> String {
        browser::name(user_agent).unwrap_or_else(|| user_agent.to_owned())
    }

    fn shown(&self, time: &DateTime<Utc>) -> String {
        display_time(*time, self.zone)
    }

    fn exact(&self, time: &DateTime<Utc>) -> String {
        exact_time(*time, self.zone)
    }
}

/// Whose sessions are meant: one's own, or those of somebody whom an administrator names, where there is such a user.
///
/// # Errors
/// If somebody else names anybody.
async fn whose(app: &App, user: &SignedIn, of: &str) -> Result<Option<UserId>, Failure> {
    if of.is_empty() || of == user.username {
        return Ok(Some(user.id));
    }
    if user.role != Role::Admin {
        return Err(Failure::WrongRole("administrators"));
    }
    // PostgreSQL has no text with a zero byte in it, so nobody has such a name
    let found = if of.contains('\0') { None } else { app.store.user_for_login(of).await? };
    Ok(found.map(|found| found.id))
}

pub(crate) async fn form(
    State(app): State<App>,
    Visitor(user): Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    // sessions of the host's are the host's to end
    if app.settings.site.host().is_some() {
        return Err(Failure::OfTheHost);
    }
    let _turn = turn(&app, &user, Kind::Other).await?;
    let of = last_value(&query.unwrap_or_default(), "of").unwrap_or_default().trim().to_owned();
    let whose = whose(&app, &user, &of).await?;
    let sessions = match whose {
        Some(whose) => app.store.sessions_of(whose, Some(user.session)).await?,
        None => Vec::new(),
    };
    render(&SessionsPage {
        zone: app.settings.zone,
        is_admin: user.role == Role::Admin,
        is_nobody: whose.is_none(),
        of: if whose == Some(user.id) { String::new() } else { of },
        sessions,
        shell: Shell::for_user(&app, &user),
    })
}

/// Ends one of the user's sessions, by its handle, or all but the present one; and at once the streams that these have here. Of
/// somebody else an administrator ends one, or all.
pub(crate) async fn end(
    State(app): State<App>,
    Sender(origin): Sender,
    OriginalUri(uri): OriginalUri,
    Visitor(user): Visitor,
    form: Form,
) -> Result<Response, Failure> {
    if app.settings.site.host().is_some() {
        return Err(Failure::OfTheHost);
    }
    form.is_theirs(&user)?;
    let of = form.text("of");
    let whose = whose(&app, &user, &of).await?.ok_or(Failure::NotFound)?;
    let handle = Some(form.field("session")).filter(|handle| !handle.is_empty());
    if handle.is_none() && form.field("others").is_empty() {
        return Err(Failure::Unwritable("session: expected the handle of a session, or others=1".to_owned()));
    }
    let _turn = turn(&app, &user, Kind::Other).await?;
    let is_own = whose == user.id;
    let except = handle.is_none().then_some(user.session);
    let ended = app.store.end_sessions_of(whose, handle, except).await?;
    let (end, name) = if is_own { (End::EndedByUser, &user.username) } else { (End::EndedByAdmin, &of) };
    for _ in &ended {
        let by = By::user((user.id, &user.username), origin.address, uri.path());
        app.live.meter.security.ended(end, (whose, Some(name)), by);
    }
    app.live.hub.end_sessions(|session| ended.contains(&session));
    let site = &app.settings.site;
    if ended.contains(&user.session) {
        return Ok(Redirect::to(&site.login()).into_response());
    }
    let page = site.sessions();
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("of", &of).finish();
    Ok(Redirect::to(&if is_own { page } else { format!("{page}?{query}") }).into_response())
}
