//! The newest changes for the bell, and what a page that polls is told by.

use std::cmp::Ordering;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::cursor::Cursor;
use crate::order::{Change, Invalid, OrderId, OrderKey, Status};
use crate::store::{ListedChange, MOST_UNREAD, Newest, Preferences};
use crate::web::app::App;
use crate::web::request::etag::{self, known_revision};
use crate::web::request::failure::Failure;
use crate::web::request::form::Form;
use crate::web::request::query::{last_value, refuse_anothers};
use crate::web::request::session::ListReader;
use crate::web::request::turn::turn;
use crate::web::turns::Kind;

#[derive(Serialize)]
struct ChangesJson<'a> {
    revision: String,
    /// What is in this answer is read when the client says that this is.
    cursor: String,
    /// The newest first.
    changes: Vec<ChangeJson<'a>>,
    /// At most 99.
    unread: i64,
    /// There are more unread ones than that.
    more_unread: bool,
    preferences: PreferencesJson<'a>,
    muted: &'a [OrderId],
    muted_keys: Vec<OrderKey>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    #[serde(flatten)]
    change: &'a Change,
    unread: bool,
    muted: bool,
    /// Whether it was written since the client's `since`; `null` where there is none, or it can't be told.
    new: Option<bool>,
}

#[derive(Serialize)]
struct PreferencesJson<'a> {
    toasts: bool,
    sound: bool,
    desktop: bool,
    untold: &'a [Status],
}

impl<'a> From<&'a Preferences> for PreferencesJson<'a> {
    fn from(preferences: &'a Preferences) -> Self {
        let Preferences { toasts, sound, desktop, ref untold } = *preferences;
        Self { toasts, sound, desktop, untold }
    }
}

/// The newest changes; 304 to who has them and for whom nothing changed since, neither of the orders nor in the account. Who
/// never read anything begins to read here: nothing before is said to be unread.
pub(crate) async fn answer<R: ListReader>(
    State(app): State<App>,
    reader: R,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let (sight, ref user) = reader.whose();
    let scope = sight.scope();
    let query = query.as_deref().unwrap_or_default();
    refuse_anothers(scope, user, query)?;
    // one that can't be read is none, as with the streams
    let since = last_value(query, "since").and_then(|text| Cursor::from_outside(&text));
    app.live.polls(scope);
    let _turn = turn(&app, user, Kind::Other).await?;
    let account = app.store.account(user).await?;
    let tag = format!("{scope}-{}", account.version);
    if let Some(known) = known_revision(&tag, &headers)
        && app.live.is_unchanged(scope, known, user.as_of).await
    {
        return Ok((StatusCode::NOT_MODIFIED, etag::headers(&tag, user.as_of)).into_response());
    }
    let newest = app.store.newest(sight, user, &account).await?;
    if newest.is_first {
        app.store.mark_read(user, &newest.cursor).await?;
    }
    let Newest { cursor, changes, unread, .. } = &newest;
    let since = since.filter(|since| since.revision() <= cursor.revision());
    let changes = changes.iter().map(|ListedChange { change, xid, unread }| ChangeJson {
        change,
        unread: *unread,
        muted: account.muted.contains(&change.order_id),
        new: since.as_ref().map(|since| !since.snapshot.has(*xid)),
    });
    let answer = ChangesJson {
        revision: cursor.revision().to_string(),
        cursor: cursor.to_string(),
        changes: changes.collect(),
        unread: (*unread).min(MOST_UNREAD),
        more_unread: *unread > MOST_UNREAD,
        preferences: (&account.preferences).into(),
        muted: &account.muted,
        muted_keys: account.muted.iter().copied().map(OrderKey).collect(),
    };
    Ok((etag::headers(&tag, cursor.revision()), Json(answer)).into_response())
}

/// Everything up to the form's `cursor` is read, by the `user` to whom the page showed it. One of another life of the server
/// marks nothing.
pub(crate) async fn mark_read<R: ListReader>(
    State(app): State<App>,
    reader: R,
    form: Form,
) -> Result<Response, Failure> {
    let (_, ref user) = reader.whose();
    if form.is_anothers(user) {
        return Err(Failure::NotSignedIn);
    }
    let _turn = turn(&app, user, Kind::Other).await?;
    let upto = Cursor::from_outside(form.field("cursor")).ok_or_else(refused)?;
    match upto.revision().partial_cmp(&user.as_of) {
        // what has not happened yet can't have been read
        Some(Ordering::Greater) => return Err(refused()),
        Some(_) => app.store.mark_read(user, &upto).await?,
        None => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn refused() -> Failure {
    Failure::Invalid(vec![Invalid { parameter: "cursor", expected: "expected a cursor that this service gave" }])
}
