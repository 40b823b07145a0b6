//! Who may edit or cancel an order in which status, and what is said where it can't be.

use super::timeline::last_changed;
use crate::order::{Entry, OrderId, Status};
use crate::store::{OrderDetail, Role, SignedIn};
use crate::web::app::App;
use crate::web::request::failure::Failure;
use crate::web::request::session::OrderReader;

/// What people write of an order from here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Edit,
    Cancel,
}

/// In which statuses an order may be written so.
enum Allowed {
    While(&'static [Status]),
    Until(&'static [Status]),
}

impl Deed {
    /// Of reps by the rules of the existing system. Pharmacists and admins change all, also in a status that is not listed.
    fn allowed(self, user: &SignedIn) -> Allowed {
        match (self, user.role == Role::SalesRep) {
            (Self::Edit, true) => Allowed::While(&[Status::Pending]),
            (Self::Cancel, true) => Allowed::While(&[Status::Pending, Status::Confirmed]),
            (Self::Edit, false) => Allowed::Until(&[]),
            (Self::Cancel, false) => Allowed::Until(&[Status::Delivered, Status::Cancelled, Status::Returned]),
        }
    }

    /// Whether the user may do so with an order in this status.
    pub(super) fn is_allowed(self, user: &SignedIn, status: &Status) -> bool {
        match self.allowed(user) {
            Allowed::While(statuses) => statuses.contains(status),
            Allowed::Until(statuses) => !statuses.contains(status),
        }
    }

    /// `it can be edited only while it is pending`.
    fn rule(self, user: &SignedIn) -> String {
        let done = match self {
            Self::Edit => "edited",
            Self::Cancel => "cancelled",
        };
        let (when, statuses) = match self.allowed(user) {
            Allowed::While(statuses) => ("while", statuses),
            Allowed::Until(statuses) => ("until", statuses),
        };
        let statuses: Vec<_> = statuses.iter().map(|status| status.label().to_lowercase()).collect();
        format!("it can be {done} only {when} it is {}", statuses.join(" or "))
    }
}

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
    let order = app.store.order(id, reader.only()).await?.ok_or(Failure::NotFound)?;
    Ok(refused(deed, &reader.user, &order, app))
}

/// Why a change was not made while somebody else's takes long.
pub(super) fn locked(number: &str) -> String {
    format!("{number} is being changed by somebody else right now; try again in a moment.")
}
