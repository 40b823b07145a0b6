//! Who may edit or cancel an order in which status.

use crate::order::{OrderId, OrderLink, Status};
use crate::store::{Role, SignedIn};

/// What people write of an order from here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Edit,
    Cancel,
}

/// In which statuses an order may be written so.
enum Allowed {
    While(&'static [Status]),
    Until(&'static [Status]),
}

/// What a list offers beside each order.
pub(crate) struct Offer {
    pub(crate) label: &'static str,
    link: OrderLink,
    /// The statuses in which it can be done; none where it always can.
    statuses: Option<Vec<&'static Status>>,
}

impl Offer {
    /// What can be done with every order.
    pub(crate) fn always(label: &'static str, link: OrderLink) -> Self {
        Self { label, link, statuses: None }
    }

    /// Where it is done; of the row from which the page makes others, the address with a place for the id.
    pub(crate) fn href(&self, id: &OrderId) -> String {
        if *id == OrderId(0) { self.link.pattern().to_owned() } else { self.link.of(*id) }
    }

    /// Whether it is offered for an order in this status.
    pub(crate) fn is_for(&self, status: &Status) -> bool {
        self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
    }

    /// The codes of the statuses in which it is, with spaces between, by which the page goes on deciding it.
    pub(crate) fn codes(&self) -> Option<String> {
        let statuses = self.statuses.as_ref()?;
        Some(statuses.iter().map(|status| status.code()).collect::<Vec<_>>().join(" "))
    }
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

    /// The same as a list offers it beside each order, where it is done.
    pub(crate) fn offer(self, user: &SignedIn, link: OrderLink) -> Offer {
        let label = match self {
            Self::Edit => "Edit",
            Self::Cancel => "Cancel",
        };
        let statuses = Status::ALL.iter().filter(|status| self.is_allowed(user, status));
        Offer { label, link, statuses: Some(statuses.collect()) }
    }

    /// Whether the user may do so with an order in this status.
    pub(crate) fn is_allowed(self, user: &SignedIn, status: &Status) -> bool {
        match self.allowed(user) {
            Allowed::While(statuses) => statuses.contains(status),
            Allowed::Until(statuses) => !statuses.contains(status),
        }
    }

    /// `it can be edited only while it is pending`.
    pub(crate) fn rule(self, user: &SignedIn) -> String {
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
