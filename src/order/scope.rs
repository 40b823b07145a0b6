//! Whose orders a page shows and a stream tells of.

use std::fmt;

use super::id::RepId;

/// Whose orders: those of one sales rep, or all, as pharmacists and administrators see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One rep's.
    Rep(RepId),
    /// Everybody's, those without a rep included.
    All,
}

impl Scope {
    /// Whether an order with that rep is among them.
    #[must_use]
    pub fn has(self, rep: Option<RepId>) -> bool {
        match self {
            Self::Rep(this) => rep == Some(this),
            Self::All => true,
        }
    }

    /// The rep to whose orders it is limited, if to any.
    #[must_use]
    pub fn rep(self) -> Option<RepId> {
        match self {
            Self::Rep(rep) => Some(rep),
            Self::All => None,
        }
    }
}

/// The rep's id, or `all`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rep(rep) => rep.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}
