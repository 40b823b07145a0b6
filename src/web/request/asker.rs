//! Who sent a request that is refused, for the security log.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::origin::origin;
use crate::order::UserId;
use crate::security::{By, Refused};
use crate::store::{Role, SignedIn};
use crate::web::app::App;

/// In a request's extensions: what is found out about it on its way to an answer.
#[derive(Clone, Default)]
struct Asker(Arc<Known>);

#[derive(Default)]
struct Known {
    user: OnceLock<(UserId, String, Role)>,
    /// Whether it asks for one order.
    names_order: AtomicBool,
}

/// Somebody who is signed in sent it.
pub(super) fn is_of(parts: &Parts, user: &SignedIn) {
    if let Some(Asker(known)) = parts.extensions.get() {
        let _ = known.user.set((user.id, user.username.clone(), user.role));
    }
}

/// It asks for one order.
pub(super) fn names_order(parts: &Parts) {
    if let Some(Asker(known)) = parts.extensions.get() {
        known.names_order.store(true, Relaxed);
    }
}

/// Says in the security log what is refused: a failure says so of its response. That a rep gets no order is a refusal as well;
/// whether there is one, nobody finds out.
pub(crate) async fn say_refusals(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let asker = Asker::default();
    request.extensions_mut().insert(asker.clone());
    let (origin, uri) = (origin(&app, request.extensions(), request.headers()), request.uri().clone());
    let response = next.run(request).await;
    let Asker(known) = asker;
    let user = known.user.get();
    let is_no_order = || {
        let is_rep = user.is_some_and(|(.., role)| *role == Role::SalesRep);
        response.status() == StatusCode::NOT_FOUND && known.names_order.load(Relaxed) && is_rep
    };
    let refused = response.extensions().get().copied().or_else(|| is_no_order().then_some(Refused::Order));
    if let Some(refused) = refused {
        let user = user.map(|(id, name, _)| (*id, name.as_str()));
        let by = By { user, address: Some(origin.address), path: Some(uri.path()), ..By::default() };
        app.live.meter.security.refused(refused, by);
    }
    response
}
