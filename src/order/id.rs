//! Ids as types, so that a rep's id can't be passed where an order's is meant.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// `orders_order.id`.
    OrderId
);
id!(
    /// `accounts_user.id` of anyone.
    UserId
);
id!(
    /// `accounts_user.id` of a sales rep, as in `orders_order.sales_rep_id`.
    RepId
);

/// An order's id as text, by which pages tell orders apart: their numbers are exact only up to 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderKey(pub OrderId);

impl Serialize for OrderKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
