//! Whom a stream is for.

use std::net::IpAddr;

use crate::order::{Scope, UserId};
use crate::store::{SessionKey, Sight};

/// Whom a stream is for.
#[derive(Debug, Clone, Copy)]
pub struct Subscriber {
    /// Whose orders it tells of.
    pub scope: Scope,
    /// By what they are read for somebody; none where nothing is read, as in a measurement.
    pub sight: Option<Sight>,
    /// The session it was opened with.
    pub session: SessionKey,
    /// Whose session that is.
    pub user: UserId,
    /// From where it was opened: see [`crate::network::Origin::place`].
    pub place: IpAddr,
}

#[cfg(test)]
impl Subscriber {
    /// Any.
    pub(super) fn for_test() -> Self {
        let (scope, session) = (Scope::All, SessionKey([0; 32]));
        Self { scope, sight: None, session, user: UserId(1), place: [192, 0, 2, 1].into() }
    }
}
