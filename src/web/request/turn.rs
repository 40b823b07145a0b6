//! Waiting for a turn: see [`crate::web::turns`].

use super::failure::Failure;
use crate::store::SignedIn;
use crate::web::app::App;
use crate::web::turns::{Kind, Turn};

/// A turn of the user's. Whoever asks for too much at once is told so.
///
/// # Errors
/// If what they asked for before takes too long.
pub(crate) async fn turn(app: &App, user: &SignedIn, kind: Kind) -> Result<Turn, Failure> {
    app.turns.take(user.id, kind).await.ok_or(Failure::Crowded)
}
