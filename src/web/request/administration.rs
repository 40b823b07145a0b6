//! What administrators alone have: whatever runs the service shows and does there, of which nothing is known here.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use tokio::time::sleep;

use super::origin::Sender;
use super::session::Administrator;
use crate::security::Doer;
use crate::store::{Role, SessionKey};
use crate::web::app::App;

/// How often it is looked whether whoever reads a stream is still an administrator who is signed in.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Lets administrators pass, and says who they are. A stream ends with their session, or their role.
pub(crate) async fn administrators_alone(
    State(app): State<App>,
    Administrator(user): Administrator,
    Sender(origin): Sender,
    mut request: Request,
    next: Next,
) -> Response {
    let doer = Doer { user: user.id, name: user.username.clone(), address: origin.address };
    request.extensions_mut().insert(doer);
    let response = next.run(request).await;
    let is_stream =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == b"text/event-stream");
    if !is_stream {
        return response;
    }
    let session = user.session;
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(has_ended(app, session))))
}

/// Returns when the session is no administrator's any more. While the database is away nobody can say so.
async fn has_ended(app: App, session: SessionKey) {
    loop {
        sleep(CHECK_INTERVAL).await;
        if app.sessions.ended(&[session], &[Role::ADMINISTRATOR]).await.is_ok_and(|ended| !ended.is_empty()) {
            return;
        }
    }
}
