//! What is said where an order can't be edited, cancelled or changed.

use super::timeline::last_changed;
use crate::order::{Entry, OrderId};
use crate::store::{OrderDetail, SignedIn};
use crate::web::app::App;
use crate::web::request::deed::Deed;
use crate::web::request::failure::Failure;
use crate::web::request::session::OrderReader;

pub(super) fn refused(deed: Deed, user: &SignedIn, order: &OrderDetail, app: &App) -> Failure {
    Failure::Conflict(refusal(deed, user, order, app))
}

/// Why it can't be done in the present status, and by whom that is so.
pub(super) fn refusal(deed: Deed, user: &SignedIn, order: &OrderDetail, app: &App) -> String {
    let by = last_changed(&order.timeline, Entry::changed_standing, app.settings.zone);
    let by = by.map(|by| format!(" (changed by {by})")).unwrap_or_default();
    format!("this order is {} now; {}{by}", order.row.status.label().to_lowercase(), deed.rule(user))
}

/// The same for a write that found the order so.
pub(super) async fn refused_now(app: &App, reader: &OrderReader, id: OrderId, deed: Deed) -> Result<Failure, Failure> {
    let order = app.store.order(id, &reader.user).await?.ok_or(Failure::NotFound)?;
    Ok(refused(deed, &reader.user, &order, app))
}

/// Why a change was not made while somebody else's takes long.
pub(super) fn locked(number: &str) -> String {
    format!("{number} is being changed by somebody else right now; try again in a moment.")
}

/// Why a change was not made that a rule of the tables' owner forbids.
pub(super) fn against_rule(rule: &str) -> String {
    format!("The database did not take it: {rule}.")
}
