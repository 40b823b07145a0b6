//! Waiting for a turn: see [`crate::web::turns`].

use std::sync::atomic::Ordering::Relaxed;

use super::failure::Failure;
use crate::security::TARGET;
use crate::store::SignedIn;
use crate::web::app::App;
use crate::web::turns::{Kind, Turn};

/// A turn of the user's. Whoever asks for too much at once is told so.
///
/// # Errors
/// If what they asked for before takes too long.
pub(crate) async fn turn(app: &App, user: &SignedIn, kind: Kind) -> Result<Turn, Failure> {
    let turn = app.turns.take(user.id, kind).await;
    turn.ok_or_else(|| {
        app.live.meter.requests_refused.fetch_add(1, Relaxed);
        if app.crowding.is_due() {
            let (user, name) = (user.id.0, &user.username);
            tracing::warn!(target: TARGET, user, name, "requests of one user are refused, as too many of them are under way");
        }
        Failure::Crowded
    })
}
