//! Whom a stream is for.

use std::net::IpAddr;

use crate::order::{Scope, UserId};
use crate::store::{SessionKey, Sight};

/// Whom a stream is for.
#[derive(Debug, Clone, Copy)]
pub struct Subscriber {
    /// Whose orders it tells of.
    pub sight: Sight,
    /// The session it was opened with.
    pub session: SessionKey,
    /// Whose session that is.
    pub user: UserId,
    /// From where it was opened: see [`crate::network::Origin::place`].
    pub place: IpAddr,
}

impl Subscriber {
    /// Whose orders it tells of.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.sight.scope()
    }
}

#[cfg(test)]
impl Subscriber {
    /// Any.
    pub(super) fn for_test() -> Self {
        let sight = Sight::for_test(Scope::All);
        Self { sight, session: SessionKey([0; 32]), user: UserId(1), place: [192, 0, 2, 1].into() }
    }
}
