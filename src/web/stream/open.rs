//! Opening a stream: whose it is, and from which state on.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use super::response;
use crate::cursor::Cursor;
use crate::live::{NoStream, Subscriber};
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::origin::Sender;
use crate::web::request::query::{last_value, refuse_anothers};
use crate::web::request::session::ListReader;

/// The stream. The cursor comes from the browser's own reconnect, else from the query. One that can't be read is no cursor:
/// the page gets the whole state.
pub(crate) async fn open<R: ListReader>(
    State(app): State<App>,
    reader: R,
    Sender(origin): Sender,
    request: Request,
) -> Result<Response, Failure> {
    let (sight, ref user) = reader.whose();
    let (request, _) = request.into_parts();
    let query = request.uri.query().unwrap_or_default();
    refuse_anothers(sight.scope(), user, query)?;
    if request.method == Method::HEAD {
        return Ok(response::headers().into_response());
    }
    let from_header = request.headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let cursor = from_header.or_else(|| last_value(query, "cursor"));
    let cursor = cursor.and_then(|text| Cursor::from_outside(&text));
    let (scope, place) = (sight.scope(), origin.place());
    let subscriber = Subscriber { scope, sight: Some(sight), session: user.session, user: user.id, place };
    let events = app.live.open(sight, subscriber, cursor.as_ref()).await.map_err(|why| match why {
        NoStream::Full => Failure::Full,
        NoStream::Draining => Failure::Draining,
        NoStream::Store(error) => error.into(),
    })?;
    Ok(response::respond(events, response::may_take_over(&request)))
}
